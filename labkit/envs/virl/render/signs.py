"""Textures of the upright things in a scene: signs, shopfronts, towers, trees, lamps, barriers.

Each :class:`~labkit.envs.virl.render.textures.Texture` is drawn once, cached, and sampled at any size.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from labkit.envs.virl.render.icons import WHITE, draw_pictogram, kind_of
from labkit.envs.virl.render.lettering import width, wrapped, written
from labkit.envs.virl.render.textures import Canvas, Colour, Texture, colour, mixed

SHADOW = (40, 42, 50)
STONE = (222, 214, 196)
SIGN_ROWS = 64
"""Texture pixels: the height of a sign."""
LONGEST = 30
"""Characters of a name on a sign, at most."""
PENS = {
    "block": (0.066, 0.0, 1.0),
    "roman": (0.054, 0.0, 1.0),
    "gothic": (0.078, 0.0, 0.92),
    "slender": (0.048, 0.0, 0.88),
    "brush": (0.07, 0.16, 1.0),
    "heavy": (0.084, 0.0, 1.05),
    "round": (0.06, 0.0, 1.08),
    "stencil": (0.07, 0.0, 0.96),
    "copperplate": (0.05, 0.22, 1.0),
    "wide": (0.06, 0.0, 1.16),
}
"""The lettering of a city: thickness of the strokes, slant, and stretch of the letters."""


class Signage(NamedTuple):
    """The look of a city's signs."""

    board: Colour
    ink: Colour
    script: str
    """Key into :data:`PENS`."""


def signage(look: Mapping[str, Any]) -> Signage:
    """The signage of a city's ``look["signage"]``; the default is white block letters on dark."""
    script = look.get("script", "block")
    return Signage(
        colour(look.get("board", "#1f2a38")), colour(look.get("ink", "#ffffff")), script if script in PENS else "block"
    )


@lru_cache(maxsize=1024)
def sign(name: str, category: str, style: Signage) -> Texture:
    """A landmark's sign: the pictogram of its category, and its name in at most two lines of the city's lettering."""
    kind = kind_of(category)
    thick, slant, stretch = PENS[style.script]
    lines = wrapped(name[:LONGEST], 2)
    height = 0.46 if len(lines) == 1 else 0.34
    text = max(width(line, height) for line in lines) * stretch
    canvas = Canvas(SIGN_ROWS, 1.26 + text)
    canvas.box(0, 0, 99, 1, style.ink)
    canvas.box(0.04, 0.04, canvas.aspect - 0.04, 0.96, style.board)
    canvas.box(0.04, 0.04, 0.96, 0.96, colour(kind.paint))
    draw_pictogram(canvas, kind, category, 0.06, 0.06, 0.88)
    for number, line in enumerate(lines):
        top = 0.27 if len(lines) == 1 else 0.11 + 0.43 * number
        for path in written(line, 0.0, top, height):
            points = [(1.08 + x * stretch + (top + height - y) * slant, y) for x, y in path]
            canvas.line(points, thick, style.ink)
    return canvas.texture()


@lru_cache(maxsize=256)
def front(category: str) -> Texture:
    """A landmark's front at the street, twice as wide as high."""
    kind, canvas = kind_of(category), Canvas(96, 2.0)
    own = colour(kind.paint)
    draw = _portal if kind.structure in TALL else FRONTS[kind.structure]
    draw(canvas, own)
    draw_pictogram(canvas, kind, category, 0.86, 0.03, 0.28)
    return canvas.texture()


def _shopfront(canvas: Canvas, own: Colour) -> None:
    canvas.box(0, 0, 2, 1, mixed(own, SHADOW, 0.35))
    canvas.box(0, 0, 2, 0.34, own)
    for left, right in ((0.08, 0.74), (1.26, 1.92)):
        canvas.box(left, 0.48, right, 0.90, (196, 220, 226))
        gleam = [(left, 0.90), (left + 0.3, 0.48), (left + 0.45, 0.48), (left + 0.15, 0.90)]
        canvas.polygon(gleam, (226, 240, 242))
    canvas.box(0.82, 0.46, 1.18, 1, (60, 46, 40))
    canvas.box(0.86, 0.50, 1.14, 0.86, (178, 204, 212))
    for stripe in range(10):
        paint = WHITE if stripe % 2 else own
        canvas.box(0.2 * stripe, 0.34, 0.2 * stripe + 0.2, 0.46, paint)


