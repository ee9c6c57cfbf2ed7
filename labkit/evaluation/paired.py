"""Two players on the same deals: how much one does better, and how sure that is.

Each player's deals are the other's, so luck with the deals falls out of the difference: that is what pairing
is for. Where a deal was sampled several times, its samples are one pair. Two questions:

* :func:`difference`: the change of a rate, with a 95% interval;
* :func:`test`: could players that answer alike have differed so much?

Both speak of other deals, not of other trainings: :mod:`labkit.evaluation.seeds` pools several seeds.

A share is hits over trials, and an episode may bring any number of trials (the answers along a route), so
every formula takes episodes as clusters: what an episode i adds to a share's error is, to first order,
u_i = w_i (hits_i - share * trials_i) / sum(w * trials) (Taylor linearisation of a ratio; Cochran, Sampling
Techniques, 1977, section 6.3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np

from labkit.counting import counted
from labkit.episode import Episode
from labkit.evaluation.games import trials_of
from labkit.evaluation.metrics import Estimate, Measured, Trials, share

Metric = str | Callable[[Episode], Trials]
"""The name of a share (see :func:`labkit.evaluation.games.trials_of`), or what each episode brings to one."""

FLIPS = 10_000
"""Random relabellings of the sign-flip test: a p-value of 0.05 is then known to within 0.004."""


class Test(NamedTuple):
    """A test of "the two players answer alike"."""

    p: float
    """Two-sided."""
    method: str
    better: int
    """Episodes in which the second player did better."""
    worse: int


class Side(NamedTuple):
    """One player's trials, an array entry a task; at least one task has a trial."""

    weight_E: np.ndarray
    hits_E: np.ndarray
    trials_E: np.ndarray
    estimate: Measured
    error_E: np.ndarray
    """u_i of the module's docstring."""
    effective: float
    """How many trials of equal weight would do (Kish, 1965)."""


def difference(
    before: Sequence[Episode],
    after: Sequence[Episode],
    *,
    metric: Metric | None = None,
    weights: Sequence[float] | None = None,
) -> Estimate:
    """The change of a share from one player to another on the same tasks; ``n`` counts the tasks.

    The value is None where a player has no trial.

    The interval is built from each player's own (Wilson's, at the effective sample size) and the correlation
    of the two shares over episodes: with one trial an episode it is method 10 of Newcombe (Statistics in
    Medicine 17, 1998, 2635-2650), and otherwise the same rule, as Donner and Zou (Statistical Methods in
    Medical Research 21, 2012, 347-359) extend it to other intervals. Unlike a normal one it keeps a width
    where no episode changes, and stays within [-1, 1].

    Args:
        before: episodes of the first player.
        after: the second player's, of the same tasks in any order.
        metric: the share that is compared; the headline number of the cell and suite if not given.
        weights: share of the deals that each episode of ``before`` stands for; None if all count alike.

    Raises:
        ValueError: the tasks are not the same, or none, or there is no such share.
    """
    old, new = sides_of([before, after], metric, weights)
    return Estimate(None, 0, None) if old is None or new is None else change_of(old, new)


def change_of(old: Side, new: Side) -> Measured:
    """:func:`difference` of trials that are matched already."""
    spread = math.sqrt((old.error_E**2).sum() * (new.error_E**2).sum())
    together = float((old.error_E * new.error_E).sum())
    if together > 0:
        # Newcombe's continuity correction, half a trial: else players that agree throughout would have an
        # interval of no width.
        together = max(0.0, together - 0.5 / (old.effective * new.effective))
    correlation = min(1.0, together / spread) if spread else 0.0
    return between(old.estimate, new.estimate, correlation)._replace(n=len(old.hits_E))


def between(before: Measured, after: Measured, correlation: float) -> Measured:
    """The change from one rate to another, its bounds from theirs and the correlation of their errors; ``n`` is the
    smaller one."""
    (low_a, high_a), (low_b, high_b) = before.ci95, after.ci95
    change = after.value - before.value
    down = _side_by_side(after.value - low_b, high_a - before.value, correlation)
    up = _side_by_side(high_b - after.value, before.value - low_a, correlation)
    return Measured(change, min(before.n, after.n), (change - down, change + up))


def _side_by_side(one: float, other: float, correlation: float) -> float:
    """Length of the difference of two correlated errors."""
    return math.sqrt(max(0.0, one * one + other * other - 2 * correlation * one * other))


def test(
    before: Sequence[Episode],
    after: Sequence[Episode],
    *,
    metric: Metric | None = None,
    weights: Sequence[float] | None = None,
) -> Test:
    """Test that two players answer alike.

    Where each episode is one trial and all count alike: McNemar's test (Psychometrika 12, 1947, 153-157), in
    its exact form, which looks at the episodes that changed and asks a fair coin. Elsewhere: a sign-flip
    test, which swaps the two players in a random half of the episodes :data:`FLIPS` times and counts how
    often the change is as large (Fisher, The Design of Experiments, 1935; p-value after Phipson and Smyth,
    Statistical Applications in Genetics and Molecular Biology 9, 2010, article 39). Its flips are seeded.

    Args:
        before, after, metric, weights: as in :func:`difference`.

    Raises:
        ValueError: as :func:`difference`; or the share has no trials.
    """
    old, new = sides_of([before, after], metric, weights)
    if old is None or new is None:
        raise ValueError("there is nothing to compare: no trial in any episode")
    return test_of(old, new)


