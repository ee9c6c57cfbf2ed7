"""Activation checkpointing: memory for time (Chen et al. 2016, "Training deep nets with sublinear memory cost",
arXiv 1604.06174).

Between forward and backward a layer keeps its input only; what else the backward pass needs of it is computed again.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from labkit.errors import UsageError


def recompute_layers(model: nn.Module) -> None:
    """Have each layer of ``model`` computed again in the backward pass; losses and gradients stay as they are.

    The model's own switch (``activation_checkpointing_enable``) works in training mode only, and a policy learns in
    evaluation mode: dropout would make the ratio of an untouched one differ from 1. Names of parameters do not
    change, and neither does anything where no gradient is asked for, as in sampling.

    Raises:
        UsageError: the model has no layers of that kind; its code may be its own.
    """
    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers:
        raise UsageError("activation_checkpointing: the model's layers cannot be computed again; leave it out")
    for layer in layers:
        # A method rather than a closure, so that a copy of the model calls its own layers.
        layer.forward = MethodType(_forward, layer)


def _forward(layer: nn.Module, *args: Any, **kwargs: Any) -> Any:
    # Asked of the class, which is another one once processes share out the layer (FSDP2).
    forward = type(layer).forward
    if not torch.is_grad_enabled():
        return forward(layer, *args, **kwargs)
    return checkpoint(forward, layer, *args, use_reentrant=False, **kwargs)
