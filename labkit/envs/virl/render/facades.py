"""Textures of walls: tiles one bay wide and one floor high, in a city's styles.

A tile has trim, glass and doors; where it has none of these, the building's colour shows. Each tile is stored in every
combination of halvings across and down, since a wall along the street looks much narrower than high.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from labkit.envs.virl.render.textures import Canvas, colour, halved, mixed

SIDE = 64
"""Texture pixels along a side of a tile."""
LEVELS = SIDE.bit_length()
VARIANTS = 4
GROUND, MIDDLE, TOP, ATTIC = range(4)
"""Rows of a facade: at the street, between, below the roof, in the roof."""
SHADOW = (52, 56, 66)
STYLE: Mapping[str, Any] = {
    "walls": ("#b5654a", "#c9a37c", "#a9a39a", "#8d5a48"),
    "trim": "#e8e1d3",
    "glass": "#5d7890",
    "door": "#4c3528",
    "roof": "#5c4a44",
    "window": "tall",
    "top": "cornice",
    "floor": 3.4,
    "bay": 3.4,
    "balcony": False,
    "shutters": None,
    "shops": 0.5,
}
"""The default settings of a style: colours; the shape of its ``window`` (``tall``, ``square``, ``wide``, ``arched``,
``ribbon``) and of its ``top`` (``cornice``, ``flat``, ``gable``, ``mansard``, ``tiles``); metres of a ``floor`` and a
``bay``; whether it has balconies; the colour of its shutters; the share of ``shops`` on the ground floor."""
WINDOWS = {
    "tall": (0.30, 0.16, 0.70, 0.86),
    "square": (0.24, 0.26, 0.76, 0.80),
    "wide": (0.12, 0.28, 0.88, 0.78),
    "arched": (0.30, 0.30, 0.70, 0.86),
    "ribbon": (0.0, 0.30, 1.0, 0.84),
}
"""The left, top, right and bottom of a window, as fractions of its tile."""


class Facades:
    """The tiles of a city's styles in one array, at every level of halving."""

    def __init__(self, styles: Mapping[str, Mapping[str, Any]]) -> None:
        self.styles = {name: {**STYLE, **style} for name, style in styles.items()}
        tiles = np.array([tile for style in self.styles.values() for tile in drawn_tiles(style)])
        self.first = {name: number * 4 * VARIANTS for number, name in enumerate(self.styles)}
        self.start = np.zeros((LEVELS, LEVELS), dtype=np.int64)
        """Shape (LEVELS, LEVELS): index of the first texel of a level (halvings down, halvings across)."""
        pieces, at, tall = [], 0, tiles
        for down in range(LEVELS):
            both = tall
            for across in range(LEVELS):
                self.start[down, across] = at
                pieces.append(np.rint(both).reshape(-1, 4))
                at += len(pieces[-1])
                both = halved(both, 2)
            tall = halved(tall, 1)
        self.texels = np.concatenate(pieces).astype(np.float32)
        """Shape (texels, 4): red, green and blue times opacity, and the transparency; 0 to 255."""


def drawn_tiles(style: Mapping[str, Any]) -> list[np.ndarray]:
    """The tiles of a style, row by row, each in its variants; shape of one (SIDE, SIDE, 4), values 0 to 255."""
    tiles = []
    for row in (GROUND, MIDDLE, TOP, ATTIC):
        for variant in range(VARIANTS):
            canvas = Canvas(SIDE)
            DRAW[row](canvas, style, variant)
            pixels = canvas.pixels.copy()
            pixels[..., 3] = 255 * (1 - pixels[..., 3])
            tiles.append(pixels)
    return tiles


