"""Two players on the same deals: how much one does better, and how sure that is.

Each player's deals are the other's, so luck with the deals falls out of the difference: that is what pairing
is for. Where a deal was sampled several times, its samples are one pair. Three questions:

* :func:`difference`: the change of a share, with a 95% interval;
* :func:`test`: could players that answer alike have differed so much?
* :func:`pooled`: the change over several training seeds, each evaluated on the same deals.

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

from labkit.episode import Episode
from labkit.evaluation.games import trials_of
from labkit.evaluation.metrics import Estimate, Trials, share

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


class Pooled(NamedTuple):
    """A change over several training seeds."""

    change: Estimate
    """The mean over the seeds; its interval speaks of other seeds and other deals. ``n`` counts the seeds."""
    seeds: tuple[Estimate, ...]
    """The change of each seed alone, whose interval speaks of other deals only."""


class _Side(NamedTuple):
    """One player's trials, an array entry a task."""

    weight_E: np.ndarray
    hits_E: np.ndarray
    trials_E: np.ndarray
    estimate: Estimate
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
    return _change(*_sides(before, after, metric, weights))


def _change(old: _Side, new: _Side) -> Estimate:
    if old.estimate.value is None or new.estimate.value is None:
        return Estimate(None, 0, None)
    change = new.estimate.value - old.estimate.value
    spread = math.sqrt((old.error_E**2).sum() * (new.error_E**2).sum())
    together = float((old.error_E * new.error_E).sum())
    if together > 0:
        # Newcombe's continuity correction, half a trial: else players that agree throughout would have an
        # interval of no width.
        together = max(0.0, together - 0.5 / (old.effective * new.effective))
    correlation = min(1.0, together / spread) if spread else 0.0
    (low_a, high_a), (low_b, high_b) = old.estimate.ci95, new.estimate.ci95
    down = _side_by_side(new.estimate.value - low_b, high_a - old.estimate.value, correlation)
    up = _side_by_side(high_b - new.estimate.value, old.estimate.value - low_a, correlation)
    return Estimate(change, len(old.hits_E), (change - down, change + up))


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
    old, new = _sides(before, after, metric, weights)
    if old.estimate.value is None or new.estimate.value is None:
        raise ValueError("there is nothing to compare: no trial in any episode")
    # Over all trials of both players; where a player has none here, the episode is no evidence.
    gain_E = new.hits_E * old.trials_E - old.hits_E * new.trials_E
    better, worse = int((gain_E > 0).sum()), int((gain_E < 0).sum())
    plain = (old.trials_E == 1).all() and (new.trials_E == 1).all() and (old.weight_E == old.weight_E[0]).all()
    if plain:
        changed = better + worse
        tail = sum(math.comb(changed, k) for k in range(min(better, worse) + 1))
        return Test(min(1.0, 2 * tail / 2**changed), "exact McNemar", better, worse)
    return Test(_flipped(old, new), "sign flips of episodes", better, worse)


def _flipped(old: _Side, new: _Side) -> float:
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


def pooled(
    pairs: Sequence[tuple[Sequence[Episode], Sequence[Episode]]],
    *,
    metric: Metric | None = None,
    weights: Sequence[float] | None = None,
) -> Pooled:
    """The mean change over training seeds that were all evaluated on the same deals.

    Deals are crossed with seeds, and both are samples: the variance of the mean is that of seeds, plus that
    of deals, plus what is left (two-way random effects; Searle, Casella and McCulloch, Variance Components,
    1992, chapter 4; Cameron, Gelbach and Miller, Journal of Business and Economic Statistics 29, 2011,
    238-249, come to the same sum). A component that comes out negative is none. Degrees of freedom after
    Satterthwaite (Biometrics Bulletin 2, 1946, 110-114): where three seeds disagree, the interval is wide. Where
    nothing varies at all, the seeds' own intervals stand.

    Args:
        pairs: (before, after) for each seed; ``before`` may be the same episodes for every seed.
        metric: as in :func:`difference`.
        weights: of the episodes of the first pair's ``before``.

    Raises:
        ValueError: no pairs; tasks that are not the same; a share that has no trials.
    """
    if not pairs:
        raise ValueError("no seeds to pool")
    weight_of = _weights(pairs[0][0], weights)
    place = {task: number for number, task in enumerate(weight_of)}
    rows, seeds = [], []
    for before, after in pairs:
        # In the order of the first pair, and with its weights.
        if {e.task.id for e in before} != weight_of.keys():
            raise ValueError("the seeds were not evaluated on the same tasks")
        before = sorted(before, key=lambda e: place[e.task.id])
        given = [weight_of[e.task.id] for e in before] if weights is not None else None
        old, new = _sides(before, after, metric, given)
        found = _change(old, new)
        if found.value is None:
            raise ValueError("there is nothing to compare: no trial in any episode")
        seeds.append(found)
        # Pseudo-values: one for each deal, with the seed's change as their mean.
        rows.append(found.value + len(weight_of) * (new.error_E - old.error_E))
    if len(pairs) == 1:
        return Pooled(seeds[0]._replace(n=1), tuple(seeds))
    value_SE = np.stack(rows)
    change = float(value_SE.mean())
    error, freedom = _crossed(value_SE)
    half = t95(freedom) * error
    interval = (change - half, change + half) if error else seeds[0].ci95
    return Pooled(Estimate(change, len(pairs), interval), tuple(seeds))


