"""What a route is like: how many steps it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def traits(task: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, str]:
    """Traits of a stored task.

    Args:
        task: as :meth:`labkit.episode.Episode.to_dict` writes it.
        state: of its first position.
    """
    return {"steps": str(state["steps"])} if state.get("steps") else {}
