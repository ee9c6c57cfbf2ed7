"""The processes that train together: one, or several started by torchrun or accelerate.

A launcher may start fewer processes than requested, or processes that do not know of each other, without saying so:
``accelerate launch --cpu --num_processes 2`` runs one. Training with another number of processes than requested
would be another experiment, or the same one twice. :func:`init` refuses it before anything is written.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed
from accelerate import Accelerator, DistributedDataParallelKwargs, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast_object_list
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor

from labkit.counting import counted
from labkit.errors import UsageError
from labkit.models.loader import device_of

Made = TypeVar("Made")


def init(device: str, processes: int | None = None) -> str:
    """Initialise the process group.

    Args:
        device: the device requested for all processes; on GPUs each process gets its own.
        processes: the expected number of processes; None accepts any.

    Returns:
        The device of this process.

    Raises:
        UsageError: the number of processes, or the way they were launched, is not the requested one. The message
            gives the command that starts the requested one.
    """
    place = device_of(device)
    started = int(os.environ.get("WORLD_SIZE", 1))
    if started > 1 and place.index is not None:
        raise UsageError(f"each of the {started} processes needs its own device; use --device {place.type}")
    if place.type == "cuda" and place.index is not None:
        torch.cuda.set_device(place)
    state = PartialState(cpu=place.type == "cpu")
    # Before anything is refused below: gloo's threads outlive the interpreter otherwise, and one that still has to free
    # a tensor then aborts the process ("terminate called without an active exception").
    atexit.register(_leave)
    met = state.num_processes
    if started > met:
        raise UsageError(
            f"{started} processes were started, and each would train by itself on {place}; "
            "use --device cpu or cuda for several processes"
        )
    if met == 1 and _lone_launch():
        raise UsageError(
            "accelerate launch was asked for several processes and started one, as it does on a CPU; "
            f"use {_command('N', place)}"
        )
    if processes not in (None, met):
        raise UsageError(
            f"the config wants {counted(processes, 'process', 'processes')} and {met} {'was' if met == 1 else 'were'} "
            f"started; use {_command(processes, place)}"
        )
    if _requested("DEEPSPEED"):
        # It clips and steps inside the last backward pass of a step; the trainers do both themselves.
        raise UsageError("DeepSpeed is not supported; use FSDP2 instead: configs/accelerate/eight-80gb-fsdp2.yaml")
    if _requested("FSDP") and place.type != "cuda":
        raise UsageError("accelerate was asked for FSDP, which runs on GPUs; add --device cuda")
    # The other processes must have read the run before the main process writes to it.
    state.wait_for_everyone()
    return str(state.device)


def _leave() -> None:
    """Leave the process group, which ends its threads."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _lone_launch() -> bool:
    """Whether ``accelerate launch`` was asked for several processes and started one.

    It sets ``MASTER_ADDR`` only for several processes, and ``WORLD_SIZE`` only where it starts them by torchrun.
    """
    return {"ACCELERATE_MIXED_PRECISION", "MASTER_ADDR"} <= os.environ.keys() and "WORLD_SIZE" not in os.environ


def _requested(kind: str) -> bool:
    """Whether ``accelerate launch`` was asked for this kind of sharding."""
    return os.environ.get(f"ACCELERATE_USE_{kind}", "").lower() == "true"


def _command(processes: int | str, place: torch.device) -> str:
    """The command that starts this many processes."""
    device = "" if place.type == "cpu" else f" --device {place.type}"
    start = "labkit" if processes == 1 else f"torchrun --nproc_per_node {processes} -m labkit"
    return f"`{start} train ...{device}`"


def is_main() -> bool:
    """Whether this is the main process, the only one that writes files."""
    return PartialState().is_main_process


def on_main(make: Callable[[], Made]) -> Made:
    """Call ``make`` on the main process and send the result to all. An exception there ends the others too."""
    (made,) = broadcast_object_list([make() if is_main() else None])
    return made


def accelerator(
    device: str, precision: str, *, unused: bool, trackers: Sequence[str] = (), folder: Path | None = None
) -> Accelerator:
    """The accelerator of this process group.

    Args:
        precision: ``fp32`` or ``bf16``, for forward and backward passes.
        unused: whether some trained parameters get no gradient (a vision tower in training on text).
        trackers, folder: names of the trackers, and the folder that they write to.
    """
    if PartialState().num_processes == 1:
        # A notebook may train several models in different precisions, and accelerate keeps the first.
        AcceleratorState._reset_state()
    return Accelerator(
        mixed_precision="bf16" if precision == "bf16" else "no",
        cpu=torch.device(device).type == "cpu",
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=unused)],
        log_with=list(trackers) or None,
        project_dir=folder,
    )


def gradients(accelerator: Accelerator, model: torch.nn.Module, *, last: bool) -> AbstractContextManager[None]:
    """Context of a micro-batch's forward and backward pass: gradients are synchronised in the ``last`` one only."""
    return nullcontext() if last else accelerator.no_sync(model)


def gathered_params(model: torch.nn.Module, work: Callable[[], Made]) -> Made:
    """Call ``work`` while every process holds all parameters of a sharded model (FSDP2).

    Sampling needs this: processes sample answers of different lengths, so they cannot gather layers in step. All
    processes must call it, each with its own ``work``. A model that is not sharded is left as it is.
    """
    shared = [module for module in model.modules() if isinstance(module, FSDPModule)]
    if shared:
        # FSDP2 must know the outermost module before an inner one runs by itself.
        shared[0]._get_fsdp_state()._lazy_init()
        shared[0].set_reshard_after_forward(False)
    for module in shared:
        module.unshard()
    try:
        return work()
    finally:
        for module in shared:
            module.reshard()


def full_tensor(tensor: torch.Tensor) -> torch.Tensor:
    """A sharded tensor gathered, another one as it is. All processes must call it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shard_like(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A full tensor, on the device of ``like`` and sharded as it is."""
    tensor = tensor.to(like.device)
    if isinstance(like, DTensor) and tensor.shape == like.shape:
        return distribute_tensor(tensor, like.device_mesh, like.placements)
    return tensor
