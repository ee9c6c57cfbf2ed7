"""What pictures of every game share: how a file becomes one, its hash, and noise in its place."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from labkit.errors import UsageError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""Formats that are read. Pillow knows more, some of which run other programs."""
MOST_BYTES = 64 * 2**20
"""Size of a file, at most."""
SIDES = (16, 16_384)
"""Pixels of a side, from and to."""
MOST_PIXELS = 80_000_000
"""Pixels of a picture, at most: decoded, 240 MB."""


def read_picture(source: str | Path | bytes, name: str = "") -> Image.Image:
    """An upright RGB picture from a file, or from a file's bytes.

    A photograph is turned as its EXIF orientation says, CMYK and palettes become RGB, what is transparent becomes
    white, 16 bits a channel become 8. Size and format are checked before any pixel is decoded.

    Args:
        name: what messages call the picture; the file's path if not given.

    Raises:
        UsageError: no such file, no picture of a known format, cut short, animated, or too small or too large.
    """
    name = name or ("the picture" if isinstance(source, bytes) else str(source))
    data = source if isinstance(source, bytes) else _content(Path(source), name)
    if len(data) > MOST_BYTES:
        raise UsageError(f"{name} has {len(data) / 2**20:.0f} MB; a picture has at most {MOST_BYTES // 2**20}")
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            _check(image, name)
            return _rgb(ImageOps.exif_transpose(image), name)
    except Image.UnidentifiedImageError:
        raise UsageError(f"{name} cannot be read as a picture; save it as PNG or JPEG") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UsageError(f"{name} is too large; a picture has at most {MOST_PIXELS:,} pixels") from None
    except UsageError:
        raise
    except Exception as error:  # of damaged files Pillow raises whatever the decoder of their format stumbles over
        raise UsageError(f"{name} cannot be read as a picture: it is damaged or cut short ({error})") from None


def _content(path: Path, name: str) -> bytes:
    """The bytes of a file, of which no more are read than a picture may have."""
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read the picture {name}: {error.strerror}") from None


def _check(image: Image.Image, name: str) -> None:
    wide, high = image.size
    if min(wide, high) < SIDES[0] or max(wide, high) > SIDES[1]:
        raise UsageError(f"{name} is {wide} x {high} pixels; give {SIDES[0]} to {SIDES[1]:,} a side")
    if wide * high > MOST_PIXELS:
        raise UsageError(f"{name} has {wide * high:,} pixels; a picture has at most {MOST_PIXELS:,}")
    # A phone's MPO holds a photograph and, behind it, smaller versions of it.
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise UsageError(f"{name} has {frames} frames; save one of them as a picture of its own")


def _rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode in ("I", "F"):
        raise UsageError(f"{name} has 32 bits a pixel; save it with 8 bits a channel")
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert("RGB")
    return image.convert("RGB")


def picture_hash(image: Image.Image) -> str:
    """The first 16 hex digits of the SHA-256 of an image's size and pixels."""
    rgb = image.convert("RGB")
    return hashlib.sha256(b"%d %d " % rgb.size + rgb.tobytes()).hexdigest()[:16]


def noise_recipe(size: tuple[int, int], seed: str) -> dict[str, Any]:
    """The recipe of noise in place of a picture; see :func:`altered`."""
    return {"noise only": {"size": list(size), "seed": seed}}


def covered_recipe(recipe: Mapping[str, Any], box: tuple[float, float, float, float]) -> dict[str, Any]:
    """The recipe of a picture with a part of it covered; see :func:`altered`.

    Args:
        box: left, top, right and bottom, as shares of the picture's sides.
    """
    return {"covered": {"recipe": dict(recipe), "box": list(box)}}


def altered(recipe: Mapping[str, Any], draw: Callable[[Mapping[str, Any]], Image.Image]) -> Image.Image | None:
    """The picture of a recipe that any game has: noise, or one of its own pictures with a part of it covered, in the
    median colour of all its pixels. None if the recipe is another.

    Args:
        draw: the game's own.
    """
    if asked := recipe.get("noise only"):
        wide, high = asked["size"]
        return Image.frombytes("RGB", (wide, high), random.Random(f"noise/{asked['seed']}").randbytes(3 * wide * high))
    if asked := recipe.get("covered"):
        image = draw(asked["recipe"]).copy()
        paint = tuple(int(part) for part in np.median(np.asarray(image).reshape(-1, 3), axis=0))
        left, top, right, bottom = (
            round(share * side) for share, side in zip(asked["box"], image.size * 2, strict=True)
        )
        image.paste(paint, (left, top, right, bottom))
        return image
    return None
