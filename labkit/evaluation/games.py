"""What each game measures, looked up by cell and by name."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from labkit.envs.games import row_of
from labkit.episode import Episode, Task
from labkit.evaluation.metrics import LABELS, RATES, Trials


def measures_of(cell: str) -> ModuleType:
    """The module of a game's measures, with the names that :mod:`labkit.evaluation.default` has."""
    return row_of(cell).load("measures")


def trials_of(task: Task, name: str | None = None) -> tuple[str, Callable[[Episode], Trials]]:
    """A share by name, and what an episode brings to it; the headline number of the task's suite if not named.

    Raises:
        ValueError: there is no such share.
    """
    game = measures_of(task.cell)
    name = name or game.headline(task)
    known = RATES | game.RATES
    if name not in known:
        raise ValueError(f"{task.cell} has no share {name!r}; there are {', '.join(known)}")
    return name, known[name]


def label_of(cell: str, name: str) -> str:
    """A rate of a cell in plain words."""
    return (LABELS | measures_of(cell).LABELS).get(name, name.replace("_", " ")).strip()