def _portico(canvas: Canvas, own: Colour) -> None:
    canvas.box(0, 0.34, 2, 1, mixed(STONE, SHADOW, 0.45))
    canvas.polygon([(0, 0.36), (1, 0), (2, 0.36)], own)
    canvas.box(0, 0.33, 2, 0.40, STONE)
    for column in range(6):
        canvas.box(0.06 + 0.36 * column, 0.40, 0.20 + 0.36 * column, 0.94, STONE)
    canvas.box(0.86, 0.5, 1.14, 0.94, own)
    canvas.box(0, 0.93, 2, 1, mixed(STONE, SHADOW, 0.15))


def _entrance(canvas: Canvas, own: Colour) -> None:
    canvas.box(0, 0, 2, 1, mixed(STONE, own, 0.2))
    canvas.box(0, 0, 2, 0.34, own)
    for number in range(4):
        left = 0.08 + 0.34 * number + (0.56 if number > 1 else 0)
        canvas.box(left, 0.46, left + 0.26, 0.86, mixed(own, SHADOW, 0.6))
    canvas.box(0.74, 0.42, 1.26, 1, mixed(own, SHADOW, 0.3))
    canvas.box(0.80, 0.48, 0.98, 1, (186, 208, 216))
    canvas.box(1.02, 0.48, 1.20, 1, (186, 208, 216))


def _canopy(canvas: Canvas, own: Colour) -> None:
    canvas.box(0.1, 0.34, 1.9, 1, (70, 74, 84))
    for number in range(6):
        canvas.box(0.16 + 0.28 * number, 0.48, 0.38 + 0.28 * number, 1, (214, 200, 150))
    canvas.box(0, 0, 2, 0.36, own)
    canvas.box(0, 0.36, 2, 0.42, WHITE)


def _portal(canvas: Canvas, own: Colour) -> None:
    canvas.box(0, 0.34, 2, 1, STONE)
    canvas.polygon([(0, 0.36), (0.7, 0.0), (1.3, 0.0), (2, 0.36)], own)
    canvas.box(0, 0.34, 2, 0.39, mixed(STONE, SHADOW, 0.3))
    for middle, half in ((0.36, 0.13), (1.64, 0.13), (1.0, 0.24)):
        paint = mixed(own, SHADOW, 0.5) if half < 0.2 else (84, 58, 42)
        canvas.disc(middle, 0.62, half, paint)
        canvas.box(middle - half, 0.62, middle + half, 0.88 if half < 0.2 else 1.0, paint)


FRONTS = {"shop": _shopfront, "portico": _portico, "hall": _entrance, "canopy": _canopy}

TALL = {"spire": 2.6, "dome": 1.2, "pagoda": 1.6, "tower": 3.0}
"""The structures behind a front: height over width."""


@lru_cache(maxsize=64)
def tall(category: str) -> Texture:
    """The part of a landmark above the roofs."""
    kind = kind_of(category)
    ratio = TALL[kind.structure]
    canvas = Canvas(160, 1 / ratio)
    draw = {"spire": _spire, "dome": _dome, "pagoda": _pagoda, "tower": _tower}[kind.structure]
    draw(canvas, 1 / ratio, colour(kind.paint))
    return canvas.texture()


def _spire(canvas: Canvas, wide: float, own: Colour) -> None:
    middle = wide / 2
    canvas.box(middle - 0.13, 0.42, middle + 0.13, 1, STONE)
    canvas.box(middle, 0.42, middle + 0.13, 1, mixed(STONE, SHADOW, 0.2))
    canvas.polygon([(middle - 0.16, 0.43), (middle, 0.09), (middle + 0.16, 0.43)], own)
    canvas.line([(middle, 0.01), (middle, 0.1)], 0.012, SHADOW)
    canvas.line([(middle - 0.025, 0.035), (middle + 0.025, 0.035)], 0.012, SHADOW)
    for top in (0.5, 0.7):
        canvas.disc(middle, top, 0.045, SHADOW)
        canvas.box(middle - 0.045, top, middle + 0.045, top + 0.09, SHADOW)


