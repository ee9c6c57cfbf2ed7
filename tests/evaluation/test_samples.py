"""Several samples of a deal: pass@k by hand, and intervals that are over deals."""

from math import comb

import pytest

from labkit.envs import game, judge, start
from labkit.episode import Episode, Task
from labkit.evaluation import evaluate, measure, paired
from labkit.evaluation.metrics import wilson
from labkit.evaluation.samples import pass_at
from labkit.players import Answer
from labkit.players.simple import Random


def sampled(*successes: int, of: int) -> tuple[list[Episode], list[str]]:
    """So many successes in ``of`` samples of each deal, and which deal each episode is of."""
    episodes = []
    for index, right in enumerate(successes):
        task = Task("gp-l", {}, {}, attempts=1, reward={}, index=index)
        episodes += [Episode(task, (), "success" if i < right else "exhausted") for i in range(of)]
    return episodes, [e.task.id for e in episodes]


def test_pass_at_k_by_hand():
    # 1 of 3 right: 1/3, 1 - C(2,2)/C(3,2) = 2/3, 1. None of 3: 0.
    found = pass_at(*sampled(1, 0, of=3))
    assert {k: e.value for k, e in found.items()} == pytest.approx({"1": 1 / 6, "2": 1 / 3, "3": 1 / 2})
    weighted = pass_at(*sampled(1, 0, of=3), weights=[0.75] * 3 + [0.25] * 3)
    assert weighted["2"].value == pytest.approx(0.75 * 2 / 3)


def test_pass_at_k_is_unbiased():
    # Over all outcomes of 5 samples that are right with probability .3, the mean of pass@k is 1 - .7^k.
    for k in range(1, 6):
        mean = sum(comb(5, c) * 0.3**c * 0.7 ** (5 - c) * pass_at(*sampled(c, of=5))[str(k)].value for c in range(6))
        assert mean == pytest.approx(1 - 0.7**k)


def test_the_interval_is_over_deals():
    # Always or never right: 3 samples tell no more than one. Variance 2 * 1.5^2 / 6^2 = 1/8: .25 / (1/8) = 2 trials.
    found = pass_at(*sampled(3, 0, of=3))
    assert found["1"].n == 6 and found["1"].ci95 == pytest.approx(wilson(0.5, 2))
    # Each deal right once in two: deals do not differ, which is 2 deals' worth of agreement.
    assert pass_at(*sampled(1, 1, of=2))["1"].ci95 == pytest.approx(wilson(0.5, 2))


class Quarter:
    """Right on every fourth deal, whatever the sample."""

    name = "quarter"

    def answer(self, turns):
        return [Answer("?" if t.episode.task.index % 4 else game("gp-l").expert(t.episode)) for t in turns]


def test_samples_of_a_deal_are_one_cluster():
    once = evaluate(Quarter(), "gp-l", "id", episodes=8, attempts=1)
    thrice = evaluate(Quarter(), "gp-l", "id", episodes=8, attempts=1, samples=3)
    assert (once.n, thrice.n, thrice.value) == (8, 24, 0.25)
    assert once.ci95 == pytest.approx(wilson(0.25, 8)) and thrice.ci95 == pytest.approx(once.ci95)
    for name in ("legal", "valid", "number_right"):
        assert thrice.details[name].ci95 == pytest.approx(once.details[name].ci95)
    assert thrice.details["return"].ci95 is None  # 24 values, of 8 deals only
    assert thrice.details["within"]["1"].ci95 == pytest.approx(once.ci95)
    assert {k: e.value for k, e in thrice.details["pass_at"].items()} == {"1": 0.25, "2": 0.25, "3": 0.25}
    assert "pass_at" not in once.details


def test_samples_are_independent_and_the_first_is_the_single_one():
    once = evaluate(Random(), "gp-l", "id", episodes=12, attempts=1, seed=4)
    thrice = evaluate(Random(), "gp-l", "id", episodes=12, attempts=1, seed=4, samples=3)
    again = evaluate(Random(), "gp-l", "id", episodes=12, attempts=1, seed=4, samples=3, batch=5)
    answers = [e.attempts[0].answer for e in thrice.episodes]
    assert answers[::3] == [e.attempts[0].answer for e in once.episodes]
    assert len({*answers}) > 30
    assert [e.to_json() for e in again.episodes] == [e.to_json() for e in thrice.episodes]
    assert [e.task.index for e in thrice.episodes] == [i for i in range(12) for _ in range(3)]


def test_every_hand_sampled_keeps_its_weight():
    settings = {"episodes": "all", "split": "dev", "attempts": 1}
    once = evaluate(Quarter(), "gp-l", "id", **settings)
    twice = evaluate(Quarter(), "gp-l", "id", samples=2, **settings)
    assert twice.value == pytest.approx(once.value) and twice.details["pass_at"]["2"].value == pytest.approx(once.value)
    assert twice.ci95 == pytest.approx(once.ci95)


def test_different_solutions_of_a_deal():
    def says(cards: str, formula: str) -> Episode:
        task = game("gp-l").task(hand=cards.split(), attempts=1, suite="id")
        return judge(start(task), f'{{"cards": [], "number": [], "formula": "{formula}"}}')

    six = [says("6 6 6 6", f) for f in ("6+6+6+6", "6*6-6-6", "(6+6)+(6+6)", "6")]
    four = [says("10 4 5 5", f) for f in ("10+5+5+4", "4+5+5+10")]
    # Two solutions, one of them twice; one solution, in two orders.
    assert measure(six + four).details["solutions_a_deal"].value == 1.5
    assert measure(six + four).details["solutions"] == {"right": 5, "distinct": 3}
    assert measure(six).details["pass_at"].keys() == {"1", "2", "3", "4"}
    assert "solutions_a_deal" not in measure([six[0], four[0]]).details


def test_pairs_of_samples_are_pairs_of_deals():
    before, after = (sampled(*rows, of=2)[0] for rows in ((1, 0, 2), (2, 1, 1)))
    found = paired.difference(before, after)
    assert found.value == pytest.approx(4 / 6 - 3 / 6) and found.n == 3
    tested = paired.test(before, after)
    assert (tested.method, tested.better, tested.worse) == ("sign flips of episodes", 2, 1)