def _crossed(value_SE: np.ndarray) -> tuple[float, float]:
    """Standard error of the mean over crossed seeds and episodes, and its degrees of freedom."""
    seeds, episodes = value_SE.shape
    mean = value_SE.mean()
    seed_S, episode_E = value_SE.mean(axis=1), value_SE.mean(axis=0)
    left_SE = value_SE - seed_S[:, None] - episode_E + mean
    squares = {
        "seed": (episodes * ((seed_S - mean) ** 2).sum(), seeds - 1),
        "episode": (seeds * ((episode_E - mean) ** 2).sum(), max(1, episodes - 1)),
        "left": ((left_SE**2).sum(), (seeds - 1) * max(1, episodes - 1)),
    }
    means = {name: (total / free, free) for name, (total, free) in squares.items()}
    left = means["left"][0]
    terms = [means["left"]]
    for name in ("seed", "episode"):
        if means[name][0] > left:
            terms.append(means[name])
    # E[mean square] = left + (what the factor adds): a factor in use brings its mean square, less `left`.
    variance = sum(term for term, _ in terms) - (len(terms) - 1) * left
    loose = sum(term**2 / free for term, free in terms[1:]) + (len(terms) - 2) ** 2 * left**2 / means["left"][1]
    freedom = variance**2 / loose if loose else math.inf
    return math.sqrt(variance / (seeds * episodes)), freedom


def t95(freedom: float) -> float:
    """The quantile of Student's t for a two-sided 95% interval; ``freedom`` need not be whole."""
    from scipy.special import stdtrit  # a tenth of a second that an evaluation of one player has no use for

    return float(stdtrit(freedom, 0.975))


def _sides(
    before: Sequence[Episode],
    after: Sequence[Episode],
    metric: Metric | None,
    weights: Sequence[float] | None,
) -> tuple[_Side, _Side]:
    """The trials of both players, task by task, in the order of ``before``."""
    if not before:
        raise ValueError("no episodes to compare")
    weight_of = _weights(before, weights)
    weight_E = np.array(list(weight_of.values()))
    brings = metric if callable(metric) else trials_of(before[0].task, metric)[1]
    sides = []
    for episodes in (before, after):
        rows = _by_task(weight_of, episodes, brings)
        hits_E = np.array([r.hits for r in rows], dtype=float)
        trials_E = np.array([r.count for r in rows], dtype=float)
        estimate, mass = share(rows, weight_E.tolist()), float((weight_E * trials_E).sum())
        error_E = weight_E * (hits_E - (estimate.value or 0) * trials_E) / (mass or 1)
        effective = mass**2 / (float((weight_E**2 * trials_E).sum()) or 1)
        sides.append(_Side(weight_E, hits_E, trials_E, estimate, error_E, effective))
    return sides[0], sides[1]


def _weights(episodes: Sequence[Episode], weights: Sequence[float] | None) -> dict[str, float]:
    """The weight of each task, by its id."""
    if weights is not None and len(weights) != len(episodes):
        raise ValueError(f"{len(episodes)} episodes have {len(weights)} weights")
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
            f"the players did not play the same tasks: {len(odd)} are played by one only, such as {odd[0]}"
        )
    return list(sums.values())
