"""Metrics over episodes: pure functions, so that any stored run can be measured again.

Every share comes with its n and a 95% interval. Three things make a plain binomial interval wrong here, and
all are met by one number, the effective sample size:

* answers of one episode hang together (an episode's later attempts answer its feedback), so a share of
  answers has a variance that is worked out over episodes, not over answers;
* so do episodes of one deal, where it is sampled several times: then the variance is worked out over deals;
* where every hand is played once, hands count by how often a deck deals them.

The interval is Wilson's (1927), at the sample size at which independent trials would have the variance that
the data show (Korn and Graubard, 1998).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

from labkit.episode import Attempt, Episode

Z95 = 1.959963984540054
"""The normal quantile of a two-sided 95% interval."""

FEW = 10
"""Of fewer values than this, a mean has no interval: a normal one would claim too much."""

ROUNDING = 1e-18
"""A variance of a share below this is rounding: one odd trial in a million makes 1e-12."""


class Estimate(NamedTuple):
    """A number and how sure it is."""

    value: float | None
    """None where there was nothing to measure."""
    n: int
    """What was counted: episodes, answers or successes, as the metric says."""
    ci95: tuple[float, float] | None
    """95% interval; None where there is no value, or a mean of too few."""

    @property
    def measured(self) -> Measured | None:
        """The same estimate, known to have a value and an interval; None where one of them is missing."""
        if self.value is None or self.ci95 is None:
            return None
        return Measured(self.value, self.n, self.ci95)


class Measured(Estimate):
    """An estimate that has a value and an interval."""

    __slots__ = ()
    value: float
    ci95: tuple[float, float]

    def __new__(cls, value: float, n: int, ci95: tuple[float, float]) -> Self:
        return super().__new__(cls, value, n, ci95)


class Trials(NamedTuple):
    """What one episode brings to a share."""

    hits: float
    count: int = 1  # type: ignore[assignment]  # hides tuple.count


def wilson(share: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a share seen in ``n`` independent trials; ``n`` may be an effective size.

    Inside [0, 1] always, and of positive width at 0 and 1, where the usual p +- z sqrt(p(1-p)/n) has none.
    """
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # Rounding may leave the bound that is exactly 0 or 1 a hair outside.
    return max(0.0, (centre - half) / (1 + z * z / n)), min(1.0, (centre + half) / (1 + z * z / n))


def share(
    trials: Iterable[Trials], weights: Sequence[float] | None = None, deals: Sequence[Hashable] | None = None
) -> Estimate:
    """The share of hits, the trials of one episode, or of all episodes of one deal, taken as a cluster.

    Args:
        trials: one for each episode.
        weights: share of the deals that each episode stands for; None if all count alike.
        deals: which deal each episode is of; None if no two are of the same.
    """
    rows = list(trials)
    columns = zip(rows, weights or [1.0] * len(rows), deals or range(len(rows)), strict=True)
    kept = [(t, w, deal) for t, w, deal in columns if t.count and w > 0]
    if not kept:
        return Estimate(None, 0, None)
    mass = sum(w * t.count for t, w, _ in kept)
    value = sum(w * t.hits for t, w, _ in kept) / mass
    n = sum(t.count for t, _, _ in kept)
    errors = _by_deal((deal, w * (t.hits - value * t.count)) for t, w, deal in kept)
    variance = sum(e * e for e in errors) / mass**2
    if variance > ROUNDING:
        effective = min(value * (1 - value) / variance, n)
    else:
        # All agree, so their spread is not known: each counts as one trial, by its weight (Kish, 1965).
        masses = _by_deal((deal, w) for _, w, deal in kept)
        effective = sum(masses) ** 2 / sum(m * m for m in masses)
    return Estimate(value, n, wilson(value, effective))


def mean(
    values: Sequence[float], weights: Sequence[float] | None = None, deals: Sequence[Hashable] | None = None
) -> Estimate:
    """The mean of one value an episode, with a normal interval where there are :data:`FEW` deals or more.

    Args:
        weights, deals: as in :func:`share`.
    """
    if not values:
        return Estimate(None, 0, None)
    columns = list(zip(values, weights or [1.0] * len(values), deals or range(len(values)), strict=True))
    mass = sum(w for _, w, _ in columns)
    value = sum(w * v for v, w, _ in columns) / mass
    errors = _by_deal((deal, w * (v - value)) for v, w, deal in columns)
    if len(errors) < FEW:
        return Estimate(value, len(values), None)
    half = Z95 * math.sqrt(sum(e * e for e in errors) * len(errors) / (len(errors) - 1)) / mass
    return Estimate(value, len(values), (value - half, value + half))


