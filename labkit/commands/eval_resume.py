"""Finish an evaluation that was interrupted: its settings, and the episodes that it has."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.errors import UsageError
from labkit.runs import CannotWrite

if TYPE_CHECKING:
    from labkit.episode import Episode
    from labkit.runs import Run

FREE = ("resume", "out", "json", "debug", "run")
"""What may differ from the run: none of it changes a number."""


def settings(
    args: argparse.Namespace, configure: Callable[[argparse.ArgumentParser], None]
) -> tuple[argparse.Namespace, list[Run]]:
    """The arguments with which the runs of ``--resume`` were started, their players together, and the runs.

    Raises:
        UsageError: a setting is given beside ``--resume``, a run is no evaluation, is still running or cannot be
            resumed, or two runs differ in more than their player.
    """
    from labkit.runs import find

    parser = argparse.ArgumentParser()
    configure(parser)
    defaults = vars(parser.parse_args([]))
    for name, default in defaults.items():
        if name not in FREE and getattr(args, name) != default:
            option = "CELL" if name == "cell" else f"--{name.replace('_', '-')}"
            raise UsageError(f"--resume takes every setting from the run; leave {option} out")
    runs = [find(name, args.out) for name in dict.fromkeys(args.resume)]
    started = []
    for run in runs:
        config = run.config
        _check(run, config)
        started.append({name: config.get(name, defaults[name]) for name in defaults if name not in FREE})
    first = {**started[0], "player": None}
    for run, of_run in zip(runs, started, strict=True):
        differing = [name for name in first if name != "player" and of_run[name] != first[name]]
        if differing:
            names = ", ".join(differing)
            raise UsageError(f"{run.id} and {runs[0].id} differ in {names}; resume them one at a time")
    players = [of_run["player"] for of_run in started]
    if len(set(players)) < len(players):
        raise UsageError("two of the runs are of one player; resume them one at a time")
    return argparse.Namespace(**vars(args) | first | {"player": players}), runs


def _check(run: Run, config: Mapping[str, Any]) -> None:
    if config.get("stage") != "eval":
        raise UsageError(f"{run.id} is not an evaluation; `labkit train --resume {run.id}` goes on with training")
    if run.status["status"] == "running":
        raise UsageError(f"{run.id} is still running; stop it first")
    if config.get("reference"):
        raise UsageError(f"{run.id} has a --reference, which is measured as episodes are played; start it again")
    if str(config["player"]).startswith("script:"):
        raise UsageError(f"{run.id} is of a script, whose answers are taken in order; start it again")
    model = Path(config.get("checkpoint") or "")
    written = max((file.stat().st_mtime for file in model.iterdir()), default=0) if model.is_dir() else 0
    if config.get("checkpoint") and written > (run.path / "config.yaml").stat().st_mtime:
        raise UsageError(f"the checkpoint {model} has changed since {run.id} was started; start a new evaluation")


def kept(run: Run, cell: str, suites: Sequence[str], dealt: Mapping[str, Any]) -> dict[str, list[Episode]]:
    """The episodes of each suite that need not be played again; the others are taken out of the run.

    Raises:
        UsageError: the deals are no longer those of the run.
    """
    from labkit.evaluation.suites import tasks_of, whole_deals

    found = {}
    for suite in suites:
        stored = list(run.episodes(suite))
        tasks = tasks_of(cell, suite, **{name: value for name, value in dealt.items() if name != "samples"})
        found[suite] = [e for of_deal in whole_deals(tasks, stored, dealt["samples"]).values() for e in of_deal]
        if len(found[suite]) < len(stored):
            run.put_episodes(suite, found[suite])
    return found


@contextmanager
def hint(run: Run, out: str) -> Iterator[None]:
    """Add to an interrupt and to a full disk how to go on.

    Raises:
        KeyboardInterrupt: as it came, with the command to go on.
        UsageError: a file could not be written.
    """
    where = "" if out == "runs" else f" --out {out}"
    command = f"`labkit eval --resume {run.id}{where}`"
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped; go on with {command}") from None
    except CannotWrite as error:
        raise UsageError(f"{error}. Free some space, then go on with {command}") from error
