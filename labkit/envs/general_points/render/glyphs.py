"""Outlines of the ranks and suits on a playing card, in this project's own hand.

No font is loaded: what FreeType makes of a font differs between its versions, and a picture has to have the
same pixels on every machine. Points are complex numbers, x to the right and y downwards, so that shifting,
scaling and turning a shape are arithmetic. A contour is a closed polygon, an array of points; contours that
turn clockwise on the screen (positive area) fill and the others cut holes.

A rank is a few pen strokes along a skeleton, and a style is the pen: an even one, a broad one held at an
angle that puts on serifs, or a thin round one in an uneven hand.
"""

from __future__ import annotations

import random
import re
from functools import cache
from typing import NamedTuple

import numpy as np

Contour = np.ndarray
"""Closed polygon: complex points, shape (points,)."""
Shape = tuple[Contour, ...]
STEPS = 10
"""Lines that a curve is made of."""


class Pen(NamedTuple):
    """What draws the strokes of a rank; lengths are in cap heights."""

    broad: float
    """Half the nib's longer side."""
    narrow: float
    """Half the nib's shorter side; the same as ``broad`` for a round nib."""
    turn: complex = 1
    """The direction of the longer side."""
    rounded: bool = False
    """Round ends instead of cut ones."""
    serifs: bool = False
    uneven: float = 0
    """How far a stroke strays from the skeleton; such a hand also slants."""

    def half(self, normal: np.ndarray) -> np.ndarray:
        """Half the thickness of a stroke whose unit normals are given, same shape."""
        seen = normal * np.conj(self.turn)
        return np.sqrt((self.broad * seen.real) ** 2 + (self.narrow * seen.imag) ** 2)


PENS = {
    "plain": Pen(0.095, 0.085),
    "serif": Pen(0.108, 0.034, 0.96 - 0.28j, serifs=True),
    "hand": Pen(0.080, 0.062, 0.8 - 0.6j, rounded=True, uneven=0.055),
}


class Skeleton(NamedTuple):
    """The strokes of a character in the unit square, which its pen's width is kept inside of."""

    width: float
    """In cap heights."""
    strokes: tuple[str, ...]
    """Paths as :func:`trace` reads them; a closing Z makes a ring."""
    feet: tuple[complex, ...] = ()
    """Where the serif style puts a serif."""
    balls: tuple[complex, ...] = ()
    """Where it ends a stroke in a ball."""


SKELETONS = {
    "A": Skeleton(0.74, ("M0 1L.45 0", "M1 1L.55 0", "M.15 .7L.85 .7"), (0 + 1j, 1 + 1j)),
    "0": Skeleton(0.6, ("M.5 0C.86 0 1 .22 1 .5C1 .78 .86 1 .5 1C.14 1 0 .78 0 .5C0 .22 .14 0 .5 0Z",)),
    "1": Skeleton(0.38, ("M1 0L1 1", "M.9 .03C.72 .15 .4 .22 0 .22"), (1 + 1j,)),
    "2": Skeleton(
        0.62,
        ("M0 .3C0 .1 .18 0 .5 0C.82 0 1 .12 1 .3C1 .52 .62 .66 .34 .82C.2 .9 .1 .94 .07 .98", "M0 1L1 1"),
        balls=(0.03 + 0.28j,),
    ),
    "3": Skeleton(
        0.62,
        (
            "M.02 .24C.04 .08 .2 0 .48 0C.78 0 .95 .1 .95 .25C.95 .4 .75 .47 .4 .47",
            "M.4 .47C.8 .47 1 .57 1 .73C1 .9 .8 1 .48 1C.2 1 .02 .92 0 .76",
        ),
        balls=(0.05 + 0.22j, 0.03 + 0.77j),
    ),
    "4": Skeleton(0.68, ("M.74 0L.74 1", "M.67 0L.07 .74", "M0 .7L1 .7"), (0.74 + 1j,)),
    "5": Skeleton(
        0.62,
        (
            "M.12 0L1 0",
            "M.12 0L.06 .5",
            "M.06 .47C.16 .4 .32 .36 .5 .36C.82 .36 1 .48 1 .67C1 .88 .8 1 .48 1C.22 1 .05 .92 0 .78",
        ),
        balls=(0.03 + 0.78j,),
    ),
    "6": Skeleton(
        0.62,
        (
            "M.94 .18C.9 .07 .74 0 .54 0C.18 0 0 .26 0 .67",
            "M.5 .4C.82 .4 1 .51 1 .7C1 .88 .82 1 .5 1C.18 1 0 .88 0 .7C0 .51 .18 .4 .5 .4Z",
        ),
        balls=(0.9 + 0.15j,),
    ),
    "7": Skeleton(0.6, ("M0 0L1 0", "M.98 .02C.76 .22 .5 .5 .44 .8", "M.451 .74L.4 1")),
    "8": Skeleton(
        0.62,
        (
            "M.5 0C.78 0 .92 .1 .92 .235C.92 .37 .78 .47 .5 .47C.22 .47 .08 .37 .08 .235C.08 .1 .22 0 .5 0Z",
            "M.5 .47C.82 .47 1 .57 1 .735C1 .9 .82 1 .5 1C.18 1 0 .9 0 .735C0 .57 .18 .47 .5 .47Z",
        ),
    ),
    "9": Skeleton(
        0.62,
        (
            "M.06 .82C.1 .93 .26 1 .46 1C.82 1 1 .74 1 .33",
            "M.5 0C.82 0 1 .12 1 .3C1 .49 .82 .6 .5 .6C.18 .6 0 .49 0 .3C0 .12 .18 0 .5 0Z",
        ),
        balls=(0.1 + 0.85j,),
    ),
    "J": Skeleton(0.56, ("M1 0L1 .66C1 .88 .82 1 .5 1C.18 1 0 .88 0 .66",), (1 + 0j,), (0.04 + 0.7j,)),
    "Q": Skeleton(
        0.72,
        (
            "M.5 0C.84 0 1 .2 1 .5C1 .8 .84 1 .5 1C.16 1 0 .8 0 .5C0 .2 .16 0 .5 0Z",
            "M.5 .6L.78 .83L1.05 1.05",
        ),
    ),
    "K": Skeleton(0.7, ("M0 0L0 1", "M.98 0L.1 .58", "M.3 .37L1 1"), (0, 1j, 0.98, 1 + 1j)),
}


