"""The forward pass of a small Llama in few operations, for sampling on a CPU.

At width 128 a layer's arithmetic takes less time than its Python modules. Here a layer has four matrices: one for
queries, keys and values, one for gate and up, and the two projections back; the weights of the norms are multiplied
into them, and the pairs of numbers that rotary embeddings rotate lie side by side, as complex numbers. The output is
that of transformers up to rounding. The weights are a copy, so large models and other devices are left out. A LLaVA on
such a Llama is fused too: its own tower reads the pictures.

Shape suffixes: B rows, T tokens read, C columns of the cache, D width, V vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributed.tensor import DTensor
from transformers import LlamaForCausalLM, LlamaModel, LlavaForConditionalGeneration

from labkit.models.vision import image_token_id

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel

LARGEST = 10**8
"""Parameters beyond which the matrices take most of the time, and a copy too much memory."""


class Output(NamedTuple):
    """The output of a transformers model, as far as sampling needs it."""

    logits: torch.Tensor
    """``[B, kept, V]``."""


def can_be_fused(model: PreTrainedModel) -> bool:
    """Whether :class:`FusedLlama` computes the same: a plain Llama, alone or in a LLaVA, whole, on a CPU, and small."""
    if type(model) not in (LlamaForCausalLM, LlavaForConditionalGeneration):
        return False
    if model.device.type != "cpu" or model.dtype == torch.float64 or type(_llama(model)) is not LlamaModel:
        return False
    if any(isinstance(p, DTensor) for p in model.parameters()):
        return False  # processes share it out
    config = model.config.get_text_config()
    plain = config.hidden_act == "silu" and config.rope_parameters["rope_type"] == "default"
    # Biases and adapters bring parameters of their own; quantised layers are of another type.
    tied = model.lm_head.weight is _llama(model).embed_tokens.weight
    names = 9 * config.num_hidden_layers + 2 + (not tied)
    parts = nn.ModuleList([_llama(model), model.lm_head])
    linear = all(type(m) is nn.Linear for m in parts.modules() if isinstance(m, nn.Linear))
    sizes = [p.numel() for p in parts.parameters()]
    return plain and linear and len(sizes) == names and sum(sizes) <= LARGEST


def _llama(model: PreTrainedModel) -> nn.Module:
    """The Llama without its output layer."""
    return model.model if type(model) is LlamaForCausalLM else model.model.language_model


class FusedLlama(nn.Module):
    """A copy of a Llama, called as the original is. A LLaVA's tower is not copied: it is the original's.

    Args:
        dtype: of the weights, and of keys and values; norms and what adds up over the layers are in fp32.
    """

    def __init__(self, model: PreTrainedModel, dtype: torch.dtype) -> None:
        super().__init__()
        self.config, config = model.config, model.config.get_text_config()
        # In a tuple, so that it counts as no part of this module.
        self._original = (model,)
        self._epsilon = config.rms_norm_eps
        self._queries, self._keys = config.num_attention_heads, config.num_key_value_heads
        self._size = config.head_dim
        every = torch.arange(config.max_position_embeddings)[None]
        cos, sin = _llama(model).rotary_emb(torch.zeros(1), every)
        half = self._size // 2
        self._turn_CD = torch.complex(cos[0, :, :half].contiguous(), sin[0, :, :half].contiguous())
        # Always a copy: to follow the model must not count as a change of the model.
        weights = [weight.to(dtype, copy=True) for weight in self._fused(model)]
        self._weights = nn.ParameterList(nn.Parameter(w, requires_grad=False) for w in weights)

    @torch.no_grad()
    def follow(self, model: PreTrainedModel) -> None:
        """Copy the model's current weights."""
        for mine, weight in zip(self._weights, self._fused(model), strict=True):
            mine.copy_(weight)

    @property
    def device(self) -> torch.device:
        return self._weights[0].device

    @property
    def dtype(self) -> torch.dtype:
        """The type in which the tower takes pictures."""
        return self._original[0].dtype

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        position_ids: torch.Tensor,
        past_key_values: Cache,
        logits_to_keep: int,
        pixel_values: torch.Tensor | None = None,
        **_: Any,
    ) -> Output:
        """Logits after the last tokens, ``[B, logits_to_keep, V]``.

        Args:
            input_ids, position_ids: ``[B, T]``.
            attention_mask: ``[B, C]``, 1 at what is attended to, the new tokens included.
            past_key_values: to which keys and values of the new tokens are appended.
            pixel_values: pictures, whose features take the places of image tokens.
        """
        embedding, head, *layers = self._weights
        rows, new = input_ids.shape
        turn_BT1D = self._turn_CD[position_ids][:, :, None]
        bias_B1TC = _bias(attention_mask, new, embedding.dtype)
        x_BTD = F.embedding(input_ids, embedding).float()
        if pixel_values is not None:
            seen = self._original[0].model.get_image_features(pixel_values, return_dict=True).pooler_output
            x_BTD[input_ids == image_token_id(self.config)] = torch.cat(seen).float()
        for number in range(len(layers) // 4):
            qkv, out, gate_up, down = layers[4 * number : 4 * number + 4]
            heads = F.linear(self._norm(x_BTD), qkv).view(rows, new, -1, self._size)
            turned = self._queries + self._keys
            q, k = _turn(heads[:, :, :turned], turn_BT1D).split((self._queries, self._keys), dim=2)
            keys, values = past_key_values.update(k.transpose(1, 2), heads[:, :, turned:].transpose(1, 2), number)
            read = F.scaled_dot_product_attention(
                q.transpose(1, 2), keys, values, attn_mask=bias_B1TC, enable_gqa=self._keys < self._queries
            )
            x_BTD = x_BTD + F.linear(read.transpose(1, 2).reshape(rows, new, -1), out)
            gate, up = F.linear(self._norm(x_BTD), gate_up).chunk(2, dim=-1)
            x_BTD = x_BTD + F.linear(F.silu(gate) * up, down)
        return Output(F.linear(self._norm(x_BTD[:, -logits_to_keep:]), head))

    def _norm(self, x_BTD: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x_BTD, x_BTD.shape[-1:], eps=self._epsilon).to(self._weights[0].dtype)

    def _fused(self, model: PreTrainedModel) -> list[torch.Tensor]:
        """Embedding and head, then four matrices of each layer."""
        inner, half = _llama(model), self._size // 2
        found = [inner.embed_tokens.weight, model.lm_head.weight * inner.norm.weight]

        def paired(weight: torch.Tensor) -> torch.Tensor:
            """What is turned together, the halves of each head, side by side."""
            return weight.view(-1, 2, half, weight.shape[1]).transpose(1, 2).reshape(weight.shape)

        for layer in inner.layers:
            attention, mlp = layer.self_attn, layer.mlp
            qkv = [paired(attention.q_proj.weight), paired(attention.k_proj.weight), attention.v_proj.weight]
            found += [
                torch.cat(qkv) * layer.input_layernorm.weight,
                attention.o_proj.weight,
                torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]) * layer.post_attention_layernorm.weight,
                mlp.down_proj.weight,
            ]
        return [weight.detach() for weight in found]


def _turn(heads: torch.Tensor, turn_BT1D: torch.Tensor) -> torch.Tensor:
    """Rotary embedding of ``[B, T, heads, size]``."""
    pairs = torch.view_as_complex(heads.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turn_BT1D).flatten(-2).to(heads.dtype)


def _bias(mask_BC: torch.Tensor, new: int, dtype: torch.dtype) -> torch.Tensor:
    """What is added to attention scores, ``[B, 1, new, C]``: nothing, or so much that a token is not seen."""
    # Not infinity: a row of padding sees nothing, and must stay a number.
    never = torch.finfo(dtype).min
    bias_B1TC = ((1 - mask_BC) * never).to(dtype)[:, None, None].repeat(1, 1, new, 1)
    if new > 1:
        later_TT = torch.ones(new, new, dtype=torch.bool, device=mask_BC.device).triu(1)
        bias_B1TC[..., -new:].masked_fill_(later_TT, never)
    return bias_B1TC
