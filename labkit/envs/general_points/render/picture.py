"""The picture of a hand that ``gp-vl`` shows: playing cards on a green table, at any resolution.

A picture is a recipe, :class:`Picture`, and the cards; :func:`draw` makes the same pixels of them on every
machine. For that, shapes are polygons (no font is loaded), how much of a pixel they cover is summed up by
arithmetic that rounds the same everywhere, and all blending is in whole numbers. The defaults are the setting
of "SFT Memorizes, RL Generalizes" (arXiv 2501.17161): a row of cards on a square of 1200 pixels; the other
layouts, sizes, glyphs, tilt and noise are for probes out of distribution.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from labkit.envs.general_points.cards import RANKS
from labkit.envs.general_points.render.faces import CORNER, HEIGHT, LINE, WIDTH, back_layers, card_layers
from labkit.envs.general_points.render.glyphs import PENS, Pen, Shape, stroke, thinned
from labkit.errors import UsageError

LAYOUTS = ("row", "grid", "fan")


@dataclass(frozen=True)
class Picture:
    """How a hand is drawn. Plain data: equal recipes draw equal pictures.

    Raises:
        UsageError: a value that cannot be; the message names the field and what it takes.
    """

    size: int = 1200
    """Side of the square picture in pixels, 32 to 4096."""
    background: str = "#35654d"
    """The table, as #rrggbb."""
    layout: str = "row"
    """``row``, ``grid`` or ``fan``."""
    card_scale: float = 1.0
    """Size of the cards, 0.3 to 1; 1 is as large as the layout lets them be."""
    tilt: float = 0.0
    """Each card is turned by a seeded angle of at most this many degrees, 0 to 30; in a fan by at most 4."""
    glyphs: str = "plain"
    """The hand that the ranks are written in: ``plain``, ``serif`` or ``hand``."""
    noise: float = 0.0
    """Standard deviation of the seeded noise on each channel of each pixel, 0 to 1; black to white is 1."""
    backs: int = 0
    """Cards that lie face down above and below those in a row, 0 to 8."""
    occlusion: float = 0.0
    """Share of each card that is covered by a seeded patch in the table's colour, 0 to 0.9."""
    seed: int = 0
    """Of tilt, noise, patches, and where cards lie face down; a whole number from 0."""

    def __post_init__(self) -> None:
        self._check("size", 32, 4096, whole=True)
        self._check("card_scale", 0.3, 1)
        self._check("tilt", 0, 30)
        self._check("noise", 0, 1)
        self._check("backs", 0, 8, whole=True)
        self._check("occlusion", 0, 0.9)
        if self.backs and self.layout != "row":
            raise UsageError(
                f"picture backs = {self.backs}: there is room for them beside a row only, not a {self.layout}"
            )
        self._check("seed", 0, 2**63 - 1, whole=True)
        self._check_choice("layout", LAYOUTS)
        self._check_choice("glyphs", tuple(PENS))
        if not (isinstance(self.background, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", self.background)):
            raise UsageError(f"picture background = {self.background!r}: give a colour such as #35654d")

    def _check(self, name: str, low: float, high: float, whole: bool = False) -> None:
        value = getattr(self, name)
        kind = int if whole else int | float
        if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
            what = "a whole number" if whole else "a number"
            raise UsageError(f"picture {name} = {value!r}: give {what} from {low} to {high}")

    def _check_choice(self, name: str, choices: tuple[str, ...]) -> None:
        if getattr(self, name) not in choices:
            raise UsageError(f"picture {name} = {getattr(self, name)!r}: choose {', '.join(choices)}")

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Picture:
        """Read what :meth:`to_dict` wrote; what is left out takes its default.

        Raises:
            UsageError: a key that no picture has, or a value that cannot be.
        """
        known = [field.name for field in fields(cls)]
        for key in data:
            if key not in known:
                raise UsageError(f"a picture has no {key!r}; it has {', '.join(known)}")
        return cls(**data)


class _Place(NamedTuple):
    """Where a card lies; lengths in shares of the picture's side, from its middle."""

    centre: complex
    angle: float
    """Degrees, clockwise."""


class _Sprite(NamedTuple):
    """A card ready to be laid on the table: three images of one size, the card in their middle."""

    face: Image.Image
    mask: Image.Image
    shadow: Image.Image


def draw(cards: Sequence[tuple[str, str]], picture: Picture = Picture()) -> Image.Image:
    """The picture of one to six cards: an RGB image of ``size`` x ``size`` pixels.

    Args:
        cards: ``(rank, suit)`` pairs from left to right, a suit being S, H, D or C.

    Raises:
        UsageError: no such card, or none or more than six of them.
    """
    if not 1 <= len(cards) <= 6:
        raise UsageError(f"a picture shows 1 to 6 cards, not {len(cards)}")
    for rank, suit in cards:
        _check_card(rank, suit)
    size = picture.size
    image = Image.new("RGB", (size, size), picture.background)
    share, places = _arranged(len(cards), picture)
    width = max(round(share * size), 1)
    for place in _face_down(picture):
        _lay(image, _sprite("", "", width, place.angle, picture.glyphs), place)
    for number, ((rank, suit), place) in enumerate(zip(cards, places, strict=True)):
        _lay(image, _sprite(rank, suit, width, place.angle, picture.glyphs), place)
        if picture.occlusion:
            _cover(image, number, width, place, picture)
    return _noisy(image, picture) if picture.noise else image


def _lay(image: Image.Image, sprite: _Sprite, place: _Place) -> None:
    """A card on the table, with its shadow."""
    left = round((0.5 + place.centre.real) * image.width - sprite.face.width / 2)
    top = round((0.5 + place.centre.imag) * image.height - sprite.face.height / 2)
    image.paste("black", (left, top), sprite.shadow)
    image.paste(sprite.face, (left, top), sprite.mask)


def _cover(image: Image.Image, number: int, width: int, place: _Place, picture: Picture) -> None:
    """A patch of a card's form over a share of a card, at a seeded place on it."""
    rng = random.Random(f"patch/{picture.seed}/{number}")
    side = math.sqrt(picture.occlusion)
    middle = complex((rng.random() - 0.5) * WIDTH * (1 - side), (rng.random() - 0.5) * HEIGHT * (1 - side))
    corners = [middle + side / 2 * complex(x * WIDTH, y * HEIGHT) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    on_table = np.array(corners) * (_turn(place.angle) * (width / WIDTH)) + (place.centre + 0.5 + 0.5j) * image.width
    edges = np.round(np.array([on_table, np.roll(on_table, -1)]), 4)
    _paint(image, picture.background, edges)


def card_svg(rank: str, suit: str, height: int) -> str:
    """One card as an inline SVG element of ``height`` pixels, with the shapes that :func:`draw` fills.

    Raises:
        UsageError: no such card.
    """
    _check_card(rank, suit)
    box = f"{-_FINE * WIDTH // 2} {-_FINE * HEIGHT // 2} {_FINE * WIDTH} {_FINE * HEIGHT}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" width="{round(height * WIDTH / HEIGHT)}" '
        f'height="{height}" stroke-width="{_FINE * LINE:g}" role="img" '
        f'aria-label="{_RANK_NAMES.get(rank, rank)} of {_SUIT_NAMES[suit]}">{_svg_paths(rank, suit)}</svg>'
    )


_RANK_NAMES = {"A": "ace", "J": "jack", "Q": "queen", "K": "king"}
_SUIT_NAMES = {"S": "spades", "H": "hearts", "D": "diamonds", "C": "clubs"}
_FINE = 2
"""Steps per unit in an SVG, whose coordinates are whole numbers to keep it small."""


@lru_cache(maxsize=52)
def _svg_paths(rank: str, suit: str) -> str:
    return "".join(
        f'<path fill="{fill}" d="{_svg_path(shape)}"' + (f' stroke="{line}"/>' if line else "/>")
        for fill, shape, line in card_layers(rank, suit)
    )


def _svg_path(shape: Shape) -> str:
    path, origin = "", (0, 0)
    for contour in shape:
        points = [(round(z.real * _FINE), round(z.imag * _FINE)) for z in thinned(contour, 0.55).tolist()]
        steps = [f"{x - px} {y - py}" for (px, py), (x, y) in pairwise([origin, *points])]
        path += f"m{steps[0]}l{' '.join(steps[1:])}z"
        origin = points[0]
    return path.replace(" -", "-")


def _check_card(rank: str, suit: str) -> None:
    if rank not in RANKS or suit not in _SUIT_NAMES:
        raise UsageError(f"no card {rank!r} of {suit!r}; the ranks are {' '.join(RANKS)}, the suits S H D C")


def _arranged(count: int, picture: Picture) -> tuple[float, list[_Place]]:
    """The width of a card as a share of the picture, and where each card lies."""
    if picture.layout == "fan":
        return _fan(count, picture)
    columns = count if picture.layout == "row" else math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    wide, high = _TABLE / columns, _TABLE / rows
    lean = math.radians(picture.tilt)
    # Room for a card leaning as far as it may, so that no card covers another or leaves the picture.
    across, down = math.cos(lean) + _TALL * math.sin(lean), _TALL * math.cos(lean) + math.sin(lean)
    width = picture.card_scale * _SNUG * min(wide / across, high / down)
    places = []
    for i, angle in enumerate(_tilts(count, picture.tilt, picture.seed)):
        row, column = divmod(i, columns)
        in_row = min(columns, count - row * columns)
        centre = complex((column - (in_row - 1) / 2) * wide, (row - (rows - 1) / 2) * high)
        places.append(_Place(centre, angle))
    return width, places


def _fan(count: int, picture: Picture) -> tuple[float, list[_Place]]:
    """Cards held in a hand: turned about a point below, each over the one to its left."""
    width, reach = 0.30 * picture.card_scale, 0.58 * picture.card_scale
    step = min(14, 50 / max(count - 1, 1))
    most = math.radians(step * (count - 1) / 2)
    top = -reach - _TALL * width / 2
    bottom = -reach * math.cos(most) + (_TALL * width * math.cos(most) + width * math.sin(most)) / 2
    places = []
    # A card in a fan turns by little, lest its neighbour hide its index.
    for i, tilt in enumerate(_tilts(count, min(picture.tilt, _FAN_TILT), picture.seed)):
        angle = (i - (count - 1) / 2) * step
        spot = reach * complex(math.sin(math.radians(angle)), -math.cos(math.radians(angle)))
        places.append(_Place(spot - 1j * (top + bottom) / 2, angle + tilt))
    return width, places


def _face_down(picture: Picture) -> list[_Place]:
    """Where cards lie face down: in the middle of the room above and below a row of four."""
    places = [_Place(complex((column - 1.5) * _TABLE / 4, y), 0.0) for y in (-0.33, 0.33) for column in range(4)]
    return random.Random(f"backs/{picture.seed}").sample(places, len(places))[: picture.backs]


def _turn(angle: float) -> complex:
    """What turns a point by so many degrees; rounded, since sines differ in their last bit between machines."""
    return complex(round(math.cos(math.radians(angle)), 9), round(math.sin(math.radians(angle)), 9))


def _tilts(count: int, most: float, seed: int) -> list[float]:
    """An angle for each card, in half degrees so that a card drawn before can serve again."""
    rng, halves = random.Random(f"tilt/{seed}"), int(2 * most)
    return [(int(rng.random() * (2 * halves + 1)) - halves) / 2 for _ in range(count)]


_TALL = HEIGHT / WIDTH
_TABLE = 0.96
"""Share of the picture's side that row and grid use."""
_FAN_TILT = 4
_SNUG = 0.94
"""Share of its place that a card takes."""


@lru_cache(maxsize=128)
def _sprite(rank: str, suit: str, width: int, angle: float, glyphs: str) -> _Sprite:
    """A card ``width`` pixels wide, turned by ``angle`` degrees; face down if it has no rank."""
    turn = _turn(angle)
    high, pad = _TALL * width, 2 * math.ceil(0.08 * width)
    columns = math.ceil(round(width * abs(turn.real) + high * abs(turn.imag), 6)) + pad
    rows = math.ceil(round(width * abs(turn.imag) + high * abs(turn.real), 6)) + pad
    # Rounded, since a product of complex numbers may differ in its last bit on another processor.
    paints = [
        (fill, np.round(edges * (turn * (width / WIDTH)) + complex(columns, rows) / 2, 4))
        for fill, edges in _paints(rank, suit, glyphs)
    ]
    (paper, outline), *printed = paints
    face, mask = Image.new("RGB", (columns, rows), paper), Image.new("L", (columns, rows))
    _paint(mask, 255, outline)
    for fill, edges in printed:
        _paint(face, fill, edges)
    return _Sprite(face, mask, _shadow(columns, rows, width, turn))


@lru_cache(maxsize=256)
def _paints(rank: str, suit: str, glyphs: str) -> tuple[tuple[str, np.ndarray], ...]:
    """What to paint in which colour, from the paper up: starts and ends of edges, shape (2, edges)."""
    pen = Pen(LINE / 2, LINE / 2)
    shapes: list[tuple[str, Shape]] = []
    for fill, shape, line in card_layers(rank, suit, glyphs) if rank else back_layers():
        shapes.append((fill, shape))
        if line:
            shapes.append((line, tuple(side for z in shape for side in stroke(z, pen, closed=True))))
    return tuple(
        (fill, np.array([np.concatenate(shape), np.concatenate([np.roll(z, -1) for z in shape])]))
        for fill, shape in shapes
    )


def _shadow(columns: int, rows: int, width: int, turn: complex) -> Image.Image:
    """How dark the table is around a card: most under its edge, fading over a few hundredths of its width."""
    x = np.arange(columns) + 0.5 - columns / 2
    y = np.arange(rows)[:, None] + 0.5 - rows / 2 - 0.018 * width
    corner = CORNER / WIDTH * width
    aside = np.maximum(np.abs(x * turn.real + y * turn.imag) - width / 2 + corner, 0)
    above = np.maximum(np.abs(y * turn.real - x * turn.imag) - _TALL * width / 2 + corner, 0)
    outside = np.sqrt(aside * aside + above * above) - corner
    depth = np.clip(0.5 - outside / (0.11 * width), 0, 1)
    return Image.fromarray(np.rint(depth * depth * 150).astype(np.uint8))


def _paint(image: Image.Image, colour: str | int, edges: np.ndarray) -> None:
    """Fill polygons, whose edges are in pixels, on an image that they lie within."""
    left, top = math.floor(edges.real.min()), math.floor(edges.imag.min())
    wide, high = math.ceil(edges.real.max()) - left, math.ceil(edges.imag.max()) - top
    covered = coverage(edges - complex(left, top), wide, high)
    image.paste(colour, (left, top), Image.fromarray(np.rint(covered * 255).astype(np.uint8)))


def coverage(edges: np.ndarray, wide: int, high: int) -> np.ndarray:
    """The share of each pixel that polygons cover, shape (high, wide).

    Args:
        edges: their starts and ends as complex numbers, within ``wide`` and ``high``; shape (2, edges).

    Each edge is cut where it crosses from pixel to pixel. A piece adds its height to all pixels on its right,
    and to its own pixel the part right of it; the running sum along a row is then the signed area. Where
    contours overlap it exceeds 1 and is cut off. The sums are done in one order, one operation at a time, so
    that every machine rounds them alike.
    """
    start, step = edges[0], edges[1] - edges[0]
    pieces, shares = [np.arange(len(start))], [np.zeros(len(start))]
    for origin, along in ((start.real, step.real), (start.imag, step.imag)):
        first = np.floor(np.minimum(origin, origin + along)) + 1
        crossings = np.maximum(np.ceil(np.maximum(origin, origin + along)) - first, 0).astype(int)
        edge = np.repeat(np.arange(len(start)), crossings)
        nth = np.arange(len(edge)) - np.repeat(np.cumsum(crossings) - crossings, crossings)
        pieces.append(edge)
        shares.append((first[edge] + nth - origin[edge]) / along[edge])
    edge, share = np.concatenate(pieces), np.concatenate(shares)
    order = np.lexsort((share, edge))
    edge, share = edge[order], share[order]
    until = np.append(np.where(edge[1:] == edge[:-1], share[1:], 1), 1)
    x = start.real[edge] + (share + until) / 2 * step.real[edge]
    y = start.imag[edge] + (share + until) / 2 * step.imag[edge]
    height = (until - share) * step.imag[edge]
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    to_right = height * (x - column)
    # A column and a row more hold what lies on the right and lower border, a column more what that adds.
    rows, columns = high + 1, wide + 2
    cell, cells = row * columns + column, rows * columns
    change = np.bincount(cell, height - to_right, cells) + np.bincount(cell + 1, to_right, cells)
    return np.minimum(np.abs(np.cumsum(change.reshape(rows, columns), axis=1)), 1)[:high, :wide]


def _noisy(image: Image.Image, picture: Picture) -> Image.Image:
    """The image with noise on it: sums of four random bytes, which are whole numbers and close to normal."""
    pixels = np.asarray(image)
    raw = np.random.PCG64(picture.seed).random_raw((pixels.size + 1) // 2).astype("<u8")
    low_bytes = np.uint64(0x00FF00FF00FF00FF)
    pairs = ((raw & low_bytes) + (raw >> np.uint64(8) & low_bytes)).view("<u2")
    sums = (pairs[::2] + pairs[1::2])[: pixels.size].reshape(pixels.shape)
    # Four bytes, each uniform on 0 to 255, have mean 4 x 127.5 and variance 4 x (256 x 256 - 1) / 12.
    added = np.rint((np.arange(4 * 255 + 1) - 510) * (picture.noise * 255 / math.sqrt(4 * (256**2 - 1) / 12)))
    return Image.fromarray(np.clip(pixels + added.astype(np.int16)[sums], 0, 255).astype(np.uint8))