def test_of(old: Side, new: Side) -> Test:
    """:func:`test` of trials that are matched already."""
    # Over all trials of both players; where a player has none here, the episode is no evidence.
    gain_E = new.hits_E * old.trials_E - old.hits_E * new.trials_E
    better, worse = int((gain_E > 0).sum()), int((gain_E < 0).sum())
    plain = (old.trials_E == 1).all() and (new.trials_E == 1).all() and (old.weight_E == old.weight_E[0]).all()
    if plain:
        changed = better + worse
        tail = sum(math.comb(changed, k) for k in range(min(better, worse) + 1))
        return Test(min(1.0, 2 * tail / 2**changed), "exact McNemar", better, worse)
    return Test(_flipped(old, new), "sign flips of episodes", better, worse)


def _flipped(old: Side, new: Side) -> float:
    """The sign-flip p-value of the change of a share."""
    noise = np.random.default_rng(0)
    sums_4E = old.weight_E * np.stack([old.hits_E, old.trials_E, new.hits_E, new.trials_E])
    seen = abs(new.estimate.value - old.estimate.value)
    extreme = done = 0
    while done < FLIPS:
        rows = min(FLIPS - done, max(1, 4_000_000 // len(old.weight_E)))
        swap_RE = noise.integers(0, 2, (rows, len(old.weight_E))).astype(float)
        total_4 = sums_4E.sum(axis=1)
        moved_R4 = swap_RE @ (sums_4E[[2, 3, 0, 1]] - sums_4E).T
        hits_a, trials_a, hits_b, trials_b = (total_4 + moved_R4).T
        with np.errstate(invalid="ignore", divide="ignore"):
            change_R = hits_b / trials_b - hits_a / trials_a
        # Sums in another order differ in the last digits; a relabelling without trials says nothing.
        extreme += int((~(np.abs(change_R) < seen - 1e-12)).sum())
        done += rows
    return (extreme + 1) / (FLIPS + 1)


def sides_of(
    players: Sequence[Sequence[Episode]], metric: Metric | None, weights: Sequence[float] | None
) -> list[Side | None]:
    """The trials of each player, task by task, in the order of the first, and with its weights; None for a player
    without a trial.

    Raises:
        ValueError: the tasks are not the same, or none, or there is no such rate.
    """
    first = players[0]
    if not first:
        raise ValueError("no episodes to compare")
    weight_of = _weights(first, weights)
    brings = metric if callable(metric) else trials_of(first[0].task, metric)[1]
    return [side_of(_by_task(weight_of, episodes, brings), list(weight_of.values())) for episodes in players]


def side_of(trials: Sequence[Trials], weights: Sequence[float]) -> Side | None:
    """One player's trials, one entry a task; None where there is no trial."""
    estimate = share(trials, weights).measured
    if estimate is None:
        return None
    weight_E = np.array(weights)
    hits_E = np.array([t.hits for t in trials], dtype=float)
    trials_E = np.array([t.count for t in trials], dtype=float)
    mass = float((weight_E * trials_E).sum())
    error_E = weight_E * (hits_E - estimate.value * trials_E) / mass
    effective = mass**2 / float((weight_E**2 * trials_E).sum())
    return Side(weight_E, hits_E, trials_E, estimate, error_E, effective)


def _weights(episodes: Sequence[Episode], weights: Sequence[float] | None) -> dict[str, float]:
    """The weight of each task, by its id."""
    if weights is not None and len(weights) != len(episodes):
        raise ValueError(f"{counted(len(weights), 'weight')} for {counted(len(episodes), 'episode')}")
    return {e.task.id: float(w) for e, w in zip(episodes, weights or [1.0] * len(episodes), strict=True)}


def _by_task(tasks: Collection[str], episodes: Sequence[Episode], brings: Callable[[Episode], Trials]) -> list[Trials]:
    """What each task's episodes bring, samples of a task added up, in the order of ``tasks``."""
    sums = dict.fromkeys(tasks, Trials(0, 0))
    seen, others = set(), set()
    for episode in episodes:
        task, more = episode.task.id, brings(episode)
        if task in sums:
            seen.add(task)
            sums[task] = Trials(sums[task].hits + more.hits, sums[task].count + more.count)
        else:
            others.add(task)
    odd = sorted(others | (sums.keys() - seen))
    if odd:
        raise ValueError(
            f"the players did not play the same tasks: one of them lacks {counted(len(odd), 'task')}, such as {odd[0]}"
        )
    return list(sums.values())
