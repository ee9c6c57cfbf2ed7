"""How a player does on the rungs of a ladder of visual shifts (:mod:`labkit.envs.ladder`), over distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from labkit.envs.ladder import Rung, rungs
from labkit.episode import Episode
from labkit.evaluation import paired
from labkit.evaluation.games import measures_of
from labkit.evaluation.metrics import Estimate, plain
from labkit.evaluation.suites import SuiteResult


class Step(NamedTuple):
    """A player on a rung."""

    rung: Rung
    headline: Estimate
    change: Estimate | None
    """Of the headline from the suite under the rung, deal by deal; None where that was not played on the same deals."""
    sight: Estimate | None
    """The game's measure of what only the picture tells, named by its ``SIGHT``; None of a game without one."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        rung = {"axis": self.rung.axis, "step": self.rung.step, "distance": self.rung.distance, "suite": self.rung.name}
        found = {"headline": self.headline, "change": self.change, "sight": self.sight}
        return rung | {name: plain(value) for name, value in found.items() if value is not None}


def climb(results: Mapping[str, SuiteResult]) -> list[Step]:
    """The rungs among a player's results, axis by axis from near to far."""
    if not results:
        return []
    cell = next(iter(results.values())).cell
    known = rungs(cell)
    sight = getattr(measures_of(cell), "SIGHT", None)
    steps = []
    for suite, result in results.items():
        if suite in known:
            rung = known[suite]
            change = _change(results.get(rung.suite), result)
            seen = result.details.get(sight) if sight else None
            steps.append(Step(rung, result.estimate, change, seen))
    axes = list(dict.fromkeys(rung.axis for rung in known.values()))
    return sorted(steps, key=lambda step: (axes.index(step.rung.axis), step.rung.distance))


def _change(under: SuiteResult | None, result: SuiteResult) -> Estimate | None:
    if under is None or under.metric != result.metric:
        return None
    tasks = {_place(episode): episode.task for episode in under.episodes}
    if {_place(episode) for episode in result.episodes} != tasks.keys():
        return None
    # The same deals, as they are named in the suite under the rung.
    moved = [replace(episode, task=tasks[_place(episode)]) for episode in result.episodes]
    weights: Sequence[float] | None = None
    if under.every_hand:
        weights = measures_of(under.cell).deal_weights(under.episodes)
    return paired.difference(under.episodes, moved, weights=weights)


def _place(episode: Episode) -> tuple[str, int, int]:
    task = episode.task
    return task.split, task.seed, task.index
