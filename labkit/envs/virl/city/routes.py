"""Routes through a generated city, from one landmark to another, with an instruction that is clear under both rules.

A route is the shortest way after each street's length is multiplied by a random factor, so that routes differ. It is
kept only if its instruction is clear:

* each leg between two milestones stays within :data:`BOW` of a straight line, since the rail runs straight;
* each milestone between start and end is a junction of three streets or more, where the route turns, bends or passes a
  landmark;
* at each milestone, the compass word and the relative word of the way out fit no other street but the way in.

Headings are whole degrees, distances whole metres, and coordinates have seven decimals (1 cm): the precision of the
authors' files, so that a route is the same after it was written and read.
"""

from __future__ import annotations

import hashlib
import heapq
import math
from random import Random
from typing import NamedTuple

from labkit.counting import counted
from labkit.envs.virl.city.blocks import stop_of
from labkit.envs.virl.city.cities import OTHER_CITIES, city
from labkit.envs.virl.geometry import (
    bearing,
    between,
    compass,
    edge_margin,
    length,
    point_distance,
    relation,
    turn,
)
from labkit.envs.virl.headings import turn_word
from labkit.envs.virl.records import (
    City,
    Landmark,
    LatLng,
    Milestone,
    Place,
    Point,
    Route,
    Sighting,
    to_latlng,
    to_point,
)
from labkit.errors import UsageError

SPLITS = ("train", "eval")
EVAL_SHARE = 0.2
"""Share of the pairs of landmarks whose routes are for evaluation, by a hash of their names."""
TURNS = (2, 8)
"""Fewest and most legs of a route: the turn at the start counts as the first turning point."""
BOW = 3.0
"""Metres: how far a leg may be from the straight line between its ends."""
SIGHT = 36.0
"""Metres: a milestone names a landmark that is nearer than this and whose front faces the milestone."""
FRONT = 75.0
"""Degrees: a front faces all places that are less than this off its direction."""
BEND = 20.0
"""Degrees: where the way bends by less at a junction, the walker goes straight on."""
MARGIN = 3.0
"""Degrees between a bearing and the border of its word's sector, at least."""
MIN_LEG = 14.0
"""Metres: the shortest leg."""


class _Stop(NamedTuple):
    """The place in front of a landmark where routes begin and end."""

    landmark: Landmark
    at: float
    point: Point


class _Leg(NamedTuple):
    """A straight part of a route."""

    line: tuple[Point, ...]
    node: int
    """The node where it ends; -1 at the destination."""


def routes(of: City, count: int, seed: int = 0, split: str = "train") -> list[Route]:
    """Routes through a city, in a fixed order: ten routes are the first ten of a hundred.

    Args:
        split: ``train`` or ``eval``. No pair of landmarks has routes in both, whatever the seeds.

    Raises:
        UsageError: the split is unknown, the count is negative, or the city has fewer routes.
    """
    if split not in SPLITS:
        raise UsageError(f"no split {split!r}: choose {' or '.join(SPLITS)}")
    if count < 0:
        raise UsageError(f"count is {count}; give a number of routes from 0")
    walker = _Walker(of)
    rng = Random(f"virl/routes/{of.name}/{of.seed}/{split}/{seed}")
    found: dict[tuple[str, str], Route] = {}
    for _ in range(2000 + 400 * count):
        if len(found) == count:
            break
        start, end = rng.sample(walker.stops, 2)
        pair = start.landmark.name, end.landmark.name
        if pair in found or _split_of(of, *pair) != split:
            continue
        prefix = f"{of.name}-{split}" + (f"-{seed}" if seed else "")
        route = walker.route(start, end, f"{prefix}-{len(found):04d}", rng)
        if route:
            found[pair] = route
    if len(found) < count:
        gave = counted(len(found), f"{split} route")
        raise UsageError(f"{of.name} gave {gave}, not {count}: ask for fewer, or another seed")
    return list(found.values())


def mini_benchmark(per_city: int = 2, seed: int = 0) -> list[Route]:
    """Evaluation routes in the nine test cities; by default 18, as in the paper's benchmark."""
    return [route for name in OTHER_CITIES for route in routes(city(name), per_city, seed, "eval")]


