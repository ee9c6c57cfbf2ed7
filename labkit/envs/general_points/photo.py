"""A photograph of real cards in place of a drawn picture: kept in the task itself, so that its record is whole."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

from PIL import ImageOps

from labkit.envs.general_points.render.picture import Picture
from labkit.envs.pictures import read_picture
from labkit.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

LONGEST = 1024
"""Pixels of the longer side that are kept."""


def kept(image: Image) -> str:
    """A photograph as text: made smaller, JPEG without metadata, base64."""
    image = image.convert("RGB")
    image.thumbnail((LONGEST, LONGEST))
    file = BytesIO()
    image.save(file, "JPEG", quality=90)
    return base64.b64encode(file.getvalue()).decode("ascii")


def check_picture(picture: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe of a photograph: ``photo``, as :func:`kept` writes it, and ``size``, the side of the square around it.

    Raises:
        UsageError: there are other settings, the size is invalid, or the text is no picture.
    """
    others = picture.keys() - {"photo", "size"}
    if others:
        raise UsageError(f"picture {', '.join(sorted(others))}: a photograph is as it is; leave it out")
    size = Picture(**{"size": LONGEST, **{k: v for k, v in picture.items() if k == "size"}}).size
    _read(picture["photo"])
    return {"photo": picture["photo"], "size": size}


def shown(recipe: Mapping[str, Any]) -> Image:
    """The photograph of a recipe, whole, in the middle of a square in the colour of a drawn table."""
    size = recipe["size"]
    return ImageOps.pad(_read(recipe["photo"]), (size, size), color=Picture().background)


def _read(photo: Any) -> Image:
    try:
        return read_picture(base64.b64decode(photo, validate=True), "the photograph")
    except (TypeError, binascii.Error):
        raise UsageError(
            "the photograph is not base64 text; read a file with labkit.envs.pictures.read_picture"
        ) from None
