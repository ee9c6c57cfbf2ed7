"""From a config to the first step: what every trainer sets up, in the order in which it has to be done.

1. :func:`start_from` loads the checkpoint and marks the parameters that are trained;
2. :func:`prepare` makes the accelerator, the FLOP meter and the reference policy, and wraps model and optimizer;
3. :func:`session` loads the saved state of a resumed run, opens the log and probes the model before the first step.

A trainer then only loops: compute a gradient, step, ``session.log``, ``session.save``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from pydantic import AfterValidator, Field, field_validator
from torch import nn

from labkit.compute import Meter
from labkit.config import Config
from labkit.envs import game
from labkit.errors import UsageError
from labkit.models.bundle import ModelBundle
from labkit.models.picture_reader import resize
from labkit.models.vision import Part
from labkit.players.registry import load_bundle
from labkit.progress import Progress
from labkit.training.common import distributed, trackers
from labkit.training.common.checkpointing import checkpoint_activations
from labkit.training.common.parameters import InitialPolicy, LoRA, prepare_parameters
from labkit.training.common.state import TrainState
from labkit.training.common.trackers import Tracker, tracked

if TYPE_CHECKING:
    from accelerate import Accelerator
    from transformers import PreTrainedModel

    from labkit.runs import Run

Probing = Callable[[int, "PreTrainedModel"], dict[str, Any]]
"""Measures the model after a number of finished steps; returns the metrics, none where no probe is due."""


def _known(cell: str) -> str:
    try:
        game(cell)
    except UsageError as error:
        raise ValueError(str(error)) from None
    return cell


Cell = Annotated[str, AfterValidator(_known)]
"""A setting that names a cell of a game; an unknown one is an error of the config."""


class TrainConfig(Config):
    """Settings that every stage has."""

    seed: int = 0
    """Seed of everything random in the run."""
    processes: int | None = Field(None, ge=1)
    """Number of processes: with another number the run refuses to start. Any number gives the same weights."""
    lr: float = Field(gt=0)
    """Peak learning rate of AdamW."""
    part_lr: dict[Part, Annotated[float, Field(gt=0)]] = {}
    """Peak learning rates of parts of a vision model that differ from ``lr``."""
    weight_decay: float = Field(0.0, ge=0)
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of forward and backward passes; weights and optimizer stay in fp32."""
    micro_batch_tokens: int = Field(2048, ge=1)
    """Tokens of a forward pass of a process, padding included. Affects memory and speed only; a longer dialogue is a
    micro-batch by itself."""
    activation_checkpointing: bool = False
    """Recompute each layer in the backward pass instead of storing its activations: much less memory, a third more
    computation, the same gradients."""
    trackers: tuple[Tracker, ...] = ()
    """Where metrics go besides ``metrics.jsonl``: ``tensorboard``, ``wandb``, ``trackio``."""
    checkpoints: tuple[int, ...] = ()
    """Steps whose checkpoint is kept; the last one always is."""


class StartConfig(TrainConfig):
    """Settings of a stage that trains an existing checkpoint."""

    cell: Cell

    model: str
    """The checkpoint to start from: a bundled one (``tiny:gp-l/init``), a directory, a hub id, ``run:ID`` or
    ``run:ID@STEP``."""
    lora: LoRA | None = None
    """Train adapters instead of the model's weights."""
    freeze: tuple[str, ...] = ()
    """Frozen parts: ``vision``, ``connector``, ``language``, ``embeddings``, or patterns of parameter names."""
    image_size: int | None = Field(None, ge=32)
    """Side in pixels at which pictures are drawn and read; the checkpoint's own if not given. It is saved with the
    checkpoints, so that evaluation shows the same."""
    picture: dict[str, Any] = {}
    """How a game draws its pictures, where it differs from the game's own way; their size is ``image_size``."""

    @field_validator("picture")
    @classmethod
    def _without_size(cls, value: dict[str, Any]) -> dict[str, Any]:
        if "size" in value:
            raise ValueError("the size of pictures is image_size; leave size out")
        return value


def start_from(config: StartConfig, device: str) -> ModelBundle:
    """The checkpoint of a config; ``requires_grad`` marks the parameters that are trained.

    Raises:
        UsageError: it cannot be loaded, does not see what the cell shows, or ``lora``, ``freeze`` or ``image_size``
            does not fit it.
    """
    bundle = load_bundle(config.model, device=device)
    if game(config.cell).pictured:
        reader = bundle.check_sees(config.cell)
        if config.image_size is not None:
            resize(reader.processor, config.image_size)
    # A bundled model lies elsewhere on another machine. A run's last checkpoint changes, so that is named by its path.
    base = config.model if config.model.startswith("tiny:") else None
    model = prepare_parameters(bundle.model, config.lora, config.freeze, seed=config.seed, base=base)
    return replace(bundle, model=model)


