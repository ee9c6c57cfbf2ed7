"""Hands worth a click. ``presets.json`` holds them; ``scripts/presets.py`` chooses them from stored episodes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import NamedTuple

from app.shared.claims import Outcome, outcomes

KINDS = {
    "changed-rule": ("Changed rule", "J, Q and K count as 11, 12 and 13 here; in training they counted as 10."),
    "easy": ("Easy", "J, Q and K count as 10, as in training, and many formulas reach 24."),
    "kept-rule": (
        "Old rule kept",
        "Both rules have a solution, but not the same one. Does the player still count J, Q and K as 10?",
    ),
    "feedback": (
        "Second attempt",
        "After a wrong answer the player is told what was wrong and tries again.",
    ),
    "face-cards": (
        "Face cards",
        "There is a solution only where J, Q and K count as 10. Change the rule and press Play.",
    ),
    "search": (
        "A search",
        "A player may search in its thought before it answers. Open the thought: a try a line, misses in grey.",
    ),
    "same": ("No face card", "No J, Q or K: both rules ask for the same."),
    "no-solution": ("No solution", "No formula reaches 24 under either rule. See what the player answers."),
}
"""Label and lesson of each kind of preset. What players do with the hand is told by their outcomes."""


class Preset(NamedTuple):
    kind: str
    cards: str
    rule: str
    ways: Mapping[str, int]
    """How many formulas solve the hand, by rule."""
    outcomes: Mapping[str, Outcome]
    """What the players named in the file do with it at :data:`TEMPERATURE` and :data:`SEED`."""

    @property
    def label(self) -> str:
        return KINDS[self.kind][0]

    @property
    def note(self) -> str:
        """The lesson, and what the players do."""
        told = "; ".join(f"{name} {_words(done)}" for name, done in self.outcomes.items())
        when = f"temperature {TEMPERATURE:g}" + (f", seed {SEED}; other seeds may end otherwise" if TEMPERATURE else "")
        return f"{KINDS[self.kind][1]} What the models do ({when}): {told}." if told else KINDS[self.kind][1]


def _words(done: Outcome) -> str:
    if not done.success:
        return "fails, and counts face cards by the other rule" if done.kept else "fails"
    if done.attempts == 1:
        return "solves it at the first attempt"
    return f"solves it at attempt {done.attempts}"


def _read() -> tuple[dict[str, str], float, tuple[Preset, ...]]:
    stored = json.loads((files(__package__) / "presets.json").read_text(encoding="utf-8"))
    presets = [Preset(**{**row, "outcomes": outcomes(row["outcomes"])}) for row in stored["presets"]]
    return stored["players"], stored["temperature"], tuple(presets)


PLAYERS, TEMPERATURE, PRESETS = _read()
SEED = 0
FIRST = PRESETS[0]
"""What a new window opens with."""
ATTEMPTS = 5
TARGET = 24
