"""Training: :func:`train` runs the stage that a config names (``stages.py``)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from labkit.config import difference, override, read
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
    run_id: str | None = None,
) -> Run:
    """Run a config, or resume a run that was interrupted.

    Started as several processes (torchrun, accelerate launch), they train one model together, and the main one writes
    the run.

    Args:
        config: a YAML file; its ``stage`` key names what is run.
        overrides: ``key=value`` pairs that replace entries of the file.
        resume: the id or folder of a run, which continues with its own settings. ``config`` and ``overrides`` may be
            given again, with the same values.
        out: where run folders are made.
        device: ``cpu``, ``cuda`` or ``mps``.
        run_id: the id of a new run; the time and the config's name if not given.

    Returns:
        The finished run, or one that was stopped because its policy collapsed; its status gives the reason.

    Raises:
        UsageError: the config is wrong, other settings are given beside ``resume``, the run to resume is finished or
            still running, a tracker's package is missing, or the number of processes is not the configured one.
        KeyboardInterrupt: stopped by hand; the run can be resumed.
    """
    overrides = list(overrides)
    if resume is not None:
        run = find(resume, out)
        settings = _resumed(run, config, overrides)
    elif config is None:
        raise UsageError("name a config, or a run with --resume")
    else:
        run, settings = None, stages.parse(read(config, overrides), str(config))
    from labkit.training.common import distributed, trackers

    trackers.check(settings.trackers)
    device = distributed.init(device, settings.processes)
    if run is None:
        run = Run(distributed.on_main(lambda: Run.create(out, settings.name, settings.to_yaml(), id=run_id).path))

    def set_status(status: str, **more: str) -> None:
        if distributed.is_main():
            run.set_status(status, **more)

    set_status("running")
    try:
        collapsed = stages.runner(settings.stage)(settings, run, resume=resume is not None, device=device)
    except KeyboardInterrupt:
        set_status("stopped")
        raise
    except BaseException as error:
        set_status("failed", error=f"{type(error).__name__}: {error}")
        raise
    if collapsed:
        set_status("stopped", **collapsed._asdict())
    else:
        set_status("finished")
    return run


def _resumed(run: Run, config: str | Path | None, overrides: list[str]) -> Any:
    """The settings of a run that is resumed, once those given beside it are known to be the same.

    Raises:
        UsageError: they differ, or the run cannot be resumed.
    """
    where = str(run.path / "config.yaml")
    settings = stages.parse(run.config, where)
    status = run.status
    if status["status"] == "running":
        raise UsageError(f"{run.id} is still running (process {status['pid']}); stop it first")
    if config is not None or overrides:
        data = read(config, overrides) if config is not None else override(run.config, overrides)
        given = stages.parse(data, where if config is None else str(config))
        if differs := difference(given.model_dump(mode="json"), settings.model_dump(mode="json")):
            key, asked, used = differs
            start = "start a new run"
            if settings.stage != "pretrain":
                when = "" if run.checkpoints() else ", once it has a checkpoint,"
                start += f" from it{when} with labkit train CONFIG --set model=run:{run.id}"
            raise UsageError(
                f"--resume continues {run.id} with its own settings, and {key} is {used!r} there, not {asked!r}; "
                f"resume it without CONFIG and --set, or {start}"
            )
    if status["status"] == "finished":
        raise UsageError(f"{run.id} is finished; nothing to resume")
    return settings
