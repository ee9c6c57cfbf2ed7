"""Plans with curves or irregular lines: radial, canals, organic, hills, crescents."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from random import Random

from labkit.envs.virl.city.plans.drawing import Drawing, arc, curve, line, polar


def radial(rng: Random) -> Drawing:
    """Five avenues meet in a star. Rings cross them, with more spokes further out; the ramparts run in zigzag."""
    plan = Drawing()
    rings = [125.0, 215.0, 310.0, 405.0]
    walls = 500.0
    first = [72.0 * i + rng.uniform(-6, 6) + 10 for i in range(5)]
    second = [(a + b) / 2 for a, b in zip(first, [*first[1:], first[0] + 360], strict=True)]
    spokes = sorted(first + second)
    third = [(a + b) / 2 for a, b in zip(spokes, [*spokes[1:], spokes[0] + 360], strict=True)]
    for heading in first:
        plan.way([(0.0, 0.0), polar(walls + 40, heading)], 26.0, "allee")
    for heading in second:
        plan.way([polar(rings[0] - 3, heading), polar(walls - 30, heading)], 18.0, "gasse")
    for heading in third:
        plan.way([polar(rings[1] - 3, heading), polar(rings[3] + 3, heading)], 14.0, "steig")
    for number, radius in enumerate(rings):
        plan.way(arc(radius, spokes[0], spokes[0] + 360), 24.0 if number == 3 else 15.0, "ring")
    tips = [polar(walls + 40 if heading in first else walls - 35, heading) for heading in spokes]
    for a, b in zip(tips, [*tips[1:], tips[0]], strict=True):
        plan.way([a, b], 16.0, "wall")
    start, end = spokes[2] + 4.0, third[2] - 4.0
    plan.park([*arc(292, end, start), *arc(232, start, end)])
    return plan


def canals(rng: Random) -> Drawing:
    """Half a spider's web around a harbour: five-sided belts, a canal beside each, bridges at the spokes."""
    plan = Drawing()
    belts = [110.0, 225.0, 340.0, 455.0, 545.0]
    facets = [90.0 + 36 * i for i in range(6)]
    # Belts run straight between their corners. Spokes leave from the corners and from the middles of the sides.
    for number, radius in enumerate(belts):
        plan.way([polar(radius, heading) for heading in facets], 18.0, "gracht")
        if number < len(belts) - 1:
            corners = [polar(radius + 20, heading) for heading in facets]
            pieces = [p for a, b in pairwise(corners) for p in line(a, b, 3.0)[:-1]]
            plan.canal([*pieces, corners[-1]], 14.0)
    plan.way([(-belts[-1] - 4, 0.0), (belts[-1] + 4, 0.0)], 24.0, "kade")
    for heading in facets[1:-1]:
        plan.way([polar(belts[0] - 3, heading), polar(belts[-1] + 3, heading)], 14.0, "straat")
    for i, heading in enumerate(facets[:-1]):
        inner = belts[0] if i % 2 else belts[1]
        reach = math.cos(math.radians(18))
        plan.way(
            [polar(inner * reach - 3, heading + 18), polar(belts[-1] * reach + 3, heading + 18)],
            12.0,
            "steeg",
        )
    for i, heading in enumerate(facets[:-1]):
        for quarter in (9, 27):
            reach = math.cos(math.radians(18)) / math.cos(math.radians(abs(quarter - 18)))
            low = belts[2 + (i + quarter) % 2]
            plan.way(
                [polar(low * reach - 3, heading + quarter), polar(belts[-1] * reach + 3, heading + quarter)],
                11.0,
                "pad",
            )
    plan.canal(line((-620.0, 67.0), (620.0, 67.0), 60.0), 106.0)
    x = rng.choice((-1, 1)) * 40.0
    plan.park([(x - 22, -62), (x + 22, -62), (x + 22, -26), (x - 22, -26)])
    return plan


def organic(rng: Random) -> Drawing:
    """Irregular lanes: a Gabriel graph over random points, thinned, with bent edges."""
    plan = Drawing()
    points = [(0.0, 0.0)]
    for _ in range(6000):
        x, y = rng.uniform(-400, 400), rng.uniform(-340, 340)
        spread = 50.0 + 0.06 * math.hypot(x, y)
        if (x / 400) ** 2 + (y / 340) ** 2 < 1 and all(math.hypot(x - p, y - q) > spread for p, q in points):
            points.append((x, y))
    pairs = sorted((math.dist(a, b), a, b) for i, a in enumerate(points) for b in points[:i])
    meeting = dict.fromkeys(points, 0)
    for reach, a, b in pairs:
        if reach > 190:
            break
        middle = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
        free = all(math.dist(middle, c) >= reach / 2 - 1e-6 for c in points)
        if free and max(meeting[a], meeting[b]) < 5 and rng.random() < 0.94:
            meeting[a] += 1
            meeting[b] += 1
            plan.way(_bent(a, b, rng.uniform(-0.08, 0.08)), rng.choice((10.0, 11.0, 13.0)), "lane")
    return plan


