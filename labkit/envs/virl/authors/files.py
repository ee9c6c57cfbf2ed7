"""V-IRL data in the layout of the paper's authors: read what they publish. :mod:`export` writes the same.

A folder holds

* ``route_infos.json``: ``[routes, k]``. Of each route we read ``start_place`` and ``dest_place`` (``name``,
  ``geocode``, and ``relocated_geocode``, where one stands), ``route_results.geocode_list`` (where each leg
  ends: the turning points, then the end), ``init_heading``, and ``milestone_info``: a text block in braces
  for each leg, with lines ``"key": "value",``. Block i speaks of leg i: its heading and length, and what is
  seen at its end.
* ``gps_pano_mapping.pkl``: a dict from (lat, lng) to the name of a panorama, read without running anything in
  it.
* ``street_views/{panorama}.jpg`` with ``{panorama}.metadata.json`` (``rotation``, degrees).

The last two are only read when a panorama is asked for, so that text cells need nothing but the first.
In blocks headings are whole degrees and distances whole metres. ``human_heading`` and ``distance_list``
repeat what other fields say and are not read. Every fault is a UsageError that names the file, the route and
the milestone.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeGuard

import numpy as np

from labkit.counting import counted
from labkit.envs.pictures import read_picture
from labkit.envs.virl.authors.mapping import read_mapping
from labkit.envs.virl.geometry import RELATIONS, compass
from labkit.envs.virl.records import EARTH, LatLng, Milestone, Place, Route, Sighting
from labkit.errors import UsageError

if TYPE_CHECKING:
    from PIL import Image

ROUTES = "route_infos.json"
MAPPING = "gps_pano_mapping.pkl"
VIEWS = "street_views"
NEAR = 20.0
"""Metres within which a panorama stands for a place."""
NOTHING = "No landmark nearby"
"""What a milestone says where there is nothing to see."""
GOAL = "The destination "
"""Stands before the name of the landmark that a route ends at."""
_LINE = re.compile(r'"(\w+)"\s*:\s*"(.*)"\s*,?')
_HEADING = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*\((\w+)\)")
_SIGHTING = re.compile(rf"(.+) is on your ({'|'.join(sorted(RELATIONS, key=len, reverse=True))})", re.DOTALL)
_DISTANCE = re.compile(r"(\d+(?:\.\d+)?)(?: (?:meters|m))?")


@dataclass(frozen=True, slots=True)
class Panorama:
    """An equirectangular picture of what surrounds a place."""

    name: str
    path: Path
    place: LatLng
    rotation: float
    """Degrees; a view at heading h is centred at ((h - 180) mod 360 + rotation) mod 360."""

    def load(self) -> Image.Image:
        """The picture.

        Raises:
            UsageError: the file is no picture, or not one that :func:`labkit.envs.pictures.read_picture` takes.
        """
        try:
            return read_picture(self.path, f"{VIEWS}/{self.path.name}")
        except UsageError as error:
            raise UsageError(f"{error}; fetch it again") from None


@dataclass(frozen=True)
class DataFolder:
    """Routes in the authors' layout, and the panoramas along them."""

    path: Path
    routes: tuple[Route, ...]

    @cached_property
    def _panoramas(self) -> tuple[np.ndarray, tuple[str, ...]]:
        """Latitudes and longitudes, shape (panoramas, 2), and names."""
        mapping = read_mapping(self.path / MAPPING)
        return np.array([*mapping], dtype=float).reshape(-1, 2), tuple(mapping.values())

    def panorama(self, place: LatLng) -> Panorama | None:
        """The nearest one, if it is within 20 m of the place.

        Raises:
            UsageError: it is listed, but its picture or its metadata is missing or wrong.
        """
        places, names = self._panoramas
        if not names:
            return None
        north = np.radians(places[:, 0] - place.lat)
        east = np.radians((places[:, 1] - place.lng + 180) % 360 - 180) * math.cos(math.radians(place.lat))
        away = EARTH * np.hypot(north, east)
        nearest = int(np.argmin(away))
        if away[nearest] > NEAR:
            return None
        name = names[nearest]
        picture = self.path / VIEWS / f"{name}.jpg"
        if not picture.is_file():
            raise UsageError(f"{VIEWS}/{picture.name}: missing, though {MAPPING} lists it; fetch it again")
        return Panorama(name, picture, LatLng(*map(float, places[nearest])), self._rotation(name))

    def _rotation(self, name: str) -> float:
        shown = f"{VIEWS}/{name}.metadata.json"
        metadata = _json(self.path / VIEWS / f"{name}.metadata.json", shown)
        rotation = metadata.get("rotation") if isinstance(metadata, dict) else None
        if not _number(rotation):
            raise UsageError(f"{shown}: rotation is {rotation!r}, not a number of degrees")
        return float(rotation) % 360

    def check_panoramas(self, route: Route) -> None:
        """See to it that every milestone of a route has one: what a picture cell needs.

        Raises:
            UsageError: one has none within 20 m; the message names the route and the milestone.
        """
        for number, milestone in enumerate(route.milestones):
            if self.panorama(milestone.place) is None:
                where = f"milestone {number - 1}" if number else "its start"
                raise UsageError(f"{MAPPING}: route {route.id}, {where}: {_nowhere_near(milestone.place)}")

    def picture(self, place: LatLng) -> tuple[Image.Image, float]:
        """The panorama of a place and its rotation.

        Raises:
            UsageError: there is none within 20 m, or its files are missing or wrong.
        """
        found = self.panorama(place)
        if found is None:
            raise UsageError(f"{MAPPING}: {_nowhere_near(place)}")
        return found.load(), found.rotation


