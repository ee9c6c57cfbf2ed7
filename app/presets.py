"""Hands worth a click, each a small lesson."""

from __future__ import annotations

from typing import NamedTuple


class Preset(NamedTuple):
    label: str
    cards: str
    faces: str
    lesson: str


PRESETS = (
    Preset(
        "Changed rule",
        "K 6 2 4",
        "eleven-twelve-thirteen",
        "Fine-tuned on J, Q, K = 10, told otherwise: which number does the player take the king for?",
    ),
    Preset("Easy", "4 A 3 2", "ten", "Many solutions: multiply."),
    Preset("Face cards", "Q 2 9 7", "ten", "Solvable only while the queen counts as 10: change the rule and see."),
    Preset(
        "Same under both rules",
        "3 3 8 8",
        "ten",
        "Without a face card the rule says nothing. Needs a fraction.",
    ),
    Preset(
        "SFT trap",
        "8 J 3 8",
        "eleven-twelve-thirteen",
        "Solvable under both rules, with other formulas: a player that memorised the trained rule answers for J = 10.",
    ),
    Preset("No solution", "A A A A", "ten", "Nothing reaches 24: what does the player do?"),
)
FIRST = PRESETS[0]
"""What a new window opens with: one changed word of the rule, and what the feedback does about it."""
