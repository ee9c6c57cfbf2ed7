"""A street network from the lines of a plan: a node wherever lines cross, a street between two nodes.

A plan only gives lines (:class:`Way`). This module makes the network connected, and the angles between streets wide
enough to tell them apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from labkit.envs.virl.geometry import Box, Index, along, bearing, between, crossing, length, rounded, turn
from labkit.envs.virl.records import Point, Street

MIN_ANGLE = 30.0
"""Degrees between two streets at a junction, at least. Below that, words and pictures cannot tell them apart."""
MIN_LENGTH = 26.0
"""Metres: a shorter street is contracted into one junction."""
TOUCH = 0.05
"""Metres between a way and the one it ends at, at most. Plans round to the centimetre, so a gap is possible."""
SMOOTH = 25.0
"""Degrees: a way that bends by less at a node without other streets is one street."""


@dataclass(frozen=True, slots=True)
class Way:
    """A line of a plan: a street with one name, through any number of junctions."""

    points: tuple[Point, ...]
    name: str
    width: float


@dataclass(slots=True)
class _Edge:
    """A street whose ends may still change."""

    a: int
    b: int
    points: list[Point]
    name: str
    width: float

    def departure(self, node: int) -> float:
        """The heading from a node to the point 12 m along the street."""
        points = self.points if node == self.a else self.points[::-1]
        return bearing(points[0], along(points, 12.0)[0])


def network(ways: Sequence[Way]) -> tuple[tuple[Point, ...], tuple[Street, ...]]:
    """The nodes and streets of a plan's ways: connected, with a node at every crossing.

    Streets shorter than :data:`MIN_LENGTH` are contracted and stubs are dropped. Of two streets that leave a junction
    less than :data:`MIN_ANGLE` apart, the narrower one is dropped, or else the shorter one.
    """
    nodes, edges = _split(ways)
    edges = _tidy(nodes, edges)
    used = sorted({end for edge in edges for end in (edge.a, edge.b)})
    number = {old: new for new, old in enumerate(used)}
    streets = tuple(Street(number[edge.a], number[edge.b], tuple(edge.points), edge.width, edge.name) for edge in edges)
    return tuple(nodes[old] for old in used), streets


def _split(ways: Sequence[Way]) -> tuple[list[Point], list[_Edge]]:
    """Nodes and edges: every way is cut where another one crosses or touches it."""
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
    """Apply the rules until none changes anything. Each change removes an edge, so this ends."""
    while True:
        before = len(edges)
        edges = _largest_component(edges)
        edges = _drop_stubs(edges)
        edges = _contract_shortest(nodes, edges)
        edges = _merge_continued(edges)
        edges = _drop_acute(edges)
        if len(edges) == before:
            return edges


def _edges_at(edges: Sequence[_Edge]) -> dict[int, list[_Edge]]:
    """The edges at each node."""
    meeting: dict[int, list[_Edge]] = {}
    for edge in edges:
        meeting.setdefault(edge.a, []).append(edge)
        meeting.setdefault(edge.b, []).append(edge)
    return meeting


def _largest_component(edges: list[_Edge]) -> list[_Edge]:
    meeting = _edges_at(edges)
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


def _drop_stubs(edges: list[_Edge]) -> list[_Edge]:
    """Drop short dead ends: a way runs a little past the last one that it crosses."""
    meeting = _edges_at(edges)
    return [
        edge
        for edge in edges
        if length(edge.points) >= MIN_LENGTH or min(len(meeting[edge.a]), len(meeting[edge.b])) > 1
    ]


def _contract_shortest(nodes: list[Point], edges: list[_Edge]) -> list[_Edge]:
    """Contract the shortest street, if it is too short, into the end where more streets meet."""
    meeting = _edges_at(edges)
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
    """The line with another start. Bends near the new start are dropped, so that it leaves straight."""
    far = [point for point in points[1:-1] if math.dist(point, start) > 25.0]
    return [start, *far, points[-1]]


def _merge_continued(edges: list[_Edge]) -> list[_Edge]:
    """Merge two streets of one name that continue each other at a node without other streets."""
    meeting = _edges_at(edges)
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


def _drop_acute(edges: list[_Edge]) -> list[_Edge]:
    """Drop one of two streets that leave a junction in nearly one direction: the narrower, or else the shorter."""
    for node, meeting in _edges_at(edges).items():
        headings = [edge.departure(node) for edge in meeting]
        for i, one in enumerate(meeting):
            for j, other in enumerate(meeting[:i]):
                if one is not other and abs(turn(headings[i], headings[j])) < MIN_ANGLE:
                    lesser = min(one, other, key=lambda edge: (edge.width, length(edge.points)))
                    return [edge for edge in edges if edge is not lesser]
    return edges
