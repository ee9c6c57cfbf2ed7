"""Values, changes and curves over seeds, computed from what is stored of a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Literal

from labkit.episode import Episode
from labkit.evaluation import Measured, seeds
from labkit.evaluation.games import measures_of
from labkit.evaluation.paired import between
from labkit.evaluation.suites import ASKED_ONCE
from labkit.replication.stored import Compute, Data, Endpoint, Point, SeedRun, probed, read_episodes

SLACK = 0.05
"""The share by which a run may be beyond a compute and still count as being there: runs end at whole updates."""


def pairs_of(before: Sequence[Endpoint], after: Sequence[Endpoint]) -> list[tuple[Endpoint, Endpoint]]:
    """The ends of the seeds that have both. One ``before`` alone, an Init, serves every seed."""
    earlier = {e.seed: e for e in before}
    alone = before[0] if len(before) == 1 and not before[0].seed else None
    return [(b, a) for a in after if (b := earlier.get(a.seed, alone))]


def value_of(ends: Sequence[Endpoint]) -> Measured:
    """The mean rate of several seeds' ends, from their episodes where all are kept and of the same deals."""
    if all(e.episodes for e in ends):
        with suppress(ValueError):
            return seeds.level([e.episodes for e in ends], weights=ends[0].weights)
    return seeds.rate_across([e.value for e in ends])


def change_of_rate(pairs: Sequence[tuple[Endpoint, Endpoint]], name: str) -> Measured | None:
    """:func:`change` of a rate other than the headline's; None where its episodes are not stored."""
    played = [(_played_for(before, name), _played_for(after, name)) for before, after in pairs]
    if not pairs or not all(before and after for before, after in played):
        return None
    with suppress(ValueError):
        return seeds.pooled(played, metric=_metric(played[0][0], name), weights=pairs[0][0].weights).change
    return None


def _played_for(end: Endpoint, name: str) -> Sequence[Episode]:
    """The episodes that a rate is computed from: those of the end, or those in which every position was asked once."""
    if not end.episodes or name not in measures_of(end.episodes[0].task.cell).ASKED_ONCE:
        return end.episodes
    asked = f"{end.episodes[0].task.suite}-{ASKED_ONCE}"
    return read_episodes(str(end.run.path), asked) if asked in end.run.episode_names() else ()


def _metric(episodes: Sequence[Episode], name: str) -> seeds.Metric:
    return measures_of(episodes[0].task.cell).ASKED_ONCE.get(name, name)


def change(pairs: Sequence[tuple[Endpoint, Endpoint]]) -> Measured | None:
    """The mean change from the first ends of some pairs to the second; None where there are no pairs.

    Paired by deal (:func:`labkit.evaluation.seeds.pooled`) where all episodes are kept and the tasks are the same;
    otherwise as if the deals had been different ones, which is wider.
    """
    if not pairs:
        return None
    if all(b.episodes and a.episodes for b, a in pairs):
        # A ValueError: other tasks, as with another number of attempts or another split.
        with suppress(ValueError):
            return seeds.pooled([(b.episodes, a.episodes) for b, a in pairs], weights=pairs[0][0].weights).change
    return seeds.across([between(b.value, a.value, correlation=0.0) for b, a in pairs])


@dataclass(frozen=True)
class Growth:
    """A curve's change since its start, at a compute that others have reached too."""

    change: Measured
    flops: float
    """Mean over the seeds of the probes that were taken."""
    seeds: int


Account = Literal["counted", "paper"]
"""Which FLOPs are compared: those counted, or the paper's estimate (6ND for SFT, 6ND + 2N lambda D for RL)."""


def since_start(line: SeedRun, point: Point, account: Account = "counted") -> float:
    """The FLOPs between a run's first probe and another."""
    name = "flops" if account == "counted" else "estimated_flops"
    return getattr(point, name) - getattr(line.points[0], name)


def common_compute(data: Data, cell: str, account: Account = "counted") -> float:
    """The compute, since each run's own start, that every stored run of a cell's curves has reached."""
    spent = [
        since_start(line, line.points[-1], account)
        for (at, _), lines in data.lines.items()
        if at == cell
        for line in lines
        if line.points
    ]
    return min(spent, default=0.0)


def growth(lines: Sequence[SeedRun], suite: str, flops: float, account: Account = "counted") -> Growth | None:
    """The change of a suite since the start at the last probe within a compute, or beyond it by no more than
    :data:`SLACK`; None where nothing is stored."""
    found, spent = [], []
    for line in lines:
        there = [p for p in line.points if suite in p.values]
        within = [p for p in there if since_start(line, p, account) <= flops * (1 + SLACK)]
        if within:
            first, last = there[0], within[-1]
            found.append(last.changes.get(suite) or between(first.values[suite], last.values[suite], correlation=0.0))
            spent.append(since_start(line, last, account))
    if not found:
        return None
    shared = _shared(lines, suite, changes=True)
    return Growth(seeds.across(found, shared), sum(spent) / len(spent), len(found))


def _shared(lines: Sequence[SeedRun], suite: str, *, changes: bool = False) -> float:
    """What part of a probe's variance is that of the deals, which all seeds share: as the last probes show, whose
    episodes are kept; all of it where they are not."""
    last, first = (
        [end.episodes for line in lines if (end := probed(line, suite, at)) and end.episodes] for at in (-1, 0)
    )
    if len(last) < len(lines) or len(first) < len(lines):
        return 1.0
    with suppress(ValueError):
        return seeds.shared_part(last, first if changes else ())
    return 1.0


def mean_compute(spent: Sequence[Compute]) -> Compute | None:
    """The mean over seeds; None of no seed."""
    if not spent:
        return None
    return Compute(*(sum(getattr(s, f.name) for s in spent) / len(spent) for f in fields(Compute)))


@dataclass(frozen=True)
class Mean:
    """A curve over the seeds, at the probes that all of them have."""

    updates: tuple[int, ...]
    flops: tuple[float, ...]
    estimated_flops: tuple[float, ...]
    values: Mapping[str, tuple[Measured, ...]]
    """By suite."""


def mean_line(lines: Sequence[SeedRun], suites: Sequence[str]) -> Mean:
    """The mean over seeds, probe by probe."""
    by_step = [{p.step: p for p in line.points if all(s in p.values for s in suites)} for line in lines]
    steps = sorted(set.intersection(*map(set, by_step))) if by_step else []
    rows = [[points[step] for points in by_step] for step in steps]
    shared = {s: _shared(lines, s) if rows else 1.0 for s in suites}
    return Mean(
        updates=tuple(row[0].updates for row in rows),
        flops=tuple(sum(p.flops for p in row) / len(row) for row in rows),
        estimated_flops=tuple(sum(p.estimated_flops for p in row) / len(row) for row in rows),
        values={s: tuple(seeds.rate_across([p.values[s] for p in row], shared[s]) for row in rows) for s in suites},
    )


def smooth(values: Sequence[float], window: int = 7) -> list[float]:
    """Savitzky-Golay, order 3, as the paper draws its curves; shares stay within 0 and 1.

    Args:
        window: points that each is fitted to; fewer where there are fewer. Five points or less are left as they are.
    """
    if len(values) <= 5:
        return list(values)
    from scipy.signal import savgol_filter

    width = min(window, len(values) - 1 + len(values) % 2)
    return [min(1.0, max(0.0, float(v))) for v in savgol_filter(values, width, 3)]
