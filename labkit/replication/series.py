"""The numbers of a figure, read out of its runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from labkit.envs.games import row_of
from labkit.episode import Episode
from labkit.evaluation import Estimate, headline, seeds
from labkit.evaluation.games import measures_of
from labkit.evaluation.suites import ASKED_ONCE
from labkit.replication.archive import Archive
from labkit.replication.plan import Curve, Evaluation, Figure
from labkit.runs.store import Run

HEADLINES = ("success", "per_step_accuracy", "route_success")
SLACK = 0.05
"""The share by which a run may be beyond a compute and still count as being there: runs end at whole updates."""


@dataclass(frozen=True)
class Compute:
    """What training has taken since Init: that of a run, and of those it goes on from."""

    updates: int = 0
    flops: float = 0.0
    """As counted."""
    estimated_flops: float = 0.0
    """The paper's estimate: 6ND for SFT, 6ND + 2N lambda D for RL."""
    seconds: float = 0.0
    """Wall-clock of the training itself, without probes."""

    def __add__(self, other: Compute) -> Compute:
        return Compute(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class Point:
    """One probe of a run."""

    step: int
    """Of the run itself."""
    updates: int
    """Since Init: with those of the run that it goes on from."""
    flops: float
    """Counted since Init, with attention if :attr:`Data.attention`."""
    estimated_flops: float
    """Since Init by the paper's account, as :attr:`Compute.estimated_flops`."""
    values: Mapping[str, Estimate]
    """The headline metric by suite."""
    changes: Mapping[str, Estimate]
    """Its change since the run's first probe, where the run logged that: paired, so surer than two values."""


@dataclass(frozen=True)
class SeedRun:
    """One seed's run of a curve."""

    curve: Curve
    seed: int
    run: Run
    points: tuple[Point, ...]
    spent: Compute
    """Up to its end."""


@dataclass(frozen=True)
class Endpoint:
    """How one seed's run ends, or begins, on a suite."""

    seed: int
    value: Estimate
    episodes: tuple[Episode, ...]
    """Empty where only the number was kept."""
    weights: tuple[float, ...] | None
    """Of the episodes, where every hand was played once."""
    run: Run
    file: Path
    """Where the number can be read again: the episodes, or the metrics."""

    @property
    def temperature(self) -> float:
        """The sampling temperature of its episodes; 0 is greedy decoding."""
        config = self.run.config
        return (config.get("probe") or config).get("temperature", 0.0)


@dataclass(frozen=True)
class Data:
    """All that is stored of a figure."""

    figure: Figure
    lines: Mapping[tuple[str, str], tuple[SeedRun, ...]]
    """By cell and curve; the seeds that are there."""
    ends: Mapping[tuple[str, str, str], tuple[Endpoint, ...]]
    """By cell, curve and suite."""
    first: Mapping[tuple[str, str, str], tuple[Endpoint, ...]]
    """The first probes, likewise."""
    last: Mapping[tuple[str, str, str], tuple[Endpoint, ...]]
    """The last probes, which are on the same deals as the first; ``ends`` may be an evaluation on others."""
    attention: bool
    """Whether FLOPs hold those of attention: only if every run has counted them."""

    def __bool__(self) -> bool:
        return any(self.lines.values()) or any(self.ends.values())

    def drawn(self, cell: str) -> list[Curve]:
        """The curves of a cell of which something is stored."""
        return [
            c
            for c in self.figure.of(cell)
            if self.lines.get((cell, c.name)) or any(self.ends.get((cell, c.name, s)) for s in self.figure.plan.suites)
        ]

    @property
    def cells(self) -> list[str]:
        return [cell for cell in self.figure.cells if self.drawn(cell)]


def collect(figure: Figure, archive: Archive) -> Data:
    """Read what is stored of a figure.

    Raises:
        UsageError: a curve's config cannot be read.
    """
    lines: dict[tuple[str, str], tuple[SeedRun, ...]] = {}
    ends: dict[tuple[str, str, str], tuple[Endpoint, ...]] = {}
    first: dict[tuple[str, str, str], tuple[Endpoint, ...]] = {}
    last: dict[tuple[str, str, str], tuple[Endpoint, ...]] = {}
    runs = {
        (curve.cell, curve.name, seed): archive.trained(archive.asked(curve, seed))
        for curve in figure.curves
        for seed in (curve.seeds if curve.trained else ())
    }
    attention = all("flops/attention" in run.metrics()[-1] for run in runs.values() if run and run.metrics())
    for curve in figure.curves:
        key = curve.cell, curve.name
        there = ((seed, runs.get((*key, seed))) for seed in curve.seeds)
        found = [_line(curve, seed, run, archive, attention) for seed, run in there if run]
        lines[key] = tuple(found)
        for suite in figure.plan.suites:
            first[*key, suite] = tuple(e for line in found if (e := _probed(line, suite, 0)))
            last[*key, suite] = tuple(e for line in found if (e := _probed(line, suite, -1)))
            asked = figure.evaluation_of(curve)
            if asked and suite in asked.suites:
                ends[*key, suite] = _evaluations(asked, curve, suite, found, archive)
            else:
                ends[*key, suite] = last[*key, suite]
    return Data(figure, lines, ends, first, last, attention)


def _line(curve: Curve, seed: int, run: Run, archive: Archive, attention: bool) -> SeedRun:
    metrics, before = run.metrics(), _before(curve, seed, archive, attention)
    points = []
    for number, m in enumerate(metrics, 1):
        values = dict(_headlines(m))
        if values:
            spent = before + _spent(curve, metrics[:number], attention)
            changes = dict(_changes(m))
            points.append(Point(m["step"], spent.updates, spent.flops, spent.estimated_flops, values, changes))
    return SeedRun(curve, seed, run, tuple(points), before + _spent(curve, metrics, attention))


def _before(curve: Curve, seed: int, archive: Archive, attention: bool) -> Compute:
    """What was spent on the checkpoint that a curve goes on from; nothing where it begins at Init."""
    if curve.source is None:
        return Compute()
    run = archive.trained(archive.asked(curve.source, seed))
    metrics = [m for m in run.metrics() if m["step"] <= curve.step] if run else []
    return _before(curve.source, seed, archive, attention) + _spent(curve.source, metrics, attention)


def _spent(curve: Curve, metrics: Sequence[Mapping[str, Any]], attention: bool) -> Compute:
    """What a run alone has spent up to the last of these metrics."""
    if not metrics:
        return Compute()
    last = metrics[-1]
    trained = last.get("flops/training", last["flops"])
    estimated = trained
    if curve.method == "rl":
        rereading = row_of(curve.cell).rereading
        # A game that is not in the paper has no estimate of the paper's: what was counted stands in.
        estimated = last["flops"] if rereading is None else trained * (1 + rereading / 3)
    counted = last["flops"] + (last.get("flops/attention", 0.0) if attention else 0.0)
    return Compute(last["step"], counted, estimated, sum(m.get("seconds", 0.0) for m in metrics))


def _headlines(metrics: Mapping[str, Any]) -> Iterable[tuple[str, Estimate]]:
    """The headline numbers of a probe, by suite."""
    for key, value in metrics.items():
        stage, _, rest = key.partition("/")
        suite, _, metric = rest.partition("/")
        if stage == "eval" and metric in HEADLINES and value is not None:
            low, high = metrics[f"eval/{suite}/ci95"]
            yield suite, Estimate(value, metrics[f"eval/{suite}/n"], (low, high))


def _changes(metrics: Mapping[str, Any]) -> Iterable[tuple[str, Estimate]]:
    """The paired changes since the run's first probe, by suite."""
    for key, value in metrics.items():
        stage, *rest = key.split("/")
        if stage == "eval" and len(rest) == 3 and rest[1] in HEADLINES and rest[2] == "change":
            low, high = metrics[f"{key}_ci95"]
            yield rest[0], Estimate(value, metrics[f"eval/{rest[0]}/n"], (low, high))


def _evaluations(
    asked: Evaluation, curve: Curve, suite: str, lines: Sequence[SeedRun], archive: Archive
) -> tuple[Endpoint, ...]:
    """The evaluations of a curve's ends on every hand, of the seeds that have one. A probe never stands in for one: it
    is of other deals, so it can be paired with no other end."""
    players = {0: curve.player} if curve.player else {n.seed: f"run:{n.run.id}" for n in lines}
    found = {seed: archive.evaluated(player, asked, curve.cell).get(suite) for seed, player in players.items()}
    return tuple(_evaluated(seed, run, suite) for seed, run in found.items() if run)


def _evaluated(seed: int, run: Run, suite: str) -> Endpoint:
    episodes = tuple(_episodes(str(run.path), suite))
    weights = tuple(measures_of(episodes[0].task.cell).deal_weights(episodes))
    return Endpoint(seed, headline(episodes, weights), episodes, weights, run, run.episodes_path(suite))


def _probed(line: SeedRun, suite: str, index: int) -> Endpoint | None:
    """A run's first or last probe of a suite, with its episodes where they are kept."""
    points = [p for p in line.points if suite in p.values]
    if not points:
        return None
    point = points[index]
    name = f"{suite}-{point.step}"
    episodes = tuple(_episodes(str(line.run.path), name))
    path = line.run.episodes_path(name) if episodes else line.run.metrics_path
    return Endpoint(line.seed, point.values[suite], episodes, None, line.run, path)


@lru_cache(maxsize=256)
def _episodes(run: str, name: str) -> list[Episode]:
    """Several figures read the same ends."""
    return list(Run(run).episodes(name))


def pairs_of(before: Sequence[Endpoint], after: Sequence[Endpoint]) -> list[tuple[Endpoint, Endpoint]]:
    """The ends of the seeds that have both. One ``before`` alone, an Init, serves every seed."""
    earlier = {e.seed: e for e in before}
    alone = before[0] if len(before) == 1 and not before[0].seed else None
    return [(b, a) for a in after if (b := earlier.get(a.seed, alone))]


def value_of(ends: Sequence[Endpoint]) -> Estimate:
    """The mean rate of several seeds' ends, from their episodes where all are kept and of the same deals."""
    if all(e.episodes for e in ends):
        with suppress(ValueError):
            return seeds.level([e.episodes for e in ends], weights=ends[0].weights)
    return seeds.rate_across([e.value for e in ends])


def change_of_rate(pairs: Sequence[tuple[Endpoint, Endpoint]], name: str) -> Estimate | None:
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
    return _episodes(str(end.run.path), asked) if asked in end.run.episode_names() else ()


def _metric(episodes: Sequence[Episode], name: str) -> seeds.Metric:
    return measures_of(episodes[0].task.cell).ASKED_ONCE.get(name, name)


def change(pairs: Sequence[tuple[Endpoint, Endpoint]]) -> Estimate | None:
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
    return seeds.across([_apart(b.value, a.value) for b, a in pairs])


def _apart(before: Estimate, after: Estimate) -> Estimate:
    """The change between two values as if they were of different deals (Newcombe, 1998, method 10, unpaired)."""
    (low_b, high_b), (low_a, high_a) = before.ci95, after.ci95
    moved = after.value - before.value
    down = math.hypot(after.value - low_a, high_b - before.value)
    up = math.hypot(high_a - after.value, before.value - low_b)
    return Estimate(moved, min(before.n, after.n), (moved - down, moved + up))


@dataclass(frozen=True)
class Growth:
    """A curve's change since its start, at a compute that others have reached too."""

    change: Estimate
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
            found.append(last.changes.get(suite) or _apart(first.values[suite], last.values[suite]))
            spent.append(since_start(line, last, account))
    if not found:
        return None
    shared = _shared(lines, suite, changes=True)
    return Growth(seeds.across(found, shared), sum(spent) / len(spent), len(found))


def _shared(lines: Sequence[SeedRun], suite: str, *, changes: bool = False) -> float:
    """What part of a probe's variance is that of the deals, which all seeds share: as the last probes show, whose
    episodes are kept; all of it where they are not."""
    last, first = ([_probed(line, suite, at) for line in lines] for at in (-1, 0))
    if not all(end and end.episodes for end in (*last, *first)):
        return 1.0
    with suppress(ValueError):
        return seeds.shared_part([e.episodes for e in last], [e.episodes for e in first] if changes else ())
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
    values: Mapping[str, tuple[Estimate, ...]]
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
