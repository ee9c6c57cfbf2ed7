"""Paired comparisons: numbers worked by hand, and how often the interval holds the truth."""

import math
from collections import Counter

import numpy as np
import pytest

from labkit.envs import game, judge, start
from labkit.episode import Episode, Task
from labkit.evaluation import evaluate, measure, paired
from labkit.evaluation.metrics import Trials, wilson
from labkit.evaluation.paired import difference
from labkit.players.simple import Expert, Random


def brings(episode: Episode) -> Trials:
    return Trials(episode.task.deal["hits"][episode.player], episode.task.deal["trials"][episode.player])


def players(*trials: tuple[tuple[int, int], tuple[int, int]]) -> tuple[list[Episode], list[Episode]]:
    """Episodes of ``before`` and ``after`` with given (hits, trials) on each task."""
    out: tuple[list[Episode], list[Episode]] = ([], [])
    for index, both in enumerate(trials):
        deal = {what: {"before": both[0][i], "after": both[1][i]} for i, what in enumerate(("hits", "trials"))}
        task = Task("gp-l", deal, {}, attempts=1, reward={}, index=index)
        for name, episodes in zip(("before", "after"), out, strict=True):
            episodes.append(Episode(task, (), player=name))
    return out


def single(both: int, gained: int, lost: int, neither: int) -> tuple[list[Episode], list[Episode]]:
    """One trial an episode."""
    kinds = [(1, 1)] * both + [(0, 1)] * gained + [(1, 0)] * lost + [(0, 0)] * neither
    return players(*[((a, 1), (b, 1)) for a, b in kinds])


def test_one_trial_an_episode_by_hand():
    # 5 and 7 of 10 right. 4 * 2 - 3 * 1 = 5, less 10 / 2 leaves no correlation: the two Wilson intervals,
    # (.2366, .7634) and (.3968, .8922), square and add. Down sqrt(.3032^2 + .2634^2), up sqrt(.1922^2 + .2634^2).
    found = difference(*single(4, 3, 1, 2), metric=brings)
    assert (found.value, found.n) == (pytest.approx(0.2), 10)
    assert found.ci95 == pytest.approx((0.2 - 0.4016, 0.2 + 0.3261), abs=2e-4)


def test_correlation_by_hand():
    # 11 and 13 of 20. Correlation (10 * 6 - 3 * 1 - 20 / 2) / sqrt(11 * 9 * 13 * 7) = 47 / 94.9 = .4952.
    (la, ua), (lb, ub), r = wilson(11 / 20, 20), wilson(13 / 20, 20), 47 / math.sqrt(11 * 9 * 13 * 7)
    a, b = 0.65 - lb, ua - 0.55
    c, d = ub - 0.65, 0.55 - la
    low = 0.1 - math.sqrt(a * a + b * b - 2 * r * a * b)
    high = 0.1 + math.sqrt(c * c + d * d - 2 * r * c * d)
    assert difference(*single(10, 3, 1, 6), metric=brings).ci95 == pytest.approx((low, high))


def test_the_published_example():
    # Newcombe (1998), 36 / 12 / 2 / 0: 48 and 38 of 50 right, more by .2; method 10 gives .0569 to .3404.
    found = difference(*single(36, 12, 2, 0), metric=brings)
    assert (found.value, *found.ci95) == pytest.approx((0.2, 0.0569, 0.3404), abs=5e-5)


def test_pairing_narrows_the_interval_and_never_closes_it():
    changed = difference(*single(90, 10, 0, 100), metric=brings)
    apart = math.hypot(0.5 - wilson(0.5, 200)[0], 0.45 - wilson(0.45, 200)[0])
    assert changed.value == pytest.approx(0.05) and changed.ci95[0] > 0
    assert (changed.ci95[1] - changed.ci95[0]) / 2 < apart / 2
    same = difference(*single(100, 0, 0, 100), metric=brings)
    assert same.value == 0 and 0.005 < same.ci95[1] < 0.02 and same.ci95[0] == pytest.approx(-same.ci95[1])
    never = difference(*single(0, 0, 0, 50), metric=brings)
    assert never.ci95 == pytest.approx((-wilson(0, 50)[1], wilson(0, 50)[1]))


def test_answers_of_an_episode_count_as_a_cluster():
    # Both answers right, or both wrong, and the players the other way about: half each, 4 effective trials
    # (as in test_metrics), fully opposed: the two errors add up.
    right, wrong = (2, 2), (0, 2)
    found = difference(*players((right, wrong), (wrong, right), (right, wrong), (wrong, right)), metric=brings)
    half = 0.5 - wilson(0.5, 4)[0]
    assert (found.value, found.n) == (0, 4) and found.ci95 == pytest.approx((-2 * half, 2 * half))
    # Answers are what is counted, however many an episode has: 3 of 4 against 3 of 6.
    uneven = difference(*players(((1, 1), (3, 5)), ((2, 3), (0, 1))), metric=brings)
    assert uneven.value == pytest.approx(3 / 6 - 3 / 4)


def test_weights():
    # Value .5 before, .75 after; errors .25 -.125 -.125 and .125 .0625 -.1875: their product adds up to .0469,
    # less .5 / (8/3)^2 = .0703 leaves no correlation. Effective trials 8/3, and .1875 / .0547 is more than 3.
    before, after = single(1, 1, 0, 1)
    found = difference(before, after, metric=brings, weights=[0.5, 0.25, 0.25])
    low = 0.25 - math.hypot(0.75 - wilson(0.75, 3)[0], wilson(0.5, 8 / 3)[1] - 0.5)
    assert found.value == pytest.approx(0.25) and found.ci95[0] == pytest.approx(low)
    with pytest.raises(ValueError, match="2 weights for 3 episodes"):
        difference(before, after, metric=brings, weights=[0.5, 0.5])


