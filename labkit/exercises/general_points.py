"""Checks of the exercises in notebooks/01_general_points."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from labkit.envs import game, judge, start
from labkit.envs.general_points import solver, verifier
from labkit.evaluation.games import trials_of
from labkit.exercises import NotYet, exercise, expect

_CATEGORIES = ("unreadable", "illegal_formula", "wrong_numbers", "wrong_value", "correct")


@exercise("Twice 13 is close to 24. How far off is it?", "6 and 4 differ by 2, which is what 2 × 13 has too much.")
def formula(answer: Any) -> str:
    """A formula as text, in which 13, 6, 2 and 4 occur once each, and which makes 24."""
    if not isinstance(answer, str):
        raise NotYet(f"give a text in quotation marks, not {answer!r}")
    written = json.dumps({"cards": ["K", "6", "2", "4"], "number": [13, 6, 2, 4], "formula": answer})
    task = game("gp-l").task(hand=["K", "6", "2", "4"], faces="eleven-twelve-thirteen")
    verdict = judge(start(task), written).attempts[-1].verdict
    if not verdict.success:
        raise NotYet(f"{answer!r} is {verdict.category}. {verdict.feedback}")
    return f"{answer} makes 24 where K counts as 13"


@exercise(
    "ast.parse(text, mode='eval') reads a formula, and raises SyntaxError if it cannot; ast.walk lists its parts.",
    "Allow BinOp with Add, Sub, Mult and Div, and whole numbers; anything else is illegal.",
    "Compare collections.Counter of the numbers used and dealt; then compute with Fraction, and mind division by zero.",
)
def verify(learner: Any) -> str:
    """One of "illegal_formula", "wrong_numbers", "wrong_value" and "correct": the first check that fails."""
    hands = {("3", "3", "8", "8"): [3, 3, 8, 8], ("10", "6", "2", "4"): [10, 6, 2, 4]}
    formulas = [
        "8/(3-8/3)", "3+3+8+8", "3*8", "(8-3", "8/(3-8/3)=24", "8/(3-3)+8", "(10-4)*(6-2)", "10*2+4", "10+6+2+4",
        "2**3*3", "abs(8)*3", "3.0*8", "24", "", "10/(6-6)+2+4", "8 * 3 * (8 / 8)", "(10-4)*(6-2", "10*(6-2)-4*4",
        "__import__('os')", "-3+3+8+8", "8/(8-8)", "8/(3-3)+8-0*8", "6*2+10+2", "((6+10)*2)-4-4", "4*6*(2/10)",
    ]  # fmt: skip
    judged = 0
    for ranks, numbers in hands.items():
        task = game("gp-l").task(hand=list(ranks))
        for text in formulas:
            verdict = judge(start(task), json.dumps({"formula": text})).attempts[-1].verdict
            expect(learner, (text, numbers), verdict.category)
            judged += 1
    expect(learner, ("4*5", [4, 5], 20), "correct")
    return f"the library's category for {judged} formulas"


@exercise(
    "Add up REWARD[category]; then see whether the attempts ran out without a success.",
    "Exhausted: len(categories) == attempts and the last is not correct.",
)
def episode_return(learner: Any) -> str:
    """The sum of the rewards of all answers, and REWARD["exhausted"] once if no attempt is right."""
    shown = [["correct"], ["wrong_value", "correct"], ["wrong_value"] * 5, ["wrong_value"] * 4 + ["correct"]]
    for categories in [
        *shown,
        ["unreadable"] * 5,
        ["wrong_numbers", "illegal_formula", "wrong_value"],
        ["wrong_value"],
    ]:
        expect(learner, (categories,), _earned(categories, 5))
    for first in _CATEGORIES[:-1]:
        for last in _CATEGORIES:
            expect(learner, ([first, last], 2), _earned([first, last], 2))
    expect(learner, (["wrong_value"] * 3, 10), -3.0)
    return "right for open, solved and exhausted episodes"


_ANSWERS = {
    "unreadable": "no object",
    "illegal_formula": '{"formula": "(3*8"}',
    "wrong_numbers": '{"formula": "3*8"}',
    "wrong_value": '{"formula": "3+3+8+8"}',
    "correct": '{"formula": "8/(3-8/3)"}',
}
"""An answer of each category, for 3 3 8 8."""


def _earned(categories: list[str], attempts: int) -> float:
    """The return of such answers, from the game itself."""
    episode = start(game("gp-l").task(hand=["3", "3", "8", "8"], attempts=attempts))
    for category in categories:
        episode = judge(episode, _ANSWERS[category])
    return episode.reward


@exercise(
    "Put the result of an operation on two numbers in their place, and ask again.",
    "Try every ordered pair, since a - b and a / b depend on the order; skip division by zero.",
    "Compute with Fraction: 8/(3-8/3) is 23.999999999999989 in floats.",
)
def can_make(learner: Any) -> str:
    """True or False: can all the numbers, each used once, make the target with + - * / and brackets, exactly?"""
    examples = [
        ([6, 4], 24), ([24], 24), ([5, 4], 24), ([10, 6, 2, 4], 24), ([1, 1, 1, 1], 24), ([3, 3, 8, 8], 24),
        ([1, 3, 4, 6], 24), ([1, 5, 5, 5], 24), ([4, 4, 10, 10], 24), ([2, 2, 2, 2], 24), ([2, 8, 3], 4),
    ]  # fmt: skip
    known = {(6, 4): True, (24,): True, (5, 4): False}
    for numbers, target in examples:
        right = known.get(tuple(numbers))
        expect(learner, (numbers, target), solver.solvable(numbers, target) if right is None else right)
    for step in range(30):
        numbers = [1 + (step * k + k * k) % 13 for k in (3, 5, 7, 11)]
        target = 24 if step % 3 else 10 + step
        expect(learner, (numbers, target), solver.solvable(numbers, target))
    return "right for 41 hands, fractions included"


@exercise(
    "Only wrong answers count, and only where the two rules differ.",
    "An answer plays by a rule unless unreadable, illegal_formula or wrong_numbers is among the checks that failed.",
    'Look at attempt.other_rule.evidence["failed"]; wrong_value may be in it.',
)
def plays_by_old_rule(learner: Any) -> str:
    """True or False for an attempt: wrong here, but a legal formula of the numbers of the other rule."""
    hands = [["K", "6", "2", "4"], ["3", "3", "8", "8"], ["J", "Q", "A", "2"]]
    formulas = [
        "(10-4)*(6-2)", "10+6+2+4", "13*2-6+4", "13+6+2+4", "10*2+4", "(10*2", "8/(3-8/3)", "3+3+8+8",
        "(10+10+2)*1", "11+12+2-1", "(10+2)*(10/(6-1))", "10/(6-6)+2+4",
    ]  # fmt: skip
    answers = [json.dumps({"formula": formula}) for formula in formulas] + ["nothing to read"]
    kept = 0
    for hand in hands:
        for faces in ("eleven-twelve-thirteen", "ten"):
            opened = start(game("gp-l").task(hand=hand, faces=faces))
            for text in answers:
                episode = judge(opened, text)
                right = trials_of(episode.task, "kept_old_rule")[1](episode).hits == 1
                expect(learner, (_Shown(episode.attempts[0]),), right)
                kept += right
    return f"right for {len(hands) * 2 * len(answers)} answers, of which {kept} kept the other rule"


@dataclass
class _Shown:
    """An attempt with a short ``repr`` for messages."""

    attempt: Any

    def __getattr__(self, name: str) -> Any:
        if name == "attempt" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.attempt, name)

    def __repr__(self) -> str:
        read = verifier.read(self.attempt.answer).fields.get("formula", "no formula")
        other = self.attempt.other_rule
        failed = "None" if other is None else other.evidence["failed"]
        return f"<{read}: failed {self.attempt.verdict.evidence['failed']}, under the other rule {failed}>"
