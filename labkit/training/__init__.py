"""Training: :func:`train` runs the stage that a config names (``stages.py``)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from labkit.config import read
from labkit.errors import UsageError
from labkit.runs.store import ROOT, Run, find
from labkit.training import stages


def train(
    config: str | Path | None = None,
    overrides: Iterable[str] = (),
    *,
    resume: str | None = None,
    out: str | Path = ROOT,
    device: str = "cpu",
) -> Run:
    """Run a config, or go on with a run that was interrupted.

    Args:
        config: a YAML file; its ``stage`` key says what is run.
        overrides: ``key=value`` pairs that replace entries of the file.
        resume: the id or folder of a run; its own config is used.
        out: where run folders are made.

    Returns:
        The finished run, or one that was stopped because its policy collapsed: its status says why.

    Started as several processes (torchrun, accelerate launch), they train one model together, and the main one
    writes the run.

    Raises:
        UsageError: the config is wrong, a tracker's package is missing, a finished run is to be resumed, or the
            processes are not those that were asked for.
        KeyboardInterrupt: stopped by hand; the run can be resumed.
    """
    if resume is not None:
        run = find(resume, out)
        path, data = run.path / "config.yaml", run.config
        if run.status["status"] == "finished":
            raise UsageError(f"{run.id} is finished; nothing to resume")
        if run.status["status"] == "running":
            raise UsageError(f"{run.id} is still running (process {run.status['pid']}); stop it first")
    elif config is None:
        raise UsageError("name a config, or a run with --resume")
    else:
        run, path, data = None, Path(config), read(config, overrides)
    settings = stages.parse(data, str(path))
    from labkit.training.common import distributed, trackers

    trackers.check(settings.trackers)
    device = distributed.init(device, settings.processes)
    if run is None:
        run = Run(distributed.on_main(lambda: Run.create(out, settings.name, settings.to_yaml()).path))

    def say(status: str, **more: str) -> None:
        if distributed.is_main():
            run.set_status(status, **more)

    say("running")
    try:
        collapsed = stages.runner(settings.stage)(settings, run, resume=resume is not None, device=device)
    except KeyboardInterrupt:
        say("stopped")
        raise
    except BaseException as error:
        say("failed", error=f"{type(error).__name__}: {error}")
        raise
    if collapsed:
        say("stopped", **collapsed._asdict())
    else:
        say("finished")
    return run
