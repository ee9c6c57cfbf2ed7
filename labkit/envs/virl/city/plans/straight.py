"""Plans of straight lines: grid, superblocks, boulevards, riverside, honeycomb."""

from __future__ import annotations

import math
from random import Random

from labkit.envs.virl.city.plans.drawing import Drawing, clipped, curve, rectangle, rotated
from labkit.envs.virl.geometry import Box


def grid(rng: Random) -> Drawing:
    """Two grids that meet at an angle along a seam, and one avenue across the blocks of the larger.

    The larger runs northeast and the smaller north, so that the eight compass words are about equally frequent.
    """
    plan = Drawing()
    tilt = 38.0
    across = [-400.0, -260.0, -120.0, 20.0, 160.0, 300.0, 400.0]
    up = [0.0, 90.0, 180.0, 270.0, 360.0, 450.0, 540.0, 630.0, 720.0]
    left, right = across[0], across[-1]
    closed = rng.sample([(i, j) for i in range(1, 5) for j in range(1, 7)], 5)
    for i, u in enumerate(across):
        for j in range(len(up) - 1):
            if (i, j) not in closed:
                plan.way([rotated((u, up[j]), tilt), rotated((u, up[j + 1]), tilt)], 22.0, f"avenue {i}")
    for v in up:
        width = 26.0 if v == 0 else 15.0
        plan.way([rotated((left, v), tilt), rotated((right, v), tilt)], width, "street")
    plan.way([rotated((across[1], up[7]), tilt), rotated((across[4], up[1]), tilt)], 24.0, "broadway")
    plan.park(rotated(p, tilt) for p in rectangle(Box(32, 282, 148, 348)))

    lower = [rotated(p, tilt) for p in rectangle(Box(left, -430, right, 0))]
    for step in range(-8, 9):
        for a, b, width, kind in (
            ((step * 105.0 + 20, 0.0), (step * 105.0 + 20, 1.0), 17.0, "low avenue"),
            ((0.0, step * 105.0), (1.0, step * 105.0), 14.0, "low street"),
        ):
            ends = clipped(a, b, lower)
            if ends:
                plan.way(ends, width, kind)
    plan.way([*lower[3:], *lower[:3]], 22.0, "drive")
    return plan


def superblocks(rng: Random) -> Drawing:
    """Very wide avenues around blocks of 270 m, with a loop of streets inside each block."""
    plan = Drawing()
    tilt, side = 7.0, 270.0
    lines = [(-2 + i) * side for i in range(5)]
    for at in lines:
        plan.way([rotated((at, lines[0] - 4), tilt), rotated((at, lines[-1] + 4), tilt)], 36.0, "prospect")
        plan.way([rotated((lines[0] - 4, at), tilt), rotated((lines[-1] + 4, at), tilt)], 36.0, "prospect")
    for x in lines[:-1]:
        for y in lines[:-1]:
            _courtyard(plan, rng, x, y, side, tilt)
    return plan


def _courtyard(plan: Drawing, rng: Random, x: float, y: float, side: float, tilt: float) -> None:
    """The streets of one superblock: a square loop with two ways out, and a passage or a park in the middle."""

    def spot(u: float, v: float) -> tuple[float, float]:
        return rotated((x + u, y + v), tilt)

    low, mid, high = 78.0, side / 2, side - 78.0
    doors = rng.sample(
        ((mid, -4, mid, low), (mid, high, mid, side + 4), (-4, mid, low, mid), (high, mid, side + 4, mid)), 2
    )
    plan.way([spot(low, mid), spot(low, low), spot(high, low), spot(high, mid)], 14.0, "court")
    plan.way([spot(low, mid), spot(low, high), spot(high, high), spot(high, mid)], 14.0, "court")
    for a, b, c, d in doors:
        plan.way([spot(a, b), spot(c, d)], 16.0, "passage")
    if rng.random() < 0.4:
        plan.way([spot(mid, low), spot(mid, high)], 14.0, "passage")
    else:
        plan.park(spot(u, v) for u, v in rectangle(Box(low + 26, low + 26, high - 26, high - 26)))


