"""Panoramas: views cut out of them, and our own drawn in the authors' layout.

A panorama is equirectangular: as many degrees to a pixel across (360 in all) as down (180).
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from labkit.envs.virl.records import City, Point
from labkit.envs.virl.render.camera import equirectangular_camera
from labkit.envs.virl.render.raster import render
from labkit.envs.virl.render.views import scene
from labkit.errors import UsageError


def perspective(
    panorama: Image.Image, heading: float, rotation: float, fov: float = 90.0, size: int = 224
) -> Image.Image:
    """The level view at a heading, an RGB picture of size x size pixels.

    The middle of the view is ((heading - 180) mod 360 + rotation) mod 360 degrees to the right of the middle
    of the panorama, as in the authors' environment. Colours are interpolated between four pixels; left and
    right border of the panorama meet.

    Args:
        rotation: degrees, from the panorama's metadata; with 0 its left border looks north.

    Raises:
        UsageError: the panorama's file is cut short or no picture; the message names it.
    """
    pixels = _pixels(panorama)
    high, wide = pixels.shape[:2]
    middle = math.radians(((heading - 180) % 360 + rotation) % 360)
    across = ((2 * np.arange(size) + 1) / size - 1) * math.tan(math.radians(fov) / 2)
    turn = middle + np.arctan(across)
    pitch = np.arctan(-across[:, None] / np.sqrt(1 + across**2))
    # In 1/256 of a pixel, whole numbers: sines differ in their last bit between machines, pixels should not.
    x = np.rint(((turn / math.tau + 0.5) * wide - 0.5) * 256).astype(np.int64)
    y = np.rint(np.clip((0.5 - pitch / math.pi) * high - 0.5, 0, high - 1) * 256).astype(np.int64)
    left, top = (x // 256) % wide, y // 256
    right, bottom = (left + 1) % wide, np.minimum(top + 1, high - 1)
    x, y = (x % 256)[None, :, None], (y % 256)[..., None]
    upper = pixels[top, left] * (256 - x) + pixels[top, right] * x
    lower = pixels[bottom, left] * (256 - x) + pixels[bottom, right] * x
    return Image.fromarray(((upper * (256 - y) + lower * y + 32768) // 65536).astype(np.uint8))


def _pixels(panorama: Image.Image) -> np.ndarray:
    try:
        return np.asarray(panorama.convert("RGB"), dtype=np.int64)
    except (OSError, SyntaxError) as error:
        name = getattr(panorama, "filename", "") or "the panorama"
        raise UsageError(f"{name} cannot be read ({error}): fetch or copy this file again") from error


def equirectangular(city: City, point: Point, size: int = 512) -> Image.Image:
    """Our own panorama, 2 x size wide and size high, its left border looking north (rotation 0).

    Raises:
        UsageError: a size from 64 to 4096 was expected.
    """
    if not 64 <= size <= 4096:
        raise UsageError(f"panorama size = {size!r}: give a height from 64 to 4096")
    return Image.fromarray(render(scene(city), point, equirectangular_camera(size)))
