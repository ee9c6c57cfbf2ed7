"""A city as arrays for drawing: walls, areas of the ground, and upright things such as trees.

All settings of ``City.look`` are optional: ``sky`` with colours ``top`` and ``horizon``; ``palette`` with colours
``ground``, ``pavement``, ``kerb``, ``road``, ``marking``, ``grass``, ``water``, ``leaf``; ``signage`` with colours
``board`` and ``ink`` and a ``script``, see :data:`signs.PENS`; ``haze``, the metres at which a colour is half the
horizon's; ``trees``, metres between street trees (0: none); and ``styles``, a mapping from a building's style to the
settings of :data:`facades.STYLE`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from labkit.envs.virl.geometry import Box, Index, ahead, along, inside, length, signed_area
from labkit.envs.virl.records import City, Landmark, Point, Street
from labkit.envs.virl.render import signs
from labkit.envs.virl.render.facades import Facades
from labkit.envs.virl.render.icons import kind_of
from labkit.envs.virl.render.textures import Colour, Texture, colour

SKY = {"top": "#5b8fd0", "horizon": "#d5e3ee"}
PALETTE = {
    "ground": "#a79f8c",
    "pavement": "#b9b4aa",
    "kerb": "#dedad0",
    "road": "#5a5c61",
    "marking": "#f2f0e6",
    "grass": "#7fa65a",
    "water": "#5f93b5",
    "leaf": "#4f8a3f",
}
HAZE = 420.0
"""Metres: the default of ``haze``."""
TREES = 16.0
"""Metres: the default of ``trees``."""
SUN = 215.0
"""Degrees: the heading of the sun."""
LOWEST = 3.0
"""Metres: the least height of a wall, which is above the eye."""
CORNERS = 12
"""Corners of the polygon that rounds off a bend."""
CROSSING_NEAR, CROSSING_FAR = 1.5, 4.5
"""Metres from the kerb of the crossing street to the near and the far border of a zebra crossing."""
FRONT = (5.0, 5.0)
"""Metres: half the width of a landmark's front, and its height."""


class Ground(NamedTuple):
    """Areas of one colour: the edges of counter-clockwise polygons."""

    paint: Colour
    edges: np.ndarray
    """Shape (4, edges): x and y of the start and of the end."""
    circles: np.ndarray
    """Shape (3, edges): x, y and radius of a circle around the edge's polygon."""
    reach: float
    """Metres within which the areas are drawn."""


class Walls(NamedTuple):
    """Arrays with an entry for each wall. Seen from outside, a wall starts on the left."""

    ends: np.ndarray
    """Shape (4, walls): x and y of the start and of the end."""
    length: np.ndarray
    height: np.ndarray
    attic: np.ndarray
    """Metres: the height of the roof above the wall."""
    peaked: np.ndarray
    """1 where the roof rises to the middle of the wall, 0 where it is level."""
    bays: np.ndarray
    floors: np.ndarray
    first: np.ndarray
    """Index of the style's first tile."""
    seed: np.ndarray
    """A whole number from which each window's variant follows."""
    paint: np.ndarray
    """Shape (walls, 3)."""
    light: np.ndarray
    """Brightness, from the angle to the sun; at most 1."""


class Things(NamedTuple):
    """Arrays with an entry for each upright flat picture: fronts, towers, trees, lamps, barriers."""

    place: np.ndarray
    """Shape (2, things): x and y of the middle of its foot."""
    side: np.ndarray
    """Shape (2, things): from there to the right end, seen from the front; zero if it always faces the viewer."""
    half: np.ndarray
    """Metres: half the width."""
    high: np.ndarray
    """Metres: the height."""
    reach: np.ndarray
    """Metres within which it is drawn."""
    textures: list[Texture]


@dataclass(frozen=True, eq=False)
class Scene:
    """All data for views of a city."""

    colours: dict[str, Colour]
    haze: float
    grounds: list[Ground]
    walls: Walls
    facades: Facades
    things: Things
    signage: signs.Signage
    landmarks: tuple[Landmark, ...]
    anchors: np.ndarray
    """Shape (landmarks, 2): x and y of their signs."""


def scene_of(city: City) -> Scene:
    """The scene of a city."""
    look = city.look
    palette = {**PALETTE, **SKY, **look.get("palette", {}), **look.get("sky", {})}
    colours = {name: colour(code) for name, code in palette.items()}
    styles = {"": {}, **{building.style: {} for building in city.buildings}, **look.get("styles", {})}
    facades = Facades(styles)
    anchors = [ahead(landmark.point, landmark.facing, 0.8) for landmark in city.landmarks]
    return Scene(
        colours,
        float(look.get("haze", HAZE)),
        list(_grounds(city, colours)),
        _walls(city, facades),
        facades,
        _things(city, colours["leaf"]),
        signs.signage(look.get("signage", {})),
        city.landmarks,
        np.array(anchors).reshape(-1, 2).round(6),
    )


def carriageway(width: float) -> float:
    """Metres between the kerbs of a street that is ``width`` metres wide between the facades."""
    return width - 2 * min(4.0, max(1.4, 0.22 * width))


