"""Copies of training answers, and face cards read as in training: counted by hand."""

import json

import pytest

from labkit.envs import game, judge, start
from labkit.envs.general_points import cards, solver
from labkit.evaluation.copies import training_formulas
from labkit.evaluation.general_points import measures
from labkit.evaluation.virl import measures as street_measures
from labkit.players.simple import Expert

OOD = {"faces": "eleven-twelve-thirteen", "suite": "rule-ood"}


def said(hand: str, formula: str, number="[]", named="[]", **settings):
    played = start(game("gp-l").task(hand=hand.split(), **OOD | settings))
    return judge(played, f'{{"cards": {named}, "number": {number}, "formula": "{formula}"}}')


def test_the_index_holds_the_two_simplest_of_training_hands():
    found = training_formulas()
    assert all(cards.split_of(hand) == "train" for hand in found.values())
    assert all(found[f] == (2, 2, 10, 10) for f in ("10+10+2+2", "2*2+10+10"))
    # 3 3 8 8 is of the test split; 1 1 2 10 has more solutions than the two that recipes show.
    assert cards.split_of((3, 3, 8, 8)) == "test" and "8/(3-8/3)" not in found
    _, _, third, *_ = solver.simplest((1, 3, 6, 8), 24, 9)
    assert sum(hand == (1, 3, 6, 8) for hand in found.values()) == 2 and third not in found


def test_copies_by_hand():
    episodes = [
        said("K K 2 2", " 10+10 +2+2 = 24"),  # the answer to these cards in training, but for spaces
        said("K K 2 2", "6+6+6+6=24"),  # to other cards
        said("K K 2 2", "2+2+10+10=24"),  # nobody's answer letter for letter
        said("3 8 3 K", "8/(3-8/3)=24"),  # right for a hand that training never dealt
        said("K K 2 2", "?"),
        judge(start(game("gp-l").task(hand=["K"] * 4, **OOD)), "no object"),
        said("6 6 6 6", "6+6+6+6=24"),  # right, so not looked at
    ]
    found = measures(episodes)
    assert found["copied"][:2] == (pytest.approx(2 / 6), 6)
    assert found["copied_same_cards"][:2] == (pytest.approx(1 / 6), 6)
    # In training the same formula is an answer to another hand.
    wrong = measures([said("Q Q 2 3", "10+10+2+2", faces="ten", suite="id")])
    assert (wrong["copied"].value, wrong["copied_same_cards"].value) == (1, 0)


@pytest.mark.parametrize(
    ("formula", "near"),
    [
        ("10+10+2+2", True),  # as it is
        ("10+10+2+", True),  # one letter less
        ("10+10+2+12", True),  # one more
        ("10+10+2-2", True),  # another
        ("13+10+2+2", True),
        ("13+13+2+2", False),  # two others
        ("10+10+22+", False),  # two letters exchanged
        ("0+10+2+2+", False),  # one less in front, one more behind
        ("", False),
    ],
)
def test_near_copies_by_hand(formula, near):
    # 10+10+2+2 is an answer in training; nothing else in the list is near another such answer.
    far = [f for f in training_formulas() if f != "10+10+2+2" and edits(f, formula) <= 1]
    assert not far
    found = measures([said("A A A K", formula)])["nearly_copied"]
    assert (found.value, found.n) == (float(near), 1)


def edits(a: str, b: str) -> int:
    """Levenshtein's distance, row by row."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row, last = [i], row
        for j, y in enumerate(b, 1):
            row.append(min(row[-1] + 1, last[j] + 1, last[j - 1] + (x != y)))
    return row[-1]


def test_face_cards_told_as_ten():
    episodes = [
        said("K Q 2 10", "1", number="[10, 12, 2, 10]"),  # the K, not the Q; the 10 is a 10
        said("K Q 2 10", "1", number="[13, 2, 10, 10]", named='["10", "2", "K", "Q"]'),  # both, in its own order
        said("K Q 2 10", "1", number="[10, 10]"),  # nobody knows which
        said("K Q 2 10", "1", number="[10, 12, 2, 10]", named='["A", "A", "A", "A"]'),  # other cards: as dealt
        said("3 3 8 8", "1", number="[10, 3, 8, 8]"),  # no face card
        said("J 3 8 8", "1", number="[10, 3, 8, 8]", faces="J=10,Q=5,K=5"),  # J is told right
    ]
    assert measures(episodes)["faces_as_ten"][:2] == (pytest.approx(4 / 6), 6)
    assert measures([said("J 3 8 8", "1", number="[10, 3, 8, 8]", faces="ten")])["faces_as_ten"].n == 0


def test_streets_copy_the_training_rules_word_at_that_place():
    def walk(say, actions="relative"):
        episode = start(game("virl-l").task_by_id("rule-ood", "test", "0", actions=actions))
        while not episode.done:
            state = episode.position.state
            turn = state["action"].startswith("turn")
            action = say(state) if turn else state["action"]
            episode = judge(episode, json.dumps({"current observation": "", "action": action}))
        return episode

    old = walk(lambda state: state["other_action"])
    compass = {"north", "south", "east", "west"}
    wrong = walk(lambda state: next(f"turn_direction({w})" for w in sorted(compass) if w not in state["other_action"]))
    # Both fail at the first turn, twice.
    assert street_measures([old])["copied"][:2] == (1, 2)
    assert street_measures([old, wrong])["copied"][:2] == (0.5, 4)
    assert street_measures([walk(lambda state: state["other_action"], "absolute")])["copied"].n == 0


def test_an_expert_copies_nothing():
    played = start(game("gp-l").task(hand=["K", "K", "2", "2"], faces="ten", suite="id"))
    right = judge(played, Expert().answer([type("T", (), {"episode": played})])[0].text)
    assert right.success and measures([right])["copied"] == (None, 0, None)
