"""The view of a game that has none of its own: the prompt as the task, and an answer's fields as read.

A game's view may import these functions and replace some; see :class:`labkit.views.base.View`.
"""

from __future__ import annotations

from collections.abc import Mapping

from labkit.episode import Attempt, Episode, Position
from labkit.views.base import Folded, Picture, Row
from labkit.views.markup import Mark, plain, pre

TAGS: Mapping[str, str] = {}
ENDED = {
    "success": Mark("✓", "solved", "ok"),
    "exhausted": Mark("✗", "not solved", "bad"),
    "failed": Mark("✗", "ended too early", "bad"),
}
PICTURE = Picture("the picture of the task", 320, "PNG")


def setting(episode: Episode) -> str:
    """The rule in a few words."""
    return ", ".join(f"{name} {plain(value)}" for name, value in episode.task.rule.items())


def hand(episode: Episode, height: int = 96) -> str:
    """The prompt of the current position. ``height`` has no effect."""
    return f'<figure class="lk lk-hand">{pre(episode.position.prompt)}</figure>'


def step(episode: Episode, position: int) -> str:
    """``Step 3``; empty where the episode has only one position."""
    return f"Step {position + 1}" if len(episode.positions) > 1 else ""


def situation(episode: Episode, position: int) -> str:
    """The latest answer."""
    attempts = episode.positions[position].attempts
    return plain(attempts[-1].answer)[:60] if attempts else ""


def fields(episode: Episode, position: Position, attempt: Attempt) -> list[Row]:
    """The fields as read, without a judgement."""
    return [Row(name, plain(value), None) for name, value in attempt.fields.items()]


def folded(attempt: Attempt) -> Folded | None:
    """None: the whole answer is shown."""
    return None


def other_rule_label(position: Position) -> str:
    """The rule that :attr:`labkit.episode.Attempt.other_rule` judges by."""
    return "the other rule"
