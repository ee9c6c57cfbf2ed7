"""The look of each category of landmark: a colour, a white pictogram and a kind of structure.

A pictogram is a list of shapes in the unit square, y downwards: ``P`` a polygon, ``L`` a line (first its thickness),
``D`` a disc (centre, radius, for an ellipse also its half height). A capital paints in white, a small letter in the
sign's colour, which makes holes.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from labkit.envs.virl.render.lettering import plain, width, written
from labkit.envs.virl.render.textures import Canvas, Colour, colour

WHITE = (255, 255, 255)


class Kind(NamedTuple):
    """The look of a category of landmark."""

    paint: str
    """The colour of the sign and of the shopfront."""
    structure: str
    """The front: ``shop``, ``portico`` (columns under a pediment), ``hall`` (a wide entrance) or ``canopy``; or a
    structure behind it: ``spire``, ``dome``, ``pagoda`` or ``tower``."""
    pictogram: str


KINDS = {
    "bakery": Kind(
        "#d08c2f",
        "shop",
        "D .5 .55 .4 .24;l .06 .34 .4 .42 .58;l .06 .5 .36 .58 .56;l .06 .65 .4 .72 .56",
    ),
    "bank": Kind(
        "#1f5fa8",
        "portico",
        "P .12 .4 .5 .14 .88 .4;L .08 .25 .45 .25 .72;L .08 .5 .45 .5 .72;L .08 .75 .45 .75 .72;L .1 .15 .82 .85 .82",
    ),
    "barber": Kind(
        "#2d6fb0",
        "shop",
        "D .28 .76 .12;d .28 .76 .05;D .72 .76 .12;d .72 .76 .05;L .07 .33 .66 .68 .12;L .07 .67 .66 .32 .12",
    ),
    "bar": Kind(
        "#7a2f6b",
        "shop",
        "P .15 .18 .85 .18 .5 .55;L .07 .5 .5 .5 .82;L .07 .32 .84 .68 .84",
    ),
    "bookshop": Kind(
        "#55652f",
        "shop",
        "P .2 .15 .8 .15 .8 .85 .2 .85;l .04 .32 .15 .32 .85;l .06 .42 .34 .7 .34;l .06 .42 .5 .7 .5",
    ),
    "cafe": Kind(
        "#7b4a2b",
        "shop",
        "P .2 .4 .7 .4 .62 .8 .28 .8;L .07 .68 .47 .85 .5 .8 .66 .64 .68;L .05 .35 .3 .39 .2;L .05 .53 .3 .57 .2",
    ),
    "chapel": Kind(
        "#4f7f95",
        "hall",
        "P .2 .5 .5 .26 .8 .5 .8 .88 .2 .88;L .06 .5 .08 .5 .3;L .06 .42 .15 .58 .15;"
        "p .42 .64 .5 .56 .58 .64 .58 .88 .42 .88",
    ),
    "church": Kind(
        "#6b5b95",
        "spire",
        "L .12 .5 .12 .5 .88;L .12 .26 .36 .74 .36",
    ),
    "cinema": Kind(
        "#33334d",
        "canopy",
        "P .1 .25 .9 .25 .9 .75 .1 .75;p .4 .36 .66 .5 .4 .64;d .18 .33 .04;d .18 .5 .04;"
        "d .18 .67 .04;d .82 .33 .04;d .82 .5 .04;d .82 .67 .04",
    ),
    "clinic": Kind(
        "#d42b3a",
        "hall",
        "L .24 .5 .16 .5 .84;L .24 .16 .5 .84 .5",
    ),
    "clock tower": Kind(
        "#7a5c3a",
        "tower",
        "P .36 .3 .64 .3 .7 .88 .3 .88;P .3 .3 .5 .08 .7 .3;d .5 .44 .07",
    ),
    "fire station": Kind(
        "#d8341f",
        "hall",
        "P .5 .08 .74 .4 .78 .62 .66 .84 .34 .84 .22 .62 .3 .4 .4 .46;p .5 .52 .6 .68 .5 .8 .4 .68",
    ),
    "florist": Kind(
        "#c94f7c",
        "shop",
        "D .5 .22 .12;D .34 .34 .12;D .66 .34 .12;D .4 .52 .12;D .6 .52 .12;d .5 .38 .09;L .06 .5 .6 .5 .92",
    ),
    "gallery": Kind(
        "#7a6a2f",
        "portico",
        "P .1 .16 .9 .16 .9 .84 .1 .84;p .18 .24 .82 .24 .82 .76 .18 .76;"
        "P .22 .72 .42 .42 .54 .58 .64 .5 .78 .72;D .66 .36 .07",
    ),
    "grocer": Kind(
        "#2f8f6f",
        "shop",
        "P .1 .3 .9 .3 .8 .62 .2 .62;L .06 .1 .3 .04 .16;D .32 .78 .09;D .68 .78 .09;L .06 .24 .66 .78 .66",
    ),
    "gym": Kind(
        "#3c3c3c",
        "shop",
        "L .1 .25 .5 .75 .5;L .12 .24 .3 .24 .7;L .12 .76 .3 .76 .7;L .1 .12 .42 .12 .58;L .1 .88 .42 .88 .58",
    ),
    "hardware": Kind(
        "#8a4a1c",
        "shop",
        "L .12 .5 .3 .5 .9;P .22 .12 .7 .12 .84 .26 .7 .34 .22 .34",
    ),
    "hotel": Kind(
        "#9b2d5a",
        "hall",
        "L .1 .26 .16 .26 .84;L .1 .74 .16 .74 .84;L .1 .26 .5 .74 .5",
    ),
    "library": Kind(
        "#3a6f7f",
        "portico",
        "P .1 .25 .48 .33 .48 .82 .1 .72;P .9 .25 .52 .33 .52 .82 .9 .72",
    ),
    "market hall": Kind(
        "#2f6f8f",
        "canopy",
        "P .08 .4 .2 .16 .8 .16 .92 .4;D .22 .42 .1 .1;D .41 .42 .1 .1;D .59 .42 .1 .1;"
        "D .78 .42 .1 .1;L .07 .18 .5 .18 .86;L .07 .82 .5 .82 .86;L .07 .18 .72 .82 .72",
    ),
    "mosque": Kind(
        "#2c7a66",
        "dome",
        "D .46 .5 .34;d .6 .44 .28;D .74 .42 .09",
    ),
    "museum": Kind(
        "#5a4a8c",
        "portico",
        "P .1 .42 .5 .15 .9 .42;L .06 .22 .48 .22 .74;L .06 .4 .48 .4 .74;L .06 .6 .48 .6 .74;"
        "L .06 .78 .48 .78 .74;L .1 .12 .84 .88 .84",
    ),
    "pharmacy": Kind(
        "#1f9a53",
        "shop",
        "L .22 .5 .2 .5 .8;L .22 .2 .5 .8 .5",
    ),
    "police station": Kind(
        "#1c2f6b",
        "hall",
        "P .5 .1 .84 .24 .78 .62 .5 .9 .22 .62 .16 .24;"
        "p .5 .28 .56 .44 .72 .44 .6 .54 .64 .7 .5 .6 .36 .7 .4 .54 .28 .44 .44 .44",
    ),
    "post office": Kind(
        "#c9a21a",
        "hall",
        "P .12 .26 .88 .26 .88 .76 .12 .76;l .05 .12 .28 .5 .56 .88 .28",
    ),
    "restaurant": Kind(
        "#c23b2e",
        "shop",
        "L .07 .3 .15 .3 .85;L .05 .2 .15 .2 .38 .4 .38 .4 .15;L .07 .68 .15 .68 .85;P .68 .13 .84 .2 .84 .52 .68 .55",
    ),
    "school": Kind(
        "#d99a1c",
        "hall",
        "P .08 .4 .5 .2 .92 .4 .5 .6;P .26 .54 .5 .66 .74 .54 .74 .72 .5 .82 .26 .72;L .04 .86 .42 .86 .72",
    ),
    "station": Kind(
        "#1d4f91",
        "canopy",
        "P .24 .12 .76 .12 .76 .7 .24 .7;p .32 .22 .68 .22 .68 .42 .32 .42;d .36 .56 .06;"
        "d .64 .56 .06;L .06 .32 .72 .2 .9;L .06 .68 .72 .8 .9",
    ),
    "tailor": Kind(
        "#b0529a",
        "shop",
        "P .32 .18 .68 .18 .92 .4 .8 .54 .7 .46 .7 .86 .3 .86 .3 .46 .2 .54 .08 .4;d .5 .16 .1",
    ),
    "temple": Kind(
        "#b5482f",
        "pagoda",
        "P .1 .36 .5 .12 .9 .36;P .18 .62 .5 .4 .82 .62;P .3 .62 .7 .62 .7 .86 .3 .86",
    ),
    "theatre": Kind(
        "#a31f34",
        "canopy",
        "D .5 .45 .34 .4;d .38 .38 .07;d .62 .38 .07;l .07 .34 .58 .42 .68 .58 .68 .66 .58",
    ),
    "toy shop": Kind(
        "#e0701f",
        "shop",
        "D .5 .58 .3;D .28 .26 .14;D .72 .26 .14;d .4 .5 .05;d .6 .5 .05;d .5 .66 .08 .06",
    ),
}
OTHER = ("#7d6b2f", "#2f7d6b", "#6b2f7d", "#7d2f3c", "#2f4f7d", "#4f7d2f")
"""The colours of signs with an initial, for categories without a pictogram."""


def kind_of(category: str) -> Kind:
    """The look of a category. An unknown one is a shop whose sign shows the category's initial."""
    name = category.lower()
    if name in KINDS:
        return KINDS[name]
    return Kind(OTHER[zlib.crc32(name.encode()) % len(OTHER)], "shop", "")


def draw_pictogram(canvas: Canvas, kind: Kind, category: str, left: float, top: float, side: float) -> None:
    """Paint a category's pictogram into a square."""
    own = colour(kind.paint)
    if not kind.pictogram:
        high = 0.62 * side
        initial = plain(category[:1] or "?")
        start = left + (side - width(initial, high)) / 2
        for path in written(initial, start, top + 0.19 * side, high):
            canvas.line(path, 0.13 * side, WHITE)
        return
    for shape in kind.pictogram.split(";"):
        command, *numbers = shape.split()
        values = [float(number) * side for number in numbers]
        paint: Colour = WHITE if command.isupper() else own
        if command in "Dd":
            x, y, radius, *tall = values
            canvas.disc(left + x, top + y, radius, paint, *tall)
        else:
            thickness = values.pop(0) if command in "Ll" else 0.0
            points = [(left + x, top + y) for x, y in zip(values[::2], values[1::2], strict=True)]
            if thickness:
                canvas.line(points, thickness, paint)
            else:
                canvas.polygon(points, paint)
