"""Trainers: a config names its stage, and the stage's module reads top to bottom."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.config import read
from labkit.errors import UsageError
from labkit.runs.store import ROOT, Run, find

if TYPE_CHECKING:
    from labkit.config import Config

STAGES = ("pretrain", "sft", "rl")


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
    parsed, runner = _stage(data, str(path))
    from labkit.training.common import distributed, trackers

    trackers.check(parsed.trackers)
    device = distributed.join(device, parsed.processes)
    if run is None:
        run = Run(distributed.on_main(lambda: Run.create(out, parsed.name, parsed.to_yaml()).path))

    def say(status: str, **more: str) -> None:
        if distributed.is_main():
            run.set_status(status, **more)

    say("running")
    try:
        collapsed = runner(parsed, run, resume=resume is not None, device=device)
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


def _stage(data: dict, where: str) -> tuple[Config, object]:
    """The checked config of a stage and the function that runs it."""
    stage = data.get("stage")
    if stage == "pretrain":
        from labkit.training.sft.pretrain import PretrainConfig, pretrain

        return PretrainConfig.parse(data, where), pretrain
    if stage == "sft":
        from labkit.training.sft.stage import SFTConfig, sft

        return SFTConfig.parse(data, where), sft
    if stage == "rl":
        from labkit.training.rl.loop import RLConfig, rl

        return RLConfig.parse(data, where), rl
    near = difflib.get_close_matches(str(stage), STAGES, 1)
    hint = f"did you mean {near[0]}?" if near else f"the stages are {', '.join(STAGES)}"
    raise UsageError(f"{where}: " + (f"no stage {stage!r}; {hint}" if stage else f"the key 'stage' is missing; {hint}"))
