"""What a run will take, before it starts: memory of each GPU by part, FLOPs, hours, and what would make it fit.

Weights, gradients and moments are arithmetic on parameters that are counted on a model without weights. The working
memory of the forward and backward pass is counted by running it on tensors without data (:mod:`memory`). Tokens are
those of real dialogues of the config's tasks (:mod:`work`). Hours follow from the rates below, which are named, or
from a small update that is measured.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch._subclasses.fake_tensor import DynamicOutputShapeException

from labkit.dispatch import memory, shapes, work
from labkit.dispatch.host import GPU, GPUS, Host, Launch
from labkit.dispatch.memory import Counted, Rows
from labkit.dispatch.pictures import Sight, crossed, size
from labkit.envs import game
from labkit.errors import UsageError
from labkit.models.sampling.cache import LIMIT
from labkit.runs import store
from labkit.training import stages

if TYPE_CHECKING:
    from transformers import PretrainedConfig

PHASES = ("load", "play", "learn", "step")
"""Load the checkpoint; play (stage ``rl``); forward and backward pass; the optimizer's step. They do not overlap."""
USABLE = 0.92
"""The part of a GPU's memory that a plan may fill; the CUDA context and fragmentation take the rest (an estimate)."""
UTILISATION = 0.35
"""The part of a GPU's dense bf16 rate that training reaches (an estimate: PyTorch without fused kernels)."""
SLOW_FP32 = 15
"""How many times slower fp32 is than bf16, on H100 (data sheet: 67 and 989 TFLOP/s)."""
READ_UTILISATION = 0.6
"""The part of a GPU's memory bandwidth that sampling reaches (an estimate)."""
LAUNCH = 0.7e-3
"""Seconds that a layer takes for one token at least: starting its kernels (an estimate: PyTorch without graphs)."""


@dataclass(frozen=True)
class Plan:
    """What a run will take."""

    config: dict[str, Any]
    """The resolved config."""
    launch: Launch
    device: str
    """A name in :data:`labkit.dispatch.host.GPUS`, or ``cpu``."""
    limit: float | None
    """Bytes that a process may use; None where the machine is not known."""
    parts: dict[str, dict[str, int]] = field(repr=False)
    """Bytes of each process by part, and of each part by phase."""
    disk: int
    """Bytes of the kept checkpoints and the saved state."""
    counted: Counted
    lengths: work.Lengths
    work: work.Work
    flops: dict[str, float]
    """By part: ``training``, ``inference``, and what ``attention`` adds."""
    seconds: dict[str, float] | None
    """By part: ``play``, ``score``, ``learn``; None where there is no rate."""

    @property
    def phases(self) -> dict[str, int]:
        """Bytes of each process by phase."""
        return {phase: sum(part.get(phase, 0) for part in self.parts.values()) for phase in PHASES}

    @property
    def peak(self) -> int:
        """Most bytes of a process."""
        return max(self.phases.values())

    @property
    def fits(self) -> bool | None:
        """Whether the peak is within the limit; None where there is none."""
        return None if self.limit is None else self.peak <= self.limit

    @property
    def hours(self) -> float | None:
        return None if self.seconds is None else sum(self.seconds.values()) / 3600


def plan(config: Any, host: Host | None = None, *, runs: str | Path = store.ROOT) -> Plan:
    """Plan the run of a config.

    Args:
        config: the checked config of stage ``sft`` or ``rl``.
        host: where it is to run; this machine's CPU, one process, if not given.
        runs: the folder of the runs, for ``model: run:ID``.

    Raises:
        UsageError: the stage has no plan, or the model's shape is not known.
    """
    launch = host.launch() if host else Launch(1)
    return _plan(config, launch, host.gpu if host else None, Path(runs), here=host is None or host.ssh is None)


def remedy(found: Plan, host: Host, *, runs: str | Path = store.ROOT) -> tuple[str, Plan] | None:
    """The smallest change that makes a plan fit, in words, and the plan with it; None if none does."""
    for words, settings, launch in _changes(found):
        try:
            config = stages.parse({**found.config, **settings}, "the changed config")
        except UsageError:
            continue
        changed = _plan(config, launch, host.gpu, Path(runs), here=host.ssh is None)
        if changed.fits:
            return words, changed
    return None


