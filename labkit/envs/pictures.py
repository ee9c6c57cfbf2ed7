"""What pictures of every game share: the hash by which a record knows its pixels."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


def picture_hash(image: Image) -> str:
    """The first 16 hex digits of the SHA-256 of an image's size and pixels."""
    rgb = image.convert("RGB")
    return hashlib.sha256(b"%d %d " % rgb.size + rgb.tobytes()).hexdigest()[:16]
