"""What a note on the page claims about a player's episode: kept as data, so that a test can play it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from labkit.episode import Attempt, Episode


class Outcome(NamedTuple):
    """How a player's episode went."""

    success: bool
    attempts: int
    """Attempts at the last position."""
    position: int
    """Number of the last position, from 1."""
    kept: bool
    """Whether a wrong answer at the last position follows the other rule than the one that was asked for."""


def outcome(episode: Episode) -> Outcome:
    """The outcome of an episode that is over."""
    last = episode.position.attempts
    return Outcome(episode.success, len(last), len(episode.positions), any(map(keeps_other_rule, last)))


def keeps_other_rule(attempt: Attempt) -> bool:
    """Whether a wrong answer follows the other rule than the one that was asked for."""
    by_other = "wrong_face_value" in attempt.tags or bool(attempt.other_rule and attempt.other_rule.success)
    return not attempt.verdict.success and by_other


def outcomes(stored: Mapping[str, Any]) -> dict[str, Outcome]:
    """The outcomes of a preset's file, by player."""
    return {name: Outcome(**said) for name, said in stored.items()}