def _bent(a: tuple[float, float], b: tuple[float, float], bend: float) -> list[tuple[float, float]]:
    """A parabola from a to b. Its height is ``bend`` times the distance."""
    nx, ny = (a[1] - b[1]) * bend, (b[0] - a[0]) * bend
    return [
        (x + nx * 4 * t * (1 - t), y + ny * 4 * t * (1 - t))
        for t, (x, y) in ((k / 6, (a[0] + (b[0] - a[0]) * k / 6, a[1] + (b[1] - a[1]) * k / 6)) for k in range(7))
    ]


def hills(rng: Random) -> Drawing:
    """Terraces that follow the slopes, with few steep links and hairpins between them, and dead ends."""
    plan = Drawing()
    phase = rng.uniform(0, math.tau)
    levels = [-380.0, -250.0, -125.0, 0.0, 120.0, 245.0, 370.0]

    def terrace(level: float, x: float) -> float:
        swell = 1 - abs(level) / 900
        return level + swell * (34 * math.sin(x / 120 + phase + level / 260) + 20 * math.sin(x / 61 + level / 90))

    half = [430 - abs(level) * 0.25 + rng.uniform(-30, 30) for level in levels]
    for level, reach in zip(levels, half, strict=True):
        plan.way(curve(partial(terrace, level), -reach, reach, 10.0), 15.0, "terrace")
    for i, (low, high) in enumerate(pairwise(levels)):
        side = 1 if i % 2 else -1
        a = side * half[i], terrace(low, side * half[i])
        b = side * half[i + 1], terrace(high, side * half[i + 1])
        middle = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
        bulge = side * math.dist(a, b) * 0.5
        plan.way(
            [
                (
                    middle[0] + (a[0] - middle[0]) * math.cos(math.pi * k / 12) + bulge * math.sin(math.pi * k / 12),
                    middle[1] + (a[1] - middle[1]) * math.cos(math.pi * k / 12),
                )
                for k in range(13)
            ],
            15.0,
            "hairpin",
        )
        xs = sorted(rng.sample(range(-4, 5), 7))
        for k, slot in enumerate(xs):
            x = slot * 88.0 + rng.uniform(-16, 16) + 22 * (i % 2)
            lean = rng.uniform(-26, 26)
            if k % 2:
                plan.way([(x, terrace(low, x) - 3), (x + lean, terrace(high, x + lean) + 3)], 11.0, "steps")
            else:
                up = rng.random() < 0.5
                base, over = (low, high) if up else (high, low)
                room = (terrace(over, x) - terrace(base, x)) * 0.58
                plan.way(
                    [
                        (x + lean * t * t, terrace(base, x) - math.copysign(3, room) * (t == 0) + room * t)
                        for t in (0.0, 0.25, 0.5, 0.75, 1.0)
                    ],
                    12.0,
                    "close",
                )
    return plan


def crescents(rng: Random) -> Drawing:
    """Two round places on a parade, with crescents and parks around them."""
    plan = Drawing()
    shift = rng.uniform(-12, 12)
    west, east = (-250.0, shift), (250.0, shift)
    plan.way([(-620.0, shift), (-250.0 - 68, shift)], 22.0, "parade")
    plan.way([(-250.0 + 68, shift), (250.0 - 68, shift)], 22.0, "parade")
    plan.way([(250.0 + 68, shift), (620.0, shift)], 22.0, "parade")
    for centre, start in ((west, 0.0), (east, 90.0)):
        plan.way(arc(70.0, start, start + 360, centre), 20.0, "circus")
        plan.park(arc(40.0, 0.0, 350.0, centre))
        for side in (0.0, 180.0):
            plan.way([polar(67, side, centre), polar(395, side, centre)], 16.0, "walk")
        for radius, reach in ((110.0, 180), (200.0, 180), (295.0, 180), (390.0, 130)):
            outward = -90.0 if centre is west else 90.0
            plan.way(arc(radius, outward - reach / 2, outward + reach / 2, centre), 15.0, "crescent")
    levels = [110.0, 200.0, 295.0, 390.0]
    for y in levels:
        for up in (1, -1):
            plan.way([(-254.0, shift + up * y), (254.0, shift + up * y)], 14.0, "place")
    for up in (1, -1):
        plan.way([(0.0, shift + up * 107), (0.0, shift + up * 394)], 13.0, "row")
        for x, swing in ((-125.0, 1), (125.0, -1)):
            plan.way(
                [(x + swing * 42 * math.sin(math.pi * k / 24), shift + up * (394 * k / 24)) for k in range(25)],
                15.0,
                "crescent",
            )
    for heading in (-128.0, -52.0):
        plan.way([polar(67, heading, west), polar(395, heading, west)], 13.0, "hill")
    for heading in (128.0, 52.0):
        plan.way([polar(67, heading, east), polar(395, heading, east)], 13.0, "hill")
    plan.park([(-62.0, shift + 22), (62.0, shift + 22), (62.0, shift + 92), (-62.0, shift + 92)])
    return plan
