"""The face of each of the 52 cards, as layers of colour on a card of 500 x 700 units.

The origin is the middle of the card, so that turning a shape half round is a minus sign. Pips stand where
they stand on any French-suited deck; jack, queen and king are this project's own figures.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from labkit.envs.general_points.render.glyphs import (
    Contour,
    Pen,
    Shape,
    disc,
    filled,
    mirrored,
    rank_shape,
    stroke,
    suit_shape,
    trace,
)

WIDTH, HEIGHT = 500, 700
CORNER = 30
"""Radius of a card's corners, in units."""
LINE = 4.4
"""Thickness of an outline, in units."""
PAPER, EDGE = "#fffefa", "#bdb8aa"


class Layer(NamedTuple):
    """Shapes of one colour; later layers cover earlier ones."""

    fill: str
    shape: Shape
    line: str = ""
    """Colour of an outline :data:`LINE` units thick, if there is one."""


class Palette(NamedTuple):
    """What a card is printed in; only ink, accent and tint depend on its suit."""

    ink: str
    accent: str
    tint: str
    gold: str = "#e2ab3d"
    skin: str = "#f8e4c8"
    panel: str = "#fcf6e8"
    paper: str = PAPER


BLACK = Palette("#17181c", "#3f5878", "#d5dbe4")
RED = Palette("#c8102e", "#7c0f22", "#f3d3d0")
BACK = "#2c4a7c"

PIP, ACE = 86, 260
"""Heights of a pip and of an ace's only one, in units."""


def _pips(rank: int) -> list[complex]:
    """Where the pips of 2 to 10 stand."""
    column, top, high = 92, -240, -80
    sides = {4: (top, -top), 6: (top, 0, -top), 9: (top, high, -high, -top)}
    middles = {2: (top, -top), 3: (top, 0, -top), 5: (0,), 7: (top / 2,), 8: (top / 2, -top / 2), 9: (0,)}
    middles[10] = ((top + high) / 2, -(top + high) / 2)
    side = next((sides[least] for least in (9, 6, 4) if rank >= least), ())
    return [complex(x, y) for x in (-column, column) for y in side] + [1j * y for y in middles.get(rank, ())]


def rounded_box(wide: float, high: float, corner: float) -> Contour:
    """A box with round corners around the origin."""
    x, y, k = wide / 2, high / 2, corner * 0.4477
    quarter = trace(f"M{x - corner} {-y}C{x - k} {-y} {x} {k - y} {x} {corner - y}")
    right = np.concatenate([quarter, np.conj(quarter)[::-1]])
    return np.concatenate([right, -np.conj(right)[::-1]])


@lru_cache(maxsize=256)
def card_layers(rank: str, suit: str, glyphs: str = "plain") -> tuple[Layer, ...]:
    """The layers of a card, from the paper up; points in units, rounded to be the same everywhere."""
    palette = RED if suit in "HD" else BLACK
    index = [108 * z + (-195 - 262j) for z in rank_shape(rank, glyphs)]
    index += [66 * z + (-195 - 157j) for z in suit_shape(suit)]
    layers = [
        Layer(EDGE, (rounded_box(WIDTH, HEIGHT, CORNER),)),
        Layer(PAPER, (rounded_box(WIDTH - 5, HEIGHT - 5, CORNER - 2.5),)),
        Layer(palette.ink, _twice(index)),
    ]
    if rank == "A":
        layers += _ace(suit, palette)
    elif rank in FIGURES:
        layers += _court(rank, suit, palette)
    else:
        pips = [PIP * (z if at.imag <= 0 else -z) + at for at in _pips(int(rank)) for z in suit_shape(suit)]
        layers.append(Layer(palette.ink, tuple(pips)))
    return tuple(Layer(fill, tuple(np.round(z, 2) for z in shape), line) for fill, shape, line in layers)


@lru_cache(maxsize=1)
def back_layers() -> tuple[Layer, ...]:
    """The layers of a card that lies face down: a blue panel with a lattice on it."""
    panel = rounded_box(WIDTH - 60, HEIGHT - 60, 16)
    lattice = _lozenges(90, *(complex(x, y) for x in range(-160, 161, 80) for y in range(-250, 251, 100)))
    layers = [
        Layer(EDGE, (rounded_box(WIDTH, HEIGHT, CORNER),)),
        Layer(PAPER, (rounded_box(WIDTH - 5, HEIGHT - 5, CORNER - 2.5),)),
        Layer(BACK, (panel,)),
        Layer(PAPER, lattice),
    ]
    return tuple(Layer(fill, tuple(np.round(z, 2) for z in shape), line) for fill, shape, line in layers)


