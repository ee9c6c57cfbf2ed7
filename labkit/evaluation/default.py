"""What is measured of a cell of one's own (:func:`labkit.envs.register`): success, and what all games share."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from labkit.episode import Episode, Task
from labkit.evaluation.metrics import Trials

RATES: dict[str, Callable[[Episode], Trials]] = {}
"""None of its own."""

ASKED_ONCE: dict[str, Callable[[Episode], Trials]] = {}
"""Its rates over episodes in which every position was asked once, with the expert's history
(:func:`labkit.evaluation.controls.every_position`). Without any, nobody asks."""

BESIDE: tuple[str, ...] = ("first_attempt",)
"""Its rates that figures and tables show beside the headline."""

LABELS: dict[str, str] = {}
"""Its measures in plain words, in the order in which tables show them; a label that begins with two spaces is part of
the one above."""


def headline(task: Task) -> str:
    """Success within the attempts allowed."""
    return "success"


def measures(
    episodes: Sequence[Episode],
    weights: Sequence[float] | None = None,
    deals: Sequence[Hashable] | None = None,
) -> dict[str, Any]:
    """Nothing more than every game has."""
    return {}


def split_of(episode: Episode) -> str:
    """The split that the episode's task was dealt from."""
    return episode.task.split


def deal_weights(episodes: Sequence[Episode]) -> list[float]:
    """The share of each deal, where every one was played once: all count alike."""
    return [1 / len(episodes)] * len(episodes)
