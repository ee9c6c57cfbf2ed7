"""The numbers behind the story, as ``scripts/story.py`` measured them on the bundled players."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Literal, NamedTuple

from app.story.chapters import CHANGED
from labkit.evaluation.metrics import Measured

Relation = Literal["above", "below", "unclear"]


class Row(NamedTuple):
    """How one player did on all held-out deals of a suite."""

    name: str
    """``Init``, ``SFT``, :data:`app.story.chapters.EARLY` or ``RL``."""
    player: str
    """Its spec."""
    temperature: float
    done: Measured
    """Share of the deals that it completes within the attempts."""
    headline: Measured
    """The paper's measure: the same for GeneralPoints, right answers of all answers for V-IRL."""

    @property
    def tally(self) -> str:
        """``29 of 200``."""
        return f"{round(self.done.value * self.done.n)} of {self.done.n}"


class Numbers(NamedTuple):
    """The numbers of one game."""

    temperature: float
    """The one at which players are compared; the players' cards are measured at it."""
    choices: Mapping[str, Mapping[str, Mapping[str, float]]]
    """By suite and player: the probability of each candidate of the decisive field of the recorded episode."""
    rows: Mapping[str, tuple[Row, ...]]
    """By suite."""

    def row(self, suite: str, name: str, temperature: float) -> Row:
        """The row of a player at a temperature.

        Raises:
            KeyError: it was not measured.
        """
        return {(r.name, r.temperature): r for r in self.rows[suite]}[name, temperature]

    @property
    def names(self) -> tuple[str, ...]:
        """The players, in the order of the story; with or without SFT stopped early."""
        return tuple(dict.fromkeys(row.name for row in self.rows[CHANGED]))

    @property
    def best_temperature(self) -> float:
        """Of those measured, that at which Init completes most deals under the changed rule."""
        return max((r for r in self.rows[CHANGED] if r.name == "Init"), key=lambda r: r.done.value).temperature


def relation(one: Row, other: Row) -> Relation:
    """Whether one row's 95% interval lies above or below the other's. Intervals that overlap tell nothing."""
    (low, high), (other_low, other_high) = one.done.ci95, other.done.ci95
    return "above" if low > other_high else "below" if high < other_low else "unclear"


def _row(stored: Mapping[str, Any]) -> Row:
    shares = {
        name: Measured(stored[name]["value"], stored[name]["n"], tuple(stored[name]["ci95"]))
        for name in ("done", "headline")
    }
    return Row(**{**stored, **shares})


def _read() -> dict[str, Numbers]:
    stored = json.loads((files(__package__) / "story.json").read_text(encoding="utf-8"))
    return {
        cell: Numbers(
            found["temperature"],
            found["choices"],
            {suite: tuple(map(_row, rows)) for suite, rows in found["rows"].items()},
        )
        for cell, found in stored.items()
    }


NUMBERS = _read()
"""By cell."""
