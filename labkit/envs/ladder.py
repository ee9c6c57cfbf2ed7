"""The ladder of visual shifts: suites that differ from another in one thing of the picture, by more and more.

A rung is a suite called ``axis@step``, such as ``tilt@4``. It deals what the suite under it deals, in the same order,
so that a player can be compared with itself deal by deal. A game's row (:mod:`labkit.envs.games`) has its rungs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from labkit.envs import game
from labkit.envs.games import row_of
from labkit.episode import Task

ALL = "ladder"
"""Every rung of a cell, and the suite that most of them deal from."""


@dataclass(frozen=True, slots=True)
class Rung:
    """A suite with one thing changed."""

    axis: str
    step: str
    distance: float
    """From the suite under it, in the units of the axis; 0 would be that suite itself."""
    settings: Mapping[str, Any]
    """What the game's tasks take, besides or in place of what is given; ``picture`` is completed, not replaced."""
    suite: str = "id"
    """The suite under it."""

    @property
    def name(self) -> str:
        return f"{self.axis}@{self.step}"


def rungs(cell: str) -> dict[str, Rung]:
    """The rungs of a cell by their names; none of a cell without pictures."""
    ladder = row_of(cell).load("ladder")
    found = ladder(cell) if ladder and game(cell).pictured else ()
    return {rung.name: rung for rung in found}


def suites(cell: str) -> tuple[str, ...]:
    """The suites of a cell: its game's own, then the rungs."""
    return (*game(cell).suites, *rungs(cell))


def groups(cell: str) -> dict[str, tuple[str, ...]]:
    """Names for several suites at once: each axis with the suite under it, and :data:`ALL`."""
    found: dict[str, tuple[str, ...]] = {}
    for rung in rungs(cell).values():
        for name in (rung.axis, ALL):
            found[name] = tuple(dict.fromkeys((*found.get(name, (rung.suite,)), rung.name)))
    return found


def suite_under(cell: str, suite: str) -> str:
    """The game's own suite that a rung deals from; of another suite, itself."""
    rung = rungs(cell).get(suite)
    return rung.suite if rung else suite


def tasks(cell: str, suite: str, split: str = "all", **settings: Any) -> Iterator[Task]:
    """:meth:`labkit.envs.Game.tasks` of a suite or a rung."""
    rung = rungs(cell).get(suite)
    if rung is None:
        yield from game(cell).tasks(suite, split, **settings)
    else:
        for task in game(cell).tasks(rung.suite, split, **_changed(rung, settings)):
            yield _on(rung, task)


def enumerate_tasks(cell: str, suite: str, split: str = "all", **settings: Any) -> Iterator[tuple[Task, float]]:
    """:meth:`labkit.envs.Game.enumerate_tasks` of a suite or a rung."""
    rung = rungs(cell).get(suite)
    if rung is None:
        yield from game(cell).enumerate_tasks(suite, split, **settings)
    else:
        for task, share in game(cell).enumerate_tasks(rung.suite, split, **_changed(rung, settings)):
            yield _on(rung, task), share


def _changed(rung: Rung, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with the rung's in place of those given."""
    changed = {**settings, **rung.settings}
    if "picture" in rung.settings:
        changed["picture"] = {**(settings.get("picture") or {}), **rung.settings["picture"]}
    return changed


def _on(rung: Rung, task: Task) -> Task:
    """The task as one of the rung; what is random in its picture differs from deal to deal."""
    picture = dict(task.picture or {})
    if "seed" in picture:
        picture["seed"] = task.index
    return replace(task, suite=rung.name, picture=picture)
