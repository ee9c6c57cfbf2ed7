"""The ten generated cities: one for training, nine for testing.

Every random choice comes from ``random.Random`` with a text seed, and coordinates are rounded to the centimetre. So a
city is the same on every machine.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random
from typing import Any

from labkit.envs.virl.city.blocks import Fabric, Ground, buildings, landmarks, sites
from labkit.envs.virl.city.looks import LOOKS
from labkit.envs.virl.city.names import STREET_WORDS, WORDS, landmark_names
from labkit.envs.virl.city.network import network
from labkit.envs.virl.city.plans import PLANS
from labkit.envs.virl.city.plans.drawing import joined
from labkit.envs.virl.records import City, LatLng, Street
from labkit.errors import UsageError


@dataclass(frozen=True, slots=True)
class _Recipe:
    """The settings of a city. Origins lie in open ocean, so that no city is taken for a real place."""

    plan: str
    origin: LatLng
    fabric: Fabric


_RECIPES = {
    "latticeport": _Recipe("grid", LatLng(36.5, -48.0), Fabric(height=(14.0, 30.0), tall=0.25, front=(12, 24))),
    "sternholm": _Recipe("radial", LatLng(44.0, -27.0), Fabric(height=(16.0, 22.0), depth=(12, 17))),
    "oldwick": _Recipe("organic", LatLng(47.5, -19.0), Fabric(height=(6.0, 11.0), front=(7, 12), depth=(8, 12))),
    "grachtenveen": _Recipe("canals", LatLng(50.0, -25.0), Fabric(height=(11.0, 17.0), front=(7, 11))),
    "cerroalto": _Recipe("hills", LatLng(-21.0, -104.0), Fabric(height=(4.0, 9.0), front=(9, 15), gap=(0, 6))),
    "sektorova": _Recipe(
        "superblocks",
        LatLng(41.0, 178.0),
        Fabric(height=(15.0, 27.0), front=(22, 40), depth=(11, 13), gap=(8, 16), garden=3.0),
    ),
    "rambladora": _Recipe("boulevards", LatLng(33.0, -30.0), Fabric(height=(17.0, 23.0), front=(14, 22))),
    "longwater": _Recipe("riverside", LatLng(58.0, -20.0), Fabric(height=(7.0, 14.0), front=(10, 20), gap=(0, 2))),
    "crescombe": _Recipe("crescents", LatLng(46.0, -35.0), Fabric(height=(12.0, 15.0), front=(9, 14))),
    "favolina": _Recipe(
        "honeycomb", LatLng(29.0, -41.0), Fabric(height=(5.0, 11.0), front=(11, 17), gap=(3, 8), garden=2.0)
    ),
}
CITIES = tuple(_RECIPES)
"""Names of the ten cities, the training city first."""
DISTRICT = "latticehill"
"""A district of the training city with streets of its own. Its plan, its houses and the words of its names are the
training city's. It is asked for by name, as a city is, but is not one of the ten."""
TRAINING_CITY = CITIES[0]
OTHER_CITIES = CITIES[1:]


@lru_cache(maxsize=32)
def city(name: str, seed: int = 0) -> City:
    """One of the generated cities, or :data:`DISTRICT`.

    Args:
        seed: another seed gives other streets, houses and landmarks on the same kind of plan.

    Raises:
        UsageError: there is no city of that name.
    """
    recipe = _RECIPES.get(name) if name != DISTRICT else replace(_RECIPES[TRAINING_CITY], origin=LatLng(36.6, -48.0))
    if recipe is None:
        near = difflib.get_close_matches(str(name).lower(), CITIES, 1)
        hint = f"did you mean {near[0]}?" if near else f"choose {', '.join(CITIES)}"
        raise UsageError(f"no city {name!r}: {hint}")
    key = f"virl/city/{name}/{seed}"
    drawing = PLANS[recipe.plan](Random(f"{key}/plan"))
    nodes, streets = network(drawing.ways)
    streets = _named(streets, recipe.plan, Random(f"{key}/streets"))
    ground = Ground(streets, ())
    parks = tuple(outline for outline in drawing.parks if not ground.on_street(outline))
    water = joined(tuple(outline for outline in drawing.water if not ground.on_street(outline)))
    look = LOOKS[recipe.plan]
    built, fronts = buildings(streets, parks + water, recipe.fabric, tuple(look["styles"]), Random(f"{key}/buildings"))
    rng = Random(f"{key}/landmarks")
    known = landmarks(sites(streets, fronts, rng), landmark_names(WORDS[recipe.plan], rng))
    return City(name, recipe.plan, seed, recipe.origin, nodes, streets, tuple(built), known, look, water, parks)


def look_of(name: str) -> Mapping[str, Any]:
    """The look of an embedded city."""
    return LOOKS[_RECIPES[name].plan]


def _named(streets: Sequence[Street], plan: str, rng: Random) -> tuple[Street, ...]:
    """The streets with names. A way of the plan has one name, however many streets it is cut into."""
    ways = sorted({street.name for street in streets})
    words = WORDS[plan]
    pool = [*words, *(f"{a} {b}" for a in words for b in words if a != b)]
    first, rest = pool[: len(words)], pool[len(words) :]
    chosen = [*rng.sample(first, len(first)), *rng.sample(rest, len(rest))]
    given = {way: f"{word} {STREET_WORDS[plan]}" for way, word in zip(ways, chosen, strict=False)}
    return tuple(Street(s.a, s.b, s.points, s.width, given[s.name]) for s in streets)
