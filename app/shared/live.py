"""A player's episode as it grows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from app.shared.settings import Settings
from app.shared.window import Shown
from labkit.episode import Episode, Task
from labkit.play import stream

if TYPE_CHECKING:
    from app.shared.catalogue import Catalogue

YOU = "you"
"""What the person's episodes call their player."""


def live(
    catalogue: Catalogue, name: str | None, settings: Settings, task: Task | Episode, stopped: Callable[[], bool]
) -> Iterator[Shown]:
    """The player's episode: before the first answer, then after each.

    Args:
        name: of the player, in the catalogue.
        task: or an open episode to go on with.
        stopped: asked between answers, and during one by players that have a ``should_stop``.

    Raises:
        UsageError: the player cannot be loaded, or cannot go on.
    """
    temperature, seed = settings.value("temperature"), settings.value("seed")
    player = catalogue.player(name or "", temperature, stopped)
    if isinstance(task, Task) and task.picture is not None:
        # Drawn at the size that the player's own processing leaves as it is.
        task = replace(task, picture={**task.picture, **player.picture})
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


def _cut_off(episode: Episode) -> bool:
    """Whether the last answer was ended from outside: then it is no attempt."""
    sample = episode.attempts[-1].sample
    return sample is not None and sample.truncated
