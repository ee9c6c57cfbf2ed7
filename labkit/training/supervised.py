"""Cross-entropy on chosen tokens: the one loop behind pre-training and SFT.

Read top to bottom: settings, batch, loss, step, log. Data is a function of the step (``batch_of(step)``), never
an iterator with a hidden place in it, so a resumed run sees what an uninterrupted one would have seen, and on a
CPU ends in the same weights, bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from pydantic import Field

from labkit.compute import Meter
from labkit.config import Config
from labkit.training.examples import Example
from labkit.training.progress import Progress
from labkit.training.state import TrainState

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from labkit.runs import Run


_WIDTH = 8
"""Batches are padded to a multiple of this many tokens."""


class Optimisation(Config):
    """How the weights move; shared by the supervised stages."""

    steps: int = Field(ge=1)
    """Optimiser steps."""
    batch_size: int = Field(64, ge=1)
    """Dialogues a step, over all processes."""
    micro_batch_tokens: int = Field(2048, ge=1)
    """Tokens a forward pass, padding included; smaller saves memory (on a CPU: stays in its cache) and changes
    nothing else. A longer dialogue goes by itself."""
    lr: float = Field(gt=0)
    """Peak learning rate of AdamW."""
    warmup: int = Field(0, ge=0)
    """Steps over which the learning rate rises from zero, linearly."""
    schedule: Literal["constant", "cosine"] = "constant"
    """What the learning rate does after the warm-up; cosine ends at a twentieth of the peak."""
    betas: tuple[float, float] = (0.9, 0.98)
    """AdamW's; the paper's SFT uses .9 and .98."""
    weight_decay: float = Field(0.0, ge=0)
    clip: float = Field(1.0, gt=0)
    """Largest gradient norm."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of forward and backward; weights and optimiser stay in fp32."""
    compile: bool = False
    """Compile the forward and backward pass: worth it for long runs where a C++ compiler is at hand, since it takes
    a minute or two to begin with and then is about 1.5 times as fast on a CPU. Losses differ in the last bits."""
    save_every: int = Field(50, ge=1)
    """Steps between saved states, from which an interrupted run goes on."""
    checkpoints: tuple[int, ...] = ()
    """Steps at which a checkpoint is kept; the last step always is."""

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        if self.schedule == "constant":
            return self.lr
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


