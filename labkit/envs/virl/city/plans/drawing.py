"""The result of a plan, and the lines that plans share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from labkit.envs.virl.city.network import Way
from labkit.envs.virl.geometry import Box, point_distance, rounded
from labkit.envs.virl.records import Point


@dataclass
class Drawing:
    """The ways, water and parks of one plan. Streets get their names later, from the city's words."""

    ways: list[Way] = field(default_factory=list)
    water: list[tuple[Point, ...]] = field(default_factory=list)
    """Convex pieces, each a few metres long. A piece that a street crosses is left out: a bridge."""
    parks: list[tuple[Point, ...]] = field(default_factory=list)

    def way(self, points: Iterable[tuple[float, float]], width: float, kind: str = "street") -> None:
        """Add a way. Its name is ``kind`` and a number, such as ``lane 7``."""
        number = sum(way.name.startswith(kind) for way in self.ways)
        self.ways.append(Way(tuple(rounded(*point) for point in points), f"{kind} {number}", width))

    def canal(self, line: Sequence[tuple[float, float]], width: float) -> None:
        """Add water along a line, in pieces."""
        banks = (
            [rounded(*p) for p in _offset(line, width / 2)],
            [rounded(*p) for p in _offset(line, -width / 2)],
        )
        for i in range(len(line) - 1):
            self.water.append((banks[1][i], banks[1][i + 1], banks[0][i + 1], banks[0][i]))

    def park(self, outline: Iterable[tuple[float, float]]) -> None:
        """Add a park, where no building stands."""
        self.parks.append(tuple(rounded(*point) for point in outline))


def joined(pieces: Sequence[tuple[Point, ...]]) -> tuple[tuple[Point, ...], ...]:
    """The pieces of water, those in a straight line joined. All are convex quadrilaterals."""
    whole: list[tuple[Point, ...]] = []
    for piece in pieces:
        right, right_end, left_end, left = piece
        if whole and whole[-1][1] == right and whole[-1][2] == left:
            before = whole[-1]
            if max(point_distance(right, before[0], right_end), point_distance(left, before[3], left_end)) < 0.02:
                whole[-1] = (before[0], right_end, left_end, before[3])
                continue
        whole.append(piece)
    return tuple(whole)


def _offset(line: Sequence[tuple[float, float]], by: float) -> list[tuple[float, float]]:
    """A line moved to its left by some metres."""
    moved = []
    for i, (x, y) in enumerate(line):
        (ax, ay), (bx, by_) = line[max(i - 1, 0)], line[min(i + 1, len(line) - 1)]
        size = math.hypot(bx - ax, by_ - ay)
        moved.append((x - (by_ - ay) / size * by, y + (bx - ax) / size * by))
    return moved


def rotated(point: tuple[float, float], degrees: float) -> tuple[float, float]:
    """A point rotated about the origin, clockwise: what pointed north points to the heading ``degrees``."""
    sin, cos = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    return point[0] * cos + point[1] * sin, point[1] * cos - point[0] * sin


def polar(radius: float, heading: float, centre: tuple[float, float] = (0.0, 0.0)) -> tuple[float, float]:
    """The point at a distance and heading from a centre."""
    angle = math.radians(heading)
    return centre[0] + radius * math.sin(angle), centre[1] + radius * math.cos(angle)


def arc(
    radius: float, start: float, end: float, centre: tuple[float, float] = (0.0, 0.0), step: float = 12.0
) -> list[tuple[float, float]]:
    """The points of an arc between two headings from its centre, about ``step`` metres apart."""
    count = max(2, round(radius * math.radians(abs(end - start)) / step))
    return [polar(radius, start + (end - start) * i / count, centre) for i in range(count + 1)]


def line(a: tuple[float, float], b: tuple[float, float], step: float = 8.0) -> list[tuple[float, float]]:
    """The points of a straight line, about ``step`` metres apart."""
    count = max(1, round(math.dist(a, b) / step))
    return [(a[0] + (b[0] - a[0]) * i / count, a[1] + (b[1] - a[1]) * i / count) for i in range(count + 1)]


def curve(shape: Callable[[float], float], start: float, end: float, step: float = 12.0) -> list[tuple[float, float]]:
    """The points of y = shape(x), about ``step`` metres of x apart."""
    count = max(1, round(abs(end - start) / step))
    xs = [start + (end - start) * i / count for i in range(count + 1)]
    return [(x, shape(x)) for x in xs]


def clipped(
    a: tuple[float, float], b: tuple[float, float], corners: Sequence[tuple[float, float]]
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """The part of an infinite line inside a convex polygon, 4 m longer at each end; None if it is below 30 m.

    Args:
        corners: counter-clockwise.
    """
    dx, dy = b[0] - a[0], b[1] - a[1]
    low, high = -math.inf, math.inf
    for (px, py), (qx, qy) in zip(corners, [*corners[1:], corners[0]], strict=True):
        nx, ny = py - qy, qx - px
        slope, level = nx * dx + ny * dy, nx * (px - a[0]) + ny * (py - a[1])
        if slope > 1e-9:
            low = max(low, level / slope)
        elif slope < -1e-9:
            high = min(high, level / slope)
        elif level > 0:
            return None
    size = math.hypot(dx, dy)
    if (high - low) * size < 30.0:
        return None
    low, high = low - 4.0 / size, high + 4.0 / size
    return (a[0] + low * dx, a[1] + low * dy), (a[0] + high * dx, a[1] + high * dy)


def rectangle(box: Box) -> list[tuple[float, float]]:
    """The corners of a box, counter-clockwise."""
    return [(box.left, box.bottom), (box.right, box.bottom), (box.right, box.top), (box.left, box.top)]
