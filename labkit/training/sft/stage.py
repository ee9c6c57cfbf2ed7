"""Stage ``sft``: learning to answer like an expert (paper, section 3).

SFT-init is the same stage run for a few steps: it teaches the answer format, and both SFT and RL start from it. The
expert's data is new in every step: each example is a new deal with one of its simplest solutions, or one position on a
V-IRL route with a new rail. The dialogues of a file, or the checkpoint's own right answers, are shuffled anew for every
epoch.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from labkit.counting import counted
from labkit.envs import game
from labkit.errors import UsageError
from labkit.models.bundle import ModelBundle
from labkit.models.chat import Dialogue, Example, encode_for
from labkit.runs import Run
from labkit.runs.store import write_json
from labkit.training.common import distributed
from labkit.training.common.probe import Probe
from labkit.training.common.setup import Cell, StartConfig, drawing, start_from
from labkit.training.sft.data import TrainOn, epoch_order, expert_dialogues, read_records
from labkit.training.sft.fit import Objective, Optimisation, OptimizerConfig, check_examples, fit
from labkit.training.sft.rejection import Sampled, right_answers


class SFTConfig(OptimizerConfig, StartConfig):
    """Settings of the stage."""

    stage: Literal["sft"]
    name: str = "sft"
    """Last part of the run's id."""
    seed: int = 0
    """Seed of the deals, the choice among solutions, a file's order, new adapters and dropout."""
    cell: Cell = "gp-l"
    """The cell whose expert gives the data, and that probes evaluate."""
    data: str | None = None
    """A file of dialogues to train on instead of the expert's; see :mod:`labkit.training.sft.data`."""
    steps: int | None = Field(None, ge=1)
    """Optimiser steps."""
    epochs: float | None = Field(None, gt=0, validate_default=True)
    """Passes over the file, instead of ``steps``; rounded up to whole steps."""
    samples: int | None = Field(None, ge=1)
    """Train on the starting checkpoint's own right answers instead of the expert's: it first plays this many deals. See
    :mod:`labkit.training.sft.rejection`."""
    max_new_tokens: int = Field(256, ge=1)
    """Longest answer of those ``samples``."""
    suite: str = "id"
    split: str = "train"
    """Deals to train on. Post-training deals ``train`` only, so that the other splits measure it."""
    solutions: int = Field(2, ge=1)
    """Each answer is one of this many simplest solutions."""
    mistakes: int = Field(0, ge=0)
    """Up to this many wrong answers, with the verifier's feedback, come before the right one (paper, Figure 15)."""
    prompts: int = Field(1, ge=1)
    """Prompt diversity (arXiv 2510.00237): each example in one of this many prompt variants, the built-in one first."""
    thought: bool = False
    """The expert writes a thought before the formula (GeneralPoints); the authors' expert does not."""
    train_on: TrainOn = "all"
    """The assistant turns that carry loss: ``all``, or the ``last``."""
    loss: Literal["cross-entropy", "dft"] = "cross-entropy"
    """``dft`` weighs each token's loss by the token's probability (arXiv 2508.05629)."""
    kl: float = Field(0.0, ge=0)
    """Coefficient of the KL to the initial policy, over the whole vocabulary; the counterpart of RL's."""
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

    @field_validator("samples")
    @classmethod
    def _one_source(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("data") is not None:
            raise ValueError("the answers come from a file already; leave out data, or this")
        return value

    @field_validator("mistakes", "prompts", "thought")
    @classmethod
    def _of_an_expert(cls, value: int, info: ValidationInfo) -> int:
        given = [name for name in ("data", "samples") if info.data.get(name) is not None]
        if given and info.field_name and value != cls.model_fields[info.field_name].default:
            raise ValueError(f"it applies to the expert's data, not to {given[0]}; leave this out")
        return value

    def optimisation(self, records: int) -> Optimisation:
        """The settings of the optimizer; ``epochs`` are passes over so many records."""
        steps = self.steps or math.ceil((self.epochs or 0.0) * records / self.batch_size)
        return Optimisation(**self.model_dump(include=set(OptimizerConfig.model_fields)), steps=steps)


def sft(config: SFTConfig, run: Run, *, resume: bool, device: str = "cpu") -> None:
    """Fine-tune a checkpoint.

    Raises:
        UsageError: a dialogue cannot be trained on, or the data file has changed since the run began.
    """
    # Before the model is loaded, so that a wrong record or setting is reported at once.
    records = read_records(config.data, config.train_on) if config.data is not None else []
    if config.data is not None:
        _check_same_file(Path(config.data), run)
    else:
        _expert_batch(config, 0)
    loaded = start_from(config, device)
    draw = game(config.cell).draw if game(config.cell).pictured else None
    config = config.model_copy(update={"picture": drawing(config, loaded)})
    deals = config.samples
    sampled = distributed.on_main(lambda: _sampled(config, deals, loaded)) if deals is not None else None
    if sampled:
        records = [(f"right answer {n}", dialogue) for n, dialogue in enumerate(sampled.dialogues, 1)]
    if records:
        examples = encode_for(loaded, (dialogue for _, dialogue in records), draw)
        check_examples(examples, loaded.model, [where for where, _ in records])

    def batch_of(step: int) -> list[Example]:
        if records:
            return [examples[i] for i in epoch_order(step, config.batch_size, len(records), config.seed)]
        return encode_for(loaded, _expert_batch(config, step), draw)

    fit(
        loaded.model,
        loaded.processing_class,
        batch_of,
        config.optimisation(len(records)),
        run,
        objective=Objective(config.loss, config.kl),
        read=sampled.lengths if sampled else (),
        resume=resume,
        evaluate=config.probe.of(loaded, config.cell, run) if config.probe else None,
    )


def _sampled(config: SFTConfig, deals: int, loaded: ModelBundle) -> Sampled:
    """The starting checkpoint's right answers. A resumed run samples them again, and they are the same."""
    return right_answers(
        loaded,
        config.cell,
        deals,
        suite=config.suite,
        split=config.split,
        seed=config.seed,
        max_new_tokens=config.max_new_tokens,
        picture=config.picture,
    )


def _expert_batch(config: SFTConfig, step: int) -> list[Dialogue]:
    """The expert's dialogues of a step."""
    names = ("suite", "split", "seed", "solutions", "mistakes", "prompts", "train_on", "thought", "picture")
    settings = {name: getattr(config, name) for name in names}
    return expert_dialogues(config.cell, config.batch_size, first=step * config.batch_size, **settings)


def _check_same_file(data: Path, run: Run) -> None:
    """Record the size and the hash of the data file in ``data.json`` of a new run; compare them in a resumed one.

    Raises:
        UsageError: the file is not the one that the run began with.
    """
    content = data.read_bytes()
    now = {"path": str(data), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    record = run.path / "data.json"
    if not record.exists():
        if distributed.is_main():
            write_json(record, now)
        return
    then = json.loads(record.read_text(encoding="utf-8"))
    if now["sha256"] != then["sha256"]:
        raise UsageError(
            f"{data} has changed since {run.id} began ({counted(then['bytes'], 'byte')} then, {now['bytes']:,} now); "
            "put that file back, or start a new run with the changed one"
        )
