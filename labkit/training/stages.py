"""The training stages: one row each, loaded when it is used."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from labkit.envs.games import load
from labkit.errors import UsageError


class Stage(NamedTuple):
    """A row: where the stage's config class and its runner are, as ``module:name``.

    A runner is called as ``runner(config, run, resume=..., device=...)``. It returns None, or why the run was stopped
    (:class:`labkit.training.rl.collapse.Collapse`).
    """

    config: str
    runner: str


STAGES = {
    "pretrain": Stage("labkit.training.sft.pretrain:PretrainConfig", "labkit.training.sft.pretrain:pretrain"),
    "vision": Stage("labkit.training.sft.vision:VisionConfig", "labkit.training.sft.vision:vision"),
    "sft": Stage("labkit.training.sft.stage:SFTConfig", "labkit.training.sft.stage:sft"),
    "rl": Stage("labkit.training.rl.config:RLConfig", "labkit.training.rl.loop:rl"),
}


def parse(data: Mapping[str, Any], where: str = "config") -> Any:
    """The checked config of a stage, of the class that its row names.

    Raises:
        UsageError: no such stage, or a key or a value is wrong.
    """
    stage = data.get("stage")
    if not isinstance(stage, str) or stage not in STAGES:
        near = difflib.get_close_matches(str(stage), STAGES, 1)
        hint = f"did you mean {near[0]}?" if near else f"the stages are {', '.join(STAGES)}"
        problem = f"no stage {stage!r}" if stage else "the key 'stage' is missing"
        raise UsageError(f"{where}: {problem}; {hint}")
    return load(STAGES[stage].config).parse(data, where)


def runner(stage: str) -> Callable[..., Any]:
    """The function that runs a stage."""
    return load(STAGES[stage].runner)