SUITS = {
    "S": "M0 -.5C.09 -.33 .46 -.1 .46 .15C.46 .3 .36 .38 .25 .38C.15 .38 .07 .33 .03 .25C.04 .37 .09 .45 .17 .5L0 .5",
    "H": "M0 -.29C.04 -.41 .13 -.48 .25 -.48C.38 -.48 .5 -.38 .5 -.2C.5 .08 .1 .3 0 .5",
    "D": "M0 -.5C.09 -.32 .25 -.13 .38 0C.25 .13 .09 .32 0 .5",
    "C": "M0 -.15L.14 0L.035 .12C.05 .33 .09 .44 .17 .5L0 .5",
}
"""The right half of each suit, from the top of its middle line down; of a club, the stem under its leaves."""


def trace(path: str) -> np.ndarray:
    """The points of a path: M and L with a point, C with two control points and a point, all absolute.

    A curve becomes :data:`STEPS` lines.
    """
    points: list[complex] = []
    for command, numbers in re.findall(r"([MLC])([^MLCZ]*)", path):
        xy = [float(number) for number in numbers.split()]
        given = [complex(x, y) for x, y in zip(xy[::2], xy[1::2], strict=True)]
        if command == "C":
            p, (q, r, s) = points[-1], given
            for t in (step / STEPS for step in range(1, STEPS + 1)):
                u = 1 - t
                points.append(u * u * u * p + 3 * u * u * t * q + 3 * u * t * t * r + t * t * t * s)
        else:
            points += given
    return np.array(points)


def mirrored(path: str) -> Contour:
    """The outline whose right half is the path, from the top of the middle line to its bottom."""
    right = trace(path)
    return filled(np.concatenate([right, -np.conj(right[-2:0:-1])]))


def disc(centre: complex, radius: float, high: float = 0) -> Contour:
    """A circle, or an ellipse ``high`` in its other half axis."""
    k = 0.5523
    ring = trace(f"M0 -1C{k} -1 1 -{k} 1 0C1 {k} {k} 1 0 1C-{k} 1 -1 {k} -1 0C-1 -{k} -{k} -1 0 -1")[:-1]
    return centre + ring.real * radius + 1j * ring.imag * (high or radius)


def filled(contour: Contour) -> Contour:
    """The contour, turned the way that fills."""
    area = np.sum((np.conj(contour) * np.roll(contour, -1)).imag)
    return contour if area > 0 else contour[::-1]


def thinned(contour: Contour, tolerance: float) -> Contour:
    """The contour without the points that straight lines pass within the tolerance (Douglas and Peucker)."""
    far = int(np.argmax(_length(contour - contour[0])))
    out, home = contour[: far + 1], np.append(contour[far:], contour[0])
    return np.concatenate([_thinned(out, tolerance)[:-1], _thinned(home, tolerance)[:-1]])


def _thinned(line: np.ndarray, tolerance: float) -> np.ndarray:
    away = np.abs(((line - line[0]) * np.conj(_unit(line[-1:] - line[0]))).imag)
    worst = int(np.argmax(away))
    if away[worst] <= tolerance:
        return line[[0, -1]]
    return np.concatenate([_thinned(line[: worst + 1], tolerance)[:-1], _thinned(line[worst:], tolerance)])


