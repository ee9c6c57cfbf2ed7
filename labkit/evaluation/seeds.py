"""Statistics over training seeds: values and changes whose intervals speak of other seeds and other deals.

All seeds are evaluated on the same deals, so deals are crossed with seeds and both are samples. The variance of a
mean is that of seeds, plus that of deals, plus what is left (two-way random effects; Searle, Casella and McCulloch,
Variance Components, 1992, chapter 4; Cameron, Gelbach and Miller, Journal of Business and Economic Statistics 29,
2011, 238-249, come to the same sum). Each part has its own quantile of Student's t, that of the seeds with one degree
of freedom less than there are seeds, and the two half-widths are squared and added (Zou and Donner, Statistics in
Medicine 27, 2008, 1693-1702). Satterthwaite's degrees of freedom in their place hold the truth in 92 to 95% of cases
with three seeds: where chance makes the seeds look alike, the variance and the quantile are too small together.

Rates lie between 0 and 1, and where seeds differ widely their distribution is skewed: a symmetric interval of three
seeds then holds the truth in 86 to 90% of cases. So the interval of a rate is built on the logit scale (delta method;
Korn and Graubard, Analysis of Health Surveys, 1999, section 3.5), and a change takes its bounds from those of its two
rates and their correlation, as :func:`labkit.evaluation.paired.difference` does for one seed. ``docs/evaluation.md``
has the simulated coverage, ``tests/evaluation/test_coverage.py`` the simulation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from labkit.episode import Episode
from labkit.evaluation.metrics import Z95, Measured
from labkit.evaluation.paired import Metric, Side, between, change_of, sides_of

ENOUGH = 3
"""Training seeds from which an interval may be read as one over trainings."""


class Pooled(NamedTuple):
    """A change over several training seeds."""

    change: Measured
    """The mean over the seeds; its interval speaks of other seeds and other deals. ``n`` counts the seeds."""
    seeds: tuple[Measured, ...]
    """The change of each seed alone, whose interval speaks of other deals only."""


class Mean(NamedTuple):
    """A mean over seeds, and how sure it is."""

    value: float
    error: float
    """Standard error, for other seeds and other deals."""
    half: float
    """Half of the width of a symmetric 95% interval."""
    shared: float = 1.0
    """Part of one seed's own sampling variance that comes from the deals, and so is the same for every seed."""


def level(
    seeds: Sequence[Sequence[Episode]], *, metric: Metric | None = None, weights: Sequence[float] | None = None
) -> Measured:
    """A rate over training seeds that were all evaluated on the same deals; ``n`` counts the trials of all seeds.

    Args:
        seeds: the episodes of each seed.
        metric: the rate; the headline number of the cell and suite if not given.
        weights: share of the deals that each episode of the first seed stands for; None if all count alike.

    Raises:
        ValueError: no seeds; tasks that are not the same; there is no such rate, or it has no trials.
    """
    sides = _sides(seeds, metric, weights)
    n = sum(side.estimate.n for side in sides)
    return (sides[0].estimate if len(sides) == 1 else rate_over(sides))._replace(n=n)


def shared_part(
    seeds: Sequence[Sequence[Episode]], before: Sequence[Sequence[Episode]] = (), *, metric: Metric | None = None
) -> float:
    """:attr:`Mean.shared` of the rates of some evaluations, or of their changes since others.

    Pass it to :func:`across` where only numbers were kept.

    Raises:
        ValueError: as :func:`level`.
    """
    sides = _sides([*seeds, *before], metric, None)
    value_SE = np.stack([_pseudo(side) for side in sides[: len(seeds)]])
    if before:
        value_SE = value_SE - np.stack([_pseudo(side) for side in sides[len(seeds) :]])
    return crossed(value_SE).shared


def pooled(
    pairs: Sequence[tuple[Sequence[Episode], Sequence[Episode]]],
    *,
    metric: Metric | None = None,
    weights: Sequence[float] | None = None,
) -> Pooled:
    """The mean change over training seeds that were all evaluated on the same deals.

    Args:
        pairs: (before, after) for each seed; ``before`` may be the same episodes for every seed.
        metric: as in :func:`level`.
        weights: of the episodes of the first pair's ``before``.

    Raises:
        ValueError: no pairs; tasks that are not the same; there is no such rate, or it has no trials.
    """
    sides = _sides([episodes for pair in pairs for episodes in pair], metric, weights)
    return change_over(sides[0::2], sides[1::2])


def rate_over(sides: Sequence[Side]) -> Measured:
    """The mean rate of several seeds; ``n`` counts them."""
    return _rate(crossed(np.stack([_pseudo(side) for side in sides])), sides, len(sides))


def change_over(old: Sequence[Side], new: Sequence[Side]) -> Pooled:
    """The mean change of several seeds from one player to another, seed for seed."""
    alone = tuple(change_of(*pair)._replace(n=1) for pair in zip(old, new, strict=True))
    if len(alone) == 1:
        return Pooled(alone[0], alone)
    before_SE, after_SE = (np.stack([_pseudo(side) for side in part]) for part in (old, new))
    before, after, moved = crossed(before_SE), crossed(after_SE), crossed(after_SE - before_SE)
    if not moved.error:
        # No deal changes with any seed, which does not show that none ever does.
        return Pooled(Measured(moved.value, len(alone), alone[0].ci95), alone)
    spread = 2 * before.error * after.error
    together = before.error**2 + after.error**2 - moved.error**2
    correlation = min(1.0, max(-1.0, together / spread)) if spread else 0.0
    rate, later = (_rate(mean, part, len(part)) for mean, part in ((before, old), (after, new)))
    return Pooled(between(rate, later, correlation), alone)


