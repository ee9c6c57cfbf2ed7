"""The runs that the Train tab offers to start: the configs of the small cells, with a bound on their length."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

from labkit.config import read

EXPERIMENTS = Path(__file__).parents[2] / "configs" / "experiments"


class Recipe(NamedTuple):
    """A config that a class can run: it starts from a bundled model."""

    path: Path
    unit: str
    """The setting with its length: ``steps`` or ``updates``."""
    most: int
    """The length that the config names, which is the longest that may be asked for."""
    probed: bool = False
    """Whether it evaluates the model while it trains."""


@cache
def recipes() -> dict[str, Recipe]:
    """The recipes by name, ``gp-l/rl``; none where labkit was installed without its configs."""
    found = {}
    for path in sorted(EXPERIMENTS.glob("*/*.yaml")):
        config = read(path)
        unit = {"sft": "steps", "rl": "updates"}.get(config["stage"])
        if unit and str(config.get("model")).startswith("tiny:") and config.get(unit):
            found[f"{path.parent.name}/{path.stem}"] = Recipe(path, unit, config[unit], config.get("probe") is not None)
    return found