def _changes(found: Plan) -> Iterator[tuple[str, dict[str, Any], Launch]]:
    """Changes, the least first: those that cost nothing but time, then those that change the experiment."""
    config, launch = found.config, found.launch
    worst = max(found.phases, key=found.phases.__getitem__)
    # Smaller batches help only if what does not depend on them fits.
    moved = {"learn": ("activations",), "play": ("KV cache", "prefix cache", "sampling")}.get(worst, ())
    kept = found.peak - sum(found.parts.get(part, {}).get(worst, 0) for part in moved)
    batches = found.limit is not None and kept < found.limit
    settings: dict[str, Any] = {}

    def change(**more: Any) -> tuple[str, dict[str, Any], Launch]:
        settings.update(more)
        return "--set " + " ".join(f"{k}={_yaml(v)}" for k, v in settings.items()), dict(settings), launch

    if worst == "learn" and batches:
        if not config["activation_checkpointing"]:
            yield change(activation_checkpointing=True)
        if config["precision"] == "fp32" and launch.cuda:
            yield change(precision="bf16")
        tokens = config["micro_batch_tokens"]
        while (tokens := tokens // 2) >= found.lengths.tokens:
            yield change(micro_batch_tokens=tokens)
    if worst == "play" and batches:
        batch = min(config["batch"], found.work.rows)
        while (batch := batch // 2) >= 1:
            yield change(batch=batch)
    if not launch.sharded and launch.processes > 1:
        yield "an accelerate config with FSDP2", dict(settings), launch._replace(sharded=True, resharded=False)
    if launch.sharded and not launch.resharded:
        again = launch._replace(resharded=True)
        yield "fsdp_reshard_after_forward: true in the accelerate config", dict(settings), again
    if launch.cuda and config["lora"] is None:
        yield change(lora={})


def _yaml(value: Any) -> str:
    return "{}" if value == {} else str(value).lower() if isinstance(value, bool) else str(value)


def _plan(config: Any, launch: Launch, gpu: str | None, runs: Path, *, here: bool) -> Plan:
    if config.stage not in ("sft", "rl"):
        raise UsageError(f"plans are made for the stages sft and rl, not {config.stage}")
    device = None
    if launch.cuda:
        if gpu is None:
            raise UsageError(f"the host does not say which GPUs it has; add gpu: with one of {', '.join(GPUS)}")
        device = GPUS[gpu]
    shape = shapes.shape_of(config.model, runs)
    sight = Sight(config, runs) if game(config.cell).pictured else None
    todo, lengths, shown = (work.of_rl if config.stage == "rl" else work.of_sft)(config, runs, sight)
    numbers = _Shape.of(shape)
    longest = lengths.longest
    if config.stage == "rl":
        longest = min(max(longest, round(lengths.with_answers(config.max_new_tokens).tokens)), numbers.context)
    batch = todo.rows / (config.minibatches if config.stage == "rl" else 1) / launch.processes
    rows = max(1, min(int(config.micro_batch_tokens // lengths.tokens), round(batch)))
    # A row is padded to the longest of its micro-batch; one that is longer than a micro-batch is one by itself.
    tokens = max(round(lengths.tokens), min(longest, max(config.micro_batch_tokens // rows, lengths.longest)))
    chosen = round(rows * tokens * lengths.turns * lengths.trained / lengths.tokens)
    playing = min(config.batch, -(-config.episodes // launch.processes)) if config.stage == "rl" else 0
    # A prompt shows what stands before the first answer.
    first = tuple(picture for picture in shown if picture.span[1] <= lengths.prompt)
    half = launch.sharded and config.precision == "bf16" or getattr(config, "sampler", None) == "bfloat16"
    counted = _counted(
        config,
        runs,
        Rows(rows, tokens, max(1, chosen), shown),
        launch.sharded,
        Rows(playing, round(lengths.prompt), 0, first) if playing else None,
        torch.bfloat16 if half else torch.float32,
    )
    parts = _parts(config, launch, counted, numbers, playing, longest, crossed(shape, shown), 2 if half else 4)
    if shown and not launch.cuda:
        # Tensors of the pictures of all rows; beside a GPU they lie in the machine's memory.
        held = round(size(shown) * todo.rows / (launch.processes if config.stage == "rl" else 1))
        parts["pictures"] = dict.fromkeys(("play", "learn"), held)
    meter = todo.meter(counted.parameters, counted.trained, numbers.layers * numbers.width, lengths.tokens)
    return Plan(
        config=config.model_dump(mode="json"),
        launch=launch,
        device=gpu if device and gpu else "cpu",
        limit=USABLE * device.memory if device else _ram() / launch.processes if here else None,
        parts=parts,
        disk=_disk(config, counted),
        counted=counted,
        lengths=lengths,
        work=todo,
        flops={
            "training": meter.training_flops,
            "inference": meter.inference_flops,
            "attention": meter.attention_flops,
        },
        seconds=_seconds(config, launch, device, counted, numbers, todo, lengths, playing, 2 if half else 4)
        if device
        else None,
    )


@dataclass(frozen=True)
class _Shape:
    """The numbers of a language model's config that memory and time depend on."""

    layers: int
    attending: int
    """Layers with keys and values of the text: not those of cross-attention."""
    width: int
    """Heads times the width of a head."""
    cached: int
    """Numbers that a token adds to the cache in each such layer."""
    crossing: int
    """Layers of cross-attention, which keep keys and values of pictures."""
    vocabulary: int
    context: int

    @classmethod
    def of(cls, config: PretrainedConfig) -> _Shape:
        text = config.get_text_config()
        heads = text.num_attention_heads
        size = getattr(text, "head_dim", None) or text.hidden_size // heads
        across = getattr(text, "cross_attention_layers", None) or ()
        return cls(
            layers=text.num_hidden_layers,
            attending=text.num_hidden_layers - len(across),
            crossing=len(across),
            width=heads * size,
            cached=2 * size * (getattr(text, "num_key_value_heads", None) or heads),
            vocabulary=text.vocab_size,
            context=getattr(text, "max_position_embeddings", None) or 10**9,
        )


_SETTINGS = ("stage", "lora", "freeze", "precision", "activation_checkpointing", "critic", "has_critic")
"""What a count depends on besides its other arguments."""
_known: dict[tuple[str, ...], Counted] = {}


def _counted(config: Any, runs: Path, rows: Rows, gathered: bool, sampled: Rows | None, dtype: torch.dtype) -> Counted:
    """A count, which takes some seconds, made once."""
    shape = shapes.shape_of(config.model, runs)
    settings = [getattr(config, name, None) for name in _SETTINGS]
    shown = [tensor.shape for picture in rows.pictures for tensor in picture.inputs.values()]
    key = (shape.to_json_string(), repr(settings), repr((rows, shown, gathered, sampled, dtype)))
    if key not in _known:
        try:
            _known[key] = memory.count(partial(shapes.build, shape), config, rows, gathered, sampled, dtype)
        except DynamicOutputShapeException:
            raise UsageError(
                f"{config.model} is of type {shape.model_type}, whose memory depends on what pictures show; plan "
                "the text cell, or a model of another type"
            ) from None
    return _known[key]


def _parts(
    config: Any,
    launch: Launch,
    counted: Counted,
    shape: _Shape,
    playing: int,
    longest: int,
    crossed: int,
    sampling: int,
) -> dict[str, dict[str, int]]:
    """Bytes of a process by part and phase.

    Args:
        playing: episodes side by side.
        longest: tokens of the longest dialogue.
        crossed: tokens of its pictures that layers of cross-attention read.
        sampling: bytes of a number in the precision that answers are sampled in.
    """
    whole, trained, reached = 4 * counted.parameters, 4 * counted.trained, 4 * counted.reached
    shards = launch.processes if launch.sharded else 1
    compute = whole // 2 if config.precision == "bf16" else whole
    parts: dict[str, dict[str, int]] = {}

    def add(part: str, size: int, *phases: str) -> None:
        if size:
            parts.setdefault(part, {}).update(dict.fromkeys(phases, size))

    add("weights", whole // shards, *PHASES)
    if launch.sharded:
        # The checkpoint is loaded whole before it is sharded.
        add("weights, gathered", whole, "load")
        add("weights, gathered", compute, "play")
        one = compute // max(1, shape.layers)
        add("weights, gathered", 2 * one if launch.resharded else compute, "learn")
    add("optimizer", 2 * reached // shards, "play", "learn", "step")
    add("gradients", counted.gradients + (reached // shards if launch.sharded else 0), "learn")
    add("gradients", reached // shards, "step")
    if launch.processes > 1 and not launch.sharded:
        add("DDP's buckets", trained, "play", "learn", "step")
    if launch.cuda:
        # AdamW's fused-over-tensors step keeps one temporary of each parameter.
        add("optimizer's temporaries", reached // shards, "step")
    if getattr(config, "has_critic", False):
        add("critic", 4 * 4 * _head(shape.width), "play", "learn", "step")
    if config.kl and config.lora is None:
        add("KL reference", trained, *PHASES)
    if config.stage == "rl" and config.sampler and not launch.sharded:
        add("sampler's copy", whole // 2, *PHASES)
    add("activations", counted.activations, "learn")
    if playing:
        kept = longest * shape.attending + crossed * shape.crossing
        cache = playing * kept * shape.cached * sampling
        add("KV cache", cache, "play")
        add("prefix cache", min(cache, LIMIT), "play", "learn", "step")
        # Logits, their softmax in fp32 twice, and its sum in fp64 (`decode`); or what reading prompts needs.
        drawing = playing * shape.vocabulary * (sampling + 4 + 4 + 8)
        add("sampling", max(drawing, counted.reading - cache), "play")
    return parts


def _head(width: int) -> int:
    """Parameters of the value head, biases left out."""
    return width * (width // 4) + (width // 4) * (width // 8) + width // 8


def _disk(config: Any, counted: Counted) -> int:
    """Bytes of checkpoints and state: the ones asked for, the newest, and RL's last healthy one."""
    kept = len(set(config.checkpoints)) + (2 if config.stage == "rl" else 1)
    checkpoint = 4 * (counted.trained if config.lora else counted.parameters)
    return kept * checkpoint + 4 * (counted.trained + 2 * counted.reached)


def _seconds(
    config: Any,
    launch: Launch,
    gpu: GPU,
    counted: Counted,
    shape: _Shape,
    todo: work.Work,
    lengths: work.Lengths,
    playing: int,
    sampling: int,
) -> dict[str, float]:
    """Seconds of the whole run by part, at the named rates."""
    rate = gpu.flops * UTILISATION * launch.processes
    if config.precision != "bf16":
        rate /= SLOW_FP32
    again = 2.0 * counted.parameters if config.activation_checkpointing else 0.0
    learn = 4.0 * counted.parameters + 2.0 * counted.trained + again
    read = 2.0 * counted.parameters
    if lengths.pictures:
        # Not a product of tokens and parameters: Mllama has one token for a picture, and its tower reads 6,404 patches.
        learn, read = counted.operations / lengths.tokens, counted.operations_read / lengths.prompt
    found = {"learn": todo.trained * learn / rate, "score": todo.scored * (read or learn / 3) / rate}
    if playing:
        share = -(-todo.rows // launch.processes)
        batches = max(1.0, share / playing)
        context = lengths.prompt + (lengths.tokens - lengths.prompt) / 2
        moved = sampling * (counted.parameters + playing * context * shape.attending * shape.cached)
        token = max(moved / (READ_UTILISATION * gpu.bandwidth), LAUNCH * shape.layers)
        decode = todo.steps * batches * lengths.turns * lengths.answer * token
        reading = rate if sampling == 2 or config.precision != "bf16" else rate / SLOW_FP32
        found["play"] = decode + todo.read * read / reading
    return found


def _ram() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