def _twice(shape: Shape | list[Contour]) -> Shape:
    """A shape and itself turned half round."""
    return (*shape, *(-z for z in shape))


def _ace(suit: str, palette: Palette) -> list[Layer]:
    if suit != "S":
        return [Layer(palette.ink, tuple(ACE * z for z in suit_shape(suit)))]
    # The ace of spades is the one that decks adorn; a heart upside down follows its outline.
    rim = -248 * suit_shape("H")[0] - 22j
    return [
        Layer(palette.ink, tuple(330 * z for z in suit_shape("S"))),
        Layer(palette.gold, (*stroke(rim, _BOLD, closed=True), *(88 * z - 16j for z in suit_shape("S")))),
    ]


_BOLD, _FINE = Pen(3.2, 3.2), Pen(1.8, 1.8)


def _court(rank: str, suit: str, palette: Palette) -> list[Layer]:
    """A framed panel with a figure, twice: upright, and turned half round below the sash."""
    panel = rounded_box(276, 584, 10)
    robe = trace("M-30 -122C-72 -112 -122 -92 -137 -52L-137 40L137 -40L137 -56C122 -94 72 -112 30 -122")
    pip = tuple(54 * z + (-105 - 251j) for z in suit_shape(suit))
    half = FIGURES[rank](palette, filled(robe)) + [Layer(palette.ink, pip)]
    sash = filled(trace("M-137 28L137 -52L137 -28L-137 52"))
    studs = _lozenges(11, *(complex(x, -x * 40 / 137) for x in range(-114, 115, 57)))
    return [
        Layer(palette.panel, (panel,)),
        *(Layer(fill, _twice(shape), line) for fill, shape, line in half),
        Layer(palette.gold, (sash,), palette.ink),
        Layer(palette.ink, studs),
        Layer(palette.ink, stroke(panel, _BOLD, closed=True)),
    ]


def _dots(radius: float, *centres: complex) -> Shape:
    return tuple(disc(centre, radius) for centre in centres)


def _lozenges(height: float, *centres: complex) -> Shape:
    return tuple(height * mirrored("M0 -.5L.36 0L0 .5") + centre for centre in centres)


def _pair(*right: complex) -> tuple[complex, ...]:
    """Points and their mirror images."""
    return (*right, *(-z.conjugate() for z in right))


def _face(palette: Palette) -> list[Layer]:
    """A calm face: brows, eyes, nose."""
    features = (
        *stroke(trace("M-23 -186C-18 -191 -11 -191 -7 -187"), _FINE),
        *stroke(trace("M23 -186C18 -191 11 -191 7 -187"), _FINE),
        *stroke(trace("M4 -184C5 -172 7 -164 9 -159C6 -156 1 -155 -3 -157"), _FINE),
        *_dots(3.9, *_pair(14 - 178j)),
    )
    return [Layer(palette.skin, (disc(-170j, 33, 43),), palette.ink), Layer(palette.ink, features)]


def _king(palette: Palette, robe: Contour) -> list[Layer]:
    blade = filled(trace("M92 -80L92 -258L98 -274L104 -258L104 -80"))
    hair = tuple(disc(x - 160j, 17, 34) for x in (-36, 36))
    collar = mirrored("M0 -118L34 -126C66 -118 96 -106 112 -88C92 -58 44 -44 0 -36")
    spots = _lozenges(13, *_pair(74 - 88j, 45 - 70j, 47 - 102j, 15 - 56j))
    beard = mirrored("M0 -150C8 -156 22 -154 33 -172C38 -128 22 -92 0 -76")
    mouth = mirrored("M0 -146C6 -146 10 -144 13 -140C9 -136 5 -135 0 -135")
    crown = mirrored("M0 -276L12 -240L33 -264L37 -236L61 -256L47 -204C32 -198 14 -196 0 -196")
    band = mirrored("M0 -214C14 -214 34 -216 49 -221L47 -206C32 -200 14 -198 0 -198")
    return [
        Layer(palette.tint, (blade,), palette.ink),
        Layer(palette.ink, (robe,)),
        Layer(palette.accent, (mirrored("M0 -60L26 -60L26 -6L0 0"),)),
        Layer(palette.paper, (collar,), palette.ink),
        Layer(palette.ink, spots),
        Layer(palette.accent, hair),
        *_face(palette),
        Layer(palette.accent, (beard,)),
        Layer(palette.skin, (mouth,)),
        Layer(palette.gold, (crown,), palette.ink),
        Layer(palette.ink, (band, *_dots(6.5, -279j, *_pair(34 - 267j, 62 - 260j)))),
        Layer(palette.gold, _lozenges(14, -206j, *_pair(22 - 208j))),
    ]