def sighting(of: City, place: LatLng, heading: float) -> Sighting | None:
    """The nearest landmark whose front faces a place and whose direction is clear; None if there is none.

    Args:
        heading: degrees; the relation (``left``, ``right`` ...) is relative to it.
    """
    here = to_point(place, of.origin)
    near = sorted(
        (math.dist(here, mark.point), mark.name, mark)
        for mark in of.landmarks
        if abs(mark.point.x - here.x) < SIGHT and abs(mark.point.y - here.y) < SIGHT
    )
    for distance, _, mark in near:
        towards = bearing(here, mark.point)
        shows = abs(turn(mark.facing, towards + 180)) < FRONT
        if distance < SIGHT and shows and edge_margin(towards - heading) > MARGIN:
            return Sighting(mark.name, relation(heading, towards))
    return None


def _split_of(of: City, one: str, other: str) -> str:
    """The split of a pair of landmarks, the same for both directions."""
    text = "\n".join((of.name, str(of.seed), *sorted((one, other))))
    share = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**32
    return "eval" if share < EVAL_SHARE else "train"


class _Walker:
    """A city's streets as a graph, and the places where routes can begin and end."""

    def __init__(self, of: City) -> None:
        self.city = of
        self.exits: list[list[int]] = [[] for _ in of.nodes]
        for number, street in enumerate(of.streets):
            self.exits[street.a].append(number)
            if street.b != street.a:
                self.exits[street.b].append(number)
        self.lengths = [length(street.points) for street in of.streets]
        self.stops = []
        for landmark in of.landmarks:
            at, point = stop_of(landmark, of.streets)
            if MIN_LEG < at < self.lengths[landmark.street] - MIN_LEG:
                self.stops.append(_Stop(landmark, at, point))

    def route(self, start: _Stop, end: _Stop, name: str, rng: Random) -> Route | None:
        """A route between two stops; None if its instruction would not be clear."""
        apart = math.dist(start.point, end.point)
        if start.landmark.street == end.landmark.street or not 60 < apart < 650:
            return None
        path = self._path(start, end, rng)
        legs = self._legs(start, end, path, rng) if path else None
        return self._milestones(start, end, legs, name, rng) if legs else None

    def _path(self, start: _Stop, end: _Stop, rng: Random) -> list[tuple[int, int]] | None:
        """Pairs of a street and the node that it leads to; the last is the destination's street, with node -1."""
        streets = self.city.streets
        stretch = [rng.uniform(1.0, 1.8) for _ in streets]
        first, last = start.landmark.street, end.landmark.street
        queue = [
            (start.at, streets[first].a, first, -1),
            (self.lengths[first] - start.at, streets[first].b, first, -1),
        ]
        heapq.heapify(queue)
        came: dict[int, tuple[int, int]] = {}
        goal = {streets[last].a, streets[last].b}
        while queue:
            cost, node, street, before = heapq.heappop(queue)
            if node in came:
                continue
            came[node] = street, before
            if node in goal:
                path = [(last, -1)]
                while node != -1:
                    street, before = came[node]
                    path.append((street, node))
                    node = before
                return path[::-1]
            for number in self.exits[node]:
                other = streets[number].b if streets[number].a == node else streets[number].a
                if other not in came and number not in (first, last):
                    heapq.heappush(queue, (cost + self.lengths[number] * stretch[number], other, number, node))
        return None

    def _lines(self, start: _Stop, end: _Stop, path: list[tuple[int, int]]) -> list[tuple[Point, ...]]:
        """The part of each street that the path follows, in walking order."""
        lines = []
        for (number, node), before in zip(path, [-1, *(node for _, node in path)], strict=False):
            street, whole = self.city.streets[number], self.lengths[number]
            if before == -1:
                low, high = (start.at, whole) if node == street.b else (0.0, start.at)
                forward = node == street.b
            elif node == -1:
                forward = before == street.a
                low, high = (0.0, end.at) if forward else (end.at, whole)
            else:
                forward, low, high = node == street.b, 0.0, whole
            line = between(street.points, low, high)
            lines.append(line if forward else line[::-1])
        return lines

    def _legs(self, start: _Stop, end: _Stop, path: list[tuple[int, int]], rng: Random) -> list[_Leg] | None:
        """The path as straight legs; None if a leg is not straight, too short, or there are too few or many."""
        lines = self._lines(start, end, path)
        legs: list[_Leg] = []
        line = lines[0]
        for (_, node), following in zip(path, lines[1:], strict=False):
            bend = abs(turn(bearing(line[-2], line[-1]), bearing(following[0], following[1])))
            straight = bend < BEND and _straight((*line, *following[1:]))
            # Some junctions with a landmark get a sentence although the walker goes straight on there.
            pause = straight and rng.random() < 0.12 and self._sighting(node, bearing(line[0], line[-1])) is not None
            if straight and not pause:
                line = (*line, *following[1:])
            else:
                legs.append(_Leg(line, node))
                line = following
        legs.append(_Leg(line, -1))
        sound = all(_straight(leg.line) and math.dist(leg.line[0], leg.line[-1]) >= MIN_LEG for leg in legs)
        return legs if sound and TURNS[0] <= len(legs) <= TURNS[1] else None

    def _milestones(self, start: _Stop, end: _Stop, legs: list[_Leg], name: str, rng: Random) -> Route | None:
        """The route of these legs; None if one of its turns is ambiguous."""
        headings = [round(bearing(leg.line[0], leg.line[-1])) % 360 for leg in legs]
        for i, (leg, heading) in enumerate(zip(legs, headings, strict=True)):
            if not (self._turns_clearly(legs[i - 1], leg, headings[i - 1], heading) if i else _clear(heading, leg)):
                return None
        aside = rng.choice((-20, 20))
        # In the authors' files 0 means a random first heading, so a given one is never 0.
        first_heading = (headings[0] + aside) % 360 or 1
        milestones = [self._milestone(legs[0].line[0], (), first_heading, headings[0], legs[0])]
        for before, leg, arriving, leaving in zip(legs, legs[1:], headings, headings[1:], strict=False):
            seen = self._sighting(before.node, arriving)
            milestones.append(self._milestone(leg.line[0], (seen,) if seen else (), arriving, leaving, leg))
        front = bearing(end.point, end.landmark.point)
        goal = Sighting(end.landmark.name, relation(headings[-1], front))
        milestones.append(self._milestone(end.point, (goal,), headings[-1], None, None))
        return Route(name, self.city.name, self._place(start), self._place(end), tuple(milestones))

    def _turns_clearly(self, before: _Leg, leg: _Leg, arriving: int, leaving: int) -> bool:
        """Whether the junction has three streets or more and the words for this turn fit only one of them."""
        exits = [self._departure(number, before.node) for number in self.exits[before.node]]
        if len(exits) < 3 or not _clear(leaving, leg):
            return False
        out, back = bearing(leg.line[0], leg.line[1]), bearing(before.line[-1], before.line[-2])
        others = [way for way in exits if min(abs(turn(way, out)), abs(turn(way, back))) > 1.0]
        word = turn_word(arriving, leaving)
        return turn_word(arriving, out) == word and all(
            turn_word(arriving, way) != word and compass(way) != compass(leaving) for way in others
        )

    def _departure(self, number: int, node: int) -> float:
        """The heading of a street where it leaves a node."""
        points = self.city.streets[number].points
        return bearing(points[0], points[1]) if self.city.streets[number].a == node else bearing(points[-1], points[-2])

    def _sighting(self, node: int, heading: float) -> Sighting | None:
        # Use the rounded place that a route stores: at the border of a sector a centimetre decides.
        return sighting(self.city, self._latlng(self.city.nodes[node]), round(heading))

    def _milestone(
        self,
        point: Point,
        sightings: tuple[Sighting, ...],
        arriving: float,
        leaving: float | None,
        leg: _Leg | None,
    ) -> Milestone:
        distance = round(math.dist(leg.line[0], leg.line[-1])) if leg else 0
        return Milestone(
            self._latlng(point),
            sightings,
            float(arriving),
            None if leaving is None else float(leaving),
            float(distance),
        )

    def _latlng(self, point: Point) -> LatLng:
        lat, lng = to_latlng(point, self.city.origin)
        return LatLng(round(lat, 7), round(lng, 7))

    def _place(self, stop: _Stop) -> Place:
        return Place(stop.landmark.name, self._latlng(stop.landmark.point))


def _straight(line: tuple[Point, ...]) -> bool:
    """Whether a polyline stays within :data:`BOW` of the straight line between its ends."""
    return all(point_distance(point, line[0], line[-1]) <= BOW for point in line[1:-1])


def _clear(heading: int, leg: _Leg) -> bool:
    """Whether street and leg have the same compass word, with both headings clear of its sector's border."""
    out = bearing(leg.line[0], leg.line[1])
    return compass(out) == compass(heading) and min(edge_margin(out), edge_margin(heading)) >= MARGIN / 2
