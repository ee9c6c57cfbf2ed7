"""Drawing street views beside cutting them from panoramas, and asking for one again.

Views could also be cut from a panorama drawn all around, as they are from photographs. That would pay if cutting
were much quicker than drawing and one stood in a place for long: the rows say what either costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, islice

import numpy as np
from PIL import Image

from labkit.bench.timing import Row, Work, compare
from labkit.envs.virl import sources
from labkit.envs.virl.authors.panorama import equirectangular, perspective
from labkit.envs.virl.city.cities import TRAINING_CITY, city
from labkit.envs.virl.records import Point, to_point
from labkit.envs.virl.render.views import SIDES, grid_view, street_view

SIZE = 224
"""Pixels of the side of a view; the square of four has twice as many."""
PANORAMA = 704
"""Pixels of the height of a panorama that is as fine as a view is at its borders: pi x SIZE."""
PICTURES = 24
"""Of a round, where they are quickly made; :data:`FEW` where they are not."""
FEW = 4
ALIKE = 5.0
"""Two ways show the same if, in the mean over a picture, they differ by less than so many of 255 levels."""

Spot = tuple[Point, float]
"""Where one stands, and the heading."""
_ASKED = count(1)
"""Numbers the rounds of all rows."""


def figures() -> int:
    """How many rows there will be."""
    return 4


def rows(rounds: int = 3) -> Iterator[Row]:
    """Time pictures at milestones of the training city, its scene laid and its signs painted before.

    Raises:
        AssertionError: the two ways show different things.
    """
    known = spots(PICTURES)
    for spot in known:
        grid(spot)
    panoramas = [panorama(spot) for spot in known[:FEW]]
    here, heading = known[0]
    for _, side in SIDES:
        drawn, taken = view((here, heading + side)), cut(panoramas[0], heading + side)
        assert apart(drawn, taken) < ALIKE, "the two ways show different things"

    def again(_: int) -> int:
        return len([grid(spot) for spot in known])

    def cuts(number: int) -> int:
        return len([cut(panoramas[i % FEW], h + number) for i, (_, h) in enumerate(known)])

    one, four = f"one view, {SIZE} px", f"square of four, {2 * SIZE} px"
    # The squares that are asked for again come before the new ones, which would push them out of what is kept.
    timed: list[tuple[str, str, Work, Work, str]] = [
        (one, "views/s", _fresh(view), _fresh(cut_view, FEW), "cut from a panorama drawn for it"),
        (f"{one}, cut from a panorama at hand", "views/s", cuts, _fresh(view), "drawing it"),
        (f"{four}, asked for again", "squares/s", again, _fresh(grid, FEW), "drawing it"),
        (four, "squares/s", _fresh(grid), _fresh(cut_grid, FEW), "all four cut from one panorama drawn for it"),
    ]
    for row in timed:
        yield compare("views", *row, rounds)


def spots(number: int) -> list[Spot]:
    """Milestones of test routes, faced as on arriving."""
    origin = city(TRAINING_CITY).origin
    milestones = (m for route in sources.routes("id", "test") for m in route.milestones)
    return [(to_point(m.place, origin), m.arriving) for m in islice(milestones, number)]


def view(spot: Spot) -> Image.Image:
    return street_view(city(TRAINING_CITY), *spot, SIZE)


def grid(spot: Spot) -> Image.Image:
    return grid_view(city(TRAINING_CITY), *spot, 2 * SIZE)


def panorama(spot: Spot) -> Image.Image:
    return equirectangular(city(TRAINING_CITY), spot[0], PANORAMA)


def cut(around: Image.Image, heading: float) -> Image.Image:
    return perspective(around, heading, 0.0, size=SIZE)


def cut_view(spot: Spot) -> Image.Image:
    return cut(panorama(spot), spot[1])


def cut_grid(spot: Spot) -> list[Image.Image]:
    """The four views of a square, from one panorama."""
    around = panorama(spot)
    return [cut(around, spot[1] + side) for _, side in SIDES]


def apart(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of two pictures, in levels of 255."""
    return float(np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).mean())


def _fresh(make: Callable[[Spot], object], pictures: int = 0) -> Work:
    """Pictures that no earlier round and no other row has asked for, since those would be kept."""

    def work(_: int) -> int:
        turned = next(_ASKED) * 0.1
        return len([make((here, heading + turned)) for here, heading in spots(pictures or PICTURES)])

    return work
