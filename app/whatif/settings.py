"""The fields of a fork: what is changed, and who goes on from there."""

from __future__ import annotations

from dataclasses import dataclass

from app.shared.settings import HOTTEST, LAST_SEED, Fields, Parsed, Real, Whole, setting
from labkit.errors import UsageError
from labkit.whatif import NOTHING

LONGEST = 4000
"""Characters of a text that stands in place of another."""


def _text(text: str) -> str:
    if len(text) > LONGEST:
        raise UsageError(f"The text has {len(text):,} characters; give at most {LONGEST:,}")
    return text


@dataclass(frozen=True, slots=True)
class WhatIfSettings(Fields):
    """The form of a fork."""

    what: str = setting(Parsed(str), "Change", NOTHING)
    text: str = setting(Parsed(_text), "Put there instead", "")
    choice: str = setting(Parsed(_text), "Put there instead", "")
    """The same, where a list offers values."""
    player: str = setting(Parsed(str), "Player that goes on", "")
    temperature: float | None = setting(Real(0, HOTTEST), "Temperature", 0.0)
    seed: float | None = setting(Whole(0, LAST_SEED), "Seed", 0)
