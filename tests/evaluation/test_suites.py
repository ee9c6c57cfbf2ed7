"""Evaluating players whose results are known beforehand."""

import json

import pytest

from labkit.envs import game
from labkit.errors import UsageError
from labkit.evaluation import evaluate, wilson
from labkit.players import Answer
from labkit.players.simple import Expert, Random


class Late:
    """Right at attempt ``index % 4 + 1``; before that it says nothing."""

    name = "late"

    def answer(self, turns):
        return [Answer(self._text(t.episode)) for t in turns]

    def _text(self, episode):
        if len(episode.position.attempts) < episode.task.index % 4:
            return "?"
        return game(episode.task.cell).expert(episode)


class OldRule(Expert):
    """An expert that can only play hands without a face card."""

    name = "old-rule"

    def answer(self, turns):
        return [
            Answer("?")
            if {"J", "Q", "K"} & set(t.episode.position.state["cards"])
            else super(OldRule, self).answer([t])[0]
            for t in turns
        ]


def test_the_expert_solves_every_hand():
    # 1,236 of the 1,820 rank multisets reach 24 with faces as 10; they are 566 value multisets.
    result = evaluate(Expert(), "gp-l", "id", episodes="all", attempts=1)
    assert (result.value, result.n, result.every_hand) == (1.0, 1236, True)
    assert result.details["solutions"] == {"right": 1236, "distinct": 566}
    assert sum(e.n for e in result.splits.values()) == 1236
    # Weights are unequal, so the hands are worth fewer than 1,236 trials.
    assert wilson(1.0, 1236)[0] > result.ci95[0] > 0.99


def test_hands_count_as_often_as_a_deck_deals_them():
    # 60% of the deals that reach 24 hold a J, Q or K; of the hands it is 670 / 1,236 = 54%.
    result = evaluate(OldRule(), "gp-l", "id", episodes="all", attempts=1)
    assert result.value == pytest.approx(0.40, abs=0.005)
    assert result.details["categories"] == {"unreadable": 670, "correct": 566}


def test_every_rule_ood_hand_holds_a_face_card():
    result = evaluate(OldRule(), "gp-l", "rule-ood", episodes="all", attempts=1)
    assert (result.value, result.n) == (0.0, 796)
    assert result.details["kept_old_rule"].n == 796


def test_one_evaluation_holds_those_with_fewer_attempts():
    result = evaluate(Late(), "gp-l", "id", episodes=40, attempts=3)
    # Of indices 0 to 39 a quarter each is right at attempt 1, 2, 3; the last quarter would need 4.
    assert [e.value for e in result.details["within"].values()] == [0.25, 0.5, 0.75]
    assert result.value == 0.75 and result.ci95 == pytest.approx(wilson(0.75, 40))
    fewer = evaluate(Late(), "gp-l", "id", episodes=40, attempts=1)
    assert fewer.value == result.details["within"]["1"].value
    assert [e.attempts[0].answer for e in fewer.episodes] == [e.attempts[0].answer for e in result.episodes]


def test_the_batch_changes_nothing():
    alone, together = (
        evaluate(Random(), "gp-l", "rule-ood", episodes=30, seed=5, attempts=3, batch=b) for b in (1, 16)
    )
    assert [e.to_json() for e in alone.episodes] == [e.to_json() for e in together.episodes]
    other = evaluate(Random(), "gp-l", "rule-ood", episodes=30, seed=6, attempts=3)
    assert [e.task.deal for e in other.episodes] != [e.task.deal for e in alone.episodes]


def test_settings_reach_the_tasks():
    result = evaluate(Expert(), "gp-l", "id", split="dev", episodes=5, faces="J=5,Q=6,K=7", target=20)
    assert result.value == 1.0 and list(result.splits) == ["dev"]
    assert {json.dumps(e.task.rule) for e in result.episodes} == {'{"faces": {"J": 5, "Q": 6, "K": 7}, "target": 20}'}


def test_the_contract_of_the_json():
    data = json.loads(json.dumps(evaluate(Late(), "gp-l", "id", episodes=8).to_dict()))
    assert (data["metric"], data["value"], data["n"]) == ("success", 1.0, 8)
    # n = 8, all right: from n / (n + z^2) = 8 / 11.8415 to 1
    assert data["ci95"] == [pytest.approx(0.67559, abs=5e-6), 1.0]
    assert data["within"]["1"]["value"] == 0.25
    assert "episodes" not in data


def test_progress_counts_every_episode():
    seen = []
    evaluate(
        Late(),
        "gp-l",
        "id",
        episodes=7,
        progress=lambda done, total, episode: seen.append((done, total, episode.done)),
    )
    assert seen == [(i, 7, True) for i in range(1, 8)]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"episodes": 0}, "episodes"),
        ({"batch": 0}, "batch"),
        ({"attempts": 0}, "attempts"),
        ({"split": "tarin"}, "split"),
        ({"target": 0}, "target"),
        ({"suite": "visual-ood"}, "no suite"),
    ],
)
def test_settings_that_cannot_be(settings, said):
    with pytest.raises(UsageError, match=said):
        evaluate(Expert(), "gp-l", settings.pop("suite", "id"), **settings)
