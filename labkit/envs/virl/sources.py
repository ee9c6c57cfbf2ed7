"""Where routes, streets, landmarks and views come from: embedded cities, or a folder in the authors' layout.

The game asks here and does not know which of the two answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from labkit.envs.virl.authors.files import DataFolder, read_folder
from labkit.envs.virl.city import routes as embedded
from labkit.envs.virl.city.cities import DISTRICT, TRAINING_CITY, city
from labkit.envs.virl.city.streets import Streets
from labkit.envs.virl.geometry import RELATIONS, relation
from labkit.envs.virl.rail import metres
from labkit.envs.virl.records import LatLng, Route, Sighting, to_point
from labkit.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

SPLITS = ("train", "dev", "test", "unseen")
"""``unseen`` holds out places: a district of the training city in which no other route lies. ``dev`` and ``test`` hold
out routes: most of their turns, at the same corners, occur in routes of ``train``."""
TRAINING = 1000
"""Embedded routes to train on, as many as the paper has."""
HELD_OUT = 200
"""Embedded routes of the training city in each of ``dev``, ``test`` and ``unseen``; no two splits join the same
landmarks."""
MINI = 2
"""Routes in each of the nine other cities: the mini benchmark, which is ``test`` of ``visual-ood``."""
MORE = 18
"""Further routes in each of them: ``dev`` of ``visual-ood``, and for narrow intervals."""
SPLIT_PERCENT = {"train": 70, "dev": 15, "test": 15}
"""Percent of a folder's routes in each split."""
SIZE = 448
"""Pixels of the square of four views."""
SIZES = range(64, 2049, 2)
AT = 6.0
"""Metres around a folder's milestone at which its landmarks are seen."""

_cached = lru_cache(maxsize=8)


def routes(suite: str, split: str, data: str | None = None) -> tuple[Route, ...]:
    """The routes of a suite.

    Embedded, ``id`` and ``rule-ood`` lie in the training city, ``visual-ood`` in the nine others: the mini
    benchmark (``test``) and more of the kind (``dev``); there is nothing to train on. ``all`` are the routes of
    ``train``, ``dev`` and ``test``, without ``unseen``. A folder's routes are
    the same in every suite, and fall into splits by a hash of their ids.

    Raises:
        UsageError: there is no such split, or no route in it.
    """
    if split not in ("all", *SPLITS):
        raise UsageError(f"no split {split!r}; the splits are all, {', '.join(SPLITS)}")
    if split == "unseen" and suite != "visual-ood" and data is None:
        return _of_district()
    held = by_split(suite == "visual-ood", data)
    found = tuple(r for name, group in held.items() if split in ("all", name) for r in group)
    if not found:
        there = ", ".join(held) or "empty"
        raise UsageError(f"suite {suite} has no route in split {split}; its splits are all, {there}")
    return found


