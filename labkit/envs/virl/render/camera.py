"""The viewing directions of a picture: a ray for each column of pixels, a slope for each border between rows.

The camera is level, so all pixels of a column lie in one vertical plane. A point at distance ``t`` along the column's
ray and at height z above the eye has slope z / t. In a perspective view t is measured along the heading, in an
equirectangular panorama along the ground.

The last bit of a sine differs between machines, so sines are rounded before they are used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

EYE = 2.5
"""Metres: the height of the camera above the road, as on the mast of a car."""
OVERSAMPLE = 2
"""Rays for a column of pixels. Their mean smooths vertical edges."""
DIGITS = 12


@dataclass(frozen=True, eq=False)
class Camera:
    """The rays of a picture, from left to right, and its slopes, from top to bottom."""

    east: np.ndarray
    """Shape (rays,): metres to the east for each unit of t."""
    north: np.ndarray
    """Shape (rays,): metres to the north for each unit of t."""
    borders: np.ndarray
    """Shape (rows + 1,): slopes of the borders between rows, in falling order."""
    sweep: np.ndarray
    """Shape (rays,): radians from a ray to the next."""
    wedge: bool
    """Whether the rays cover less than 180 degrees."""

    @property
    def slopes(self) -> np.ndarray:
        """Shape (rows,): the slope of each row's middle."""
        return (self.borders[1:] + self.borders[:-1]) / 2

    @property
    def lengths(self) -> np.ndarray:
        """Shape (rays,): metres over the ground for each unit of t."""
        return np.sqrt(self.east**2 + self.north**2)

    @property
    def step(self) -> float:
        """The difference of slope between two rows at the horizon."""
        middle = len(self.borders) // 2
        return float(self.borders[middle - 1] - self.borders[middle])

    def row(self, slope: np.ndarray) -> np.ndarray:
        """The rows of slopes, counted from the top in 1/256 of a row. Slopes outside the picture give its border."""
        return np.rint(np.interp(-slope, -self.borders, np.arange(len(self.borders))) * 256)


def perspective_camera(heading: float, size: int, fov: float) -> Camera:
    """The camera of a square view; heading and field of view in degrees, size in pixels."""
    reach = round(math.tan(math.radians(fov) / 2), DIGITS)
    return level_camera(heading, (size, size), reach, (reach, -reach))


def level_camera(heading: float, size: tuple[int, int], reach: float, slopes: tuple[float, float]) -> Camera:
    """The camera of any view with a level middle.

    Args:
        size: columns and rows, in pixels.
        reach: tangent of the angle from the middle to the left and to the right border.
        slopes: of the upper and the lower border.
    """
    angle, (columns, rows), (top, bottom) = math.radians(heading), size, slopes
    ahead_east, ahead_north = round(math.sin(angle), DIGITS), round(math.cos(angle), DIGITS)
    rays = columns * OVERSAMPLE
    across = ((2 * np.arange(rays) + 1) / rays - 1) * reach
    borders = (top + bottom) / 2 + (1 - 2 * np.arange(rows + 1) / rows) * ((top - bottom) / 2)
    sweep = 2 * reach / rays / (1 + across**2)
    east, north = ahead_east + ahead_north * across, ahead_north - ahead_east * across
    return Camera(east, north, borders, sweep, wedge=True)


def equirectangular_camera(height: int) -> Camera:
    """The camera of a panorama, twice as wide as high: the left border is north, the middle south."""
    rays = 2 * height * OVERSAMPLE
    angles = [math.tau * (ray + 0.5) / rays for ray in range(rays)]
    # Straight up and down have no slope, so the outermost borders are a quarter of a row away from them.
    steps = [min(max(row, 0.25), height - 0.25) / height for row in range(height + 1)]
    return Camera(
        np.array([round(math.sin(angle), DIGITS) for angle in angles]),
        np.array([round(math.cos(angle), DIGITS) for angle in angles]),
        np.array([round(1 / math.tan(math.pi * step), DIGITS) for step in steps]),
        np.full(rays, math.tau / rays),
        wedge=False,
    )
