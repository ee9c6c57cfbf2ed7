"""Plane geometry of streets and headings: bearings, compass words, relations, lengths and distances.

Points are metres east and north, headings degrees clockwise from north (see :mod:`labkit.envs.virl.records`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Generic, NamedTuple, TypeVar

from labkit.envs.virl.records import Point

T = TypeVar("T")
COMPASS = ("north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest")
RELATIONS = ("front", "right front", "right", "right behind", "behind", "left behind", "left", "left front")


def bearing(a: Point, b: Point) -> float:
    """Heading from a to b, in [0, 360)."""
    return math.degrees(math.atan2(b.x - a.x, b.y - a.y)) % 360


def sector(heading: float) -> int:
    """Which of the eight sectors of 45 degrees, centred on 0, 45, ... 315, holds the heading."""
    return int((heading % 360 + 22.5) // 45) % 8


def compass(heading: float) -> str:
    """The compass word of a heading: 298 is ``northwest``."""
    return COMPASS[sector(heading)]


def relation(heading: float, towards: float) -> str:
    """Where something at bearing ``towards`` is for someone who faces ``heading``."""
    return RELATIONS[sector(towards - heading)]


def turn(before: float, after: float) -> float:
    """Angle from one heading to another, clockwise, in (-180, 180]."""
    angle = (after - before) % 360
    return angle - 360 if angle > 180 else angle


def edge_margin(angle: float) -> float:
    """Degrees from an angle to the nearest border between two of the eight sectors."""
    return abs((angle % 45) - 22.5)


def rounded(x: float, y: float) -> Point:
    """To the centimetre: coarser than what the last bit of a sine differs by between machines."""
    return Point(round(x, 2) + 0.0, round(y, 2) + 0.0)


def ahead(point: Point, heading: float, distance: float) -> Point:
    """The point that lies ``distance`` metres ahead."""
    angle = math.radians(heading)
    return Point(point.x + distance * math.sin(angle), point.y + distance * math.cos(angle))


def length(points: Sequence[Point]) -> float:
    """Of a polyline, metres."""
    return math.fsum(math.dist(a, b) for a, b in pairwise(points))


def along(points: Sequence[Point], distance: float) -> tuple[Point, float]:
    """The point at a distance from the start of a polyline, and the heading of the line there."""
    for a, b in pairwise(points):
        step = math.dist(a, b)
        if distance <= step:
            break
        distance -= step
    else:
        distance = step
    t = max(distance / step, 0.0)
    return Point(a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t), bearing(a, b)


def between(points: Sequence[Point], start: float, end: float) -> tuple[Point, ...]:
    """The stretch of a polyline from one distance to a greater one, bends included."""
    inner: list[Point] = []
    at = 0.0
    for a, b in pairwise(points):
        at += math.dist(a, b)
        if start + 0.01 < at < end - 0.01:
            inner.append(b)
    return (along(points, start)[0], *inner, along(points, end)[0])


def point_distance(point: Point, a: Point, b: Point) -> float:
    """From a point to a segment."""
    dx, dy = b.x - a.x, b.y - a.y
    square = dx * dx + dy * dy
    t = ((point.x - a.x) * dx + (point.y - a.y) * dy) / square if square else 0.0
    t = min(max(t, 0.0), 1.0)
    return math.hypot(point.x - a.x - t * dx, point.y - a.y - t * dy)


def crossing(a: Point, b: Point, c: Point, d: Point, slack: float = 0.0) -> tuple[float, Point] | None:
    """Where segments ab and cd meet (ends included): the fraction of ab, and the point. None if parallel.

    Args:
        slack: metres by which both segments may stop short of each other and still meet.
    """
    rx, ry, sx, sy = b.x - a.x, b.y - a.y, d.x - c.x, d.y - c.y
    cross = rx * sy - ry * sx
    if abs(cross) < 1e-9:
        return None
    t = ((c.x - a.x) * sy - (c.y - a.y) * sx) / cross
    u = ((c.x - a.x) * ry - (c.y - a.y) * rx) / cross
    over_t, over_u = 1e-9 + slack / math.hypot(rx, ry), 1e-9 + slack / math.hypot(sx, sy)
    if not (-over_t <= t <= 1 + over_t and -over_u <= u <= 1 + over_u):
        return None
    return t, Point(a.x + t * rx, a.y + t * ry)


def inside(point: Point, outline: Sequence[Point]) -> bool:
    """Whether a polygon holds a point (even-odd rule)."""
    odd = False
    for a, b in pairwise((*outline, outline[0])):
        if (a.y > point.y) != (b.y > point.y) and point.x < a.x + (point.y - a.y) / (b.y - a.y) * (b.x - a.x):
            odd = not odd
    return odd


def segment_distance(a: Point, b: Point, outline: Sequence[Point]) -> float:
    """From a segment to a polygon; 0 where they touch."""
    if inside(a, outline):
        return 0.0
    best = math.inf
    for c, d in pairwise((*outline, outline[0])):
        if crossing(a, b, c, d):
            return 0.0
        best = min(best, point_distance(c, a, b), point_distance(a, c, d), point_distance(b, c, d))
    return best


def overlap(one: Sequence[Point], other: Sequence[Point]) -> bool:
    """Whether two convex polygons share more than an edge (separating axes, 1 cm of slack)."""
    for outline in (one, other):
        for a, b in pairwise((*outline, outline[0])):
            nx, ny = b.y - a.y, a.x - b.x
            slack = 0.01 * math.hypot(nx, ny)
            first = [p.x * nx + p.y * ny for p in one]
            second = [p.x * nx + p.y * ny for p in other]
            if max(first) <= min(second) + slack or max(second) <= min(first) + slack:
                return False
    return True


def signed_area(outline: Sequence[Point]) -> float:
    """Positive where the outline runs counter-clockwise."""
    return math.fsum(a.x * b.y - b.x * a.y for a, b in pairwise((*outline, outline[0]))) / 2


class Box(NamedTuple):
    """An upright rectangle."""

    left: float
    bottom: float
    right: float
    top: float

    @classmethod
    def around(cls, points: Iterable[Point], margin: float = 0.0) -> Box:
        """The smallest one that holds the points, widened by a margin on every side."""
        xs, ys = zip(*points, strict=True)
        return cls(min(xs) - margin, min(ys) - margin, max(xs) + margin, max(ys) + margin)

    def meets(self, other: Box) -> bool:
        """Whether the two share a point."""
        return (
            self.left <= other.right
            and other.left <= self.right
            and self.bottom <= other.top
            and other.bottom <= self.top
        )


class Index(Generic[T]):
    """Things by their boxes, found through square cells; results come in the order of adding."""

    def __init__(self, cell: float = 40.0) -> None:
        self._cell = cell
        self._cells: dict[tuple[int, int], list[int]] = {}
        self._items: list[tuple[Box, T]] = []

    def _keys(self, box: Box) -> Iterator[tuple[int, int]]:
        cell = self._cell
        for column in range(math.floor(box.left / cell), math.floor(box.right / cell) + 1):
            for row in range(math.floor(box.bottom / cell), math.floor(box.top / cell) + 1):
                yield column, row

    def add(self, box: Box, item: T) -> None:
        """Store an item under its box."""
        for key in self._keys(box):
            self._cells.setdefault(key, []).append(len(self._items))
        self._items.append((box, item))

    def near(self, box: Box) -> list[T]:
        """Those whose boxes meet this one."""
        found = sorted({number for key in self._keys(box) for number in self._cells.get(key, ())})
        return [self._items[number][1] for number in found if self._items[number][0].meets(box)]