def _by_deal(rows: Iterable[tuple[Hashable, float]]) -> list[float]:
    """The sum of each deal's numbers."""
    sums: dict[Hashable, float] = defaultdict(float)
    for deal, number in rows:
        sums[deal] += number
    return list(sums.values())


def success_within(episode: Episode, attempts: int) -> bool:
    """Whether the episode would have succeeded with so many attempts at each position.

    An attempt does not depend on how many may follow it, so one evaluation with N attempts also is the
    evaluation with any smaller number.
    """
    return episode.success and all(len(p.attempts) <= attempts for p in episode.positions)


def per_episode(holds: Callable[[Episode], bool]) -> Callable[[Episode], Trials]:
    """What an episode brings to the share of episodes for which something holds."""
    return lambda episode: Trials(holds(episode))


def per_answer(holds: Callable[[Attempt], bool]) -> Callable[[Episode], Trials]:
    """What an episode brings to the share of answers, over all attempts, for which something holds."""
    return lambda episode: Trials(sum(map(holds, episode.attempts)), len(episode.attempts))


RATES: dict[str, Callable[[Episode], Trials]] = {
    "success": per_episode(lambda e: e.success),
    "first_attempt": per_episode(lambda e: success_within(e, 1)),
}
"""Rates of any cell, as what an episode brings to them; each game has more. ``success``: episodes that end well.
``first_attempt``: those that do without a wrong answer."""


LABELS = {"success": "success", "first_attempt": "success at the first attempt"}
"""These rates in plain words."""


def measured(
    shares: Mapping[str, Callable[[Episode], Trials]],
    episodes: Sequence[Episode],
    weights: Sequence[float] | None = None,
    deals: Sequence[Hashable] | None = None,
) -> dict[str, Estimate]:
    """Several shares of the same episodes."""
    return {name: share(map(trials, episodes), weights, deals) for name, trials in shares.items()}


def overview(
    episodes: Sequence[Episode],
    weights: Sequence[float] | None = None,
    deals: Sequence[Hashable] | None = None,
) -> dict[str, Any]:
    """The measures of episodes of any cell.

    ``within``: success within 1 to N attempts. ``attempts_to_success``: mean over the successes.
    ``return``: mean undiscounted return. ``categories``: verdicts of the first attempts. ``tags``: failure
    tags over all attempts. ``tokens``: mean sampled tokens of an answer, and ``truncated`` the share of
    answers cut off by the token limit; absent for players that are not models.
    """
    most = max((e.task.attempts for e in episodes), default=0)
    columns = zip(episodes, weights or [1.0] * len(episodes), deals or range(len(episodes)), strict=True)
    solved = [row for row in columns if row[0].success]
    out: dict[str, Any] = {
        "within": {
            str(k): share((Trials(success_within(e, k)) for e in episodes), weights, deals) for k in range(1, most + 1)
        },
        "attempts_to_success": mean(
            [len(e.attempts) for e, _, _ in solved], [w for _, w, _ in solved], [d for _, _, d in solved]
        ),
        "return": mean([e.reward for e in episodes], weights, deals),
        "categories": dict(Counter(e.attempts[0].verdict.category for e in episodes if e.attempts).most_common()),
        "tags": dict(Counter(t for e in episodes for a in e.attempts for t in a.tags).most_common()),
    }
    samples = [[a.sample for a in e.attempts if a.sample] for e in episodes]
    if any(samples):
        answers = [s for group in samples for s in group]
        cut = (Trials(sum(s.truncated for s in group), len(group)) for group in samples)
        out["tokens"] = sum(s.tokens for s in answers) / len(answers)
        out["truncated"] = share(cut, weights, deals)
    return out


def plain(value: Any) -> Any:
    """The same with every :class:`Estimate` as a JSON object."""
    if isinstance(value, Estimate):
        return {"value": value.value, "n": value.n, "ci95": list(value.ci95) if value.ci95 else None}
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value
