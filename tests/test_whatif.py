"""Forks of an episode: what a change does to it, and what the player then sees."""

from __future__ import annotations

import json

import pytest

from labkit.envs import game, judge, prompt, start
from labkit.errors import UsageError
from labkit.players.base import Answer
from labkit.players.simple import Expert, Script
from labkit.whatif import Branch, Edit, Tree, editable, edited, what_if

HAND = ["K", "6", "2", "4"]


def said(number, formula):
    return json.dumps({"cards": HAND, "number": number, "formula": formula})


OLD = said([10, 6, 2, 4], "10+6+2*4=24")
"""Right where K counts as 10."""
WRONG = said([13, 6, 2, 4], "13+6+2*4=24")
"""27, by the new rule."""
RIGHT = said([13, 6, 2, 4], "(13-4)*2+6=24")


@pytest.fixture
def episode():
    """Under K = 13: the answer of the old rule, a wrong value, the right one."""
    played = start(game("gp-l").task(hand=HAND, faces="eleven-twelve-thirteen"), "rl")
    for answer in (OLD, WRONG, RIGHT):
        played = judge(played, answer)
    return played


@pytest.fixture
def walk():
    """The expert's walk, in absolute words."""
    played = start(next(game("virl-l").tasks("id", seed=3)), "expert")
    while not played.done:
        played = judge(played, game("virl-l").expert(played))
    return played


class Listener:
    """Answers rightly and keeps what it was sent."""

    name = "listener"

    def __init__(self):
        self.heard = []

    def answer(self, turns):
        self.heard += [[message.text for message in prompt(turn.episode)] for turn in turns]
        return [Answer(RIGHT) for _ in turns]


def categories(episode):
    return [attempt.verdict.category for attempt in episode.attempts]


def test_another_answer_is_judged_and_the_player_goes_on(episode):
    assert categories(episode) == ["wrong_numbers", "wrong_value", "correct"]
    fork = what_if(episode, Edit(0, 1, "answer", "?"), Script([OLD, RIGHT], "sft"))
    assert categories(fork) == ["wrong_numbers", "unreadable", "wrong_numbers", "correct"]
    assert [a.answer for a in fork.attempts] == [OLD, "?", OLD, RIGHT] and fork.player == "sft"
    # -2 and -3 and -2, then +5.
    assert fork.reward == -2
    # A right answer ends it: nobody is asked.
    assert categories(what_if(episode, Edit(0, 0, "answer", RIGHT), Script([]))) == ["correct"]


def test_another_sentence_goes_back_into_the_dialogue(episode):
    player = Listener()
    fork = what_if(episode, Edit(0, 0, "feedback", "K counts as 13."), player)
    [heard] = player.heard
    assert heard == [episode.position.prompt, OLD, "K counts as 13."]
    # The verdict itself stays.
    assert categories(fork) == ["wrong_numbers", "correct"] and fork.attempts[0].reward == -2


def test_the_player_may_answer_anew(episode):
    fork = what_if(episode, Edit(0, 2), Script([WRONG, "?", WRONG], "other"))
    assert categories(fork) == ["wrong_numbers", "wrong_value", "wrong_value", "unreadable", "wrong_value"]
    assert fork.status == "exhausted"


def test_another_rule_judges_the_answers_before_again(episode):
    # Under K = 10 the first answer is right: the fork ends with it.
    assert categories(edited(episode, Edit(0, 1, "rule", "ten"))) == ["correct"]
    # Before it, the player is asked anew, under the other rule.
    player = Listener()
    fork = what_if(episode, Edit(0, 0, "rule", "ten"), player)
    assert "J, Q and K each count as 10." in player.heard[0][0] and len(player.heard[0]) == 1
    assert fork.attempts[0].verdict.category == "wrong_numbers" and fork.attempts[0].other_rule.success
    assert fork.task.rule == {"faces": "ten", "target": 24} and fork.task.suite == "custom"


