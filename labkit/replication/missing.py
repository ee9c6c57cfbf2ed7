"""Missing jobs: the trainings and evaluations that a figure needs and that are not stored yet, as commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path

from labkit.replication.archive import Archive, last_step
from labkit.replication.plan import Curve, Evaluation, Figure
from labkit.runs.store import ROOT, Run

UNKNOWN = "ID"
"""Stands for the id of a run that has not been made yet."""


@dataclass(frozen=True)
class Job:
    """One command that is to be given."""

    curve: str
    cell: str
    seed: int
    words: tuple[str, ...]
    """What follows ``labkit``."""
    ready: bool
    """Whether it can be given now, rather than after one that comes before it."""
    key: tuple[str, ...]
    """The same for the same work, whichever figure asks for it."""

    @property
    def command(self) -> str:
        return shlex.join(["labkit", *self.words])


def how_many(jobs: Sequence[Job]) -> str:
    """The number of missing jobs in words: ``1 run or evaluation is``, ``4 runs or evaluations are``."""
    return "1 run or evaluation is" if len(jobs) == 1 else f"{len(jobs)} runs or evaluations are"


def missing_jobs(figure: Figure, archive: Archive, out: str | Path = ROOT) -> list[Job]:
    """The commands that would complete a figure, in an order in which they can be given.

    Args:
        out: the folder that the commands write to.

    Raises:
        UsageError: a curve's config cannot be read.
    """
    jobs: dict[tuple[str, ...], Job] = {}
    for curve in figure.curves:
        for seed in curve.seeds:
            for job in _of_curve(figure, curve, seed, archive, out):
                jobs.setdefault(job.key, job)
    return list(jobs.values())


def _of_curve(figure: Figure, curve: Curve, seed: int, archive: Archive, out: str | Path) -> Iterator[Job]:
    evaluation = figure.evaluation_of(curve)
    if curve.player is not None:
        if evaluation and not _all_there(archive, curve.player, evaluation, curve.cell):
            yield _evaluate(curve, seed, curve.player, evaluation, out, ready=True)
        return
    recipe = archive.asked(curve, seed)
    run = archive.trained(recipe)
    if evaluation and run and _all_there(archive, curve.end_of(run.id), evaluation, curve.cell):
        evaluation = None
    wanted = {curve.until or last_step(run)} if run and evaluation else set()
    if run is None or not wanted <= run.checkpoints().keys():
        yield from _train(figure, curve, seed, archive, out)
        run = None
    if evaluation:
        player = curve.end_of(run.id if run else UNKNOWN)
        yield _evaluate(curve, seed, player, evaluation, out, ready=run is not None)


def _all_there(archive: Archive, player: str, evaluation: Evaluation, cell: str) -> bool:
    return archive.evaluated(player, evaluation, cell).keys() >= set(evaluation.suites)


def _evaluate(curve: Curve, seed: int, player: str, asked: Evaluation, out: str | Path, *, ready: bool) -> Job:
    words = ["eval", curve.cell, "--player", player, "--suite", ",".join(asked.suites), "--split", asked.split]
    words += ["--episodes", "all", "--seed", str(asked.seed)]
    words += ["--attempts", str(asked.attempts)] if asked.attempts else []
    words += ["--temperature", f"{asked.temperature:g}"] if asked.temperature else []
    key = ("eval", curve.cell, curve.name, str(seed), asked.model_dump_json())
    return Job(curve.name, curve.cell, seed, (*words, *_out(out)), ready, key)


def _train(figure: Figure, curve: Curve, seed: int, archive: Archive, out: str | Path) -> Iterator[Job]:
    recipe = archive.asked(curve, seed)
    halfway = archive.stopped(recipe)
    if halfway is not None and halfway.path.parent.resolve() == Path(out).resolve():
        yield Job(curve.name, curve.cell, seed, ("train", "--resume", halfway.id, *_out(out)), True, ("train", recipe))
        return
    begin: list[str] = []
    ready = True
    if curve.source:
        source = archive.trained(archive.asked(curve.source, seed), curve.step)
        if source is not None and curve.step in source.checkpoints():
            begin = [f"model={_name(source, curve.step)}"]
        else:
            ready = False
            begin = [f"model=run:{UNKNOWN}@{curve.step}"]
            yield from _train(figure, curve.source, seed, archive, out)
    steps = _asked_of(figure, curve)
    if steps:
        steps |= set(curve.resolved(seed).get("checkpoints", ()))
        begin.append(f"checkpoints={sorted(steps)}".replace(" ", ""))
    words = ("train", relpath(curve.training_config), "--set", *curve.words(seed), *begin, *_out(out))
    yield Job(curve.name, curve.cell, seed, words, ready, ("train", recipe))


def _asked_of(figure: Figure, curve: Curve) -> set[int]:
    """The steps of a curve from which others go on."""
    return {c.step for c in figure.curves if c.source and (c.source.cell, c.source.name) == (curve.cell, curve.name)}


def _name(run: Run, step: int) -> str:
    """How a config names a checkpoint of a run."""
    return f"run:{run.id}@{step}" if run.path.parent == ROOT else relpath(run.checkpoint(step))


def _out(out: str | Path) -> Iterable[str]:
    return () if Path(out) == ROOT else ("--out", str(out))
