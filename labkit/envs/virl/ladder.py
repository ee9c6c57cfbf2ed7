"""The visual shifts of ``virl-vl``, from the pictures of ``id`` (a clear summer's day, a level camera) outwards."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from labkit.envs.ladder import Rung
from labkit.envs.virl.city.cities import OTHER_CITIES, TRAINING_CITY, look_of
from labkit.envs.virl.render.textures import colour

STEPS: Mapping[str, tuple[float, ...]] = {
    "season": (0.25, 0.5, 0.75, 1),
    "night": (0.25, 0.5, 0.75, 1),
    "rain": (0.25, 0.5, 0.75, 1),
    "pitch": (5, 10, 15, 20),
}


def rungs(cell: str) -> tuple[Rung, ...]:
    """All rungs. Distances: shares of the way to winter, to night and to heavy rain; degrees that the camera looks up;
    for the look of another city, how far its colours are from the training city's, black to white being 1."""
    away = sorted((colours_apart(TRAINING_CITY, name), name) for name in OTHER_CITIES)
    return (
        *(Rung(axis, str(step), step, {"picture": {axis: step}}) for axis, steps in STEPS.items() for step in steps),
        *(Rung("city", name, distance, {"picture": {"look": name}}) for distance, name in away),
    )


def colours_apart(one: str, other: str) -> float:
    """The mean distance between the colours of two cities' skies, grounds and walls; black to white is 1."""
    first, second = _colours(look_of(one)), _colours(look_of(other))
    apart = [math.dist(first[name], second[name]) for name in first.keys() & second.keys()]
    return round(math.fsum(apart) / len(apart) / math.dist((0, 0, 0), (255, 255, 255)), 6)


def _colours(look: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    walls = [colour(code) for style in look["styles"].values() for code in style["walls"]]
    mean = tuple(sum(part) / len(walls) for part in zip(*walls, strict=True))
    return {name: colour(code) for name, code in {**look["palette"], **look["sky"]}.items()} | {"walls": mean}
