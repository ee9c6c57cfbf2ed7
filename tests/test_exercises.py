"""Checks of exercises: what passes, what is called not done, and how a wrong answer is helped."""

import re

import numpy as np
import pytest
import torch

from labkit import exercises
from labkit.errors import UsageError
from labkit.exercises import NotYet, check, exercise, expect, given, judge, names, same, use
from labkit.exercises.solutions import ppo_by_hand as solutions


@exercise("first hint", "second hint")
def double(learner):
    """Twice
    the number."""
    expect(learner, (3,), 6)
    expect(learner, (-0.5,), -1.0)
    return "right for two numbers"


@pytest.fixture
def demo(monkeypatch):
    """``double`` as it would be found in labkit/exercises/demo.py, not yet tried."""
    monkeypatch.setattr(double, "missed", 0)
    monkeypatch.setattr(exercises, "_find", {"demo.double": double}.__getitem__)


def stub(n):
    raise NotImplementedError("your turn")


def test_a_right_answer_is_praised(demo, capsys):
    check("demo.double", lambda n: n + n)
    assert capsys.readouterr().out == "✓ demo.double: right for two numbers\n"


@pytest.mark.parametrize("answer", [None, stub])
def test_what_is_not_filled_in_stops_nothing(demo, capsys, answer):
    check("demo.double", answer)
    assert capsys.readouterr().out == "… demo.double: not done yet\n"
    assert double.missed == 0


def test_a_wrong_answer_stops_nothing_and_is_told_the_example_what_was_expected_and_the_next_hint(demo, capsys):
    def squared(n):
        return n * n

    for hint in ("first hint", "second hint", "second hint"):
        check("demo.double", squared)
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.splitlines() == [
            "✗ Not yet: squared(3) returns 9; it should return 6",
            "Expected: Twice the number.",
            f"Hint: {hint}",
        ]


def test_a_learners_error_is_told_with_its_example(demo):
    def divides(n):
        return n / 0

    judged = judge("demo.double", divides)
    assert judged.status == "wrong"
    assert "divides(3) raises ZeroDivisionError: division by zero" in judged.message


def test_something_else_than_a_function_is_said_so(demo):
    assert "give a function, not 7" in judge("demo.double", 7).message


def test_a_right_answer_is_used(capsys):
    def gae(reward_K, value_K, gamma, lam):
        # From the first turn on, unlike the given solution.
        value_K = np.append(value_K, 0.0)
        errors = [r + gamma * value_K[k + 1] - value_K[k] for k, r in enumerate(reward_K)]
        return np.array([sum((gamma * lam) ** n * e for n, e in enumerate(errors[k:])) for k in range(len(errors))])

    assert use("ppo_by_hand.gae", gae) is gae
    assert "not used" not in capsys.readouterr().out


@pytest.mark.parametrize("answer", [None, stub, lambda *_: np.zeros(2)])
def test_the_given_solution_takes_the_place_of_what_is_missing_or_wrong(capsys, answer):
    assert use("ppo_by_hand.gae", answer) is solutions.gae
    assert capsys.readouterr().out.endswith("  Your `gae` is not used: the cells below use the given solution.\n")
    # The cell is run again, and the name now holds the given solution: that is no answer of the learner's.
    assert use("ppo_by_hand.gae", solutions.gae) is solutions.gae
    assert capsys.readouterr().out == "… ppo_by_hand.gae: the given solution is in use\n"


def test_an_exercise_that_nothing_builds_on_has_no_given_solution():
    for name in ("virl.arrives", "general_points.formula"):
        with pytest.raises(UsageError, match=f"no solution is given for {name}"):
            given(name)


def test_a_check_that_stumbles_over_an_answer_blames_the_answer():
    @exercise("hint")
    def text_wanted(answer):
        """A text."""
        return answer.upper()

    with pytest.raises(NotYet, match=r"^✗ Not yet: 12 cannot be judged"):
        text_wanted(12)


def test_the_function_gets_copies():
    def spoils(rows):
        rows.append(1)
        return len(rows)

    given = [[5, 6]]
    expect(spoils, tuple(given), 3)
    assert given == [[5, 6]]


@pytest.mark.parametrize(
    ("got", "right", "equal"),
    [
        (1 / 3, 0.3333333, True),
        (0.3334, 1 / 3, False),
        (6, 6.0, True),
        ("6", 6, False),
        (None, 0.0, False),
        (True, True, True),
        (1, True, False),
        (np.bool_(False), False, True),
        ("left", "left", True),
        (["left"], "left", False),
        ([1, 2.0000001], (1, 2), True),
        ([1, 2, 3], [1, 2], False),
        (np.ones((2, 1)), np.ones(2), False),
        (torch.tensor([0.5, 1.0], requires_grad=True), np.array([0.5, 1.0]), True),
        ([0.5, 1.0], torch.tensor([0.5, 1.0]), True),
        ([0.5, 1.1], torch.tensor([0.5, 1.0]), False),
        ([[1, 2], [3]], [[1, 2], [3]], True),
        ([[1, 2], [4]], [[1, 2], [3]], False),
        ({"a": 1.0, "b": "x"}, {"a": 1, "b": "x"}, True),
        ({"a": 1.0}, {"a": 1, "b": "x"}, False),
        ({1, 2}, {2, 1}, True),
        (float("nan"), 1.0, False),
        (float("inf"), 1.0, False),
    ],
)
def test_values_are_compared_as_a_teacher_would(got, right, equal):
    assert same(got, right) is equal


def test_a_long_value_is_cut_and_an_array_tells_its_shape():
    with pytest.raises(NotYet) as wrong:
        expect(lambda: "x" * 5000, (), np.zeros((40, 40)))
    assert len(str(wrong.value)) < 1000
    assert "shape [40, 40]" in str(wrong.value)


def test_exercises_are_found_by_name():
    assert names("virl") == ["relative_word", "arrives", "column"]
    assert names("no_such_module") == names("../virl") == []
    with pytest.raises(UsageError, match="did you mean virl.arrives"):
        check("virl.arives", None)
    with pytest.raises(UsageError, match="MODULE.EXERCISE"):
        check("nothing.there", None)
    with pytest.raises(TypeError, match="at least one hint"):
        exercise()


def plain_difference(before, after):
    angle = after - before
    return ("left" if angle < -45 else "slightly left") if angle <= 0 else "right" if angle > 45 else "slightly right"


def test_the_mistakes_that_one_makes_are_caught():
    for name, answer, said in (
        (
            "virl.relative_word",
            plain_difference,
            r"plain_difference\(350, 10\) returns 'left'; it should .* 'slightly right'",
        ),
        ("virl.arrives", lambda p, steps: p**steps, "it should return 0.75"),
        ("virl.column", lambda heading, width: (width / 2 - (heading - 180) * width / 360) % width, r"\(90, 1024\)"),
        ("tour.formula", "8*8/3-3", "the verifier says"),
        ("tour.formula", ["8"], "in quotes"),
    ):
        judged = judge(name, answer)
        assert judged.status == "wrong" and re.search(said, judged.message)
