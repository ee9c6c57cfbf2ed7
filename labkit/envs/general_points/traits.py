"""What a hand is like: its face cards, and how many ways there are to make the target."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from labkit.envs.general_points import cards, solver

BANDS = ((0, "none"), (1, "1"), (2, "2"), (5, "3-5"), (10, "6-10"))
"""The most solutions of each band, and its name; beyond the last, ``11+``."""


def traits(task: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, str]:
    """Traits of a stored task.

    Args:
        task: as :meth:`labkit.episode.Episode.to_dict` writes it.
        state: of its first position.
    """
    ranks = state["cards"]
    faces = state["faces"]
    return {
        "face_cards": str(sum(rank in ("J", "Q", "K") for rank in ranks)),
        "solutions": _band(tuple(sorted(cards.numbers_of(ranks, faces))), state["target"]),
    }


@lru_cache(maxsize=8192)
def _band(numbers: tuple[int, ...], target: int) -> str:
    count = len(list(solver.solve(numbers, target)))
    return next((name for most, name in BANDS if count <= most), "11+")