def test_the_order_of_episodes_does_not_matter():
    before, after = single(3, 2, 1, 4)
    assert difference(before, after[::-1], metric=brings) == difference(before, after, metric=brings)


def test_other_tasks_are_an_error():
    before, after = single(3, 2, 1, 4)
    with pytest.raises(ValueError, match=r"not play the same tasks: one of them lacks 1 task, such as gp-l/custom"):
        difference(before, after[1:], metric=brings)
    with pytest.raises(ValueError, match="one of them lacks 1 task"):
        difference(before[1:], after, metric=brings)
    with pytest.raises(ValueError, match="no episodes"):
        difference([], [], metric=brings)
    with pytest.raises(ValueError, match="gp-l has no share 'recall'; there are success, first_attempt, legal"):
        difference(before, after, metric="recall")


def test_games_have_their_headline_and_their_shares():
    answers = [f'{{"cards": [], "number": [], "formula": "{f}"}}' for f in ("3+3+8+8", "8/(3-8/3)")]
    tasks = [game("gp-l").task(hand=["3", "3", "8", "8"], attempts=1, suite="id")]
    before, after = ([judge(start(t), a) for t in tasks] for a in answers)
    assert difference(before, after).value == 1 and difference(before, after, metric="valid").value == 0
    # The routes of an expert and of chance: answers are compared, not routes.
    expert, chance = (evaluate(p, "virl-l", "id", split="test", episodes=20) for p in (Expert(), Random()))
    found = difference(chance.episodes, expert.episodes)
    assert found.value == pytest.approx(expert.value - chance.value) and found.n == 20 and found.ci95[0] > 0
    routes = difference(chance.episodes, expert.episodes, metric="route_success")
    assert routes.value == 1 - measure(chance.episodes).details["route_success"].value


def test_a_share_without_trials():
    before, after = players(((0, 0), (1, 1)), ((0, 0), (1, 1)))
    assert difference(before, after, metric=brings) == (None, 0, None)
    with pytest.raises(ValueError, match="nothing to compare"):
        paired.test(before, after, metric=brings)


def test_mcnemar_by_hand():
    # 9 episodes changed, 8 for the better: 2 (1 + 9) / 2^9.
    found = paired.test(*single(20, 8, 1, 30), metric=brings)
    assert found == (pytest.approx(20 / 512), "exact McNemar", 8, 1)
    assert paired.test(*single(20, 4, 4, 30), metric=brings).p == 1
    assert paired.test(*single(20, 0, 0, 30), metric=brings).p == 1


def test_sign_flips_by_hand():
    # Every one of 6 routes gains: of 64 relabellings 2 change as much.
    found = paired.test(*players(*[((1, 4), (2, 4))] * 6), metric=brings)
    assert found == (pytest.approx(2 / 64, abs=0.006), "sign flips of episodes", 6, 0)
    # Two gain 1 and two lose 1 of equal length: every relabelling changes as much as nothing.
    even = paired.test(*players(*[((1, 4), (2, 4)), ((2, 4), (1, 4))] * 2), metric=brings)
    assert even.p == 1 and (even.better, even.worse) == (2, 2)
    # Weighted, one of the gains is nearly all there is: either of two relabellings of it is as large.
    heavy = paired.test(*single(0, 2, 0, 0), metric=brings, weights=[0.9, 0.1])
    assert heavy.p == pytest.approx(0.5, abs=0.02)


def played(right: list[bool], player: str) -> list[Episode]:
    """Episodes that end well or not, of the same tasks each time."""
    tasks = [Task("gp-l", {}, {}, attempts=1, reward={}, index=i) for i in range(len(right))]
    return [Episode(t, (), "success" if r else "exhausted", player) for t, r in zip(tasks, right, strict=True)]


def test_the_interval_of_a_difference_covers():
    """Rare and common successes, half of them settled by the deal: about 95 of 100 intervals hold the truth."""
    noise, held = np.random.default_rng(1), Counter()
    for _ in range(600):
        for low, high, n in ((0.02, 0.10, 60), (0.4, 0.55, 40)):
            shared, own = noise.random(n), noise.random((2, n))
            luck = np.where(noise.random((2, n)) < 0.5, shared, own)
            found = difference(played(luck[0] < low, "init"), played(luck[1] < high, "rl"))
            held[n] += found.ci95[0] <= high - low <= found.ci95[1]
    assert all(0.935 <= count / 600 <= 0.985 for count in held.values()), held


def test_the_interval_of_clustered_answers_covers():
    """Routes of 2 to 20 answers, with easy and hard ones: counted over answers, the truth is known by design."""
    noise, held, truth = np.random.default_rng(2), 0, 0.1
    for _ in range(600):
        trials = noise.integers(2, 21, 50)
        ease = noise.beta(4, 3, 50) * 0.8
        hits = [noise.binomial(trials, ease), noise.binomial(trials, ease + truth)]
        rows = [((int(a), int(t)), (int(b), int(t))) for t, a, b in zip(trials, *hits, strict=True)]
        low, high = difference(*players(*rows), metric=brings).ci95
        held += low <= truth <= high
    assert 0.93 <= held / 600 <= 0.975, held