def across(values: Sequence[Measured], shared: float = 1.0) -> Measured:
    """The mean of several seeds' numbers, where their episodes are not at hand.

    Args:
        values: one a seed, all on the same deals, each with its own interval over deals.
        shared: :attr:`Mean.shared`, measured where there are episodes (:func:`shared_part`). At 1 the interval errs on
            the wide side.

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("no seeds to pool")
    if len(values) == 1:
        return values[0]
    n = sum(v.n for v in values)
    mean = _mean_of(values, shared)
    return Measured(mean.value, n, (mean.value - mean.half, mean.value + mean.half))


def rate_across(values: Sequence[Measured], shared: float = 1.0) -> Measured:
    """:func:`across` for rates, whose interval lies within 0 and 1.

    Raises:
        ValueError: no values.
    """
    found = across(values, shared)
    if len(values) == 1:
        return found
    mean = _mean_of(values, shared)
    return found._replace(ci95=_logit_interval(mean) or values[0].ci95)


def _mean_of(values: Sequence[Measured], shared: float) -> Mean:
    """The mean of numbers with their intervals: the spread of the seeds over their number, and the deals' part, which
    more seeds do not lessen."""
    count = len(values)
    value = sum(v.value for v in values) / count
    own = sum(((v.ci95[1] - v.ci95[0]) / 2 / Z95) ** 2 for v in values) / count
    spread = sum((v.value - value) ** 2 for v in values) / (count - 1)
    noise = (1 - shared) * own
    return _added(value, count, spread / count, noise / count, shared * own, math.inf, shared)


def crossed(value_SE: np.ndarray) -> Mean:
    """The mean over crossed seeds and episodes; a component of variance that comes out negative is none."""
    seeds, episodes = value_SE.shape
    mean = value_SE.mean()
    seed_S, episode_E = value_SE.mean(axis=1), value_SE.mean(axis=0)
    left_SE = value_SE - seed_S[:, None] - episode_E + mean
    # Mean squares. What deals add is what they have more than is left; less than nothing is nothing.
    free_S, free_E = max(1, seeds - 1), max(1, episodes - 1)
    square_S = episodes * float(((seed_S - mean) ** 2).sum()) / free_S
    square_E = seeds * float(((episode_E - mean) ** 2).sum()) / free_E
    left = float((left_SE**2).sum()) / (free_S * free_E)
    deals = max(0.0, square_E - left)
    shared = deals / (deals + seeds * left) if square_E or left else 1.0
    cells = seeds * episodes
    return _added(float(mean), seeds, square_S / cells, left / cells, deals / cells, episodes, shared)


def _added(value: float, seeds: int, spread: float, noise: float, of_deals: float, deals: float, shared: float) -> Mean:
    """A mean whose variance is that of the seeds, as their spread shows it, plus that of the deals.

    The spread has noise in it, each seed's own sampling. Where it is no larger, the seeds differ by chance: then the
    noise counts in its place, of which many deals tell.
    """
    of_seeds = spread if spread > noise else 0.0
    rest = of_deals if of_seeds else of_deals + noise
    half = math.hypot(t95(max(1, seeds - 1)) * math.sqrt(of_seeds), t95(max(1, deals - 1)) * math.sqrt(rest))
    return Mean(value, math.sqrt(of_seeds + rest), half, shared)


def _rate(mean: Mean, sides: Sequence[Side], n: int) -> Measured:
    """With an interval on the logit scale; where nothing varies, that of the first seed stands."""
    return Measured(mean.value, n, _logit_interval(mean) or sides[0].estimate.ci95)


def _logit_interval(mean: Mean) -> tuple[float, float] | None:
    """None where there is no error, or no logit."""
    if not mean.error or not 0 < mean.value < 1:
        return None
    middle = math.log(mean.value / (1 - mean.value))
    half = mean.half / (mean.value * (1 - mean.value))
    low, high = (0.5 * (1 + math.tanh((middle + side) / 2)) for side in (-half, half))
    return low, high


def _pseudo(side: Side) -> np.ndarray:
    """``[E]``: a number for each deal, with the seed's rate as their mean."""
    return side.estimate.value + len(side.error_E) * side.error_E


def _sides(seeds: Sequence[Sequence[Episode]], metric: Metric | None, weights: Sequence[float] | None) -> list[Side]:
    """The trials of each seed, task by task, in the order of the first, and with its weights."""
    if not seeds or not seeds[0]:
        raise ValueError("no seeds to pool")
    sides = [side for side in sides_of(seeds, metric, weights) if side is not None]
    if len(sides) < len(seeds):
        raise ValueError("there is nothing to measure: no trial in any episode of a seed")
    return sides


def t95(freedom: float) -> float:
    """The quantile of Student's t for a two-sided 95% interval; ``freedom`` need not be whole."""
    from scipy.special import stdtrit  # a tenth of a second that an evaluation of one player has no use for

    return float(stdtrit(freedom, 0.975))