def _queen(palette: Palette, robe: Contour) -> list[Layer]:
    hair = mirrored("M0 -228C36 -228 54 -204 54 -168C54 -138 62 -122 70 -104C52 -92 34 -100 26 -116L0 -116")
    chest = mirrored("M0 -140L12 -138C12 -124 20 -118 40 -114C34 -92 16 -68 0 -54")
    neckline = stroke(trace("M-48 -116C-40 -88 -18 -62 0 -46C18 -62 40 -88 48 -116"), _BOLD)
    lips = mirrored("M0 -147C4 -149 8 -148 11 -145C8 -140 4 -138 0 -138")
    coronet = mirrored(
        "M0 -272C13 -260 12 -248 6 -242C16 -240 24 -246 28 -258C38 -248 36 -238 32 -232"
        "C40 -232 47 -236 52 -244L44 -206C30 -200 12 -198 0 -198"
    )
    jewels = (*_dots(5, -274j, *_pair(29 - 262j, 54 - 248j)), *_lozenges(15, -215j, *_pair(21 - 217j)))
    brocade = _lozenges(15, *_pair(79 - 84j, 60 - 62j, 98 - 62j, 41 - 40j), -79 - 40j, -60 - 18j, -98 - 18j)
    rose = 96 - 202j
    petals = (rose + 12 * z for z in (-1j, 0.95 - 0.31j, 0.59 + 0.81j, -0.59 + 0.81j, -0.95 - 0.31j))
    leaf = filled(trace("M97 -140C106 -160 118 -164 128 -162C124 -148 114 -138 97 -134"))
    return [
        Layer(palette.accent, (*stroke(trace("M98 -70C100 -120 96 -150 96 -190"), _BOLD), leaf)),
        Layer(palette.ink, _dots(14, *petals)),
        Layer(palette.gold, _dots(8.5, rose)),
        Layer(palette.ink, (robe,)),
        Layer(palette.accent, (hair,)),
        Layer(palette.skin, (chest,), palette.ink),
        Layer(palette.gold, neckline),
        *_face(palette),
        Layer(palette.ink, (lips,)),
        Layer(palette.paper, _dots(4.8, -86j, *_pair(11 - 89j, 21 - 97j))),
        Layer(palette.gold, brocade),
        Layer(palette.gold, (coronet,), palette.ink),
        Layer(palette.ink, jewels),
    ]


def _jack(palette: Palette, robe: Contour) -> list[Layer]:
    plume = filled(trace("M22 -228C40 -262 82 -286 126 -272C120 -238 84 -214 40 -216"))
    hair = mirrored("M0 -224C40 -224 48 -196 47 -166C47 -150 50 -142 52 -134C42 -126 30 -128 26 -138L0 -138")
    cap = trace("M-50 -204C-66 -236 -34 -258 2 -256C38 -256 66 -238 52 -206C30 -212 -26 -212 -50 -204")
    mouth = mirrored("M0 -145C4 -146 7 -145 10 -143C7 -140 4 -139 0 -139")
    ruff = _dots(12, *(complex(x, abs(x) / 9 - 111) for x in (38, -38, 19, -19, 0)))
    stripes = (f"M{x} -100L{x + 14} -100L{x + 14} {-0.29 * (x + 14)}L{x} {-0.29 * x}" for x in (-62, -7, 48))
    return [
        Layer(palette.gold, (plume,), palette.ink),
        Layer(palette.ink, stroke(trace("M24 -222C56 -236 88 -256 116 -266"), _FINE)),
        Layer(palette.ink, (robe,)),
        Layer(palette.gold, tuple(trace(stripe) for stripe in stripes)),
        Layer(palette.gold, (hair,), palette.ink),
        *_face(palette),
        Layer(palette.ink, (mouth,)),
        *(Layer(palette.paper, (bead,), palette.ink) for bead in ruff),
        Layer(palette.accent, (filled(cap),)),
        Layer(palette.gold, stroke(trace("M-48 -207C-26 -214 30 -214 50 -209"), Pen(5, 5))),
    ]


FIGURES = {"J": _jack, "Q": _queen, "K": _king}
