"""Which part of a picture an answer hangs on: the picture is covered patch by patch, and the player asked again.

Only answers are looked at, so it works for any player that reads pictures, whatever its model is. Source of the idea:
Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (arXiv 1311.2901), section 4.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from labkit.envs import game, judge
from labkit.envs.pictures import covered_recipe
from labkit.errors import UsageError
from labkit.players.base import Player, Request

if TYPE_CHECKING:
    from PIL.Image import Image

    from labkit.episode import Episode

GRID = 8
"""Patches along a side."""
MOST = 32


@dataclass(frozen=True)
class Occlusion:
    """What became of an answer under each patch."""

    fields: Mapping[str, Any]
    """Of the answer to the whole picture."""
    changed: Mapping[str, np.ndarray]
    """For each of these fields, float (grid, grid): the share of it that another answer has instead where the patch in
    that row and column is covered. Of a list that is the share of its places, of anything else 0 or 1."""


def occlusion(player: Player, episode: Episode, *, grid: int = GRID, key: tuple[int, ...] = (0,)) -> Occlusion:
    """Ask a player about the open position of an episode, whole and with each patch covered.

    Args:
        grid: patches along a side.
        key: of the sampling noise, the same for each; a greedy player shows the picture's part alone.

    Raises:
        UsageError: the position has no picture, or there are too many patches.
    """
    if not 2 <= grid <= MOST:
        raise UsageError(f"an occlusion map has 2 to {MOST} patches along a side, not {grid}")
    _recipe(episode)
    asked = [episode, *(_covered(episode, row, column, grid) for row in range(grid) for column in range(grid))]
    answers = player.answer([Request(one, (), key) for one in asked])
    at = len(episode.positions) - 1
    whole, *rest = [judge(episode, answer.text).positions[at].attempts[-1].fields for answer in answers]
    changed = {
        name: np.array([_differs(value, fields.get(name)) for fields in rest]).reshape(grid, grid)
        for name, value in whole.items()
    }
    return Occlusion(whole, changed)


def _recipe(episode: Episode) -> Mapping[str, Any]:
    """What the picture of the open position is drawn from."""
    picture = episode.position.picture
    if picture is None:
        raise UsageError(f"{episode.task.cell} shows no pictures; take a picture cell")
    return picture["recipe"]


def _covered(episode: Episode, row: int, column: int, grid: int) -> Episode:
    box = column / grid, row / grid, (column + 1) / grid, (row + 1) / grid
    picture = {"recipe": covered_recipe(_recipe(episode), box)}
    return replace(episode, positions=(*episode.positions[:-1], replace(episode.position, picture=picture)))


def _differs(value: Any, other: Any) -> float:
    if not isinstance(value, list) or not value:
        return float(value != other)
    others: Sequence[Any] = other if isinstance(other, list) else []
    places = max(len(value), len(others))
    return sum(a != b for a, b in zip(_padded(value, places), _padded(others, places), strict=True)) / places


def _padded(values: Sequence[Any], length: int) -> list[Any]:
    return [*values, *[None] * (length - len(values))]


def overlaid(episode: Episode, changed: np.ndarray) -> Image:
    """The picture of the open position with a map on it: patches that the answer hangs on are red, the others dim.

    Raises:
        UsageError: there is no picture.
    """
    from PIL import Image

    image = game(episode.task.cell).draw(_recipe(episode)).convert("RGB")
    map_of = Image.fromarray((255 * changed).astype(np.uint8)).resize(image.size, Image.Resampling.NEAREST)
    share = np.asarray(map_of) / 255
    pixels, red = np.asarray(image, dtype=float), np.array([235.0, 30.0, 30.0])
    mixed = pixels * (0.45 + 0.1 * share[..., None]) + red * 0.45 * share[..., None]
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))
