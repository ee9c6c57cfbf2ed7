"""The street network of free navigation: points where a walker can stand, and which points are neighbours."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from labkit.envs.virl.geometry import Box, Index, along, bearing, length, point_distance
from labkit.envs.virl.records import City, LatLng, Point, Route, to_latlng, to_point
from labkit.errors import UsageError

PACE = 20.0
"""Metres between neighbouring points, at most."""
JOIN = 4.0
"""Metres: nearer milestones are one point. Two streets are further apart; a leg and its street are nearer."""
FAR = 100.0
"""Metres: a place that is farther from every street is outside the city."""


class Streets:
    """A network of points, compared by identity.

    Args:
        lines: centre lines of streets. Lines meet where their end points are equal.
        origin: the place that the points' coordinates, in metres, are relative to.
    """

    def __init__(self, lines: Iterable[Sequence[Point]], origin: LatLng) -> None:
        self.origin = origin
        numbers: dict[Point, int] = {}
        beside: list[dict[int, None]] = []
        for line in lines:
            parts = max(1, math.ceil(length(line) / PACE))
            inner = [along(line, length(line) * k / parts)[0] for k in range(1, parts)]
            ends = [line[0], *inner, line[-1]]
            for point in ends:
                if numbers.setdefault(point, len(beside)) == len(beside):
                    beside.append({})
            for a, b in pairwise(numbers[point] for point in ends):
                if a != b:
                    beside[a][b] = beside[b][a] = None
        self.points = tuple(numbers)
        self._ways = tuple(
            tuple((n, bearing(at, self.points[n])) for n in near) for at, near in zip(self.points, beside, strict=True)
        )

    @classmethod
    def of_city(cls, city: City) -> Streets:
        """All streets of a city."""
        return cls((street.points for street in city.streets), city.origin)

    @classmethod
    def of_routes(cls, routes: Sequence[Route]) -> Streets:
        """The streets along routes, where no city is known.

        Milestones within :data:`JOIN` metres of each other are one point, and a leg that comes that near a point leads
        through it. So routes along one street share it, and a walker can change from one to the other.
        """
        origin = routes[0].milestones[0].place
        places: Index[Point] = Index()

        def known(place: LatLng) -> Point:
            here = to_point(place, origin)
            near = [p for p in places.near(Box.around((here,), JOIN)) if math.dist(p, here) < JOIN]
            if not near:
                places.add(Box.around((here,)), here)
            return min(near, key=lambda p: math.dist(p, here), default=here)

        legs = [(known(a.place), known(b.place)) for route in routes for a, b in pairwise(route.milestones)]
        return cls(dict.fromkeys(piece for leg in legs for piece in _pieces(*leg, places)), origin)

    def ways(self, point: int) -> tuple[tuple[int, float], ...]:
        """The neighbours of a point, each with its bearing in degrees."""
        return self._ways[point]

    def bearings(self, point: int) -> list[float]:
        """The bearings, in degrees, of the streets that leave a point."""
        return [way for _, way in self._ways[point]]

    def place(self, point: int) -> LatLng:
        """The coordinates of a point."""
        return to_latlng(self.points[point], self.origin)

    def nearest(self, place: LatLng) -> int:
        """The point nearest to a place.

        Raises:
            UsageError: the point is more than :data:`FAR` metres away.
        """
        wanted = to_point(place, self.origin)
        distance, found = min((math.dist(point, wanted), n) for n, point in enumerate(self.points))
        if distance > FAR:
            raise UsageError(f"no street within {FAR:g} m of {place.lat:.6f}, {place.lng:.6f}; check these coordinates")
        return found

    def path(self, a: int, b: int) -> tuple[int, ...]:
        """The points along the shortest way from a to b, both included.

        Raises:
            UsageError: no way leads from a to b.
        """
        came, cost, frontier = {a: a}, {a: 0.0}, [(0.0, a)]
        while frontier:
            spent, at = heapq.heappop(frontier)
            if at == b:
                break
            for following, _ in self._ways[at]:
                total = spent + math.dist(self.points[at], self.points[following])
                if total < cost.get(following, math.inf):
                    cost[following], came[following] = total, at
                    heapq.heappush(frontier, (total, following))
        if b not in came:
            raise UsageError("no streets join two milestones of the route; check the route's milestones")
        back = [b]
        while back[-1] != a:
            back.append(came[back[-1]])
        return tuple(reversed(back))


def _pieces(a: Point, b: Point, places: Index[Point]) -> Iterator[tuple[Point, Point]]:
    """A leg, cut at the places that it passes. A piece has its ends in a fixed order, for either direction."""
    passed = [p for p in places.near(Box.around((a, b), JOIN)) if point_distance(p, a, b) < JOIN]
    for start, end in pairwise([a, *sorted({*passed} - {a, b}, key=lambda p: math.dist(a, p)), b]):
        yield min(start, end), max(start, end)
