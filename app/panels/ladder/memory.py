"""The episodes that the checkpoints of a window have played, so that none is played twice."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import NamedTuple

from labkit.episode import Episode, Task
from labkit.evaluation.metrics import Estimate, Trials, share

MOST = 400
"""Episodes that a window keeps; the oldest give way."""


class Conditions(NamedTuple):
    """What must be the same for two episodes to be counted together, but for player and deal."""

    cell: str
    rule: str
    attempts: int
    temperature: float
    seed: int


def conditions(task: Task, temperature: float, seed: int) -> Conditions:
    """The conditions of a task."""
    return Conditions(task.cell, json.dumps(task.rule, sort_keys=True), task.attempts, temperature, seed)


class Rates(NamedTuple):
    """What a checkpoint did on the deals that it has played."""

    solved: Estimate
    first: Estimate
    """The share of positions whose first answer is right."""


class Memory:
    """The episodes of a window, by conditions, player and deal."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Conditions, str, str], Episode] = OrderedDict()
        self.stop = 0
        """The stop that the slider is at."""

    def get(self, where: Conditions, player: str, task: Task) -> Episode | None:
        """The player's episode of a deal, if it has been played."""
        return self._kept.get((where, player, _deal(task)))

    def keep(self, where: Conditions, player: str, task: Task, episode: Episode) -> None:
        """Add an episode."""
        self._kept[where, player, _deal(task)] = episode
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)

    def rates(self, where: Conditions, player: str) -> Rates:
        """The player's rates under these conditions."""
        found = [e for (conditions, name, _), e in self._kept.items() if (conditions, name) == (where, player)]
        firsts = [[p.attempts[0].verdict.success for p in e.positions if p.attempts] for e in found]
        return Rates(
            share([Trials(e.success) for e in found]), share([Trials(sum(first), len(first)) for first in firsts])
        )


def _deal(task: Task) -> str:
    return json.dumps(task.deal, sort_keys=True)
