"""Failure tags: one row for each way an answer goes wrong, alone and together, and across attempts."""

import json

import pytest

from labkit.envs import game, judge, start
from labkit.envs.general_points.tags import TAGS


def text(formula, cards="3388", number=(3, 3, 8, 8)):
    return json.dumps({"cards": list(cards), "number": list(number), "formula": formula})


def tags_of(*answers, hand=("3", "3", "8", "8"), **settings):
    """The tags of the last of some answers."""
    episode = start(game("gp-l").task(hand=hand, attempts=9, **settings))
    for answer in answers:
        episode = judge(episode, answer)
    return set(episode.attempts[-1].tags)


# (why, answer, its tags), for 3 3 8 8 under ten
ROWS = [
    ("right", text("8/(3-8/3)=24"), set()),
    ("right, without a right-hand side", text("8/(3-8/3)"), set()),
    ("prose", "no idea", {"bad_json"}),
    ("empty", "", {"bad_json"}),
    ("no formula field", '{"cards": ["3","3","8","8"], "number": [3,3,8,8]}', {"bad_json"}),
    ("no cards field", '{"number": [3,3,8,8], "formula": "8/(3-8/3)=24"}', {"missing_field"}),
    ("no number field", '{"cards": ["3","3","8","8"], "formula": "8/(3-8/3)=24"}', {"missing_field"}),
    ("cards are no ranks", text("8/(3-8/3)=24", cards=("thirty", "3", "8", "8")), {"missing_field"}),
    ("numbers are no numbers", text("8/(3-8/3)=24", number=("a", "b")), {"missing_field"}),
    ("a card misread", text("8/(3-8/3)=24", cards="3358"), {"wrong_card_read"}),
    ("a card missed", text("8/(3-8/3)=24", cards="338"), {"wrong_card_read"}),
    ("cards in another order", text("8/(3-8/3)=24", cards="8383"), set()),
    ("used but not in the number field", text("8/(3-8/3)=24", number=(3, 3, 8)), {"number_mismatch"}),
    ("cannot be read", text("8/(3-8/3"), {"illegal_formula"}),
    ("a foreign number", text("3+8+4+9=24"), {"illegal_number", "number_missing", "number_mismatch"}),
    ("reused for a card", text("8+8+8=24"), {"number_reused", "number_missing", "number_mismatch"}),
    ("one too many", text("8/(3-8/3)+8-8=24"), {"number_reused", "number_mismatch"}),
    ("left out", text("3*8=24"), {"number_missing", "number_mismatch"}),
    ("divides by zero", text("8/(3-3)+8=24"), {"division_by_zero"}),
    ("says 24 and is 22", text("3+3+8+8=24"), {"arith_error"}),
    ("says 22 and is 22", text("3+3+8+8=22"), {"wrong_target"}),
    ("says 25 and is 24", text("8/(3-8/3)=25"), {"arith_error", "wrong_target"}),
    # Nothing stands behind "=", so no number there is wrong; but 22 is offered where 24 was asked for.
    ("says nothing and is 22", text("3+3+8+8"), {"wrong_target"}),
]


@pytest.mark.parametrize(("answer", "expected"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_tags(answer, expected):
    assert tags_of(answer) == expected


@pytest.mark.parametrize(
    ("faces", "formula", "number", "expected"),
    [
        ("eleven-twelve-thirteen", "10+10+3+1=24", (10, 10, 3, 1), True),
        ("eleven-twelve-thirteen", "10+10+3+1=24", (13, 11, 3, 1), True),  # in the formula alone
        ("eleven-twelve-thirteen", "13+11+3+1", (10, 10, 3, 1), True),  # in the number field alone
        ("eleven-twelve-thirteen", "13+11+3+1", (13, 11, 3, 1), False),
        ("eleven-twelve-thirteen", "9+10+3+1", (9, 10, 3, 1), False),
        ("ten", "13+11*(3-1)", (13, 11, 3, 1), True),
        ("ten", "10+10+3+1", (10, 10, 3, 1), False),
        ({"J": 5, "Q": 5, "K": 5}, "10+10+3+1", (10, 10, 3, 1), True),
    ],
)
def test_the_face_values_of_the_other_rule(faces, formula, number, expected):
    found = tags_of(text(formula, "KJ3A", number), hand=("K", "J", "3", "A"), faces=faces)
    assert ("wrong_face_value" in found) is expected


def test_without_a_face_card_no_face_value_is_wrong():
    assert "wrong_face_value" not in tags_of(text("3+3+8+8"), faces="eleven-twelve-thirteen")


def test_the_target_of_the_task_is_the_one_that_counts():
    assert tags_of(text("3+3+8+8=22"), target=22) == set()
    assert tags_of(text("8/(3-8/3)=24"), target=22) == {"wrong_target"}


# Across attempts


@pytest.mark.parametrize(
    ("earlier", "later", "repeats"),
    [
        (["3+3+8+8"], "3+3+8+8", True),
        (["3+3+8+8"], "8 + (3 + 8) + 3 = 24", True),
        (["3*8-3*8"], "8*3-8*3=24", True),
        (["3-(8-3)-8"], "3+3-8-8", True),
        (["3+3+8+8"], "3*3+8+8", False),
        (["8-3"], "3-8", False),
        (["8/3"], "3/8", False),
        (["3+3+8+8", "3*8"], "8+3+8+3", True),  # not only the one before
        (["3+3+8+"], "3+3+8+", True),  # the same formula, though it cannot be read
        (["3+3+8+"], "3+3+8-", False),
    ],
)
def test_a_formula_repeated(earlier, later, repeats):
    assert ("repeat_of_previous_turn" in tags_of(*map(text, earlier), text(later))) is repeats


def test_prose_repeated_is_no_formula_repeated():
    assert "repeat_of_previous_turn" not in tags_of("no idea", "no idea")


@pytest.mark.parametrize(
    ("before", "after", "ignored"),
    [
        ("3*8", "3*8", True),
        ("3*8", "3+8", True),  # the same cards are left out
        ("3*8", "3*3*8", False),  # one of them is used now
        ("3*8", "3+3+8+8", False),
        ("4*6", "5*7", False),  # other foreign numbers
        ("3+3+8+8", "3*3+8+8", False),  # 22, then 25
        ("3+3+8+", "3+3+8-", False),  # another sign stands alone
        ("3+3+8+8", "8/(3-8/3)", False),
    ],
)
def test_feedback_ignored(before, after, ignored):
    assert ("ignored_feedback" in tags_of(text(before), text(after))) is ignored


def test_feedback_ignored_looks_at_the_attempt_before_only():
    assert "ignored_feedback" not in tags_of(text("3*8"), text("3+3+8+8"), text("3*8"))
    assert "ignored_feedback" in tags_of("no", "no idea")
    assert "ignored_feedback" not in tags_of("no idea")


def test_tags_come_in_a_fixed_order_and_are_known():
    episode = start(game("gp-l").task(hand=("K", "J", "3", "A"), faces="eleven-twelve-thirteen"))
    bad = text("10+10+3+3+7/0=25", "KQ3A", (10, 10, 3, 1))
    found = judge(judge(episode, bad), bad).attempts[-1].tags
    assert list(found) == [tag for tag in TAGS if tag in found]
    assert set(found) == {
        "wrong_card_read",
        "wrong_face_value",
        "illegal_number",
        "number_reused",
        "number_missing",
        "number_mismatch",
        "division_by_zero",
        "wrong_target",
        "repeat_of_previous_turn",
        "ignored_feedback",
    }


def test_every_tag_is_explained():
    assert all(meaning for meaning in TAGS.values())
