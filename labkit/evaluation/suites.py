"""Evaluate a player on a suite: one headline number with its n and interval, and what lies behind it.

How deals are chosen:

* ``episodes=500``: that many seeded deals, as a deck deals them (or routes, each before any again). The same
  seed gives every player the same deals, so two players can be compared deal by deal.
* ``episodes="all"``: every hand (or route) of the suite once, in one seeded order of cards (and suits),
  weighted by its share of the deals. Which hands are played is not left to chance, the order of their cards
  is; the interval is worked out as if the hands had been drawn as well, and so errs on the wide side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import ModuleType
from typing import Any, Literal

from labkit.envs import game
from labkit.episode import Episode, Task
from labkit.errors import UsageError
from labkit.evaluation.metrics import Estimate, overview, plain
from labkit.play import play_many
from labkit.players.base import Player


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """How a player did on a suite."""

    cell: str
    suite: str
    player: str
    split: str
    seed: int
    attempts: int
    """Attempts that an episode allowed at each position."""
    metric: str
    """The name of the headline number."""
    value: float | None
    n: int
    """Episodes behind it, or answers where it is a share of answers."""
    ci95: tuple[float, float] | None
    every_hand: bool
    """Every hand once, weighted, rather than a sample of deals."""
    splits: Mapping[str, Estimate]
    """The headline number within each split that occurs."""
    details: Mapping[str, Any]
    """Everything else that was measured: see ``metrics.overview`` and the cell's own ``measures``."""
    episodes: tuple[Episode, ...] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without the episodes."""
        headline = Estimate(self.value, self.n, self.ci95)
        settings = {"split": self.split, "attempts": self.attempts, "every_hand": self.every_hand}
        return plain(
            {"metric": self.metric, **plain(headline), **settings, "splits": self.splits, **self.details}
        )


def evaluate(
    player: Player,
    cell: str,
    suite: str,
    *,
    split: str = "all",
    episodes: int | Literal["all"] = 500,
    seed: int = 0,
    batch: int = 64,
    progress: Callable[[int, int, Episode], None] | None = None,
    **settings: Any,
) -> SuiteResult:
    """Play a suite and measure it.

    Args:
        episodes: how many deals, or ``"all"`` for every hand once.
        batch: episodes played side by side; the result does not depend on it.
        progress: called with (done, total, episode) as each episode ends.
        settings: what else the game's tasks take: ``attempts``, ``prompts``, ``reward``, ``picture``;
            ``faces`` and ``target`` in GeneralPoints, ``actions``, ``walk`` and ``data`` in V-IRL.

    Raises:
        UsageError: a setting cannot be, or the player cannot go on.
    """
    if batch < 1:
        raise UsageError(f"the batch is a whole number from 1, not {batch}")
    if episodes != "all" and episodes < 1:
        raise UsageError(f"episodes is a whole number from 1, or all, not {episodes}")
    settings |= {"seed": seed}
    tasks: Sequence[Task]
    if episodes == "all":
        tasks = [task for task, _ in game(cell).every(suite, split, **settings)]
    else:
        tasks = list(islice(game(cell).tasks(suite, split, **settings), episodes))
    played = []
    for done, finished in enumerate(play_many(tasks, player, batch=batch, key=(seed,)), 1):
        played.append(finished)
        if progress:
            progress(done, len(tasks), finished.episode)
    played.sort(key=lambda p: p.index)
    return measure([p.episode for p in played], every_hand=episodes == "all")


def measure(episodes: Sequence[Episode], *, every_hand: bool = False) -> SuiteResult:
    """Measure finished episodes of one player on one suite; for stored ones too.

    Args:
        every_hand: the episodes hold every hand of the suite once, and are to be weighted by its share.

    Raises:
        ValueError: no episodes.
    """
    if not episodes:
        raise ValueError("no episodes to measure")
    task = episodes[0].task
    own = _measures(task.cell)
    weights = own.shares(episodes) if every_hand else None
    metric, headline = own.headline(episodes, weights)
    groups: dict[str, list[int]] = {}
    for index, episode in enumerate(episodes):
        groups.setdefault(own.split_of(episode), []).append(index)
    splits = {
        name: own.headline([episodes[i] for i in rows], [weights[i] for i in rows] if weights else None)[1]
        for name, rows in sorted(groups.items())
    }
    return SuiteResult(
        cell=task.cell,
        suite=task.suite,
        player=episodes[0].player,
        split=task.split,
        seed=task.seed,
        attempts=task.attempts,
        metric=metric,
        value=headline.value,
        n=headline.n,
        ci95=headline.ci95,
        every_hand=every_hand,
        splits=splits,
        details={**overview(episodes, weights), **own.measures(episodes, weights)},
        episodes=tuple(episodes),
    )


def _measures(cell: str) -> ModuleType:
    """The module with a game's own ``headline``, ``measures``, ``split_of`` and ``shares``."""
    from labkit.evaluation import general_points, virl

    return {"gp-l": general_points, "gp-vl": general_points, "virl-l": virl, "virl-vl": virl}[cell]
