"""Under which conditions a street is seen: season, time of day, rain, the camera's pitch, another city's look.

Season, time of day and look change the colours that a scene is drawn with. Darkness and rain also change the finished
view, in whole numbers, so that every machine has the same pixels.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np

from labkit.envs.virl.city.cities import CITIES, city, look_of
from labkit.envs.virl.records import City
from labkit.envs.virl.render.scene import HAZE, PALETTE, SKY
from labkit.envs.virl.render.textures import colour, mixed
from labkit.errors import UsageError

AUTUMN = {"leaf": "#b8641f", "grass": "#a8985a"}
SNOW = "#e9eef3"
WINTER = {
    "leaf": "#cfd8de", "grass": SNOW, "ground": SNOW, "pavement": "#dde3e8", "kerb": SNOW, "road": "#9a9ea5",
    "water": "#b9cbd8", "roof": SNOW, "top": "#aebccb", "horizon": "#dfe5ea",
}  # fmt: skip
"""Colours of a scene half a year's way and a whole one from summer; what is left out stays."""
LIT = "#ffdf9a"
"""Windows at night."""
EVENING = "#f2a565"
"""The horizon when half the light is gone."""
OVERCAST = {"top": "#8c949c", "horizon": "#b4babf"}
DARKNESS = (0.18, 0.20, 0.34)
"""What is left of red, green and blue at night; of blue most."""


@dataclass(frozen=True)
class Conditions:
    """How a street is seen; the defaults are a clear summer's day, level, in the city's own look.

    Raises:
        UsageError: a value is invalid.
    """

    season: float = 0.0
    """From summer (0) over autumn (0.5) to winter (1)."""
    night: float = 0.0
    """The share of the daylight that is gone, 0 to 1."""
    rain: float = 0.0
    """From none (0) to heavy (1)."""
    pitch: float = 0.0
    """Degrees that the camera looks up, -20 to 20."""
    look: str = ""
    """The city whose colours and facades are seen instead; the streets stay."""

    def __post_init__(self) -> None:
        for name, low, high in (("season", 0, 1), ("night", 0, 1), ("rain", 0, 1), ("pitch", -20, 20)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise UsageError(f"picture {name} = {value!r}: give a number from {low} to {high}")
        if self.look and self.look not in CITIES:
            raise UsageError(f"picture look = {self.look!r}: choose {', '.join(CITIES)}")

    def to_dict(self) -> dict[str, Any]:
        """What differs from the defaults, as JSON holds it."""
        return {name: value for name, value in asdict(self).items() if value != getattr(CLEAR, name)}

    @classmethod
    def from_recipe(cls, recipe: Mapping[str, Any]) -> Conditions:
        """The conditions that a recipe names."""
        return cls(**{name: recipe[name] for name in NAMES if name in recipe})

    def finished(self, view: np.ndarray, key: str) -> np.ndarray:
        """A view with darkness and rain on it.

        Args:
            view: uint8 (rows, columns, 3).
            key: what the drops are seeded by.
        """
        if self.night:
            kept = np.array([round(256 * (1 - self.night * (1 - part))) for part in DARKNESS])
            view = (view * kept // 256).astype(np.uint8)
        return _rained(view, self.rain, key) if self.rain else view


NAMES = tuple(f.name for f in fields(Conditions))
CLEAR = Conditions()


def _rained(view: np.ndarray, share: float, key: str) -> np.ndarray:
    """Streaks of falling drops, all slanting a little, half as bright as white."""
    rng = random.Random(f"rain/{key}")
    size = len(view)
    wet = view.astype(np.int64)
    for _ in range(round(1.6 * share * size)):
        left, top, long = (
            rng.randrange(size),
            rng.randrange(-size // 8, size),
            size // 16 + rng.randrange(size // 16 + 1),
        )
        for row in range(max(0, top), min(size, top + long)):
            column = (left + (row - top) // 4) % size
            wet[row, column] = (wet[row, column] + 210) // 2
    return wet.astype(np.uint8)


@lru_cache(maxsize=32)
def city_under(name: str, season: float, night: float, rain: float, look: str) -> City:
    """A city with its colours under the given conditions: the same object for the same arguments."""
    there = city(name)
    if look:
        own, other = tuple(there.look["styles"]), tuple(look_of(look)["styles"])
        renamed = {style: other[number % len(other)] for number, style in enumerate(own)}
        buildings = tuple(replace(b, style=renamed.get(b.style, b.style)) for b in there.buildings)
        there = replace(there, look=look_of(look), buildings=buildings)
    if not (season or night or rain):
        return there
    return replace(there, look=_coloured(there.look, season, night, rain))


def _coloured(look: Mapping[str, Any], season: float, night: float, rain: float) -> dict[str, Any]:
    """A city's look with its colours moved towards those of the conditions."""
    colours = {**PALETTE, **SKY, **look.get("palette", {}), **look.get("sky", {})}
    autumn, winter = min(1.0, 2 * season), max(0.0, 2 * season - 1)
    for target, share in ((AUTUMN, autumn), (WINTER, winter), (OVERCAST, 0.8 * rain)):
        colours |= {name: _toward(colours[name], code, share) for name, code in target.items() if name in colours}
    colours["horizon"] = _toward(colours["horizon"], EVENING, 2.4 * night * (1 - night))
    styles = {
        name: {
            **style,
            "roof": _toward(style.get("roof", "#5c4a44"), WINTER["roof"], 0.85 * winter),
            "glass": _toward(style.get("glass", "#5d7890"), LIT, night),
        }
        for name, style in look.get("styles", {}).items()
    }
    haze = float(look.get("haze", HAZE)) * (1 - 0.8 * rain)
    return {**look, "palette": colours, "sky": {}, "styles": styles, "haze": haze}


def _toward(code: str, other: str, share: float) -> str:
    """A colour that lies ``share`` of the way to another."""
    return "#{:02x}{:02x}{:02x}".format(*mixed(colour(code), colour(other), share))