@_cached
def by_split(other_cities: bool, data: str | None) -> Mapping[str, tuple[Route, ...]]:
    """The routes of each split that has any; ``unseen`` aside."""
    if data is not None:
        held: dict[str, tuple[Route, ...]] = {}
        for route in folder(data).routes:
            split = _by_hash(route.id)
            held[split] = (*held.get(split, ()), route)
        return {split: held[split] for split in SPLITS if split in held}
    if other_cities:
        many = embedded.mini_benchmark(MINI + MORE)
        few = embedded.mini_benchmark(MINI)
        walked = {_pair(route) for route in few}
        return {"dev": tuple(r for r in many if _pair(r) not in walked), "test": tuple(few)}
    here = city(TRAINING_CITY)
    # By a hash of the two landmarks, so that a way and its way back lie in one split; a quarter more than
    # needed, since the two halves are not quite equal.
    held_out = embedded.routes(here, 5 * HELD_OUT // 2, split="eval")
    halves = [tuple(r for r in held_out if _hashed(_pair(r)) % 2 == k)[:HELD_OUT] for k in (0, 1)]
    training = tuple(embedded.routes(here, TRAINING, split="train"))
    return {"train": training, "dev": halves[0], "test": halves[1]}


@_cached
def _of_district() -> tuple[Route, ...]:
    return tuple(embedded.routes(city(DISTRICT), HELD_OUT, split="eval"))


def split_of(suite: str, route: str, data: str | None = None) -> str:
    """The split that the route of an id belongs to; ``custom`` if it is not one of the suite's."""
    if data is not None:
        return _by_hash(route)
    if suite not in ("id", "rule-ood", "visual-ood"):
        return "custom"
    if suite != "visual-ood" and route.startswith(f"{DISTRICT}-"):
        return "unseen"
    return _split_ids(suite == "visual-ood").get(route, "custom")


@_cached
def _split_ids(other_cities: bool) -> Mapping[str, str]:
    return {r.id: split for split, group in by_split(other_cities, None).items() for r in group}


def _pair(route: Route) -> str:
    """The two landmarks that a route joins, in whichever direction."""
    return "\n".join((route.city, *sorted((route.start.name, route.destination.name))))


def _hashed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _by_hash(route: str) -> str:
    place = _hashed(route) % 100
    return "train" if place < SPLIT_PERCENT["train"] else "dev" if place < 100 - SPLIT_PERCENT["test"] else "test"


@_cached
def folder(data: str) -> DataFolder:
    """A folder in the authors' layout, read once."""
    return read_folder(data)


@_cached
def streets(place: str, data: str | None = None) -> Streets:
    """The street network of an embedded city, or of the routes of a folder."""
    return Streets.of_routes(folder(data).routes) if data else Streets.of_city(city(place))


def sightings(place: LatLng, heading: float, where: str, data: str | None = None) -> tuple[Sighting, ...]:
    """The landmark seen from any place, by the same measure as at the milestones of embedded routes.

    In a folder, landmarks are known at milestones only, and there by one of eight sectors: facing another way
    than the route, their sector is that of the old sector's middle.
    """
    if data:
        for milestone in (m for r in folder(data).routes for m in r.milestones):
            if metres(milestone.place, place) <= AT:
                turned = heading - milestone.arriving
                return tuple(
                    Sighting(name, relation(turned, 45.0 * RELATIONS.index(old))) for name, old in milestone.sightings
                )
        return ()
    seen = embedded.sighting(city(where), place, heading)
    return (seen,) if seen else ()


def photographed(place: LatLng, data: str) -> bool:
    """Whether a folder has a panorama of a place."""
    return folder(data).panorama(place) is not None


def check_picture(picture: Mapping[str, Any] | None) -> dict[str, Any]:
    """The drawing knobs, completed.

    Raises:
        UsageError: a knob that does not exist, or a value it cannot have.
    """
    from labkit.envs.virl.render.conditions import NAMES, Conditions

    given = dict(picture or {})
    size = given.pop("size", SIZE)
    unknown = [name for name in given if name not in NAMES]
    if unknown:
        raise UsageError(f"no picture setting {unknown[0]!r}; the settings are size, {', '.join(NAMES)}")
    if isinstance(size, bool) or not isinstance(size, int) or size not in SIZES:
        raise UsageError(f"picture size must be an even number from {SIZES[0]} to {SIZES[-1]}, not {size!r}")
    return {"size": size, **Conditions(**given).to_dict()}


def draw(recipe: Mapping[str, Any]) -> Image:
    """The four views of ``{"city", "place", "heading", "size"}`` and, from a folder, ``data``; of an embedded city also
    under :class:`labkit.envs.virl.render.conditions.Conditions`.

    Raises:
        UsageError: the folder has no panorama there.
    """
    place, heading, size = LatLng(*recipe["place"]), recipe["heading"], recipe["size"]
    if "data" not in recipe:
        from labkit.envs.virl.render.conditions import Conditions, city_under
        from labkit.envs.virl.render.views import grid_view

        asked = Conditions.from_recipe(recipe)
        there = city_under(recipe["city"], asked.season, asked.night, asked.rain, asked.look)
        return grid_view(there, to_point(place, there.origin), heading, size, asked)
    return _photographed(recipe["data"], place, heading, size)


def _photographed(data: str, place: LatLng, heading: float, size: int) -> Image:
    from PIL import Image

    from labkit.envs.virl.authors.panorama import perspective
    from labkit.envs.virl.render.views import SIDES

    panorama, rotation = folder(data).picture(place)
    half = size // 2
    grid = Image.new("RGB", (size, size), "white")
    for number, (_, side) in enumerate(SIDES):
        view = perspective(panorama, (heading + side) % 360, rotation, size=half)
        grid.paste(view, (number % 2 * half, number // 2 * half))
    return grid