def _ground(canvas: Canvas, style: Mapping[str, Any], variant: int) -> None:
    trim, glass, door = (colour(style[key]) for key in ("trim", "glass", "door"))
    if variant < round(VARIANTS * style["shops"]):
        canvas.box(0.04, 0.20, 0.96, 1.0, trim)
        canvas.box(0.10, 0.28, 0.60 if variant == 0 else 0.90, 0.84, mixed(glass, SHADOW, 0.4))
        canvas.box(0.10, 0.28, 0.60 if variant == 0 else 0.90, 0.40, mixed(glass, (255, 255, 255), 0.35))
        if variant == 0:
            canvas.box(0.66, 0.28, 0.90, 1.0, door)
    elif variant == VARIANTS - 1:
        canvas.box(0.28, 0.22, 0.72, 1.0, trim)
        canvas.box(0.34, 0.28, 0.66, 1.0, door)
        canvas.box(0.34, 0.28, 0.66, 0.42, mixed(glass, SHADOW, 0.3))
    else:
        _window(canvas, style, variant)
    canvas.box(0, 0, 1, 0.05, mixed(trim, SHADOW, 0.25))


def _middle(canvas: Canvas, style: Mapping[str, Any], variant: int) -> None:
    _window(canvas, style, variant)
    if style["balcony"] and variant % 2:
        canvas.box(0.14, 0.84, 0.86, 0.97, mixed(colour(style["trim"]), SHADOW, 0.35))
        canvas.box(0.14, 0.66, 0.86, 0.70, SHADOW)
        for post in range(9):
            canvas.box(0.14 + 0.0875 * post, 0.68, 0.16 + 0.0875 * post, 0.86, SHADOW)


def _top(canvas: Canvas, style: Mapping[str, Any], variant: int) -> None:
    _middle(canvas, style, variant)
    trim = colour(style["trim"])
    if style["top"] == "tiles":
        canvas.box(0, 0, 1, 0.16, colour(style["roof"]))
        canvas.box(0, 0.16, 1, 0.20, SHADOW)
    elif style["top"] == "cornice":
        canvas.box(0, 0, 1, 0.10, trim)
        canvas.box(0, 0.10, 1, 0.13, mixed(trim, SHADOW, 0.6))
    else:
        canvas.box(0, 0, 1, 0.04, mixed(trim, SHADOW, 0.2))


def _attic(canvas: Canvas, style: Mapping[str, Any], variant: int) -> None:
    if style["top"] == "mansard":
        canvas.box(-1, -1, 2, 2, colour(style["roof"]))
        if variant % 2:
            canvas.box(0.26, 0.22, 0.74, 1.0, colour(style["trim"]))
            canvas.box(0.34, 0.32, 0.66, 0.92, mixed(colour(style["glass"]), SHADOW, 0.3))
    elif variant == 0:
        canvas.box(0.38, 0.3, 0.62, 0.75, mixed(colour(style["glass"]), SHADOW, 0.4))


def _window(canvas: Canvas, style: Mapping[str, Any], variant: int) -> None:
    trim, glass = colour(style["trim"]), colour(style["glass"])
    left, top, right, bottom = WINDOWS[style["window"]]
    if style["shutters"]:
        canvas.box(left - 0.17, top, right + 0.17, bottom, colour(style["shutters"]))
    if style["window"] == "arched":
        canvas.disc(0.5, top, (right - left) / 2 + 0.05, trim)
    canvas.box(left - 0.05, top - 0.04, right + 0.05, bottom + 0.06, trim)
    pane = mixed(glass, SHADOW, (0.25, 0.45, 0.1, 0.35)[variant])
    if style["window"] == "arched":
        canvas.disc(0.5, top, (right - left) / 2, pane)
    canvas.box(left, top, right, bottom, pane)
    canvas.box(left, top, right, top + (bottom - top) * 0.3, mixed(pane, (255, 255, 255), 0.25))
    middle = (left + right) / 2
    canvas.box(middle - 0.02, top, middle + 0.02, bottom, trim)
    canvas.box(left - 0.05, bottom + 0.02, right + 0.05, bottom + 0.06, mixed(trim, SHADOW, 0.5))


DRAW = {GROUND: _ground, MIDDLE: _middle, TOP: _top, ATTIC: _attic}
