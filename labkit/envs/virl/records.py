"""The records of V-IRL: a city, a route through it, and what stands where. Plain frozen data, nothing else.

Distances are metres, x to the east and y to the north of the city's origin; headings are degrees clockwise from
north, in [0, 360). ``LatLng`` is what the authors' files hold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from labkit.errors import UsageError

EARTH = 6_371_008.8
"""Mean radius of the Earth, metres."""


class LatLng(NamedTuple):
    """Degrees."""

    lat: float
    lng: float


class Point(NamedTuple):
    """Metres east and north of a city's origin."""

    x: float
    y: float


def to_latlng(point: Point, origin: LatLng) -> LatLng:
    """Equirectangular about the origin: exact enough (decimetres) over a city district of a few kilometres."""
    lat = origin.lat + math.degrees(point.y / EARTH)
    return LatLng(lat, origin.lng + math.degrees(point.x / (EARTH * math.cos(math.radians(origin.lat)))))


def to_point(place: LatLng, origin: LatLng) -> Point:
    """Inverse of :func:`to_latlng`."""
    x = math.radians(place.lng - origin.lng) * EARTH * math.cos(math.radians(origin.lat))
    return Point(x, math.radians(place.lat - origin.lat) * EARTH)


@dataclass(frozen=True, slots=True)
class Street:
    """A stretch between two junctions."""

    a: int
    """Index of the node where it begins."""
    b: int
    points: tuple[Point, ...]
    """Its centre line, both ends included; more than two points where it bends."""
    width: float
    """Between the facades, pavements included."""
    name: str


@dataclass(frozen=True, slots=True)
class Building:
    """A block of constant height."""

    outline: tuple[Point, ...]
    """Counter-clockwise."""
    height: float
    style: str
    """Key into the city's facade styles."""


@dataclass(frozen=True, slots=True)
class Landmark:
    """Something that an instruction can name."""

    name: str
    category: str
    """``cafe``, ``bank``, ``church`` ...: decides its shape, colour and sign."""
    point: Point
    """Where its front stands, at the side of a street."""
    facing: float
    """Heading of its front, away from the building."""
    street: int
    """Index of the street that it stands on."""


@dataclass(frozen=True, slots=True)
class City:
    """A street network with everything that stands along it."""

    name: str
    plan: str
    """``grid``, ``radial``, ``organic``, ``canals`` ...: how its streets were laid."""
    seed: int
    origin: LatLng
    nodes: tuple[Point, ...]
    """Junctions, bends' ends and dead ends."""
    streets: tuple[Street, ...]
    buildings: tuple[Building, ...]
    landmarks: tuple[Landmark, ...]
    look: Mapping[str, Any] = field(default_factory=dict)
    """Palette, sky, facade styles, signage: what only the drawing reads."""
    water: tuple[tuple[Point, ...], ...] = ()
    """Outlines of canals and lakes."""
    parks: tuple[tuple[Point, ...], ...] = ()


class Sighting(NamedTuple):
    """A landmark as seen from a point of a route."""

    name: str
    relation: str
    """One of eight: ``front``, ``right front``, ``right``, ``right behind``, ``behind``,
    ``left behind``, ``left`` or ``left front``."""


@dataclass(frozen=True, slots=True)
class Milestone:
    """A turning point of a route, or its end."""

    place: LatLng
    sightings: tuple[Sighting, ...]
    """As seen on arriving; empty where no landmark is nearby."""
    arriving: float
    """Heading on arriving (the start: the heading that one is set down with)."""
    leaving: float | None
    """Heading towards the next milestone; None at the end."""
    distance: float
    """Metres to the next milestone; 0 at the end."""

    @property
    def onward(self) -> float:
        """:attr:`leaving` of a milestone that is not the end.

        Raises:
            UsageError: it has none.
        """
        if self.leaving is None:
            raise UsageError(f"the milestone at {self.place.lat:.6f}, {self.place.lng:.6f} has no heading to the next")
        return self.leaving


@dataclass(frozen=True, slots=True)
class Place:
    """Where a route begins or ends."""

    name: str
    place: LatLng


@dataclass(frozen=True, slots=True)
class Route:
    """A way from a start to a destination: milestones in order, the last one is the end."""

    id: str
    """``nyc-0014``: unique within its city."""
    city: str
    start: Place
    destination: Place
    milestones: tuple[Milestone, ...]