def collate(examples: Sequence[Example], pad_id: int) -> dict[str, torch.Tensor]:
    """Right-padded ``input_ids``, ``attention_mask`` and ``labels`` (-100 where there is no loss), each ``[B, T]``."""
    # Few widths, since CPU kernels are built anew for each shape of their input.
    longest = -(-max(len(e.ids) for e in examples) // _WIDTH) * _WIDTH
    ids_BT = torch.full((len(examples), longest), pad_id)
    labels_BT = torch.full((len(examples), longest), -100)
    mask_BT = torch.zeros((len(examples), longest), dtype=torch.long)
    for row, example in enumerate(examples):
        length = len(example.ids)
        ids_BT[row, :length] = torch.from_numpy(example.ids)
        mask_BT[row, :length] = 1
        labels_BT[row, :length] = torch.from_numpy(np.where(example.loss, example.ids, -100))
    return {"input_ids": ids_BT, "attention_mask": mask_BT, "labels": labels_BT}


def micro_batches(examples: Sequence[Example], tokens: int) -> Iterator[Sequence[Example]]:
    """Cut examples that are sorted by length into runs of at most ``tokens`` tokens, padding included."""
    first = 0
    for last in range(1, len(examples) + 1):
        if last == len(examples) or len(examples[last].ids) * (last + 1 - first) > tokens:
            yield examples[first:last]
            first = last


def token_loss(logits_BTV: torch.Tensor, labels_BT: torch.Tensor) -> torch.Tensor:
    """Summed cross-entropy, in fp32, of the tokens that carry loss; position t predicts token t + 1."""
    return F.cross_entropy(
        logits_BTV[:, :-1].flatten(0, 1).float(), labels_BT[:, 1:].flatten(), ignore_index=-100, reduction="sum"
    )


def fit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    batch_of: Callable[[int], Sequence[Example]],
    settings: Optimisation,
    run: Run,
    *,
    resume: bool = False,
    evaluate: Callable[[int, PreTrainedModel], dict[str, Any]] | None = None,
) -> Meter:
    """Train ``model`` in place.

    Args:
        batch_of: the examples of a step; the same step gives the same examples.
        evaluate: called with the number of finished steps, before the first step and after each; what it
            returns is logged with the step. It decides by itself when to do nothing.
        resume: go on from the run's saved state.

    Raises:
        KeyboardInterrupt: stopped by hand; the state is saved first.
    """
    precision = "bf16" if settings.precision == "bf16" else "no"
    accelerator = Accelerator(mixed_precision=precision, cpu=model.device.type == "cpu")
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.lr, betas=settings.betas, weight_decay=settings.weight_decay
    )
    meter = Meter(sum(p.numel() for p in model.parameters()))
    state = TrainState(run, model, optimizer, meter)
    first = state.load() if resume else 0
    trained, optimizer = accelerator.prepare(model, optimizer)
    if settings.compile:
        trained = torch.compile(trained, dynamic=True)
    progress = Progress("steps", settings.steps, first, enabled=accelerator.is_main_process)
    if evaluate and first == 0:
        run.log({"step": 0, "flops": 0.0, **evaluate(0, model)})
    step = first
    try:
        for step in range(first, settings.steps):
            began = time.perf_counter()
            model.train()
            metrics = _step(trained, optimizer, batch_of(step), settings, step, accelerator, tokenizer.pad_token_id, meter)
            metrics["seconds"] = time.perf_counter() - began
            if evaluate:
                metrics |= evaluate(step + 1, model)
            if accelerator.is_main_process:
                run.log({"step": step + 1, **metrics, "flops": meter.flops, "trained_tokens": meter.trained_tokens})
                progress.update(step + 1, loss=metrics["loss"], lr=metrics["lr"])
                last = step + 1 == settings.steps
                if last or step + 1 in settings.checkpoints:
                    state.checkpoint(step + 1, tokenizer)
                if last or (step + 1) % settings.save_every == 0:
                    state.save(step + 1)
    except KeyboardInterrupt:
        # The step in hand may be half done: go on from the last state that was saved whole.
        progress.close()
        raise
    progress.close()
    return meter


def _step(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    examples: Sequence[Example],
    settings: Optimisation,
    step: int,
    accelerator: Accelerator,
    pad_id: int,
    meter: Meter,
) -> dict[str, float]:
    """One optimiser step on ``examples``: the mean loss over all tokens that carry loss, in the whole batch."""
    world, rank = accelerator.num_processes, accelerator.process_index
    mine = sorted(examples, key=lambda e: len(e.ids))[rank::world]
    targets = sum(int(e.loss[1:].sum()) for e in examples)
    summed = torch.zeros((), device=accelerator.device)
    for rows in micro_batches(mine, settings.micro_batch_tokens):
        batch = collate(rows, pad_id)
        batch = {name: tensor.to(accelerator.device) for name, tensor in batch.items()}
        labels_BT = batch.pop("labels")
        with accelerator.autocast():
            logits_BTV = model(**batch, use_cache=False).logits
        loss = token_loss(logits_BTV, labels_BT)
        # Processes average their gradients; the loss is a mean over the tokens of all of them.
        accelerator.backward(loss * (world / targets))
        summed += loss.detach()
    norm = accelerator.clip_grad_norm_(model.parameters(), settings.clip)
    for group in optimizer.param_groups:
        group["lr"] = settings.rate(step)
    optimizer.step()
    optimizer.zero_grad()
    meter.trained_tokens += sum(len(e.ids) for e in examples)
    mean = accelerator.reduce(summed, "sum").item() / targets
    return {"loss": mean, "lr": settings.rate(step), "grad_norm": float(norm)}
