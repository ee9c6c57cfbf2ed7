"""Pictures of prompts as files and addresses that other programs take."""

from __future__ import annotations

import base64
import io
from typing import Any

from labkit.envs import game


def png(cell: str, recipe: Any) -> bytes:
    """The picture of a recipe as a PNG file."""
    stored = io.BytesIO()
    game(cell).draw(recipe).save(stored, "PNG")
    return stored.getvalue()


def address(cell: str, recipe: Any) -> str:
    """The picture of a recipe as a ``data:`` address."""
    return "data:image/png;base64," + base64.b64encode(png(cell, recipe)).decode("ascii")