def boulevards(rng: Random) -> Drawing:
    """Square blocks, two wide diagonals that cross in a plaza, and a belt that cuts the corners."""
    plan = Drawing()
    tilt, side, reach = 12.0, 112.0, 4
    edge = reach * side
    box = Box(-edge, -edge, edge, edge)
    for step in range(-reach, reach + 1):
        at = step * side
        width = 24.0 if step in (-reach, reach) else 18.0
        # Two streets stop short of the plaza: there are four and five streets at a junction, not eight.
        for kind, ends in (("calle", ((at, -edge), (at, edge))), ("carrer", ((-edge, at), (edge, at)))):
            halves = (
                [ends]
                if step
                else [(ends[0], (0.5 * ends[0][0], 0.5 * ends[0][1])), ((0.5 * ends[1][0], 0.5 * ends[1][1]), ends[1])]
            )
            for a, b in halves:
                plan.way([rotated(a, tilt), rotated(b, tilt)], width, kind)
    for a, b in (
        ((box.left, box.bottom), (box.right, box.top)),
        ((box.left, box.top), (box.right, box.bottom)),
    ):
        plan.way([rotated(a, tilt), rotated(b, tilt)], 34.0, "diagonal")
    corner = rng.choice((-1, 1))
    for flip in (1, -1):
        plan.way(
            [
                rotated((-edge * flip, corner * flip * side), tilt),
                rotated((-corner * flip * side * corner, corner * flip * edge), tilt),
            ],
            30.0,
            "ronda",
        )
    plan.park(rotated(p, tilt) for p in rectangle(Box(side * 2 + 14, -side + 14, side * 3 - 14, -14)))
    return plan


def riverside(rng: Random) -> Drawing:
    """A long, narrow town on both banks of a river: promenades, back streets, few bridges."""
    plan = Drawing()
    phase = rng.uniform(0, math.tau)

    def river(x: float) -> float:
        return 46.0 * math.sin(x / 330.0 + phase)

    ends = -760.0, 760.0
    plan.canal(curve(river, ends[0] - 60, ends[1] + 60, 6.0), 52.0)
    for bank, rows in ((1, (39, 118, 202)), (-1, (39, 114))):
        for row, offset in enumerate(rows):
            short = 0 if row < 2 else 230
            beside = [(x, y + bank * offset) for x, y in curve(river, ends[0] + short, ends[1] - short)]
            plan.way(
                beside,
                20.0 if row == 0 else 13.0,
                "promenade" if row == 0 else "row",
            )
        x = ends[0] + 2
        while x < ends[1]:
            last = rows[-1] if abs(x) < ends[1] - 225 and rng.random() < 0.75 else rows[1]
            plan.way([(x, river(x) + bank * (rows[0] - 3)), (x, river(x) + bank * (last + 3))], 12.0, "gang")
            x += rng.uniform(66, 118)
    for x in (-560.0, -270.0, 20.0, 330.0, 610.0):
        x += rng.uniform(-25, 25)
        plan.way([(x, river(x) - 42), (x, river(x) + 42)], 16.0, "bridge")
    return plan


def honeycomb(rng: Random) -> Drawing:
    """Hexagons: three streets at every junction, 120 degrees apart; some cells are gardens."""
    plan = Drawing()
    side, tilt = 92.0, 2.0
    high = side * math.sqrt(3)

    def corners(column: int, row: int) -> list[tuple[float, float]]:
        x, y = column * 1.5 * side, (row + 0.5 * (column % 2)) * high
        return [
            (x + side * math.cos(math.radians(60 * k)), y + side * math.sin(math.radians(60 * k))) for k in range(6)
        ]

    cells = [(c, r) for c in range(-3, 4) for r in range(-3, 3) if abs(c) + 2 * abs(r + 0.5 * (c % 2)) < 8]
    gardens = rng.sample(cells, 6)
    seen: set[tuple[int, ...]] = set()
    for cell in cells:
        outline = corners(*cell)
        for a, b in zip(outline, [*outline[1:], outline[0]], strict=True):
            key = min((a, b), (b, a))
            mark = tuple(round(value) for point in key for value in point)
            if mark not in seen:
                seen.add(mark)
                plan.way([rotated(a, tilt), rotated(b, tilt)], 15.0, "comb")
        if cell in gardens:
            x, y = math.fsum(p[0] for p in outline) / 6, math.fsum(p[1] for p in outline) / 6
            plan.park(rotated((x + 0.52 * (p[0] - x), y + 0.52 * (p[1] - y)), tilt) for p in outline)
    return plan
