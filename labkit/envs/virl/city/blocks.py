"""Buildings along both sides of the streets, and the landmarks among them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import NamedTuple

from labkit.envs.virl.geometry import (
    Box,
    Index,
    ahead,
    along,
    bearing,
    length,
    overlap,
    point_distance,
    rounded,
    segment_distance,
    signed_area,
    turn,
)
from labkit.envs.virl.records import Building, Landmark, Point, Street

CLEARANCE = 0.01
"""Metres by which a building may overlap a street, since outlines are rounded to the centimetre."""
NARROWEST = 5.0
"""Metres: the least width of a building's front."""
MOST_BEND = 25.0
"""Degrees by which a street may bend along one front."""
APART = 12.0
"""Metres along a street between two landmarks, at least, so that a walker stops in front of one of them."""


@dataclass(frozen=True, slots=True)
class Fabric:
    """The sizes of a city's buildings, in metres; a pair is a range."""

    front: tuple[float, float] = (11.0, 20.0)
    depth: tuple[float, float] = (11.0, 16.0)
    height: tuple[float, float] = (9.0, 18.0)
    gap: tuple[float, float] = (0.0, 0.0)
    """Between one building and the next."""
    garden: float = 0.0
    """Between the pavement and the front."""
    tall: float = 0.0
    """Share of buildings that are twice or three times as high."""


class Front(NamedTuple):
    """The side of a building that faces its street."""

    street: int
    side: int
    """1: to the right of the street's direction, -1: to its left."""
    at: float
    """Metres from the street's start to the middle of the front."""
    point: Point
    facing: float


class Ground:
    """The occupied ground: streets, water, parks, and each building once it is placed."""

    def __init__(self, streets: Sequence[Street], greens: Sequence[tuple[Point, ...]]) -> None:
        self._streets: Index[tuple[Point, Point, float]] = Index()
        for street in streets:
            for a, b in pairwise(street.points):
                self._streets.add(Box.around((a, b), street.width / 2), (a, b, street.width / 2))
        self._taken: Index[tuple[Point, ...]] = Index()
        for outline in greens:
            self.take(outline)

    def room(self, outline: tuple[Point, ...]) -> bool:
        """Whether a convex outline overlaps nothing."""
        box = Box.around(outline)
        if any(overlap(outline, other) for other in self._taken.near(box)):
            return False
        return not self.on_street(outline)

    def on_street(self, outline: tuple[Point, ...]) -> bool:
        """Whether the outline overlaps a street, taken in its full width."""
        middle = Point(*(math.fsum(axis) / len(outline) for axis in zip(*outline, strict=True)))
        reach = max(math.dist(middle, corner) for corner in outline)
        return any(
            point_distance(middle, a, b) < half + reach and segment_distance(a, b, outline) < half - CLEARANCE
            for a, b, half in self._streets.near(Box.around(outline))
        )

    def take(self, outline: tuple[Point, ...]) -> None:
        """Mark an outline as occupied."""
        self._taken.add(Box.around(outline), outline)


def buildings(
    streets: Sequence[Street],
    greens: Sequence[tuple[Point, ...]],
    fabric: Fabric,
    styles: Sequence[str],
    rng: Random,
) -> tuple[list[Building], list[Front]]:
    """The buildings on both sides of every street, and the front of each. Wide streets are filled first."""
    ground = Ground(streets, greens)
    built: list[Building] = []
    fronts: list[Front] = []
    for number in sorted(range(len(streets)), key=lambda i: -streets[i].width):
        for side in (1, -1):
            for front, outline in _row(number, streets[number], side, ground, fabric, rng):
                height = rng.uniform(*fabric.height) * (rng.uniform(2, 3) if rng.random() < fabric.tall else 1)
                built.append(Building(outline, round(height, 1), rng.choice(styles)))
                fronts.append(front)
    return built, fronts


