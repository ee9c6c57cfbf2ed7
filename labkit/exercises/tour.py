"""Checks of the exercises in notebooks/00_tour."""

from __future__ import annotations

import json

from labkit.envs import game, judge, start
from labkit.exercises import NotYet, exercise


@exercise(
    "Divide 8 by something small.",
    "What is 3 − 8/3?",
)
def formula(answer: str) -> str:
    """A formula of 3, 3, 8 and 8, each used once, that makes 24."""
    if not isinstance(answer, str):
        raise NotYet(f"give a formula in quotes, not {answer!r}")
    cards = ["3", "3", "8", "8"]
    written = json.dumps({"cards": cards, "number": [3, 3, 8, 8], "formula": answer})
    verdict = judge(start(game("gp-l").task(hand=cards)), written).attempts[-1].verdict
    if not verdict.success:
        raise NotYet(f'the verifier says to "{answer}": {verdict.feedback}')
    return f"{answer} makes exactly 24"
