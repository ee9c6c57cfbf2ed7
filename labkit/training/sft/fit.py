"""The supervised training loop, for pre-training and SFT: cross-entropy on chosen tokens.

Read top to bottom: settings, batch, loss, step, log. Data is a function of the step (``batch_of(step)``), not an
iterator with a hidden position. So a resumed run sees the same data as an uninterrupted one, and on a CPU ends in the
same weights, bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from labkit.compute import Meter
from labkit.counting import counted
from labkit.errors import UsageError
from labkit.models.batches import micro_batches
from labkit.models.bundle import context_length
from labkit.models.chat import Example
from labkit.models.forward import chosen_tokens, hidden_states, kl_full, language_model, logits
from labkit.models.vision import picture_inputs
from labkit.training.common import distributed
from labkit.training.common.parameters import InitialPolicy, learning_rates
from labkit.training.common.setup import Probing, TrainConfig, prepare, session

if TYPE_CHECKING:
    from accelerate import Accelerator
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin

    from labkit.runs import Run


_WIDTH = 8
"""Batches are padded to a multiple of this many tokens."""


class OptimizerConfig(TrainConfig):
    """Settings of the optimizer but for the number of steps; shared by the supervised stages."""

    batch_size: int = Field(64, ge=1)
    """Dialogues a step, over all processes."""
    warmup: int = Field(0, ge=0)
    """Steps over which the learning rate rises linearly from zero."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning rate after the warm-up; cosine ends at a twentieth of the peak."""
    betas: tuple[float, float] = (0.9, 0.98)
    """AdamW's; the paper's SFT uses .9 and .98."""
    clip: float = Field(1.0, gt=0)
    """Largest gradient norm."""
    compile: bool = False
    """Compile the forward and backward pass: worth it for long runs where a C++ compiler is at hand, since it takes
    a minute or two to begin with and then is 1.3 to 2 times as fast on a CPU. Losses differ in the last bits."""
    save_every: int = Field(50, ge=1)
    """Steps between saved states, from which an interrupted run resumes."""


class Optimisation(OptimizerConfig):
    """Settings of the optimizer for a given number of steps."""

    steps: int = Field(ge=1)
    """Optimizer steps."""

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        if self.schedule == "constant":
            return self.lr
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


