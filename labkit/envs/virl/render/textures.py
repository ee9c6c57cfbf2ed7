"""Small pictures that are shown at many sizes: drawn once, with smaller copies to sample from.

Shapes are drawn from distances to their borders, in arithmetic that rounds alike on every machine. No font is used.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import copy
from itertools import pairwise

import numpy as np

Colour = tuple[int, int, int]


def colour(code: str | Sequence[int]) -> Colour:
    """The colour of ``#rrggbb`` or of three numbers from 0 to 255.

    Raises:
        ValueError: the code is neither.
    """
    if isinstance(code, str):
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", code):
            raise ValueError(f"{code!r} is not a colour such as #35654d")
        return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)
    red, green, blue = (int(part) for part in code)
    return red, green, blue


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """The colour that lies ``share`` of the way from one to the other."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


class Canvas:
    """A picture with transparency to paint shapes on. Positions are fractions of its height, y downwards."""

    def __init__(self, height: int, aspect: float = 1.0) -> None:
        self.height = height
        self.aspect = aspect
        width = round(height * aspect)
        self.pixels = np.zeros((height, width, 4))
        """Shape (rows, columns, 4): red, green, blue (0 to 255), each times alpha; alpha (0 to 1)."""
        self.x = (np.arange(width) + 0.5) / height
        self.y = (np.arange(height) + 0.5)[:, None] / height

    def _paint(self, cover: np.ndarray, paint: Colour) -> None:
        cover = cover[..., None]
        self.pixels *= 1 - cover
        self.pixels += cover * np.array([*paint, 1.0])

    def _cover(self, distance: np.ndarray) -> np.ndarray:
        """The share of a pixel inside a border. The distance is negative inside."""
        return np.clip(0.5 - distance * self.height, 0, 1)

    def box(self, left: float, top: float, right: float, bottom: float, paint: Colour) -> None:
        """Paint a rectangle."""
        distance = np.maximum(
            np.abs(self.x - (left + right) / 2) - (right - left) / 2,
            np.abs(self.y - (top + bottom) / 2) - (bottom - top) / 2,
        )
        self._paint(self._cover(distance), paint)

    def disc(self, x: float, y: float, radius: float, paint: Colour, high: float = 0) -> None:
        """Paint a circle, or an ellipse with the vertical half axis ``high``."""
        stretch = radius / (high or radius)
        away = np.sqrt((self.x - x) ** 2 + ((self.y - y) * stretch) ** 2) - radius
        self._paint(self._cover(away), paint)

    def polygon(self, points: Sequence[tuple[float, float]], paint: Colour) -> None:
        """Paint a closed polygon, by the even-odd rule where it crosses itself."""
        part = self._part(points, 0)
        inside = np.zeros(part.pixels.shape[:2], dtype=bool)
        near = np.full(inside.shape, np.inf)
        for (ax, ay), (bx, by) in pairwise((*points, points[0])):
            if ay != by:
                border = ax + (part.y - ay) * ((bx - ax) / (by - ay))
                inside ^= ((ay <= part.y) != (by <= part.y)) & (part.x < border)
            near = np.minimum(near, part._distance(ax, ay, bx, by))
        part._paint(part._cover(np.where(inside, -near, near)), paint)

    def line(self, points: Sequence[tuple[float, float]], thickness: float, paint: Colour) -> None:
        """Paint a line with round ends and bends."""
        part = self._part(points, thickness / 2)
        near = np.full(part.pixels.shape[:2], np.inf)
        for (ax, ay), (bx, by) in pairwise(points):
            near = np.minimum(near, part._distance(ax, ay, bx, by))
        part._paint(part._cover(near - thickness / 2), paint)

    def _part(self, points: Sequence[tuple[float, float]], margin: float) -> Canvas:
        """The part of the canvas around the points, with a margin. It shares its pixels with the canvas."""
        left, right = min(x for x, _ in points) - margin, max(x for x, _ in points) + margin
        top, bottom = min(y for _, y in points) - margin, max(y for _, y in points) + margin
        columns = slice(max(0, int(left * self.height) - 1), max(0, int(right * self.height) + 2))
        rows = slice(max(0, int(top * self.height) - 1), max(0, int(bottom * self.height) + 2))
        part = copy(self)
        part.pixels, part.x, part.y = self.pixels[rows, columns], self.x[columns], self.y[rows]
        return part

    def _distance(self, ax: float, ay: float, bx: float, by: float) -> np.ndarray:
        """The distance of each pixel from a segment."""
        square = (bx - ax) ** 2 + (by - ay) ** 2
        along = np.clip(((self.x - ax) * (bx - ax) + (self.y - ay) * (by - ay)) / max(square, 1e-12), 0, 1)
        return np.sqrt((self.x - ax - along * (bx - ax)) ** 2 + (self.y - ay - along * (by - ay)) ** 2)

    def texture(self) -> Texture:
        """The picture as a texture."""
        return Texture(self.pixels)


class Texture:
    """A picture and its halvings, each with a transparent border of one pixel, to be sampled at any size."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.levels: list[np.ndarray] = []
        self.height, self.width = pixels.shape[:2]
        while True:
            clear = np.pad(pixels, ((1, 1), (1, 1), (0, 0))).astype(np.float32)
            self.levels.append(np.ascontiguousarray(clear.transpose(2, 0, 1)))
            if min(pixels.shape[:2]) < 2:
                return
            pixels = halved(halved(pixels, 0), 1)

    def sample(self, across: np.ndarray, down: np.ndarray, footprint: float) -> np.ndarray:
        """Sampled colours times alpha, and alpha.

        Args:
            across: fractions of the width, shape (n, 1); outside 0 to 1 samples are transparent.
            down: fractions of the height, shape (n, rows).
            footprint: pixels of the texture in a sample.

        Returns:
            Shape (4, n, rows).
        """
        level = 0
        while level + 1 < len(self.levels) and footprint > 1.5:
            level, footprint = level + 1, footprint / 2
        picture = self.levels[level]
        high, wide = picture.shape[1] - 2, picture.shape[2] - 2
        x, y = np.clip(across * wide + 0.5, 0, wide + 0.999), np.clip(down * high + 0.5, 0, high + 0.999)
        column, row = x.astype(np.intp), y.astype(np.intp)
        x, y = (x - column).astype(np.float32), (y - row).astype(np.float32)
        flat = picture.reshape(4, -1)
        start = row * (wide + 2) + column
        upper = flat.take(start, 1)
        upper += (flat.take(start + 1, 1) - upper) * x
        start += wide + 2
        lower = flat.take(start, 1)
        lower += (flat.take(start + 1, 1) - lower) * x
        upper += (lower - upper) * y
        return upper


def halved(pixels: np.ndarray, axis: int) -> np.ndarray:
    """The means of pairs of neighbours along an axis. The last of an odd number is kept."""
    if pixels.shape[axis] == 1:
        return pixels
    if pixels.shape[axis] % 2:
        pixels = np.concatenate([pixels, pixels.take([-1], axis)], axis)
    even = np.arange(0, pixels.shape[axis], 2)
    return (pixels.take(even, axis) + pixels.take(even + 1, axis)) / 2
