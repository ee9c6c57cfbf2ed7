"""The processes that train together: one, or several that torchrun or accelerate has started.

Launchers may start fewer processes than they were asked for, or processes that do not know of each other, without a
word: ``accelerate launch --cpu --num_processes 2`` runs one. A run on another world than was asked for would be
another experiment, or the same one twice, so it is refused before anything is written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast_object_list
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor

from labkit.errors import UsageError
from labkit.models.loader import device_of

Made = TypeVar("Made")


def join(device: str, processes: int | None = None) -> str:
    """Meet the other processes.

    Args:
        device: what is asked of all processes; of several on GPUs each gets its own.
        processes: how many there are to be; as many as were started if not given.

    Returns:
        This process's own device.

    Raises:
        UsageError: this is not the world that was asked for; the message says how to start that one.
    """
    place = device_of(device)
    started = int(os.environ.get("WORLD_SIZE", 1))
    if started > 1 and place.index is not None:
        raise UsageError(f"each of {started} processes takes a device of its own; use --device {place.type}")
    if place.type == "cuda" and place.index is not None:
        torch.cuda.set_device(place)
    state = PartialState(cpu=place.type == "cpu")
    met = state.num_processes
    if started > met:
        raise UsageError(
            f"{started} processes were started, and each would train by itself on {place}; "
            "several train on --device cpu or cuda"
        )
    if met == 1 and _lone_launch():
        raise UsageError(
            "accelerate launch was asked for several processes and started one, as it does on a CPU; "
            f"use {_command('N', place)}"
        )
    if processes not in (None, met):
        raise UsageError(
            f"the config wants {processes} processes and {met} {'was' if met == 1 else 'were'} started; "
            f"use {_command(processes, place)}"
        )
    if _asked("DEEPSPEED"):
        # It clips and steps inside of the last backward pass of a step, where the trainers must come between.
        raise UsageError("DeepSpeed is not supported; what ZeRO-2 does, configs/accelerate/eight-80gb-fsdp2.yaml does")
    if _asked("FSDP") and place.type != "cuda":
        raise UsageError("accelerate was asked for FSDP, which runs on GPUs; add --device cuda")
    # What the others have read of a run, they have read before the main process writes to it.
    state.wait_for_everyone()
    return str(state.device)


def _lone_launch() -> bool:
    """Whether ``accelerate launch`` was asked for several processes and has started one.

    It names a meeting point only to several, and gives each a place only where it starts them by torchrun.
    """
    return {"ACCELERATE_MIXED_PRECISION", "MASTER_ADDR"} <= os.environ.keys() and "WORLD_SIZE" not in os.environ


def _asked(kind: str) -> bool:
    """Whether ``accelerate launch`` was asked to share out the model in a way."""
    return os.environ.get(f"ACCELERATE_USE_{kind}", "").lower() == "true"


def _command(processes: int | str, place: torch.device) -> str:
    """How to start so many processes."""
    device = "" if place.type == "cpu" else f" --device {place.type}"
    start = "labkit" if processes == 1 else f"torchrun --nproc_per_node {processes} -m labkit"
    return f"`{start} train ...{device}`"


def is_main() -> bool:
    """Whether this is the process that writes."""
    return PartialState().is_main_process


def on_main(make: Callable[[], Made]) -> Made:
    """What the main process makes, on all of them; what it raises ends the others too."""
    (made,) = broadcast_object_list([make() if is_main() else None])
    return made


def accelerator(
    device: str, precision: str, *, unused: bool, trackers: Sequence[str] = (), folder: Path | None = None
) -> Accelerator:
    """What runs a model on this world.

    Args:
        precision: ``fp32`` or ``bf16``, of forward and backward.
        unused: whether some trained parameters get no gradient (a vision tower where there is only text).
        trackers: what logs beside the run, and the folder that it writes to.
    """
    if PartialState().num_processes == 1:
        # A notebook may train one model after another, in another precision; accelerate remembers the first.
        AcceleratorState._reset_state()
    return Accelerator(
        mixed_precision="bf16" if precision == "bf16" else "no",
        cpu=torch.device(device).type == "cpu",
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=unused)],
        log_with=list(trackers) or None,
        project_dir=folder,
    )


def gradients(accelerator: Accelerator, model: torch.nn.Module, *, last: bool) -> AbstractContextManager[None]:
    """Around forward and backward of each pass of a step: processes exchange gradients once, in the last."""
    return nullcontext() if last else accelerator.no_sync(model)


def whole(model: torch.nn.Module, work: Callable[[], Made]) -> Made:
    """Do ``work`` while every process holds the whole of a model that they share out (FSDP2).

    Processes that play sample answers of different lengths, so none may wait for another's part at each token.
    All processes must come here, each with work of its own.
    """
    shared = [module for module in model.modules() if isinstance(module, FSDPModule)]
    if shared:
        # The outermost has to be known before an inner one runs by itself.
        shared[0]._get_fsdp_state()._lazy_init()
        shared[0].set_reshard_after_forward(False)
    for module in shared:
        module.unshard()
    try:
        return work()
    finally:
        for module in shared:
            module.reshard()


def full(tensor: torch.Tensor) -> torch.Tensor:
    """The whole of a tensor that processes share out; all of them must ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def part(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Of a whole tensor this process's part, shared out as ``like`` is."""
    tensor = tensor.to(like.device)
    if isinstance(like, DTensor) and tensor.shape == like.shape:
        return distribute_tensor(tensor, like.device_mesh, like.placements)
    return tensor