def drawing(config: StartConfig, bundle: ModelBundle) -> dict[str, Any]:
    """How pictures are drawn for a checkpoint: the settings of the config, at the size that the checkpoint reads.

    Empty for a cell in text.
    """
    if not game(config.cell).pictured:
        return {}
    return {**config.picture, **bundle.check_sees(config.cell).drawing}


@dataclass(frozen=True)
class Prepared:
    """A model ready to be trained."""

    model: PreTrainedModel
    """The language model, an adapter included: what plays, and what a checkpoint holds."""
    module: nn.Module
    """The language model, or a policy with a value head around it; not wrapped."""
    trained: nn.Module
    """``module`` wrapped by accelerate; call this one for gradients."""
    optimizer: torch.optim.Optimizer
    accelerator: Accelerator
    meter: Meter
    initial: InitialPolicy | None
    """The policy before the first step, if a KL to it is part of the loss."""


def prepare(
    config: TrainConfig,
    model: PreTrainedModel,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    reference: bool,
    run: Run | None = None,
) -> Prepared:
    """Wrap a model and its optimizer for the processes that train it.

    Args:
        module: ``model``, or a module that holds it.
        reference: keep the initial policy, for a KL term.
        run: its folder is where trackers write.
    """
    accelerator = distributed.accelerator(
        model.device,
        config.precision,
        # Text does not reach the vision tower, so its parameters get no gradient.
        unused=hasattr(model.config, "vision_config"),
        trackers=config.trackers if run else (),
        folder=trackers.folder(run) if run else None,
    )
    meter = Meter.of(model)
    initial = InitialPolicy(module) if reference else None
    if config.activation_checkpointing:
        checkpoint_activations(module)
    trained, optimizer = accelerator.prepare(module, optimizer)
    return Prepared(model, module, trained, optimizer, accelerator, meter, initial)


class Session:
    """The run around a training loop: its log, probe, checkpoints and saved state. Made by :func:`session`."""

    def __init__(
        self,
        run: Run,
        prepared: Prepared,
        processing_class: Any,
        state: TrainState,
        first: int,
        progress: Progress,
        probe: Probing | None,
    ) -> None:
        self.first = first
        """Finished steps of the state that the run resumed from; 0 for a new run."""
        self.is_main: bool = prepared.accelerator.is_main_process
        """Whether this process writes the run."""
        self.progress = progress
        self._run, self._prepared, self._processing_class = run, prepared, processing_class
        self._state, self._probe = state, probe

    def probe(self, done: int) -> dict[str, Any]:
        """Metrics of the probe after ``done`` steps. Every process calls this; the main one measures."""
        probe, model = self._probe, self._prepared.model
        if probe is None:
            return {}
        return distributed.gathered_params(self._prepared.trained, lambda: probe(done, model) if self.is_main else {})

    def log(self, done: int, metrics: dict[str, Any]) -> None:
        """Write the metrics of step ``done``, counted from 1; 0 is the model before the first step.

        The main process writes. Trackers get the numbers.
        """
        if self.is_main:
            self._run.log({"step": done, **metrics})
            numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
            self._prepared.accelerator.log(numbers, step=done)

    def checkpoint(self, done: int) -> None:
        """Write the model as a Hugging Face directory. Every process calls this; one writes."""
        self._state.checkpoint(done, self._prepared.model, self._processing_class)

    def save(self, done: int) -> None:
        """Save the state that ``--resume`` continues from. Every process calls this; one writes."""
        self._state.save(done)


@contextmanager
def session(
    run: Run,
    prepared: Prepared,
    processing_class: Any,
    *,
    unit: str,
    total: int,
    resume: bool,
    probe: Probing | None = None,
) -> Iterator[Session]:
    """Open a run for training.

    A step that was interrupted is done again: training resumes from the last state that was saved completely.

    Args:
        processing_class: saved beside the model: the tokenizer, or a vision model's processor.
        unit, total: name and number of the steps, for the progress bar.
        resume: load the run's saved state first.
        probe: called before the first step, and by the trainer after each step.

    Raises:
        UsageError: the saved state is damaged, or belongs to another model.
    """
    state = TrainState(run, prepared.module, prepared.optimizer, prepared.meter)
    first = state.load() if resume else 0
    progress = Progress(unit, total, first, enabled=prepared.accelerator.is_main_process)
    with closing(progress), tracked(prepared.accelerator, run, first):
        opened = Session(run, prepared, processing_class, state, first, progress, probe)
        if probe and first == 0:
            opened.log(0, {"flops": 0.0, **opened.probe(0)})
            progress.start()
        yield opened
