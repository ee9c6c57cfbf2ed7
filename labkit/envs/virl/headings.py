"""Words for headings and turns: the two action rules, and where a thing stands after turning.

Headings are degrees clockwise from north. The words for turning are read off the wrapped angle, so that from
350 to 10 degrees is a turn of 20 to the right; the authors' code subtracts without wrapping and calls it
left.
"""

from __future__ import annotations

from collections.abc import Mapping

from labkit.envs.virl.geometry import COMPASS, RELATIONS, compass, turn
from labkit.errors import UsageError

TURNS = ("left", "right", "slightly left", "slightly right")
SECTOR = 45.0
"""Width of a compass sector, and the angle beyond which a turn is no longer slight; degrees."""
ACTIONS: Mapping[str, tuple[str, ...]] = {"absolute": COMPASS, "relative": TURNS}
"""What ``turn_direction`` takes under each rule: ``absolute`` is trained on (ID), ``relative`` is the
rule-OOD probe (paper, section 4.2)."""


def turn_word(before: float, after: float) -> str:
    """The word for turning from one heading to another; about-face is ``right``."""
    angle = turn(before, after)
    if angle < -SECTOR:
        return "left"
    if angle > SECTOR:
        return "right"
    return "slightly left" if angle <= 0 else "slightly right"


def word(actions: str, before: float, after: float) -> str:
    """What ``turn_direction`` takes, under an action rule, for turning from one heading to another."""
    return compass(after) if actions == "absolute" else turn_word(before, after)


def seen_after(relation: str, eighths: int) -> str:
    """A relation after turning clockwise by so many times 45 degrees: exact, since its sectors are as
    wide."""
    return RELATIONS[(RELATIONS.index(relation) - eighths) % 8]


def check_actions(actions: str) -> str:
    """Raises UsageError unless there is such an action rule."""
    if not isinstance(actions, str) or actions not in ACTIONS:
        raise UsageError(f"no action rule {actions!r}; use {' or '.join(ACTIONS)}")
    return actions


def other_actions(actions: str) -> str:
    """The rule that an answer is judged under for comparison: the paper's other one."""
    return "relative" if actions == "absolute" else "absolute"
