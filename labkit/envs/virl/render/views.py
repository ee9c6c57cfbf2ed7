"""Street views from any point of a city: one view, or four in a square.

Source: "SFT Memorizes, RL Generalizes" (arXiv 2501.17161), appendix B: the picture of an observation is a 2 x 2 grid of
street views. The paper uses Google's photographs; here the views are drawn.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from PIL import Image

from labkit.envs.virl.records import City, Point
from labkit.envs.virl.render.camera import level_camera, perspective_camera
from labkit.envs.virl.render.conditions import CLEAR, Conditions
from labkit.envs.virl.render.lettering import width, written
from labkit.envs.virl.render.raster import render
from labkit.envs.virl.render.scene import Scene, scene_of
from labkit.envs.virl.render.textures import Canvas
from labkit.errors import UsageError

SIZES = (32, 4096)
"""Pixels: the smallest and the largest side of a view."""
CITIES = 12
"""Scenes in the cache."""
VIEWS = 128
"""Pictures in each cache, of all cities together."""
SIDES = (("front", 0), ("right", 90), ("back", 180), ("left", 270))
"""The views of the grid, row by row: name, and degrees from the heading."""
_scenes: dict[int, tuple[City, Scene]] = {}


def scene(city: City) -> Scene:
    """The cached scene of a city object."""
    known = _scenes.pop(id(city), None) or (city, scene_of(city))
    _scenes[id(city)] = known
    while len(_scenes) > CITIES:
        del _scenes[next(iter(_scenes))]
    return known[1]


def street_view(city: City, point: Point, heading: float, size: int = 224, fov: float = 90.0) -> Image.Image:
    """The view from a point: an RGB picture of size x size pixels. Equal arguments give equal pixels.

    Args:
        heading: degrees clockwise from north of the picture's middle.
        fov: degrees of the field of view.

    Raises:
        UsageError: the size is not from 32 to 4096, or the field of view not from 10 to 150.
    """
    _check(size, fov)
    return Image.fromarray(_view(scene(city), _spot(point), heading % 360, size, fov))


def grid_view(city: City, point: Point, heading: float, size: int = 448, conditions: Conditions = CLEAR) -> Image.Image:
    """Four views of 90 degrees in one picture of size x size pixels: front, right; back, left.

    White lines separate them, and each has its name in the upper left corner.

    Args:
        conditions: only the camera's pitch and what changes a finished view; for the city's colours see
            :func:`labkit.envs.virl.render.conditions.city_under`.

    Raises:
        UsageError: the size is odd, or not from 64 to 4096.
    """
    if size not in range(2 * SIZES[0], SIZES[1] + 1, 2) or not isinstance(size, int):
        raise UsageError(f"grid size = {size!r}: give an even number from {2 * SIZES[0]} to {SIZES[1]}")
    return Image.fromarray(_grid(scene(city), _spot(point), heading % 360, size, conditions))


def _spot(point: Point) -> Point:
    """The point to the millimetre: after a conversion from degrees its last digits differ between machines."""
    return Point(round(point.x, 3), round(point.y, 3))


def _check(size: int, fov: float) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or not SIZES[0] <= size <= SIZES[1]:
        raise UsageError(f"view size = {size!r}: give a whole number from {SIZES[0]} to {SIZES[1]}")
    if not 10 <= fov <= 150:
        raise UsageError(f"field of view is {fov!r}; give degrees from 10 to 150")


@lru_cache(maxsize=VIEWS)
def _view(scene: Scene, point: Point, heading: float, size: int, fov: float) -> np.ndarray:
    return render(scene, point, perspective_camera(heading, size, fov))


@lru_cache(maxsize=VIEWS)
def _grid(scene: Scene, point: Point, heading: float, size: int, conditions: Conditions) -> np.ndarray:
    half = size // 2
    grid = np.empty((size, size, 3), dtype=np.uint8)
    for number, (name, turn) in enumerate(SIDES):
        top, left = number // 2 * half, number % 2 * half
        view = _pitched(scene, point, (heading + turn) % 360, half, conditions.pitch)
        view = conditions.finished(view, f"{point}/{heading}/{name}")
        label = _label(name, max(9, half // 16))
        high, wide = label.shape[:2]
        corner = view[:high, :wide]
        corner[:] = np.rint(corner * (1 - label[..., 3:]) + label[..., :3])
        grid[top : top + half, left : left + half] = view
    line = max(1, size // 224)
    grid[half - line : half + line] = grid[:, half - line : half + line] = 255
    return grid


def _pitched(scene: Scene, point: Point, heading: float, size: int, pitch: float) -> np.ndarray:
    """A view of 90 degrees from a camera that looks up by ``pitch`` degrees: cut out of a larger level one.

    A ray (x across, 1 ahead, z up) of the camera has, level, the slope ``rise / ahead`` and reaches ``x / ahead``.
    """
    if not pitch:
        return render(scene, point, perspective_camera(heading, size, 90.0))
    sine, cosine = (round(part(math.radians(pitch)), 12) for part in (math.sin, math.cos))
    z = 1 - (2 * np.arange(size) + 1) / size
    # Of the borders, that the level view has to hold.
    top, bottom = (sine + cosine) / (cosine - sine), (sine - cosine) / (cosine + sine)
    reach = 1 / min(cosine - sine, cosine + sine)
    columns, rows = math.ceil(size * reach), math.ceil(size * (top - bottom) / 2)
    level = render(scene, point, level_camera(heading, (columns, rows), reach, (top, bottom)))
    ahead, rise = cosine - z * sine, sine + z * cosine
    x = (-z / ahead[:, None] / reach + 1) / 2 * columns - 0.5
    y = (top - rise / ahead) / (top - bottom) * rows - 0.5
    return _between_pixels(level, x, np.broadcast_to(y[:, None], x.shape))


def _between_pixels(pixels: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Colours at places between pixels, mixed of the four around, in whole numbers: sines differ in their last bit
    between machines, pixels should not.

    Args:
        pixels: uint8 (rows, columns, 3).
        x, y: columns and rows, of any one shape; outside the picture, its border counts.
    """
    high, wide = pixels.shape[:2]
    x, y = (np.rint(np.clip(at, 0, most - 1) * 256).astype(np.int64) for at, most in ((x, wide), (y, high)))
    left, top = x // 256, y // 256
    right, below = np.minimum(left + 1, wide - 1), np.minimum(top + 1, high - 1)
    x, y, known = (x % 256)[..., None], (y % 256)[..., None], pixels.astype(np.int64)
    upper = known[top, left] * (256 - x) + known[top, right] * x
    lower = known[below, left] * (256 - x) + known[below, right] * x
    return ((upper * (256 - y) + lower * y + 32768) // 65536).astype(np.uint8)


@lru_cache(maxsize=16)
def _label(name: str, height: int) -> np.ndarray:
    """A view's name, white on dark: colours times alpha, and alpha; shape (height, width, 4)."""
    canvas = Canvas(height, 0.4 + width(name, 0.6))
    canvas.box(0, 0, canvas.aspect, 1, (28, 32, 40))
    for path in written(name, 0.2, 0.2, 0.6):
        canvas.line(path, 0.1, (255, 255, 255))
    return canvas.pixels
