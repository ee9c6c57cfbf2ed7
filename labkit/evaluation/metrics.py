"""Metrics over episodes: pure functions, so that any stored run can be measured again.

Every share comes with its n and a 95% interval. Two things make a plain binomial interval wrong here, and
both are met by one number, the effective sample size:

* answers of one episode hang together (an episode's later attempts answer its feedback), so a share of
  answers has a variance that is worked out over episodes, not over answers;
* where every hand is played once, hands count by how often a deck deals them.

The interval is Wilson's (1927), at the sample size at which independent trials would have the variance that
the data show (Korn and Graubard, 1998).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from labkit.episode import Attempt, Episode

Z95 = 1.959963984540054
"""The normal quantile of a two-sided 95% interval."""

FEW = 10
"""Of fewer values than this, a mean has no interval: a normal one would claim too much."""


class Estimate(NamedTuple):
    """A number and how sure it is."""

    value: float | None
    """None where there was nothing to measure."""
    n: int
    """What was counted: episodes, answers or successes, as the metric says."""
    ci95: tuple[float, float] | None
    """95% interval; None where there is no value, or a mean of too few."""


class Trials(NamedTuple):
    """What one episode brings to a share."""

    hits: int
    count: int = 1


def wilson(share: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a share seen in ``n`` independent trials; ``n`` may be an effective size.

    Inside [0, 1] always, and of positive width at 0 and 1, where the usual p +- z sqrt(p(1-p)/n) has none.
    """
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # Rounding may leave the bound that is exactly 0 or 1 a hair outside.
    return max(0.0, (centre - half) / (1 + z * z / n)), min(1.0, (centre + half) / (1 + z * z / n))


def share(trials: Iterable[Trials], weights: Sequence[float] | None = None) -> Estimate:
    """The share of hits, the trials of one episode taken as a cluster.

    Args:
        trials: one for each episode.
        weights: share of the deals that each episode stands for; None if all count alike.
    """
    rows = list(trials)
    weighted = [(t, w) for t, w in zip(rows, weights or [1.0] * len(rows), strict=True) if t.count and w > 0]
    if not weighted:
        return Estimate(None, 0, None)
    mass = sum(w * t.count for t, w in weighted)
    value = sum(w * t.hits for t, w in weighted) / mass
    n = sum(t.count for t, _ in weighted)
    variance = sum((w * (t.hits - value * t.count)) ** 2 for t, w in weighted) / mass**2
    if variance > 0:
        effective = min(value * (1 - value) / variance, n)
    else:
        # All agree, so their spread is not known: each counts as one trial, by its weight (Kish, 1965).
        effective = sum(w for _, w in weighted) ** 2 / sum(w * w for _, w in weighted)
    return Estimate(value, n, wilson(value, effective))


def mean(values: Sequence[float], weights: Sequence[float] | None = None) -> Estimate:
    """The mean of one value an episode, with a normal interval where there are :data:`FEW` values or more."""
    if not values:
        return Estimate(None, 0, None)
    weights = weights or [1.0] * len(values)
    mass = sum(weights)
    value = sum(w * v for v, w in zip(values, weights, strict=True)) / mass
    n = len(values)
    if n < FEW:
        return Estimate(value, n, None)
    squares = sum((w * (v - value)) ** 2 for v, w in zip(values, weights, strict=True))
    half = Z95 * math.sqrt(squares * n / (n - 1)) / mass
    return Estimate(value, n, (value - half, value + half))


def success_within(episode: Episode, attempts: int) -> bool:
    """Whether the episode would have succeeded with so many attempts at each position.

    An attempt does not depend on how many may follow it, so one evaluation with N attempts also is the
    evaluation with any smaller number.
    """
    return episode.success and all(len(p.attempts) <= attempts for p in episode.positions)


def of_episodes(
    episodes: Sequence[Episode], holds: Callable[[Episode], bool], weights: Sequence[float] | None = None
) -> Estimate:
    """The share of episodes for which something holds."""
    return share((Trials(int(holds(e))) for e in episodes), weights)


def of_answers(
    episodes: Sequence[Episode], holds: Callable[[Attempt], bool], weights: Sequence[float] | None = None
) -> Estimate:
    """The share of answers, over all attempts, for which something holds."""
    return share((Trials(sum(map(holds, e.attempts)), len(e.attempts)) for e in episodes), weights)


def overview(episodes: Sequence[Episode], weights: Sequence[float] | None = None) -> dict[str, Any]:
    """What can be said of episodes of any cell.

    ``within``: success within 1 to N attempts. ``attempts_to_success``: mean over the successes.
    ``return``: mean undiscounted return. ``categories``: verdicts of the first attempts. ``tags``: failure
    tags over all attempts. ``tokens``: mean sampled tokens of an answer, and ``truncated`` the share of
    answers cut off by the token limit; absent for players that are not models.
    """
    most = max((e.task.attempts for e in episodes), default=0)
    solved = [(e, w) for e, w in zip(episodes, weights or [1.0] * len(episodes), strict=True) if e.success]
    out: dict[str, Any] = {
        "within": {
            str(k): of_episodes(episodes, lambda e, k=k: success_within(e, k), weights)
            for k in range(1, most + 1)
        },
        "attempts_to_success": mean([len(e.attempts) for e, _ in solved], [w for _, w in solved]),
        "return": mean([e.reward for e in episodes], weights),
        "categories": dict(
            Counter(e.attempts[0].verdict.category for e in episodes if e.attempts).most_common()
        ),
        "tags": dict(Counter(t for e in episodes for a in e.attempts for t in a.tags).most_common()),
    }
    samples = [[a.sample for a in e.attempts if a.sample] for e in episodes]
    if any(samples):
        answers = [s for group in samples for s in group]
        out["tokens"] = sum(s.tokens for s in answers) / len(answers)
        out["truncated"] = share((Trials(sum(s.truncated for s in g), len(g)) for g in samples), weights)
    return out


def plain(value: Any) -> Any:
    """The same with every :class:`Estimate` as a JSON object."""
    if isinstance(value, Estimate):
        return {"value": value.value, "n": value.n, "ci95": list(value.ci95) if value.ci95 else None}
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value