def _grounds(city: City, colours: dict[str, Colour]) -> Iterable[Ground]:
    """The areas of the ground, in the order of painting."""
    yield _ground(colours["grass"], [_counter_clockwise(park) for park in city.parks], 300.0)
    yield _ground(colours["water"], [_counter_clockwise(water) for water in city.water], 300.0)
    meeting = _meeting(city)
    for paint, margin in ((colours["pavement"], None), (colours["kerb"], 0.3), (colours["road"], 0.0)):

        def half(street: Street, margin: float | None = margin) -> float:
            return street.width / 2 if margin is None else carriageway(street.width) / 2 + margin

        yield _ground(paint, [area for s in city.streets for area in _band(s.points, half(s))], 260.0)
        discs = [_disc(city.nodes[node], max(map(half, streets))) for node, streets in meeting.items()]
        bends = [_disc(point, half(s)) for s in city.streets for point in s.points[1:-1]]
        yield _ground(paint, discs + bends, 120.0)
    yield _ground(colours["marking"], [area for s in city.streets for area in _markings(s, meeting)], 90.0)


def _ground(paint: Colour, areas: Sequence[Sequence[tuple[float, float]]], reach: float) -> Ground:
    edges, circles = [], []
    for area in areas:
        x = (min(p[0] for p in area) + max(p[0] for p in area)) / 2
        y = (min(p[1] for p in area) + max(p[1] for p in area)) / 2
        radius = max(math.dist((x, y), p) for p in area)
        for p, q in pairwise((*area, area[0])):
            edges.append((*p, *q))
            circles.append((x, y, radius))
    table = np.array(edges).reshape(-1, 4).T.round(9), np.array(circles).reshape(-1, 3).T.copy()
    return Ground(paint, *table, reach)


def _counter_clockwise(outline: Sequence[Point]) -> Sequence[Point]:
    return outline if signed_area(outline) > 0 else outline[::-1]


def _band(points: Sequence[Point], half: float) -> Iterable[list[tuple[float, float]]]:
    """A rectangle along each segment of a line."""
    for a, b in pairwise(points):
        if a != b:
            yield _rectangle(a, b, 0.0, math.dist(a, b), -half, half)


def _disc(centre: Point, radius: float) -> list[tuple[float, float]]:
    """A polygon that rounds off a bend or a junction."""
    turns = [math.tau * corner / CORNERS for corner in range(CORNERS)]
    return [(centre.x + radius * math.cos(turn), centre.y + radius * math.sin(turn)) for turn in turns]


def _rectangle(
    a: Point,
    b: Point,
    start: float,
    end: float,
    right: float,
    left: float,
) -> list[tuple[float, float]]:
    """The corners of a rectangle along the line from a to b: two distances from a, two offsets to the left."""
    step = math.dist(a, b)
    ux, uy = (b.x - a.x) / step, (b.y - a.y) / step
    return [
        (a.x + ux * t - uy * s, a.y + uy * t + ux * s)
        for t, s in ((start, right), (end, right), (end, left), (start, left))
    ]


def _meeting(city: City) -> dict[int, list[Street]]:
    meeting: dict[int, list[Street]] = {}
    for street in city.streets:
        meeting.setdefault(street.a, []).append(street)
        meeting.setdefault(street.b, []).append(street)
    return meeting


def _markings(street: Street, meeting: dict[int, list[Street]]) -> Iterable[list[tuple[float, float]]]:
    """Zebra crossings and stop lines where the street meets two others or more, and dashes along its middle."""
    half = carriageway(street.width) / 2
    total, margins = length(street.points), []
    for node, points in ((street.a, street.points), (street.b, street.points[::-1])):
        others = [other for other in meeting[node] if other is not street]
        if len(others) < 2:
            margins.append(3.0)
            continue
        kerb = max(carriageway(other.width) for other in others) / 2
        margins.append(kerb + CROSSING_FAR + 3.0)
        if total < 2 * margins[-1]:
            continue
        start, (end, _) = points[0], along(points, kerb + CROSSING_FAR + 1.2)
        stripes = max(2, round(half - 0.2))
        for number in range(stripes):
            left = -half + 0.3 + (2 * half - 0.6) * (number + 0.25) / stripes
            wide = (2 * half - 0.6) * 0.5 / stripes
            yield _rectangle(start, end, kerb + CROSSING_NEAR, kerb + CROSSING_FAR, left, left + wide)
        stop = kerb + CROSSING_FAR + 0.8
        yield _rectangle(start, end, stop, stop + 0.4, -half + 0.2, half - 0.2)
    at = margins[0]
    while at + 3 < total - margins[1]:
        (a, _), (b, _) = along(street.points, at), along(street.points, at + 3)
        if a != b:
            yield _rectangle(a, b, 0, math.dist(a, b), -0.09, 0.09)
        at += 7