def _row(
    number: int,
    street: Street,
    side: int,
    ground: Ground,
    fabric: Fabric,
    rng: Random,
) -> Iterator[tuple[Front, tuple[Point, ...]]]:
    """The fronts and outlines of the buildings on one side of a street, from its start."""
    whole = length(street.points)
    at = 1.0
    while at < whole - NARROWEST:
        wide, deep = rng.uniform(*fabric.front), rng.uniform(*fabric.depth)
        for share, depth in ((1.0, deep), (1.0, 0.65 * deep), (0.6, 0.65 * deep), (0.35, 0.5 * deep)):
            end = min(at + max(share * wide, NARROWEST), whole)
            bend = turn(along(street.points, at + 0.1)[1], along(street.points, end - 0.1)[1])
            lot = _lot(number, street, side, at, end, depth, fabric.garden)
            if abs(bend) < MOST_BEND and ground.room(lot[1]):
                ground.take(lot[1])
                yield lot
                at = end + rng.uniform(*fabric.gap)
                break
        else:
            at += 3.0


def _lot(
    number: int,
    street: Street,
    side: int,
    start: float,
    end: float,
    depth: float,
    garden: float,
) -> tuple[Front, tuple[Point, ...]]:
    """The front and the outline of a rectangular building, between two distances from the street's start."""
    middle = along(street.points, (start + end) / 2)[0]
    a, b = along(street.points, start)[0], along(street.points, end)[0]
    heading = bearing(a, b)
    out = heading + 90 * side
    # Where the street curves towards this side, the front moves back by the height of the curve.
    lateral = math.radians(out)
    bow = (middle.x - a.x) * math.sin(lateral) + (middle.y - a.y) * math.cos(lateral)
    back = street.width / 2 + garden + max(bow, 0.0) + CLEARANCE
    corners = [
        ahead(a, out, back),
        ahead(b, out, back),
        ahead(b, out, back + depth),
        ahead(a, out, back + depth),
    ]
    outline = tuple(rounded(*corner) for corner in corners)
    if signed_area(outline) < 0:
        outline = outline[::-1]
    centre = Point((corners[0].x + corners[1].x) / 2, (corners[0].y + corners[1].y) / 2)
    return Front(number, side, (start + end) / 2, rounded(*centre), round((out + 180) % 360, 2) % 360), outline


def sites(streets: Sequence[Street], fronts: Sequence[Front], rng: Random) -> list[Front]:
    """The fronts that become landmarks: many at corners, elsewhere about one in 60 m of street."""
    whole = [length(street.points) for street in streets]
    chosen: dict[int, list[Front]] = {}
    order = rng.sample(range(len(fronts)), len(fronts))
    corner = [i for i in order if min(fronts[i].at, whole[fronts[i].street] - fronts[i].at) < 34.0]
    rest = [i for i in order if i not in set(corner)]
    picked = []
    for share, group in ((0.34, corner), (0.4, rest)):
        for i in group:
            front = fronts[i]
            others = chosen.setdefault(front.street, [])
            far = APART if share == 0.34 else 30.0
            if rng.random() < share and all(abs(front.at - other.at) >= far for other in others):
                others.append(front)
                picked.append(i)
    return [fronts[i] for i in sorted(picked)]


def landmarks(chosen: Sequence[Front], named: Iterator[tuple[str, str]]) -> tuple[Landmark, ...]:
    """A landmark for each front, with the next name and category."""
    return tuple(
        Landmark(name, category, front.point, front.facing, front.street)
        for front, (name, category) in zip(chosen, named, strict=False)
    )


def stop_of(landmark: Landmark, streets: Sequence[Street]) -> tuple[float, Point]:
    """Where a walker stops in front of a landmark: metres from the street's start, and the point."""
    points = streets[landmark.street].points
    best, at, found = math.inf, 0.0, (0.0, points[0])
    for a, b in pairwise(points):
        step = math.dist(a, b)
        t = ((landmark.point.x - a.x) * (b.x - a.x) + (landmark.point.y - a.y) * (b.y - a.y)) / step**2
        t = min(max(t, 0.0), 1.0)
        foot = Point(a.x + t * (b.x - a.x), a.y + t * (b.y - a.y))
        away = math.dist(foot, landmark.point)
        if away < best:
            best, found = away, (at + t * step, foot)
        at += step
    return found
