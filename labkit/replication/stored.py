"""What is stored of a figure: each seed's run, its probes, and how it ends on every suite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from labkit.envs.games import row_of
from labkit.episode import Episode
from labkit.evaluation import Measured, headline
from labkit.evaluation.games import measures_of
from labkit.replication.archive import Archive
from labkit.replication.plan import Curve, Evaluation, Figure
from labkit.runs.store import Run

HEADLINES = ("success", "per_step_accuracy", "route_success")


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
    values: Mapping[str, Measured]
    """The headline metric by suite."""
    changes: Mapping[str, Measured]
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
    value: Measured
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
            first[*key, suite] = tuple(e for line in found if (e := probed(line, suite, 0)))
            last[*key, suite] = tuple(e for line in found if (e := probed(line, suite, -1)))
            asked = figure.evaluation_of(curve)
            if asked and suite in asked.suites:
                ends[*key, suite] = _evaluations(asked, curve, suite, found, archive)
            else:
                ends[*key, suite] = last[*key, suite]
    return Data(figure, lines, ends, first, last, attention)


def _line(curve: Curve, seed: int, run: Run, archive: Archive, attention: bool) -> SeedRun:
    metrics = [m for m in run.metrics() if curve.until is None or m["step"] <= curve.until]
    before = _before(curve, seed, archive, attention)
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


def _headlines(metrics: Mapping[str, Any]) -> Iterable[tuple[str, Measured]]:
    """The headline numbers of a probe, by suite."""
    for key, value in metrics.items():
        stage, _, rest = key.partition("/")
        suite, _, metric = rest.partition("/")
        if stage == "eval" and metric in HEADLINES and value is not None:
            low, high = metrics[f"eval/{suite}/ci95"]
            yield suite, Measured(value, metrics[f"eval/{suite}/n"], (low, high))


def _changes(metrics: Mapping[str, Any]) -> Iterable[tuple[str, Measured]]:
    """The paired changes since the run's first probe, by suite."""
    for key, value in metrics.items():
        stage, *rest = key.split("/")
        if stage == "eval" and len(rest) == 3 and rest[1] in HEADLINES and rest[2] == "change":
            low, high = metrics[f"{key}_ci95"]
            yield rest[0], Measured(value, metrics[f"eval/{rest[0]}/n"], (low, high))


def _evaluations(
    asked: Evaluation, curve: Curve, suite: str, lines: Sequence[SeedRun], archive: Archive
) -> tuple[Endpoint, ...]:
    """The evaluations of a curve's ends on every hand, of the seeds that have one. A probe never stands in for one: it
    is of other deals, so it can be paired with no other end."""
    players = {0: curve.player} if curve.player else {n.seed: curve.end_of(n.run.id) for n in lines}
    found = {seed: archive.evaluated(player, asked, curve.cell).get(suite) for seed, player in players.items()}
    return tuple(e for seed, run in found.items() if run and (e := _evaluated(seed, run, suite)))


def _evaluated(seed: int, run: Run, suite: str) -> Endpoint | None:
    """None where no episode has a trial of the headline."""
    episodes = tuple(read_episodes(str(run.path), suite))
    weights = tuple(measures_of(episodes[0].task.cell).deal_weights(episodes))
    value = headline(episodes, weights).measured
    return value and Endpoint(seed, value, episodes, weights, run, run.episodes_path(suite))


def probed(line: SeedRun, suite: str, index: int) -> Endpoint | None:
    """A run's first or last probe of a suite, with its episodes where they are kept."""
    points = [p for p in line.points if suite in p.values]
    if not points:
        return None
    point = points[index]
    name = f"{suite}-{point.step}"
    episodes = tuple(read_episodes(str(line.run.path), name))
    path = line.run.episodes_path(name) if episodes else line.run.metrics_path
    return Endpoint(line.seed, point.values[suite], episodes, None, line.run, path)


@lru_cache(maxsize=256)
def read_episodes(run: str, name: str) -> list[Episode]:
    """Several figures read the same ends."""
    return list(Run(run).episodes(name))