def collate(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """Right-padded ``input_ids``, ``attention_mask`` and ``labels`` (-100 where there is no loss), each ``[B, T]``.

    Padding is token 0; it is masked, so a tokenizer without a pad token works too.
    """
    # Few widths: CPU kernels are built anew for each shape of their input.
    longest = -(-max(len(e.ids) for e in examples) // _WIDTH) * _WIDTH
    ids_BT = torch.zeros((len(examples), longest), dtype=torch.long)
    labels_BT = torch.full((len(examples), longest), -100)
    mask_BT = torch.zeros((len(examples), longest), dtype=torch.long)
    for row, example in enumerate(examples):
        length = len(example.ids)
        ids_BT[row, :length] = torch.from_numpy(example.ids)
        mask_BT[row, :length] = 1
        labels_BT[row, :length] = torch.from_numpy(np.where(example.loss, example.ids, -100))
    return {"input_ids": ids_BT, "attention_mask": mask_BT, "labels": labels_BT}


class Predictor(nn.Module):
    """A language model that predicts the tokens with loss, and no others: the output layer runs on those only.

    Args:
        compiled: compile the layers before the output layer.
    """

    def __init__(self, model: PreTrainedModel, *, compiled: bool = False) -> None:
        super().__init__()
        self.model = model
        # The layers that a process may hold a part of (FSDP2).
        self._no_split_modules = getattr(model, "_no_split_modules", None)
        if compiled:
            language_model(model).base_model.compile(dynamic=True)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor, **pictures: torch.Tensor
    ) -> torch.Tensor:
        """Logits ``[N, V]`` of the N tokens with loss, in fp32 or better.

        The arguments are :func:`collate`'s, and those of :func:`labkit.models.vision.picture_inputs`.
        """
        hidden_ND = hidden_states(self.model, input_ids, attention_mask, labels != -100, **pictures)
        return logits(self.model, hidden_ND)


def dft(nll_N: torch.Tensor) -> torch.Tensor:
    """Dynamic fine-tuning (arXiv 2508.05629): each token's ``-log p`` times ``p``; the factor has no gradient.

    The gradient of cross-entropy is a policy gradient with reward 1/p; the factor cancels it.
    """
    return nll_N * torch.exp(-nll_N.detach())


class Objective(NamedTuple):
    """The training loss, a mean over the tokens that carry loss."""

    loss: Literal["cross-entropy", "dft"] = "cross-entropy"
    kl: float = 0.0
    """Coefficient of the KL to the initial policy."""


CROSS_ENTROPY = Objective()


def check_examples(examples: Sequence[Example], model: PreTrainedModel, places: Sequence[str]) -> None:
    """Check that each example fits into the model's context and has tokens that carry loss.

    Args:
        places: the source of each example, for messages.

    Raises:
        UsageError: an example is too long, or has nothing to learn.
    """
    limit = context_length(model) or math.inf
    for example, place in zip(examples, places, strict=True):
        if len(example.ids) > limit:
            raise UsageError(
                f"{place} has {counted(len(example.ids), 'token')}, and the model's context is {limit}; shorten it, or "
                "take a model with a longer context"
            )
        if not example.loss[1:].any():
            raise UsageError(f"{place} has nothing to learn: no token of its answers carries loss; leave it out")


def make_optimizer(model: torch.nn.Module, settings: Optimisation) -> torch.optim.AdamW:
    """AdamW over the parameters that require gradients."""
    groups = learning_rates(model, settings.lr, settings.part_lr)
    return torch.optim.AdamW(groups, betas=settings.betas, weight_decay=settings.weight_decay)


def fit(
    model: PreTrainedModel,
    processing_class: PreTrainedTokenizerBase | ProcessorMixin,
    batch_of: Callable[[int], Sequence[Example]],
    settings: Optimisation,
    run: Run,
    *,
    objective: Objective = CROSS_ENTROPY,
    read: Iterable[int] = (),
    resume: bool = False,
    evaluate: Probing | None = None,
) -> Meter:
    """Train the parameters of ``model`` that require gradients, in place.

    Args:
        processing_class: saved beside the model: the tokenizer, or a vision model's processor.
        batch_of: the examples of a step; the same step gives the same examples.
        read: lengths of sequences that were played to get the data; the meter begins with them.
        evaluate: called with the number of finished steps, before the first step and after each. The metrics that it
            returns are logged with the step; none where no probe is due.
        resume: continue from the run's saved state.

    Raises:
        UsageError: an example is too long for the model, or has nothing to learn.
        KeyboardInterrupt: stopped by hand; the run can be resumed from its last saved state.
    """
    module = Predictor(model, compiled=settings.compile)
    ready = prepare(settings, model, module, make_optimizer(model, settings), reference=bool(objective.kl), run=run)
    accelerator, optimizer, meter = ready.accelerator, ready.optimizer, ready.meter
    with session(
        run, ready, processing_class, unit="steps", total=settings.steps, resume=resume, probe=evaluate
    ) as opened:
        if not opened.first:
            meter.read(read)
        for step in range(opened.first, settings.steps):
            began = time.perf_counter()
            model.train()
            examples = batch_of(step)
            check_examples(examples, model, [f"dialogue {n} of step {step + 1}" for n in range(1, len(examples) + 1)])
            # Dropout's noise is a function of the step as well.
            torch.manual_seed(_seed(settings.seed, step, accelerator.process_index))
            means = _gradients(ready.trained, model, ready.initial, examples, objective, settings, accelerator)
            norm = accelerator.clip_grad_norm_(ready.trained.parameters(), settings.clip)
            for group in optimizer.param_groups:
                group["lr"] = settings.rate(step) * group["peak"] / settings.lr
            optimizer.step()
            optimizer.zero_grad()
            meter.train(len(e.ids) for e in examples)
            if ready.initial:
                meter.read(len(e.ids) for e in examples)
            metrics = {**means, "lr": settings.rate(step), "grad_norm": float(norm)}
            metrics["seconds"] = time.perf_counter() - began
            done = step + 1
            metrics |= opened.probe(done)
            metrics |= {"flops": meter.flops, "flops/attention": meter.attention_flops}
            opened.log(done, {**metrics, "trained_tokens": meter.trained_tokens})
            opened.progress.update(done, loss=metrics["loss"], lr=metrics["lr"])
            last = done == settings.steps
            if last or done in settings.checkpoints:
                opened.checkpoint(done)
            if last or done % settings.save_every == 0:
                opened.save(done)
    return meter


def _gradients(
    model: torch.nn.Module,
    language: PreTrainedModel,
    initial: InitialPolicy | None,
    examples: Sequence[Example],
    objective: Objective,
    settings: Optimisation,
    accelerator: Accelerator,
) -> dict[str, float]:
    """Compute the gradient of the objective; returns means over the tokens that carry loss.

    The means are over the whole batch, however it is divided into micro-batches and processes.

    Args:
        language: the language model inside ``model``.
    """
    rank, processes = accelerator.process_index, accelerator.num_processes
    batches = list(micro_batches(examples, settings.micro_batch_tokens, rank, processes))
    targets = sum(int(e.loss[1:].sum()) for e in examples)
    zero = torch.zeros((), device=accelerator.device)
    sums = {"loss": zero, "nll": zero} | ({"kl": zero} if initial else {})
    for number, (rows, counts) in enumerate(batches, 1):
        batch = {name: tensor.to(accelerator.device) for name, tensor in collate(rows).items()}
        batch |= picture_inputs(language, batch["input_ids"], [example.pictures for example in rows])
        if initial:
            with initial.active() as reference, accelerator.autocast():
                initial_NV = reference(**batch)
        with distributed.gradients(accelerator, model, last=number == len(batches)):
            with accelerator.autocast():
                logits_NV = model(**batch)
            target_N = chosen_tokens(batch["input_ids"], batch["labels"] != -100)
            nll_N = F.cross_entropy(logits_NV, target_N, reduction="none")
            loss_N = dft(nll_N) if objective.loss == "dft" else nll_N
            terms = {"nll": nll_N}
            if initial:
                terms["kl"] = kl_full(logits_NV, initial_NV)
                loss_N = loss_N + objective.kl * terms["kl"]
            # The loss is a mean over the tokens of all processes, whose gradients are averaged.
            accelerator.backward(loss_N.sum() * (processes / targets if counts else 0))
        if counts:
            for name, term_N in {"loss": loss_N, **terms}.items():
                sums[name] = sums[name] + term_N.detach().sum()
    return {name: accelerator.reduce(total, "sum").item() / targets for name, total in sums.items()}


def _seed(*key: int) -> int:
    return int(np.random.SeedSequence(key).generate_state(1)[0])
