"""Evaluate a player on a suite: one headline number with its n and interval, and what lies behind it.

How deals are chosen:

* ``episodes=500``: that many seeded deals, as a deck deals them (or routes, each before any again). The same
  seed gives every player the same deals, so two players can be compared deal by deal.
* ``episodes="all"``: every hand (or route) of the suite once, in one seeded order of cards (and suits),
  weighted by its share of the deals. Which hands are played is not left to chance, the order of their cards
  is; the interval is worked out as if the hands had been drawn as well, and so errs on the wide side.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from labkit.counting import counted
from labkit.envs import ladder
from labkit.episode import Episode, Task
from labkit.errors import UsageError
from labkit.evaluation.controls import REVISIONS, every_position
from labkit.evaluation.games import measures_of, trials_of
from labkit.evaluation.metrics import Estimate, measured, overview, plain, share
from labkit.evaluation.samples import pass_at
from labkit.play import Played, play_many
from labkit.players.base import Player

if TYPE_CHECKING:
    from labkit.players.checkpoint import Checkpoint

ASKED_ONCE = "asked-once"
"""What is added to a suite's name where the episodes of :attr:`SuiteResult.asked_once` are stored."""
SAMPLES_APART = 10**9
"""How far apart the keys of a deal's samples are."""


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
    asked_once: tuple[Episode, ...] = field(default=(), repr=False)
    """Episodes in which every position was asked once, where that was asked for and the game measures it."""

    @property
    def estimate(self) -> Estimate:
        """The headline number with its interval."""
        return Estimate(self.value, self.n, self.ci95)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without the episodes."""
        settings = {"split": self.split, "attempts": self.attempts, "every_hand": self.every_hand}
        return plain({"metric": self.metric, **plain(self.estimate), **settings, "splits": self.splits, **self.details})


def evaluate(
    player: Player,
    cell: str,
    suite: str,
    *,
    split: str = "all",
    episodes: int | Literal["all"] = 500,
    seed: int = 0,
    batch: int = 128,
    samples: int = 1,
    revision: str = "dialogue",
    ask_every_position: bool = False,
    reference: Checkpoint | None = None,
    progress: Callable[[int, int, Episode], None] | None = None,
    keep: Callable[[Played], None] | None = None,
    stored: Sequence[Episode] = (),
    **settings: Any,
) -> SuiteResult:
    """Play a suite and measure it.

    Args:
        episodes: how many deals, or ``"all"`` for every hand once.
        batch: episodes played side by side; the result does not depend on it.
        samples: independent episodes of each deal, for pass@k; they see nothing of each other. The first of them
            is the one that a single sample would be.
        revision: what the player reads of its attempts before; one of :data:`labkit.evaluation.controls.REVISIONS`.
        ask_every_position: also ask every position once, with the expert's history, where the game measures that
            (:func:`labkit.evaluation.controls.every_position`).
        reference: also measure how far the player has moved from this one: see :mod:`labkit.evaluation.drift`.
        progress: called with (done, total, episode) as each episode ends.
        keep: called with each episode and its tokens as it ends, to store them.
        stored: episodes of these deals that were played before, as :func:`whole_deals` leaves them; they are
            measured and not played again.
        settings: what else the game's tasks take: ``attempts``, ``prompts``, ``reward``, ``picture``;
            ``faces`` and ``target`` in GeneralPoints, ``actions``, ``walk`` and ``data`` in V-IRL.

    Raises:
        UsageError: a setting cannot be, the player cannot go on, or there is no comparing with the reference.
    """
    for name, number in (("batch", batch), ("samples", samples)):
        if number < 1:
            raise UsageError(f"{name} must be a whole number from 1, not {number}")
    if samples > 1 and getattr(player, "temperature", None) == 0:
        raise UsageError("at temperature 0 all samples of a deal are alike; give a temperature, such as 1")
    if revision not in REVISIONS:
        raise UsageError(f"no revision {revision!r}; there are {', '.join(REVISIONS)}")
    tasks = tasks_of(cell, suite, split=split, episodes=episodes, seed=seed, **settings)
    dialogue, drift = player, None
    if revision != "dialogue" and reference is not None:
        raise UsageError("the distance to a reference is measured on dialogues; leave revision or reference out")
    player = REVISIONS[revision](player)
    if reference is not None:
        from labkit.evaluation.drift import Drift

        if stored:
            raise UsageError("the distance to a reference is measured as episodes are played; play all of them again")
        drift = Drift(player, reference)
    kept = whole_deals(tasks, stored, samples)
    played = [(deal, deal, episode) for deal, of_deal in kept.items() for episode in of_deal]
    # A deal's samples go together: they have their prompt in common.
    waiting = [deal for deal in range(len(tasks)) if deal not in kept]
    places = [deal + SAMPLES_APART * sample for deal in waiting for sample in range(samples)]
    asked = (tasks[deal] for deal in waiting for _ in range(samples))
    total = len(tasks) * samples
    for finished in play_many(asked, player, batch=batch, key=(seed,), places=places):
        played.append((finished.index % SAMPLES_APART, finished.index, finished.episode))
        if drift:
            drift.add(finished)
        if keep:
            keep(finished)
        if progress:
            progress(len(played), total, finished.episode)
    played.sort(key=lambda row: row[:2])
    every = episodes == "all" and settings.get("deals") is None
    result = measure([episode for _, _, episode in played], every_hand=every)
    if ask_every_position and samples == 1 and measures_of(cell).ASKED_ONCE:
        result = with_asked_once(result, every_position(tasks, dialogue, batch=batch, key=(seed,)))
    if drift:
        order = [index for _, index, _ in played]
        distance = drift.estimate(order, [e.task.id for e in result.episodes] if samples > 1 else None)
        result = replace(result, details={**result.details, "kl": distance, "reference": drift.reference})
    return result


def with_asked_once(result: SuiteResult, episodes: Iterable[Episode]) -> SuiteResult:
    """A result with what was measured where every position was asked once, on the same deals."""
    own, once = measures_of(result.cell), tuple(episodes)
    weights = own.deal_weights(once) if result.every_hand else None
    details = {**result.details, **measured(own.ASKED_ONCE, once, weights)}
    return replace(result, details=details, asked_once=once)


def whole_deals(tasks: Sequence[Task], stored: Iterable[Episode], samples: int = 1) -> dict[int, list[Episode]]:
    """Stored episodes by the number of their deal in ``tasks``, of those deals that have all their samples.

    A deal that lacks some of its samples is left out: a stored episode does not say which sample it was.

    Raises:
        UsageError: an episode is of none of the tasks, or a deal has too many.
    """
    numbers = {_identity(task): number for number, task in enumerate(tasks)}
    found: dict[int, list[Episode]] = {}
    for episode in stored:
        number = numbers.get(_identity(episode.task))
        if number is None:
            raise UsageError(
                f"stored episode {episode.task.id} is of another deal or other prompts; start a new evaluation"
            )
        found.setdefault(number, []).append(episode)
        if len(found[number]) > samples:
            raise UsageError(
                f"{episode.task.id} is stored more than {counted(samples, 'time')}; start a new evaluation"
            )
    return {number: episodes for number, episodes in sorted(found.items()) if len(episodes) == samples}


def _identity(task: Task) -> str:
    """The task as stored: JSON has lists where a task may have tuples."""
    return json.dumps(asdict(task), sort_keys=True)


def tasks_of(
    cell: str,
    suite: str,
    *,
    split: str = "all",
    episodes: int | Literal["all"] = 500,
    seed: int = 0,
    deals: str | Path | None = None,
    **settings: Any,
) -> list[Task]:
    """The deals that :func:`evaluate` plays.

    Args:
        deals: a file of deals to play, those of the suite, in place of ``split`` and ``episodes``
            (:func:`read_deals`).

    Raises:
        UsageError: a setting cannot be, or the file cannot be read.
    """
    if deals is not None:
        changed = {key: settings[key] for key in ("attempts", "prompts") if settings.get(key) is not None}
        return [replace(task, **changed) for task in read_deals(deals, cell) if task.suite == suite]
    if episodes == "all":
        return [task for task, _ in ladder.enumerate_tasks(cell, suite, split, seed=seed, **settings)]
    if episodes < 1:
        raise UsageError(f"episodes must be a whole number from 1, or all, not {episodes}")
    return list(islice(ladder.tasks(cell, suite, split, seed=seed, **settings), episodes))


def read_deals(path: str | Path, cell: str) -> list[Task]:
    """The tasks of a file of JSON lines with a ``task`` each, compressed or not: stored episodes, for instance.

    Raises:
        UsageError: the file cannot be read, holds no task, or tasks of another cell.
    """
    opened = gzip.open if str(path).endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8") as handle:
            tasks = [Task.from_dict(json.loads(line)["task"]) for line in handle if line.strip()]
    except OSError as error:
        raise UsageError(f"cannot read the deals {path}: {error.strerror or error}") from None
    except (EOFError, zlib.error):
        raise UsageError(f"cannot read the deals {path}: it is cut short or damaged") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} holds no deals; each line is a JSON object with a task, as stored episodes have: {error}"
        ) from None
    others = sorted({task.cell for task in tasks} - {cell})
    if others or not tasks:
        raise UsageError(
            f"{path} holds deals of {', '.join(others) or 'no cell'}, not of {cell}; give another file or cell"
        )
    # A deal that several players failed may be there several times.
    return list({_identity(task): task for task in tasks}.values())


def headline(episodes: Sequence[Episode], weights: Sequence[float] | None = None) -> Estimate:
    """The headline number of :func:`measure` alone, for where what lies behind it would be worked out in vain.

    Args:
        weights: of each episode; all are alike if not given.

    Raises:
        ValueError: no episodes.
    """
    if not episodes:
        raise ValueError("no episodes to measure")
    _, trials = trials_of(episodes[0].task)
    return share([trials(e) for e in episodes], weights, _deals(episodes))


def _deals(episodes: Sequence[Episode]) -> list[str] | None:
    """The deal of each episode; None where each has its own."""
    ids = [e.task.id for e in episodes]
    return ids if len(set(ids)) < len(ids) else None


def measure(episodes: Sequence[Episode], *, every_hand: bool = False) -> SuiteResult:
    """Measure finished episodes of one player on one suite; for stored ones too.

    Episodes of one task are taken as samples of one deal: intervals are over deals, and ``details`` has
    ``pass_at``.

    Args:
        every_hand: the episodes hold every hand of the suite once, and are to be weighted by its share.

    Raises:
        ValueError: no episodes.
    """
    if not episodes:
        raise ValueError("no episodes to measure")
    task = episodes[0].task
    own = measures_of(task.cell)
    metric, _ = trials_of(task)
    weights, deals = own.deal_weights(episodes) if every_hand else None, _deals(episodes)
    groups: dict[str, list[int]] = {}
    for index, episode in enumerate(episodes):
        groups.setdefault(own.split_of(episode), []).append(index)

    def of(rows: Sequence[int]) -> Estimate:
        return headline([episodes[i] for i in rows], [weights[i] for i in rows] if weights else None)

    value, n, ci95 = headline(episodes, weights)
    details = {**overview(episodes, weights, deals), **own.measures(episodes, weights, deals)}
    if deals:
        details["pass_at"] = pass_at(episodes, deals, weights)
    return SuiteResult(
        cell=task.cell,
        suite=task.suite,
        player=episodes[0].player,
        split=task.split,
        seed=task.seed,
        attempts=task.attempts,
        metric=metric,
        value=value,
        n=n,
        ci95=ci95,
        every_hand=every_hand,
        splits={name: of(rows) for name, rows in sorted(groups.items())},
        details=details,
        episodes=tuple(episodes),
    )
