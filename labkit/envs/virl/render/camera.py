"""Which way each pixel of a view looks: a ray per column of pixels, a slope per border between rows.

A camera stands level, so that every pixel of a column looks along one vertical plane. A point at distance
``t`` along the column's ray and at height z above the eye is then seen at slope z / t, whether the picture is
a perspective view (t counts along the heading) or an equirectangular panorama (t counts along the ground).

Sines come from the machine's library, whose last bit differs between machines: all that follows from them is
rounded first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

EYE = 2.5
"""Height of the camera above the road, metres, as on a car's mast."""
OVERSAMPLE = 2
"""Rays to a column of pixels: their mean smooths upright edges."""
DIGITS = 12


@dataclass(frozen=True, eq=False)
class Camera:
    """The rays of one picture, from left to right, and its slopes, from top to bottom."""

    east: np.ndarray
    """Shape (rays,): how far east the ray gets while t grows by 1."""
    north: np.ndarray
    borders: np.ndarray
    """Shape (rows + 1,): falling slopes of the rows' borders."""
    sweep: np.ndarray
    """Shape (rays,): angle from one ray to the next, radians."""
    wedge: bool
    """Whether the rays fan out over less than half a turn."""

    @property
    def slopes(self) -> np.ndarray:
        """Shape (rows,): of the middle of each row."""
        return (self.borders[1:] + self.borders[:-1]) / 2

    @property
    def lengths(self) -> np.ndarray:
        """Shape (rays,): metres over the ground while t grows by 1."""
        return np.sqrt(self.east**2 + self.north**2)

    @property
    def step(self) -> float:
        """Of the slope, from one row to the next at the horizon."""
        middle = len(self.borders) // 2
        return float(self.borders[middle - 1] - self.borders[middle])

    def row(self, slope: np.ndarray) -> np.ndarray:
        """Where slopes fall, counted in rows from the top; beyond the picture, its border. In 1/256 of a
        row."""
        return np.rint(np.interp(-slope, -self.borders, np.arange(len(self.borders))) * 256)


def perspective_camera(heading: float, size: int, fov: float) -> Camera:
    """A square view: heading and field of view in degrees, size in pixels."""
    reach = round(math.tan(math.radians(fov) / 2), DIGITS)
    angle = math.radians(heading)
    ahead_east, ahead_north = round(math.sin(angle), DIGITS), round(math.cos(angle), DIGITS)
    rays = size * OVERSAMPLE
    across = ((2 * np.arange(rays) + 1) / rays - 1) * reach
    borders = (1 - 2 * np.arange(size + 1) / size) * reach
    sweep = 2 * reach / rays / (1 + across**2)
    east, north = ahead_east + ahead_north * across, ahead_north - ahead_east * across
    return Camera(east, north, borders, sweep, wedge=True)


def equirectangular_camera(height: int) -> Camera:
    """All around, twice as wide as high: the left border looks north, the middle south."""
    rays = 2 * height * OVERSAMPLE
    angles = [math.tau * (ray + 0.5) / rays for ray in range(rays)]
    # Straight up and down have no slope: the outermost borders stop a quarter of a row short of them.
    steps = [min(max(row, 0.25), height - 0.25) / height for row in range(height + 1)]
    return Camera(
        np.array([round(math.sin(angle), DIGITS) for angle in angles]),
        np.array([round(math.cos(angle), DIGITS) for angle in angles]),
        np.array([round(1 / math.tan(math.pi * step), DIGITS) for step in steps]),
        np.full(rays, math.tau / rays),
        wedge=False,
    )
