"""A copy of a model in another precision, to sample from while the model itself is trained."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from labkit.models.cache import version

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Sampler:
    """The copy, which follows the model: it is brought up to date when the model's weights have changed.

    Only weights are cast; buffers, such as the frequencies of rotary embeddings, stay as precise as they are.
    """

    def __init__(self, model: PreTrainedModel, dtype: torch.dtype) -> None:
        self._model = model
        self._copy = copy.deepcopy(model).requires_grad_(False)
        for weight in self._copy.parameters():
            weight.data = weight.data.to(dtype)
        self._version = version(model)

    @torch.no_grad()
    def current(self) -> PreTrainedModel:
        """The copy with the model's weights of now, in evaluation mode."""
        if self._version != (now := version(self._model)):
            for mine, weight in zip(self._copy.parameters(), self._model.parameters(), strict=True):
                mine.copy_(weight)
            self._version = now
        return self._copy.eval()
