"""From lines drawn over a plain to a street network: junctions where lines cross, streets between them.

A plan only says which ways run where (:class:`Way`); that streets meet in nodes, at angles wide enough to be
told apart, and hang together, is settled here for all plans alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from labkit.envs.virl.geometry import Box, Index, along, bearing, between, crossing, length, rounded, turn
from labkit.envs.virl.records import Point, Street

MIN_ANGLE = 30.0
"""Degrees between two streets at a junction: less, and neither words nor pictures tell them apart."""
MIN_LENGTH = 26.0
"""Metres; shorter streets are drawn together into one junction."""
TOUCH = 0.05
"""Metres; plans round to the centimetre, so that a way may stop a hair short of the one it runs into."""
SMOOTH = 25.0
"""A way that bends by less than this where nothing else meets it is one street."""


@dataclass(frozen=True, slots=True)
class Way:
    """A line that a plan lays: a street of one name, through as many junctions as it likes."""

    points: tuple[Point, ...]
    name: str
    width: float


@dataclass(slots=True)
class _Edge:
    """A street in the making."""

    a: int
    b: int
    points: list[Point]
    name: str
    width: float

    def departure(self, node: int) -> float:
        """Heading on leaving a node, as seen after a car's length or two."""
        points = self.points if node == self.a else self.points[::-1]
        return bearing(points[0], along(points, 12.0)[0])


def network(ways: Sequence[Way]) -> tuple[tuple[Point, ...], tuple[Street, ...]]:
    """The nodes and streets of ways laid over each other: connected, without a crossing that is not a node.

    Streets shorter than 26 m are drawn together, stubs dropped, and of two streets that leave a junction at
    less than 30 degrees the lesser one goes.
    """
    nodes, edges = _split(ways)
    edges = _tidy(nodes, edges)
    used = sorted({end for edge in edges for end in (edge.a, edge.b)})
    number = {old: new for new, old in enumerate(used)}
    streets = tuple(Street(number[edge.a], number[edge.b], tuple(edge.points), edge.width, edge.name) for edge in edges)
    return tuple(nodes[old] for old in used), streets


def _split(ways: Sequence[Way]) -> tuple[list[Point], list[_Edge]]:
    """Cut every way where another one crosses or touches it."""
    segments: Index[tuple[int, Point, Point]] = Index()
    for number, way in enumerate(ways):
        for a, b in pairwise(way.points):
            segments.add(Box.around((a, b), 0.1), (number, a, b))
    nodes: list[Point] = []
    index: Index[int] = Index()

    def node_at(point: Point) -> int:
        for found in index.near(Box.around((point,), 2.0)):
            if math.dist(nodes[found], point) < 2.0:
                return found
        nodes.append(rounded(*point))
        index.add(Box.around((nodes[-1],)), len(nodes) - 1)
        return len(nodes) - 1

    edges: list[_Edge] = []
    for number, way in enumerate(ways):
        cuts = [(0.0, way.points[0]), (length(way.points), way.points[-1])]
        at = 0.0
        for a, b in pairwise(way.points):
            for other, c, d in segments.near(Box.around((a, b), 0.1)):
                hit = crossing(a, b, c, d, TOUCH) if other != number else None
                if hit:
                    cuts.append((at + hit[0] * math.dist(a, b), hit[1]))
            at += math.dist(a, b)
        cuts.sort()
        stops = [(distance, node_at(point)) for distance, point in cuts]
        for (start, first), (end, last) in pairwise(stops):
            if first != last:
                inner = [rounded(*point) for point in between(way.points, start, end)[1:-1]]
                edges.append(_Edge(first, last, [nodes[first], *inner, nodes[last]], way.name, way.width))
    return nodes, edges


def _tidy(nodes: list[Point], edges: list[_Edge]) -> list[_Edge]:
    """Repeat the rules until none applies; each takes at least one edge away, so this ends."""
    while True:
        before = len(edges)
        edges = _largest_component(edges)
        edges = _without_stubs(edges)
        edges = _drawn_together(nodes, edges)
        edges = _joined(edges)
        edges = _told_apart(edges)
        if len(edges) == before:
            return edges