def test_other_cards_are_dealt_in_the_suits_that_were_dealt(episode):
    fork = edited(episode, Edit(0, 1, "cards", "5 5 5 1"))
    assert fork.task.deal == {"cards": [["5", "S"], ["5", "H"], ["5", "D"], ["A", "C"]]}
    assert categories(fork) == ["wrong_numbers"] and not fork.done
    assert judge(fork, '{"formula": "5*(5-1/5)=24"}').success


def test_the_rule_of_a_walk_changes_at_a_step(walk):
    at = next(n for n, p in enumerate(walk.positions) if n and p.state["action"].startswith("turn_direction"))
    fork = edited(walk, Edit(at, 0, "rule", "relative"))
    # The steps before stay as they were walked, and so does the place.
    assert fork.positions[:at] == walk.positions[:at]
    here, before = fork.position.state, walk.positions[at].state
    assert (here["place"], here["step"]) == (before["place"], at)
    assert (here["action"], here["other_action"]) == (before["other_action"], before["action"])
    assert "left, right, slightly left, slightly right" in fork.position.prompt
    # The history still has the old words.
    assert "A1: turn_direction(" in fork.position.prompt and not fork.done
    # The answer of before is wrong now; the expert arrives.
    kept = judge(fork, walk.positions[at].attempts[0].answer)
    assert not kept.attempts[-1].verdict.success and kept.attempts[-1].other_rule.success
    assert what_if(walk, Edit(at, 0, "rule", "relative"), Expert()).success


def test_another_instruction_is_what_the_player_reads(walk):
    assert editable(walk, 1, 0)["instruction"].startswith("Instruction:\n1. Turn ")
    fork = edited(walk, Edit(1, 0, "instruction", "Instruction:\nStop at once."))
    assert "Instruction:\nStop at once.\nActions:" in fork.position.prompt
    assert fork.position.state["action"] == walk.positions[1].state["action"]


def test_what_can_be_changed_comes_with_its_present_text(episode, walk):
    found = editable(episode, 0, 1)
    assert found == {
        "nothing": "", "answer": WRONG, "feedback": episode.attempts[1].verdict.feedback, "cards": "K 6 2 4",
        "rule": "eleven-twelve-thirteen",
    }  # fmt: skip
    # The last answer ends the episode, and a right step leads on: no feedback is sent.
    assert "feedback" not in editable(episode, 0, 2) and "feedback" not in editable(walk, 0, 0)
    odd = start(game("gp-l").task(hand=HAND, faces={"J": 5, "Q": 6, "K": 7}))
    assert editable(judge(odd, "?"), 0, 0)["rule"] == "J=5,Q=6,K=7"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (Edit(0, 3), "no attempt 4"),
        (Edit(1, 0), "no attempt 1 at position 2"),
        (Edit(0, -1), "no attempt 0"),
        (Edit(0, 2, "feedback", "x"), "no feedback is sent"),
        (Edit(0, 0, "colour", "x"), "no 'colour' to change"),
        (Edit(0, 0, "rule", "twelve"), "no face rule"),
        (Edit(0, 0, "cards", "Z"), "Z"),
    ],
)
def test_what_cannot_be_changed_is_refused(episode, edit, message):
    with pytest.raises(UsageError, match=message):
        edited(episode, edit)


def test_a_placeholder_in_an_instruction_is_refused(walk):
    with pytest.raises(UsageError, match="no placeholder {x}"):
        edited(walk, Edit(0, 0, "instruction", "go {x}"))


def test_a_tree_knows_where_its_branches_come_from(episode):
    tree = Tree().grown(Branch(episode))
    first, second = Edit(0, 0, "answer", RIGHT), Edit(0, 1, "rule", "ten")
    tree = tree.grown(Branch(edited(episode, first), 0, first)).grown(
        Branch(edited(episode, second), 0, second, 0.5, 7)
    )
    tree = tree.grown(Branch(edited(tree.branches[2].episode, Edit(0, 0)), 2, Edit(0, 0)))
    assert tree.lineage(3) == [0, 2, 3] and tree.children(0) == [1, 2] and tree.children(1) == []
    assert Tree.from_json(tree.to_json()) == tree
    for broken in ("[]", "{}", '{"branches": [{}]}'):
        with pytest.raises(ValueError, match="not a tree of forks"):
            Tree.from_json(broken)
