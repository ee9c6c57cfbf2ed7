"""The measures of V-IRL on episodes short enough to count by hand."""

import json

import pytest

from labkit.envs import game, judge, start
from labkit.envs.virl import sources
from labkit.envs.virl.walk import rail_of
from labkit.evaluation import evaluate, measure
from labkit.evaluation.virl import headline, measures
from labkit.players.simple import Expert, Random


def answered(actions, rule="relative", number=0):
    """An episode with the given answers; ``right`` and ``old`` stand for the expert's and its other-rule action."""
    episode = start(game("virl-l").task_by_id("id", "test", str(number), actions=rule))
    for action in actions:
        state = episode.position.state
        said = {"right": state["action"], "old": state["other_action"]}.get(action, action)
        seen = "x is on your left. There is an intersection." if action == "blind" else ""
        episode = judge(episode, json.dumps({"current observation": seen, "action": said}))
    return episode


def test_per_step_accuracy_counts_every_attempt():
    # Two right, one wrong then right, two wrong: 3 of 6 answers; fails at the fourth position.
    one = answered(["right", "right", "stop()", "right", "stop()", "stop()"])
    assert one.status == "exhausted" and len(one.positions) == 4
    # The old rule's word at the first turn, twice: 0 of 2.
    two = answered(["old", "old"])
    got = measures([one, two])
    assert got["per_step_accuracy"].value == pytest.approx(3 / 8) and got["per_step_accuracy"].n == 8
    assert got["route_success"].value == 0 and got["route_success"].n == 2
    # Three positions passed, and none.
    assert got["steps_before_failure"].value == 1.5 and got["steps_before_failure"].n == 2
    turns = [p for e in (one, two) for p in e.positions if p.state["action"].startswith("turn")]
    right = sum(a.verdict.success for p in turns for a in p.attempts)
    assert got["turn_accuracy"].n == sum(len(p.attempts) for p in turns)
    assert got["turn_accuracy"].value == pytest.approx(right / got["turn_accuracy"].n)
    assert got["turn_accuracy"].n + got["other_accuracy"].n == 8
    # Of the first answers at turns, one is right under the absolute rule only.
    assert got["kept_old_rule"].value == pytest.approx(1 / len(turns)) and got["kept_old_rule"].n == len(turns)
    assert got["walk"] == "rail"


def test_the_headline_is_the_papers():
    episode = answered(["right", "stop()"])
    assert headline(episode.task) == "per_step_accuracy"
    assert measure([episode]).value == 0.5
    free = start(game("virl-l").task_by_id("id", "test", "0", walk="free"))
    assert headline(free.task) == "route_success"
    other = start(game("virl-vl").task_by_id("visual-ood", "test", "0", picture={"size": 64}))
    assert headline(other.task) == "route_success"


@pytest.mark.parametrize("suite", ["id", "rule-ood"])
def test_the_expert_and_chance(suite):
    expert = evaluate(Expert(), "virl-l", suite, split="test", episodes="all")
    assert (expert.metric, expert.value, expert.attempts, expert.every_hand) == ("per_step_accuracy", 1.0, 2, True)
    assert expert.details["route_success"].value == 1.0 and set(expert.splits) == {"test"}
    assert len(expert.episodes) == 200 == expert.details["route_success"].n
    chance = evaluate(Random(), "virl-l", suite, split="test", episodes=100, seed=1)
    # One in ten actions under the absolute rule, one in six under the relative; within 4 standard errors of ~260.
    one_in = {"id": 10, "rule-ood": 6}[suite]
    assert abs(chance.value - 1 / one_in) < 4 * (1 / one_in * (1 - 1 / one_in) / 200) ** 0.5
    assert chance.details["route_success"].value == 0
    json.dumps(chance.to_dict())


def test_stored_episodes_can_be_measured_again_and_by_split():
    result = evaluate(Expert(), "virl-l", "id", split="all", episodes=30)
    assert sum(len(sources.routes("id", s)) for s in result.splits) == 1400
    assert measure(result.episodes).to_dict() == result.to_dict()


def test_free_navigation_is_said_to_be_that():
    result = evaluate(Expert(), "virl-l", "id", split="dev", episodes=5, walk="free")
    assert (result.metric, result.value, result.details["walk"]) == ("route_success", 1.0, "free")


def test_what_only_the_picture_decides_is_counted_by_itself():
    """On the last leg: whether to stop or to go on, at the first attempt."""
    playing = game("virl-vl")

    def walked(number, at_points, at_the_end):
        """Right answers up to the last leg; there, what is answered first before the destination, and at it."""
        episode = start(playing.task_by_id("id", "test", str(number), picture={"size": 64}))
        last = 2 * (len(episode.task.deal["route"]["milestones"]) - 1) - 1
        while not episode.done:
            state = episode.position.state
            first = at_the_end if state["step"] == state["steps"] - 1 else at_points
            open_to_sight = state["sentence"] == last and not episode.position.attempts
            episode = judge(episode, json.dumps({"action": first if open_to_sight else state["action"]}))
        return episode

    def points(number):
        """Of the last leg."""
        sentences = [step.sentence for step in rail_of(playing.task_by_id("id", "test", str(number))).steps]
        return sentences.count(sentences[-1]) - 1

    route = next(number for number in range(200) if points(number) == 2)
    always_on, always_stop = walked(route, "forward()", "forward()"), walked(route, "stop()", "stop()")
    # Two points and the destination; each wrong first attempt is mended by the second, so all arrive.
    got = measures([always_on])
    assert (got["stop_or_go"][:2], got["stop_right"][:2], got["go_right"][:2]) == ((2 / 3, 3), (0, 1), (1, 2))
    got = measures([always_stop])
    assert (got["stop_or_go"][:2], got["stop_right"][:2], got["go_right"][:2]) == ((1 / 3, 3), (1, 1), (0, 2))
    got = measures([walked(route, "forward()", "stop()"), always_on])
    assert (got["stop_or_go"][:2], got["route_success"].value) == ((5 / 6, 6), 1)
    assert "stop_or_go" not in measures([answered(["right", "stop()"])])
    free = start(playing.task_by_id("id", "test", "0", walk="free", picture={"size": 64}))
    assert measures([judge(free, playing.expert(free))])["stop_or_go"].n == 0


def test_landmarks_count_where_there_is_one():
    episode = start(game("virl-l").task_by_id("id", "test", "0"))
    there = 0
    while not episode.done:
        state = episode.position.state
        there += bool(state["landmarks"])
        episode = judge(episode, json.dumps({"current observation": "", "action": state["action"]}))
    got = measures([episode])
    assert got["landmark_named"][:2] == (0, there) and there > 1
    assert got["landmark_right"].value == pytest.approx(1 - there / len(episode.positions))
    named = evaluate(Expert(), "virl-l", "id", split="test", episodes=3).details["landmark_named"]
    assert named.value == 1
