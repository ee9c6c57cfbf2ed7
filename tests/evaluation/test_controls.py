"""Other feedback or none, and every position asked once, against what the games themselves say."""

import pytest

from labkit.cli import parser
from labkit.envs import game, prompt, start
from labkit.errors import UsageError
from labkit.evaluation import evaluate
from labkit.evaluation.controls import BARE, REVISIONS, every_position
from labkit.evaluation.suites import tasks_of
from labkit.play import play
from labkit.players.base import Answer
from labkit.players.simple import Expert

WRONG = '{"cards": [], "number": [], "formula": "1+1"}'


class Recorder:
    """Answers as told, and keeps what it was asked."""

    name = "recorder"

    def __init__(self, answer):
        self.asked, self._answer = [], answer

    def answer(self, turns):
        self.asked += turns
        return [Answer(self._answer(turn.episode)) for turn in turns]


def test_an_independent_attempt_sees_neither_earlier_answers_nor_feedback():
    player = Recorder(lambda episode: WRONG)
    result = evaluate(player, "gp-l", "id", episodes=1, attempts=3, seed=7, revision="independent")
    assert [len(e.attempts) for e in result.episodes] == [3] and result.details["within"].keys() == {"1", "2", "3"}
    assert [turn.episode.attempts for turn in player.asked] == [(), (), ()]
    # The first attempt is that of a dialogue, each later one has noise of its own.
    assert [turn.key for turn in player.asked] == [(7, 0), (7, 0, 1), (7, 0, 2)]
    player = Recorder(lambda episode: WRONG)
    evaluate(player, "gp-l", "id", episodes=1, attempts=3, seed=7)
    assert [len(turn.episode.attempts) for turn in player.asked] == [0, 1, 2]


def test_bare_feedback_is_the_same_whatever_was_wrong():
    player = Recorder(lambda episode: WRONG)
    result = evaluate(player, "gp-l", "id", episodes=1, attempts=3, seed=7, revision="bare")
    (own,) = {a.verdict.feedback for e in result.episodes for a in e.attempts}
    assert own != BARE, "episodes keep the verifier's feedback"
    for number, turn in enumerate(player.asked):
        told = prompt(turn.episode)
        assert [m.text for m in told[1:]] == [WRONG, BARE] * number and turn.history == ()


@pytest.mark.parametrize("cell", ["gp-l", "virl-l"])
def test_other_feedback_is_true_of_another_deal_and_the_same_each_time(cell):
    read = []
    for batch in (1, 8):
        player = Recorder(lambda episode: WRONG)
        result = evaluate(player, cell, "id", split="test", episodes=6, attempts=3, batch=batch, revision="other")
        read.append(
            {(t.episode.task.id, n): m.text for t in player.asked for n, m in enumerate(prompt(t.episode)[2::2])}
        )
    assert read[0] == read[1] and len(read[0]) == 6 * 2
    own = {e.attempts[0].verdict.feedback for e in result.episodes}
    assert own.isdisjoint(read[0].values()) and len(set(read[0].values())) > 1


def test_the_command_line_offers_every_revision():
    asked = [parser().parse_args(["eval", "gp-l", "--player", "expert", "--revision", name]) for name in REVISIONS]
    assert [args.revision for args in asked] == list(REVISIONS)


def test_independent_answers_of_a_greedy_player_are_an_error():
    player = Recorder(lambda episode: WRONG)
    player.temperature = 0
    with pytest.raises(UsageError, match="at temperature 0"):
        evaluate(player, "gp-l", "id", episodes=1, revision="independent")
    with pytest.raises(UsageError, match="no revision 'alone'"):
        evaluate(Expert(), "gp-l", "id", episodes=1, revision="alone")


def _forward(episode):
    """The expert's answer, where that is to go on; else an unreadable one."""
    right = game("virl-l").expert(episode)
    return right if "forward()" in right else "no idea"


@pytest.mark.parametrize("batch", [1, 5, 128])
def test_every_position_is_asked_once_whatever_was_answered(batch):
    tasks = tasks_of("virl-l", "rule-ood", split="test", episodes=3)
    ways = [play(task, Expert()) for task in tasks]
    player = Recorder(_forward)
    found = list(every_position(tasks, player, batch=batch, key=(4,)))
    assert [e.task for e in found] == tasks
    for episode, way in zip(found, ways, strict=True):
        assert [p.state for p in episode.positions] == [p.state for p in way.positions]
        right = [p.state["action"] == "forward()" for p in way.positions]
        assert [[a.verdict.success for a in p.attempts] for p in episode.positions] == [[r] for r in right]
        assert episode.status == "exhausted" and True in right and False in right
    # Each was asked with the expert's answers behind it, and the key of its route.
    assert [turn.key for turn in player.asked] == [(4, n) for n, way in enumerate(ways) for _ in way.positions]
    assert all(all(a.verdict.success for a in turn.episode.attempts) for turn in player.asked)
    assert [e.status for e in every_position(tasks, Expert())] == ["success"] * 3


def test_turns_and_other_steps_are_told_apart_where_every_position_is_asked():
    player = Recorder(_forward)
    result = evaluate(player, "virl-l", "rule-ood", split="test", episodes=3, ask_every_position=True)
    ways = [play(e.task, Expert()) for e in result.episodes]
    actions = [p.state["action"] for way in ways for p in way.positions]
    turns = [a for a in actions if a.startswith("turn_direction")]
    found = {name: (e.value, e.n) for name, e in result.details.items() if name.startswith("every_position")}
    forward = actions.count("forward()")
    assert found["every_position"] == (pytest.approx(forward / len(actions)), len(actions))
    assert found["every_position_turns"] == (0, len(turns))
    others = len(actions) - len(turns)
    assert found["every_position_others"] == (pytest.approx(forward / others), others)
    # It fails at the first turn, so the paper's measure asks nothing else of it.
    assert result.value == 0 and result.details["first_position"].value == 0


def test_where_a_game_has_one_position_nothing_more_is_asked():
    player = Recorder(lambda episode: game("gp-l").expert(start(episode.task)))
    result = evaluate(player, "gp-l", "id", episodes=4, ask_every_position=True)
    assert len(player.asked) == 4 and not result.asked_once and "every_position" not in result.details
