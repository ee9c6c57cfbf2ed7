"""A copy of a model to sample from while the model itself is trained."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from labkit.models.sampling.cache import version
from labkit.models.sampling.fused import FusedLlama, can_be_fused

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class RolloutModel:
    """A copy that follows its model: it is updated when the model's weights have changed.

    A small Llama on a CPU is copied with fewer operations to a pass (:mod:`labkit.models.sampling.fused`), which is
    worth it in the model's own precision too. Of another model only weights are cast; buffers, such as the frequencies
    of rotary embeddings, stay as precise as they are.
    """

    def __init__(self, model: PreTrainedModel, dtype: torch.dtype) -> None:
        self._model = model
        self._version = version(model)
        if can_be_fused(model):
            self._copy = FusedLlama(model, dtype)
            return
        self._copy = copy.deepcopy(model).requires_grad_(False)
        for weight in self._copy.parameters():
            weight.data = weight.data.to(dtype)

    @torch.no_grad()
    def current(self) -> PreTrainedModel | FusedLlama:
        """The copy with the model's current weights, in evaluation mode."""
        if self._version != (now := version(self._model)):
            if isinstance(self._copy, FusedLlama):
                self._copy.follow(self._model)
            else:
                for mine, weight in zip(self._copy.parameters(), self._model.parameters(), strict=True):
                    mine.copy_(weight)
            self._version = now
        return self._copy.eval()