def _nowhere_near(place: LatLng) -> str:
    return f"no panorama within {NEAR:g} m of {place.lat:.6f}, {place.lng:.6f}"


def read_folder(path: str | Path) -> DataFolder:
    """Routes in the authors' layout. Routes and milestones are counted from 0 in messages.

    A route without ``route_id`` is called after its folder and its number. Points that coincide, U-turns and
    headings across north are kept as they stand; what they come to is settled where a route is walked.

    Raises:
        UsageError: the folder or its routes are missing or of another shape.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give one that holds {ROUTES}")
    content = _json(folder / ROUTES, ROUTES)
    if not (isinstance(content, list) and len(content) == 2 and isinstance(content[0], list)):
        raise UsageError(f"{ROUTES}: not a list of routes followed by their number, [[...], k]")
    routes = tuple(_route(raw, folder.resolve().name, number) for number, raw in enumerate(content[0]))
    first: dict[str, int] = {}
    for number, route in enumerate(routes):
        if first.setdefault(route.id, number) != number:
            raise UsageError(f"{ROUTES}: route {number}: route_id {route.id!r} is route {first[route.id]}'s too")
    return DataFolder(folder, routes)


def _json(path: Path, shown: str) -> Any:
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise UsageError(f"{shown}: missing in {path.parent}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{shown}: cannot be read as JSON ({error})") from None


def _number(value: Any) -> TypeGuard[float]:
    """Whether JSON gave a number one can calculate with: not NaN, nor too large for a float."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