def stroke(line: np.ndarray, pen: Pen, closed: bool = False) -> Shape:
    """The outline of a pen's stroke along a smooth line: one contour, or two for a ring."""
    ahead = _unit(np.roll(line, -1) - line) if closed else _unit(np.diff(line))
    before = np.roll(ahead, 1) if closed else np.concatenate([ahead[:1], ahead])
    after = ahead if closed else np.concatenate([ahead, ahead[-1:]])
    normal = 1j * _unit(before + after)
    # A corner is drawn out to its mitre, though never beyond twice the thickness.
    reach = normal * pen.half(normal) * np.minimum(2 / _length(before + after), 2)
    out, back = line + reach, line - reach
    if closed:
        outer, inner = sorted((filled(out), filled(back)), key=lambda ring: np.ptp(ring.real), reverse=True)
        return outer, inner[::-1]
    shape = (filled(np.concatenate([out, back[::-1]])),)
    if pen.rounded:
        shape += tuple(end + disc(0, pen.broad, pen.narrow) * pen.turn for end in (line[0], line[-1]))
    return shape


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / _length(vectors)


def _length(vectors: np.ndarray) -> np.ndarray:
    # Not np.abs: its last bit differs between machines, a square root's does not.
    return np.sqrt(vectors.real**2 + vectors.imag**2)


@cache
def suit_shape(suit: str) -> Shape:
    """The outline of S, H, D or C: one unit high, its box centred on zero."""
    if suit == "C":
        leaves = (-0.265j, 0.255 + 0.095j, -0.255 + 0.095j)
        return (mirrored(SUITS[suit]), *(disc(leaf, 0.235) for leaf in leaves))
    return (mirrored(SUITS[suit]),)


@cache
def rank_shape(rank: str, style: str = "plain") -> Shape:
    """The outline of a rank in a style of :data:`PENS`: one unit high, its box centred on zero."""
    if rank == "10":
        one, zero = _character("1", style), _character("0", style)
        pair = (*(z - 0.31 for z in one), *(z + 0.27 for z in zero))
        return tuple(0.7 * z.real + 1j * z.imag for z in pair)
    return _character(rank, style)


def _character(name: str, style: str) -> Shape:
    pen, bones = PENS[style], SKELETONS[name]
    level, upright = pen.half(np.array([1, 1j]))
    bend = random.Random(name).uniform(-pen.uneven, pen.uneven)

    def place(points: np.ndarray) -> np.ndarray:
        x, y = points.real, points.imag
        x, y = x + 4 * bend * y * (1 - y), y + bend * x * (1 - x)
        spot = (x - 0.5) * (bones.width - 2 * level) + 1j * (y - 0.5) * (1 - 2 * upright)
        return spot - 2 * pen.uneven * spot.imag

    shape: Shape = ()
    for path in bones.strokes:
        bone = trace(path)
        if path.endswith("Z"):
            shape += stroke(place(bone[:-1]), pen, closed=True)
        elif pen.rounded:
            shape += stroke(place(bone), pen)
        else:
            line = _reaching(place(bone), bone, pen)
            shape += _bar(line, pen) if len(line) == 2 else stroke(line, pen)
    if pen.serifs:
        shape += tuple(_slab(foot, pen) for foot in place(np.array(bones.feet, dtype=complex)))
        shape += tuple(disc(ball, 0.11) for ball in place(np.array(bones.balls, dtype=complex)))
    return shape


def _reaching(line: np.ndarray, bone: np.ndarray, pen: Pen) -> np.ndarray:
    """The line, with ends that meet the border of the skeleton's square drawn out by half the nib."""
    level, upright = pen.half(np.array([1, 1j]))
    line = line.copy()
    for end, beside in ((0, 1), (-1, -2)):
        out = complex(_unit(line[[end]] - line[[beside]])[0])
        if _steep(out) and bone[end].imag in (0, 1):
            line[end] += out * upright / abs(out.imag)
        elif not _steep(out) and bone[end].real in (0, 1):
            line[end] += out * level / abs(out.real)
    return line


def _bar(ends: np.ndarray, pen: Pen) -> Shape:
    """A straight stroke, cut level where it is steep and upright where it is flat, as letters are."""
    along = complex(_unit(np.diff(ends))[0])
    half = pen.half(np.array([1j * along]))[0]
    side = half / abs(along.imag) if _steep(along) else 1j * half / abs(along.real)
    p, q = ends
    return (filled(np.array([p - side, p + side, q + side, q - side])),)


def _steep(direction: complex) -> bool:
    return abs(direction.imag) > 0.5 * abs(direction.real)


def _slab(foot: complex, pen: Pen) -> Contour:
    """A serif: a thin slab under (or on) the end of a stem."""
    corner = 0.15 + 1j * pen.narrow
    return foot + np.array([-corner, corner.conjugate(), corner, -corner.conjugate()])
