"""Stage ``sft``: learning to say what an expert says (paper, section 3).

SFT-init is the same stage run for a few steps: it teaches the answer format, from which both SFT and RL go on.
The expert's data is dealt fresh for every step: each example is a new deal and one of its simplest solutions; of a
walk, a new rail along a route and one of its positions. A file's dialogues are shuffled anew for every epoch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from labkit.models.chat import Dialogue, encode
from labkit.runs import Run
from labkit.training.common.probe import Probe
from labkit.training.common.setup import StartConfig, start_from
from labkit.training.sft.data import Learn, epoch_order, expert_dialogues, read
from labkit.training.sft.fit import Objective, Optimisation, fit


class SFTConfig(Optimisation, StartConfig):
    """Settings of the stage."""

    stage: Literal["sft"]
    name: str = "sft"
    """Last part of the run's id."""
    seed: int = 0
    """Of the deals, of the choice among solutions, of a file's order, of new adapters and of dropout."""
    cell: str = "gp-l"
    """A text cell: whose expert is learnt from, and what is probed."""
    data: str | None = None
    """A file of dialogues to learn from in place of the cell's expert; see :mod:`labkit.training.sft.data`."""
    steps: int | None = Field(None, ge=1)
    """Optimiser steps."""
    epochs: float | None = Field(None, gt=0, validate_default=True)
    """In place of ``steps``: how often the file is read, rounded up to whole steps."""
    suite: str = "id"
    split: str = "train"
    """Hands that are dealt. Post-training deals ``train`` only, so that the other splits measure it."""
    solutions: int = Field(2, ge=1)
    """Each answer is one of this many simplest solutions."""
    mistakes: int = Field(0, ge=0)
    """Up to this many wrong answers, with the verifier's feedback, come before the right one (paper, Figure 15)."""
    prompts: int = Field(1, ge=1)
    """Prompt diversity (arXiv 2510.00237): each example in one of this many prompt variants, the built-in one first."""
    learn: Learn = "all"
    """On which of the assistant's turns loss falls: ``all``, or the ``last``."""
    loss: Literal["cross-entropy", "dft"] = "cross-entropy"
    """``dft`` weighs each token's loss by the token's probability (arXiv 2508.05629)."""
    kl: float = Field(0.0, ge=0)
    """Coefficient of the KL to the policy that training starts from, over the whole vocabulary; the control of RL's."""
    probe: Probe | None = None
    """Evaluation inside the run."""

    @field_validator("epochs")
    @classmethod
    def _of_a_file(cls, value: float | None, info: ValidationInfo) -> float | None:
        if (value is None) == (info.data.get("steps") is None):
            raise ValueError("give either steps or, with data, epochs")
        if value is not None and info.data.get("data") is None:
            raise ValueError("an expert's data has no end; give steps, or data")
        return value

    @field_validator("mistakes", "prompts")
    @classmethod
    def _of_an_expert(cls, value: int, info: ValidationInfo) -> int:
        if info.data.get("data") is not None and value != cls.model_fields[info.field_name].default:
            raise ValueError("the file says what is asked and answered; leave this out")
        return value


def sft(config: SFTConfig, run: Run, *, resume: bool, device: str = "cpu") -> None:
    """Fine-tune a checkpoint."""
    dialogues_of, steps = _source(config)
    loaded = start_from(config, device)
    fit(
        loaded.model,
        loaded.tokenizer,
        lambda step: encode(loaded.tokenizer, dialogues_of(step), parts=loaded.is_vlm),
        config.model_copy(update={"steps": steps}),
        run,
        objective=Objective(config.loss, config.kl),
        resume=resume,
        evaluate=config.probe.of(loaded, config.cell, run) if config.probe else None,
    )


def _source(config: SFTConfig) -> tuple[Callable[[int], list[Dialogue]], int]:
    """The dialogues of a step, and how many steps there are."""
    size = config.batch_size
    if config.data is None:
        dealt: dict[str, Any] = {
            name: getattr(config, name)
            for name in ("suite", "split", "seed", "solutions", "mistakes", "prompts", "learn")
        }
        return lambda step: expert_dialogues(config.cell, size, first=step * size, **dealt), config.steps
    found = read(config.data, config.learn)
    steps = config.steps or math.ceil(config.epochs * len(found) / size)
    return lambda step: [found[i] for i in epoch_order(step, size, len(found), config.seed)], steps