def _walls(city: City, facades: Facades) -> Walls:
    rows = []
    light = (math.sin(math.radians(SUN)), math.cos(math.radians(SUN)))
    for number, building in enumerate(city.buildings):
        style = facades.styles[building.style]
        rng = random.Random(f"{city.name}/{city.seed}/facade/{number}")
        wall = colour(rng.choice(style["walls"]))
        height = max(LOWEST, building.height)
        floors = max(1, round(height / style["floor"]))
        outline = _counter_clockwise(building.outline)
        for a, b in pairwise((*outline, outline[0])):
            long = math.dist(a, b)
            if not long:
                continue
            # The outside is to the right of a counter-clockwise edge; seen from there the wall starts on the left.
            glow = max(0.0, ((b.y - a.y) * light[0] - (b.x - a.x) * light[1]) / long)
            shade = round(0.72 + 0.28 * glow, 3)
            peaked = style["top"] == "gable" and long < 16
            attic = min(4.0, 0.45 * long) if peaked else 2.6 if style["top"] == "mansard" else 0.0
            rows.append(
                (
                    *a,
                    *b,
                    long,
                    height,
                    attic,
                    peaked,
                    max(1, round(long / style["bay"])),
                    floors,
                    facades.first[building.style],
                    rng.randrange(1 << 16),
                    *wall,
                    shade,
                )
            )
    table = np.array(rows, dtype=float).reshape(-1, 16).T.copy()
    whole = table[8:12].astype(np.int64)
    paint, light = table[12:15].T.astype(np.float32), table[15].astype(np.float32)
    return Walls(*[table[:4], *table[4:8], *whole, paint, light])


class _Thing(NamedTuple):
    """An entry of :class:`Things`."""

    place: Point
    facing: float | None
    half: float
    high: float
    reach: float
    texture: Texture


def _things(city: City, leaves: Colour) -> Things:
    things = [*_fronts(city), *_dead_ends(city), *_greenery(city, leaves)]
    # The right end, seen from the front, is to the left of the direction that the thing faces.
    sides = [
        (0.0, 0.0) if thing.facing is None else ahead(Point(0, 0), thing.facing - 90, thing.half) for thing in things
    ]
    return Things(
        np.array([thing.place for thing in things], dtype=float).reshape(-1, 2).T.copy(),
        np.round(np.array(sides).reshape(-1, 2).T, 9),
        np.array([thing.half for thing in things]),
        np.array([thing.high for thing in things]),
        np.array([thing.reach for thing in things]),
        [thing.texture for thing in things],
    )


def _fronts(city: City) -> Iterable[_Thing]:
    for landmark in city.landmarks:
        if kind_of(landmark.category).structure in signs.TALL:
            texture = signs.tall(landmark.category)
            half = 6.5
            high = 2 * half * texture.height / texture.width
            yield _Thing(ahead(landmark.point, landmark.facing, -9.0), None, half, high, 220.0, texture)
        front = ahead(landmark.point, landmark.facing, 0.3)
        yield _Thing(front, landmark.facing, *FRONT, 160.0, signs.front(landmark.category))


def _dead_ends(city: City) -> Iterable[_Thing]:
    for node, streets in _meeting(city).items():
        if len(streets) > 1:
            continue
        street = streets[0]
        points = street.points if street.b == node else street.points[::-1]
        end, heading = along(points, length(points))
        half = max(2.5, carriageway(street.width) / 2)
        yield _Thing(ahead(end, heading, 4.0), (heading + 180) % 360, half, 1.3, 120.0, signs.barrier())


def _greenery(city: City, leaves: Colour) -> Iterable[_Thing]:
    """Trees along the kerbs and in the parks, and lamps between them."""
    rng = random.Random(f"{city.name}/{city.seed}/trees")
    spacing = float(city.look.get("trees", TREES))
    crowns = [signs.tree(leaves, shape) for shape in range(3)]
    keep_clear: Index[Point] = Index()
    for landmark in city.landmarks:
        keep_clear.add(Box.around((landmark.point,), 11.0), landmark.point)
    for street in city.streets:
        aside = carriageway(street.width) / 2 + 0.9
        at, total, number = 18.0, length(street.points), 0
        while at < total - 18.0:
            centre, heading = along(street.points, at)
            spot = ahead(centre, heading + (90 if number % 2 else 270), aside)
            if not keep_clear.near(Box.around((spot,))):
                if spacing and number % 3 < 2:
                    half = rng.uniform(1.8, 2.6) if street.width > 11 else rng.uniform(1.2, 1.6)
                    yield _Thing(spot, None, half, 2 * half, 110.0, rng.choice(crowns))
                else:
                    yield _Thing(spot, None, 0.8, 6.4, 80.0, signs.lamp())
            at, number = at + (spacing or 24.0) / 2, number + 1
    for park in city.parks:
        box = Box.around(park)
        for _ in range(min(60, int(abs(signed_area(park)) / 90))):
            spot = Point(rng.uniform(box.left, box.right), rng.uniform(box.bottom, box.top))
            if inside(spot, park):
                half = rng.uniform(2.2, 3.6)
                yield _Thing(spot, None, half, 2 * half, 180.0, rng.choice(crowns))
