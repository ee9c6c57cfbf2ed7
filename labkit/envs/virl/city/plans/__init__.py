"""The street plans: one function for each kind of city, from a seeded generator to a :class:`Drawing`."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from labkit.envs.virl.city.plans.curved import canals, crescents, hills, organic, radial
from labkit.envs.virl.city.plans.drawing import Drawing
from labkit.envs.virl.city.plans.straight import boulevards, grid, honeycomb, riverside, superblocks

PLANS: dict[str, Callable[[Random], Drawing]] = {
    "grid": grid,
    "radial": radial,
    "organic": organic,
    "canals": canals,
    "hills": hills,
    "superblocks": superblocks,
    "boulevards": boulevards,
    "riverside": riverside,
    "crescents": crescents,
    "honeycomb": honeycomb,
}

__all__ = ["PLANS", "Drawing"]
