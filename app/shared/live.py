"""A player's episode as it grows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from app.shared.settings import Fields
from app.shared.window import Shown
from labkit.episode import Episode, Task
from labkit.play import stream

if TYPE_CHECKING:
    from app.shared.catalogue import Catalogue

YOU = "you"
"""What the person's episodes call their player."""


def live(
    catalogue: Catalogue, name: str | None, settings: Fields, task: Task | Episode, stopped: Callable[[], bool]
) -> Iterator[Shown]:
    """The player's episode: before the first answer, then after each.

    Args:
        name: of the player, in the catalogue.
        settings: have a ``temperature`` and a ``seed``.
        task: or an open episode to go on with.
        stopped: asked between answers, and during one by players that have a ``should_stop``.

    Raises:
        UsageError: the player cannot be loaded, or cannot go on.
    """
    temperature, seed = settings.value("temperature"), settings.value("seed")
    player = catalogue.player(name or "", temperature, stopped)
    if isinstance(task, Task):
        task = drawn_for(task, player.picture)
    before = None
    # As play_many keys the first task of a seed.
    for episode in stream(task, player, key=(seed, 0)):
        if before is not None and stopped() and _cut_off(episode):
            yield Shown(before, "stopped", temperature, seed)
            return
        halted = stopped() and not episode.done
        yield Shown(episode, "stopped" if halted else "live", temperature, seed)
        if halted:
            return
        before = episode


def drawn_for(task: Task, picture: Mapping[str, int]) -> Task:
    """The task with its picture, if it has one, at the size that a player's own processing leaves as it is."""
    return task if task.picture is None else replace(task, picture={**task.picture, **picture})


def _cut_off(episode: Episode) -> bool:
    """Whether the last answer was ended from outside: then it is no attempt."""
    sample = episode.attempts[-1].sample
    return sample is not None and sample.truncated
