"""Checks of the exercises in notebooks/02_virl."""

from __future__ import annotations

from collections.abc import Callable

from labkit.envs.virl.headings import turn_word
from labkit.exercises import exercise, expect


@exercise(
    "From 350° to 10° the difference is −340, but you turn by 20.",
    "Bring the difference into the half-open interval from −180 to 180; (after - before) % 360 is never negative.",
)
def relative_word(learner: Callable[[float, float], str]) -> str:
    """The relative word for a turn from one heading to another: left, right, slightly left or slightly right."""
    examples = [(0, 90), (90, 0), (350, 10), (10, 350), (20, 65), (200, 20), (50, 50)]
    for pair in [*examples, *((before, after) for before in range(360) for after in range(360))]:
        expect(learner, pair, turn_word(*pair))
    return "right for all 129,600 pairs of whole degrees"


@exercise(
    "A step fails only if both attempts are wrong.",
    "A step is passed with probability 1 − (1 − p)², and every step has to be passed.",
)
def arrives(learner: Callable[[float, int], float]) -> str:
    """The probability of walking all steps, with two attempts at each, every one right with probability p."""
    for given, right in {(1.0, 13): 1.0, (0.5, 1): 0.75, (0.5, 2): 0.5625, (0.9, 10): 0.99**10}.items():
        expect(learner, given, right)
    chances = ", ".join(f"{learner(p, 13):.2g} for p = {p}" for p in (0.1, 0.5, 0.8, 0.9))
    return f"over 13 steps {chances}"


@exercise(
    "The middle is column width / 2. How far to the right of it is a view to the east (90°)? Columns wrap.",
    "The offset to the right of the middle is ((heading − 180) mod 360) · width / 360 columns.",
)
def column(learner: Callable[[float, int], float]) -> str:
    """The column of a panorama, from 0 up to but not including its width, that is the middle of a view."""
    for heading, share in ((180, 0.5), (90, 0.25), (0, 0.0), (300, 5 / 6)):
        for width in (1024, 2048):
            expect(learner, (heading, width), width * share, tolerance=1e-3)
    return "right: the left border is north, the middle south"
