"""Write a city's routes in the layout of the paper's authors, such that their code and :mod:`files` can read them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image

from labkit.counting import counted
from labkit.envs.virl.authors.files import GOAL, MAPPING, NOTHING, ROUTES, VIEWS, DataFolder, read_folder
from labkit.envs.virl.authors.mapping import write_mapping
from labkit.envs.virl.geometry import compass
from labkit.envs.virl.records import City, Landmark, LatLng, Milestone, Place, Route, to_latlng, to_point
from labkit.errors import UsageError

SPACING = 10.0
"""Metres between the panoramas that :func:`write_folder` lays along a route."""


def write_folder(
    city: City,
    routes: Sequence[Route],
    path: str | Path,
    draw: Callable[[LatLng], Image.Image] | None = None,
) -> DataFolder:
    """Export routes in the authors' layout; reading them back gives equal routes.

    Headings are written in whole degrees, distances in whole metres, and one landmark a milestone: the routes
    of the embedded cities hold nothing finer. Panoramas are listed at every milestone and every 10 m of the
    legs.

    Args:
        draw: makes the equirectangular panorama of a place for a ``rotation`` of 0; without it no
            pictures are written.

    Raises:
        UsageError: the layout cannot hold a name (blank, or with a line break) or two landmarks at a
        milestone.
    """
    folder = Path(path)
    (folder / VIEWS).mkdir(parents=True, exist_ok=True)
    marks = {mark.name: mark for mark in city.landmarks}
    content = [[_raw(route, marks, city) for route in routes], len(routes)]
    (folder / ROUTES).write_text(json.dumps(content, ensure_ascii=False, indent=1), "utf-8")
    places = dict.fromkeys(place for route in routes for place in _strewn(route, city))
    mapping = {place: f"{city.name}-{number:05d}" for number, place in enumerate(places)}
    write_mapping(folder / MAPPING, mapping)
    if draw:
        for place, name in mapping.items():
            draw(place).save(folder / VIEWS / f"{name}.jpg", quality=90)
            (folder / VIEWS / f"{name}.metadata.json").write_text(json.dumps({"rotation": 0.0}), "utf-8")
    return read_folder(folder)


def _raw(route: Route, marks: Mapping[str, Landmark], city: City) -> dict[str, Any]:
    """A route as the authors' JSON has it, with its ``route_id`` and ``city`` beside."""
    legs, ends = route.milestones[:-1], route.milestones[1:]
    passed = [end.sightings[0].name if end.sightings else "" for end in ends[:-1]]
    return {
        "route_id": route.id,
        "city": route.city,
        "start_place": _raw_place(route.start) | {"relocated_geocode": list(route.milestones[0].place)},
        "dest_place": _raw_place(route.destination) | {"relocated_geocode": list(ends[-1].place)},
        "route_results": {
            "geocode_list": [list(end.place) for end in ends],
            "landmark_list": [
                _raw_place(Place(name, to_latlng(marks[name].point, city.origin))) if name in marks else None
                for name in passed
            ],
            "distance_list": [round(leg.distance) for leg in legs],
        },
        "init_heading": round(route.milestones[0].arriving) % 360,
        "milestone_info": "\n".join(
            _block(i, *pair, i == len(legs) - 1) for i, pair in enumerate(zip(legs, ends, strict=True))
        ),
    }


def _raw_place(place: Place) -> dict[str, Any]:
    return {"name": place.name, "geocode": list(place.place)}


def _block(number: int, leg: Milestone, end: Milestone, last: bool) -> str:
    """The text block of a leg, from where it begins and where it ends."""
    if len(end.sightings) > 1:
        raise UsageError(
            f"milestone {number} has {counted(len(end.sightings), 'landmark')}; the authors' layout holds one"
        )
    seen = NOTHING
    for name, relation in end.sightings:
        if not name.strip() or re.search(r"[\r\n]", name):
            raise UsageError(f"landmark {name!r}: the authors' layout holds no blank name and no line break")
        seen = f"{GOAL if last else ''}{name} is on your {relation}"
    heading = round(leg.leaving or 0.0) % 360
    fields = {
        "intersection_idx": number + 1,
        "landmarks": seen,
        "distance": f"{round(leg.distance)} meters",
        "human_heading": round(leg.arriving) % 360,
        "to_next_intersection_heading": f"{heading} ({compass(heading)})",
    }
    return "\n".join(["{", *(f'"{key}": "{value}",' for key, value in fields.items()), "}", ""])


def _strewn(route: Route, city: City) -> Iterator[LatLng]:
    """The milestones of a route, and points about every 10 m between them."""
    for here, there in pairwise(route.milestones):
        steps = max(
            1,
            round(math.dist(to_point(here.place, city.origin), to_point(there.place, city.origin)) / SPACING),
        )
        for step in range(steps):
            lat, lng = (a + (b - a) * step / steps for a, b in zip(here.place, there.place, strict=True))
            yield LatLng(round(lat, 7), round(lng, 7))
    yield route.milestones[-1].place