@dataclass(frozen=True, slots=True)
class _Record:
    """A part of a file, and what to call it in a message."""

    where: str
    value: Any

    def fail(self, what: str) -> NoReturn:
        raise UsageError(f"{self.where}: {what}")

    def get(self, key: str, default: Any = ...) -> Any:
        """An entry of an object; an error where it is missing and nothing stands for it."""
        if not isinstance(self.value, dict):
            self.fail(f"{_short(self.value)} is not an object")
        if key not in self.value and default is ...:
            self.fail(f"{key} is missing")
        return self.value.get(key, default)

    def part(self, key: str) -> _Record:
        return _Record(f"{self.where}: {key}", self.get(key))

    def text(self, key: str, default: Any = ...) -> str:
        value = self.get(key, default)
        if not isinstance(value, str) or not value.strip():
            self.fail(f"{key} {_short(value)} is not a text")
        # A lone surrogate is no character; nothing could print or store it.
        return value.encode("utf-8", "replace").decode("utf-8")

    def latlng(self, key: str, default: Any = ...) -> LatLng:
        return self.as_latlng(self.get(key, default), key)

    def as_latlng(self, value: Any, key: str) -> LatLng:
        pair = isinstance(value, list) and len(value) == 2 and all(map(_number, value))
        if not pair or abs(value[0]) > 90 or abs(value[1]) > 360:
            self.fail(f"{key} {_short(value)} is not a [latitude, longitude]")
        return LatLng(float(value[0]), float(value[1]))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _route(raw: Any, folder: str, number: int) -> Route:
    record = _Record(f"{ROUTES}: route {number}", raw)
    start, goal, results = record.part("start_place"), record.part("dest_place"), record.part("route_results")
    ends = results.get("geocode_list")
    if not isinstance(ends, list) or not ends:
        results.fail(f"geocode_list {_short(ends)} is not a list of places")
    places = [
        start.latlng("relocated_geocode", start.get("geocode", None)),
        *(results.as_latlng(place, f"geocode_list[{i}]") for i, place in enumerate(ends)),
    ]
    blocks = _blocks(record.text("milestone_info"), record)
    if len(blocks) != len(ends):
        record.fail(f"milestone_info has {counted(len(blocks), 'milestone')}, geocode_list {len(ends)}")
    heading = record.get("init_heading", 0)
    if not _number(heading):
        record.fail(f"init_heading {_short(heading)} is not a number of degrees")
    leaving = [_heading(block) for block in blocks]
    lengths = [_distance(block) for block in blocks]
    seen = [(), *(_sightings(block, last=i == len(blocks) - 1) for i, block in enumerate(blocks))]
    milestones = tuple(
        Milestone(place, sightings, arriving, out, far)
        for place, sightings, arriving, out, far in zip(
            places, seen, [float(heading) % 360, *leaving], [*leaving, None], [*lengths, 0.0], strict=True
        )
    )
    return Route(
        record.text("route_id", f"{folder}-{number:04d}"),
        record.text("city", folder),
        Place(start.text("name", "start"), start.latlng("geocode", list(places[0]))),
        Place(goal.text("name"), goal.latlng("geocode")),
        milestones,
    )


def _blocks(text: str, record: _Record) -> list[_Record]:
    """The blocks of a milestone_info; values end lines, so a brace or a quote inside one is part of it."""
    blocks: list[_Record] = []
    current: dict[str, str] | None = None
    for line in text.split("\n"):
        line = line.strip(" \t\r")
        where = _Record(f"{record.where}, milestone {len(blocks)}", None)
        match = _LINE.fullmatch(line)
        if line in ("{", "{{") and current is None:
            current = {}
        elif line.rstrip(",") in ("}", "}}") and current is not None:
            blocks.append(_Record(where.where, current))
            current = None
        elif match and current is not None:
            current[match[1]] = match[2]
        elif line and line != ",":
            where.fail(f'{_short(line)} is not like "key": "value", in a block in braces')
    if current is not None:
        record.fail(f"milestone {len(blocks)} has no closing brace")
    return blocks


def _heading(block: _Record) -> float:
    text = block.text("to_next_intersection_heading")
    match = _HEADING.fullmatch(text.strip())
    if not match or float(match[1]) > 360 or compass(float(match[1])) != match[2]:
        block.fail(f"to_next_intersection_heading {_short(text)} is not like '298 (northwest)'")
    return float(match[1]) % 360


def _distance(block: _Record) -> float:
    text = block.text("distance")
    match = _DISTANCE.fullmatch(text.strip())
    if not match:
        block.fail(f"distance {_short(text)} is not like '120 meters'")
    return float(match[1])


def _sightings(block: _Record, last: bool) -> tuple[Sighting, ...]:
    text = block.text("landmarks")
    if text.strip() == NOTHING:
        return ()
    match = _SIGHTING.fullmatch(text.removeprefix(GOAL) if last else text)
    if not match:
        block.fail(
            f"landmarks {_short(text)} is neither 'X is on your left' (or another of {', '.join(RELATIONS)}) "
            f"nor {NOTHING!r}"
        )
    return (Sighting(match[1], match[2]),)