def _dome(canvas: Canvas, wide: float, own: Colour) -> None:
    middle = wide / 2
    canvas.box(middle - 0.28, 0.58, middle + 0.28, 1, STONE)
    canvas.disc(middle, 0.56, 0.26, own, 0.3)
    canvas.line([(middle, 0.12), (middle, 0.3)], 0.015, (222, 184, 70))
    canvas.disc(middle, 0.13, 0.03, (222, 184, 70))
    canvas.box(middle - 0.30, 0.56, middle + 0.30, 0.62, mixed(STONE, SHADOW, 0.2))
    for side in (-0.365, 0.365):
        x = middle + side
        canvas.box(x - 0.03, 0.24, x + 0.03, 1, STONE)
        canvas.polygon([(x - 0.045, 0.25), (x, 0.1), (x + 0.045, 0.25)], own)


def _pagoda(canvas: Canvas, wide: float, own: Colour) -> None:
    middle = wide / 2
    canvas.line([(middle, 0.0), (middle, 0.2)], 0.02, (222, 184, 70))
    for number in range(4):
        top, half = 0.1 + 0.22 * number, 0.14 + 0.045 * number
        canvas.box(middle - half * 0.68, top + 0.1, middle + half * 0.68, top + 0.3, (240, 226, 200))
        eaves, ridge = half + 0.03, half * 0.5
        canvas.polygon(
            [(middle - eaves, top + 0.13), (middle - ridge, top), (middle + ridge, top), (middle + eaves, top + 0.13)],
            own,
        )


def _tower(canvas: Canvas, wide: float, own: Colour) -> None:
    middle = wide / 2
    canvas.box(middle - 0.11, 0.2, middle + 0.11, 1, mixed(STONE, own, 0.35))
    canvas.box(middle, 0.2, middle + 0.11, 1, mixed(STONE, own, 0.55))
    canvas.polygon([(middle - 0.14, 0.21), (middle, 0.02), (middle + 0.14, 0.21)], own)
    canvas.disc(middle, 0.31, 0.08, WHITE)
    canvas.line([(middle, 0.255), (middle, 0.31), (middle + 0.04, 0.33)], 0.012, SHADOW)
    canvas.box(middle - 0.13, 0.42, middle + 0.13, 0.44, own)


@lru_cache(maxsize=64)
def tree(leaves: Colour, shape: int) -> Texture:
    """A tree as high as wide; the shape is 0 to 2."""
    canvas = Canvas(96)
    canvas.line([(0.5, 1.0), (0.5, 0.5)], 0.05, (92, 68, 50))
    crowns = (
        ((0.5, 0.36, 0.30), (0.32, 0.46, 0.20), (0.68, 0.46, 0.20), (0.44, 0.24, 0.20)),
        ((0.5, 0.30, 0.24), (0.5, 0.48, 0.25), (0.42, 0.40, 0.22), (0.46, 0.20, 0.15)),
        ((0.36, 0.36, 0.22), (0.64, 0.34, 0.22), (0.5, 0.26, 0.22), (0.4, 0.3, 0.15)),
    )[shape]
    for x, y, radius in crowns[:3]:
        canvas.disc(x, y, radius, mixed(leaves, SHADOW, 0.25))
    for x, y, radius in crowns[:3]:
        canvas.disc(x - 0.03, y - 0.04, radius * 0.8, leaves)
    x, y, radius = crowns[3]
    canvas.disc(x, y, radius * 0.6, mixed(leaves, (255, 255, 220), 0.2))
    return canvas.texture()


@lru_cache(maxsize=1)
def lamp() -> Texture:
    """A street lamp, four times as high as wide."""
    canvas = Canvas(128, 0.25)
    canvas.line([(0.06, 1.0), (0.06, 0.08), (0.2, 0.05)], 0.018, SHADOW)
    canvas.disc(0.2, 0.06, 0.03, (248, 236, 190))
    return canvas.texture()


@lru_cache(maxsize=1)
def barrier() -> Texture:
    """A red and white fence at the end of a street, six times as wide as high."""
    canvas = Canvas(32, 6.0)
    for post in (0.3, 2.1, 3.9, 5.7):
        canvas.box(post - 0.06, 0.05, post + 0.06, 1, SHADOW)
    for top in (0.1, 0.5):
        for stripe in range(12):
            paint = WHITE if stripe % 2 else (206, 44, 44)
            canvas.box(0.5 * stripe, top, 0.5 * stripe + 0.5, top + 0.28, paint)
    return canvas.texture()


@lru_cache(maxsize=1)
def post() -> Texture:
    """A plain pole, four times as high as wide."""
    canvas = Canvas(32, 0.25)
    canvas.box(0.09, 0, 0.16, 1, SHADOW)
    return canvas.texture()