def _at(edges: Sequence[_Edge]) -> dict[int, list[_Edge]]:
    """The edges at each node."""
    meeting: dict[int, list[_Edge]] = {}
    for edge in edges:
        meeting.setdefault(edge.a, []).append(edge)
        meeting.setdefault(edge.b, []).append(edge)
    return meeting


def _largest_component(edges: list[_Edge]) -> list[_Edge]:
    meeting = _at(edges)
    component: dict[int, int] = {}
    for start in meeting:
        frontier = [] if start in component else [start]
        while frontier:
            node = frontier.pop()
            if node not in component:
                component[node] = start
                frontier += [end for edge in meeting[node] for end in (edge.a, edge.b)]
    sizes: dict[int, int] = {}
    for edge in edges:
        sizes[component[edge.a]] = sizes.get(component[edge.a], 0) + 1
    largest = max(sizes, key=lambda name: sizes[name])
    return [edge for edge in edges if component[edge.a] == largest]


def _without_stubs(edges: list[_Edge]) -> list[_Edge]:
    """Ways are laid a little past the last one they cross; what sticks out goes."""
    meeting = _at(edges)
    return [
        edge
        for edge in edges
        if length(edge.points) >= MIN_LENGTH or min(len(meeting[edge.a]), len(meeting[edge.b])) > 1
    ]


def _drawn_together(nodes: list[Point], edges: list[_Edge]) -> list[_Edge]:
    """Contract the shortest street, if it is too short, into its busier end."""
    meeting = _at(edges)
    shortest = min(edges, key=lambda edge: length(edge.points))
    if length(shortest.points) >= MIN_LENGTH:
        return edges
    keep, gone = shortest.a, shortest.b
    if (len(meeting[gone]), -gone) > (len(meeting[keep]), -keep):
        keep, gone = gone, keep
    for edge in meeting[gone]:
        if edge.a == gone:
            edge.a, edge.points = keep, _moved(edge.points, nodes[keep])
        if edge.b == gone:
            edge.b, edge.points = keep, _moved(edge.points[::-1], nodes[keep])[::-1]
    return [edge for edge in edges if edge.a != edge.b]


def _moved(points: list[Point], start: Point) -> list[Point]:
    """A line that begins elsewhere: its bends near the new start go, so that it leaves straight."""
    far = [point for point in points[1:-1] if math.dist(point, start) > 25.0]
    return [start, *far, points[-1]]


def _joined(edges: list[_Edge]) -> list[_Edge]:
    """Make one street of two that merely run on into each other."""
    meeting = _at(edges)
    for node, pair in meeting.items():
        if len(pair) != 2 or pair[0].name != pair[1].name:
            continue
        one, other = pair
        far = {one.a, one.b, other.a, other.b} - {node}
        if len(far) == 2 and abs(turn(one.departure(node) + 180, other.departure(node))) < SMOOTH:
            first = one.points if one.b == node else one.points[::-1]
            second = other.points if other.a == node else other.points[::-1]
            a = one.a if one.b == node else one.b
            b = other.b if other.a == node else other.a
            joined = _Edge(a, b, [*first, *second[1:]], one.name, max(one.width, other.width))
            return [joined if edge is one else edge for edge in edges if edge is not other]
    return edges


def _told_apart(edges: list[_Edge]) -> list[_Edge]:
    """Drop the lesser (narrower, then shorter) of two streets that leave a junction side by side."""
    for node, meeting in _at(edges).items():
        headings = [edge.departure(node) for edge in meeting]
        for i, one in enumerate(meeting):
            for j, other in enumerate(meeting[:i]):
                if one is not other and abs(turn(headings[i], headings[j])) < MIN_ANGLE:
                    lesser = min(one, other, key=lambda edge: (edge.width, length(edge.points)))
                    return [edge for edge in edges if edge is not lesser]
    return edges
