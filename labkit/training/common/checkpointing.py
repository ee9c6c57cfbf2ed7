"""Activation checkpointing: memory for time (Chen et al. 2016, "Training deep nets with sublinear memory cost",
arXiv 1604.06174).

Between the forward and the backward pass a layer stores only its input; the backward pass recomputes its activations.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from labkit.errors import UsageError


def checkpoint_activations(model: nn.Module) -> None:
    """Make ``model`` recompute each layer in the backward pass. Losses and gradients do not change.

    The model's own switch (``activation_checkpointing_enable``) works in training mode only, and a policy is trained in
    evaluation mode: dropout would make the ratio of an unchanged policy differ from 1. Parameter names do not change,
    and passes without gradients, as in sampling, are not affected.

    Raises:
        UsageError: the model has no layers that support it, as in models with code of their own.
    """
    # Mllama's vision tower has layers of another class, which the model names among those that are kept whole.
    named = {name for module in model.modules() for name in getattr(module, "_no_split_modules", None) or ()}
    stacked = {layer for module in model.modules() if isinstance(module, nn.ModuleList) for layer in module}
    layers = [
        module
        for module in model.modules()
        if isinstance(module, GradientCheckpointingLayer) or (module in stacked and type(module).__name__ in named)
    ]
    if not layers:
        raise UsageError("activation_checkpointing: the model's layers do not support it; leave it out")
    for layer in layers:
        # A method, not a closure: a copy of the model must call its own layers.
        layer.forward = MethodType(_forward, layer)


def _forward(layer: nn.Module, *args: Any, **kwargs: Any) -> Any:
    # Looked up on the class, which FSDP2 replaces when it shards the layer.
    forward = type(layer).forward
    if not torch.is_grad_enabled():
        return forward(layer, *args, **kwargs)
    return checkpoint(forward, layer, *args, use_reentrant=False, **kwargs)
