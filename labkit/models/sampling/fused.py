"""The forward pass of a small Llama in few operations, for sampling on a CPU.

At width 128 a layer's arithmetic takes less time than its Python modules. Here a layer has four matrices: one for
queries, keys and values, one for gate and up, and the two projections back; the weights of the norms are multiplied
into them, and the pairs of numbers that rotary embeddings rotate lie side by side, as complex numbers. The output is
that of transformers up to rounding. The weights are a copy, so large models and other devices are left out.

Shape suffixes: B rows, T tokens read, C columns of the cache, D width, V vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributed.tensor import DTensor
from transformers import LlamaForCausalLM

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel

LARGEST = 10**8
"""Parameters beyond which the matrices take most of the time, and a copy too much memory."""


class Output(NamedTuple):
    """The output of a transformers model, as far as sampling needs it."""

    logits: torch.Tensor
    """``[B, kept, V]``."""


def can_be_fused(model: PreTrainedModel) -> bool:
    """Whether :class:`FusedLlama` computes the same: a plain Llama, whole, on a CPU, and small."""
    if type(model) is not LlamaForCausalLM or model.device.type != "cpu" or model.dtype == torch.float64:
        return False
    if any(isinstance(p, DTensor) for p in model.parameters()):
        return False  # processes share it out
    config = model.config
    plain = config.hidden_act == "silu" and config.rope_parameters["rope_type"] == "default"
    # Biases and adapters bring parameters of their own; quantised layers are of another type.
    names = 9 * config.num_hidden_layers + 2 + (not config.tie_word_embeddings)
    linear = all(type(m) is nn.Linear for m in model.modules() if isinstance(m, nn.Linear))
    sizes = [p.numel() for p in model.parameters()]
    return plain and linear and len(sizes) == names and sum(sizes) <= LARGEST


class FusedLlama(nn.Module):
    """A copy of a Llama, called as the original is.

    Args:
        dtype: of the weights, and of keys and values; norms and what adds up over the layers are in fp32.
    """

    def __init__(self, model: LlamaForCausalLM, dtype: torch.dtype) -> None:
        super().__init__()
        self.config = config = model.config
        self._queries, self._keys = config.num_attention_heads, config.num_key_value_heads
        self._size = config.head_dim
        every = torch.arange(config.max_position_embeddings)[None]
        cos, sin = model.model.rotary_emb(torch.zeros(1), every)
        half = self._size // 2
        self._turn_CD = torch.complex(cos[0, :, :half].contiguous(), sin[0, :, :half].contiguous())
        # Always a copy: to follow the model must not count as a change of the model.
        weights = [weight.to(dtype, copy=True) for weight in self._fused(model)]
        self._weights = nn.ParameterList(nn.Parameter(w, requires_grad=False) for w in weights)

    @torch.no_grad()
    def follow(self, model: LlamaForCausalLM) -> None:
        """Copy the model's current weights."""
        for mine, weight in zip(self._weights, self._fused(model), strict=True):
            mine.copy_(weight)

    @property
    def device(self) -> torch.device:
        return self._weights[0].device

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        position_ids: torch.Tensor,
        past_key_values: Cache,
        logits_to_keep: int,
        **_: Any,
    ) -> Output:
        """Logits after the last tokens, ``[B, logits_to_keep, V]``.

        Args:
            input_ids, position_ids: ``[B, T]``.
            attention_mask: ``[B, C]``, 1 at what is attended to, the new tokens included.
            past_key_values: to which keys and values of the new tokens are appended.
        """
        embedding, head, *layers = self._weights
        rows, new = input_ids.shape
        turn_BT1D = self._turn_CD[position_ids][:, :, None]
        bias_B1TC = _bias(attention_mask, new, embedding.dtype)
        x_BTD = F.embedding(input_ids, embedding).float()
        for number in range(self.config.num_hidden_layers):
            qkv, out, gate_up, down = layers[4 * number : 4 * number + 4]
            heads = F.linear(self._norm(x_BTD), qkv).view(rows, new, -1, self._size)
            turned = self._queries + self._keys
            q, k = _turn(heads[:, :, :turned], turn_BT1D).split((self._queries, self._keys), dim=2)
            keys, values = past_key_values.update(k.transpose(1, 2), heads[:, :, turned:].transpose(1, 2), number)
            seen = F.scaled_dot_product_attention(
                q.transpose(1, 2), keys, values, attn_mask=bias_B1TC, enable_gqa=self._keys < self._queries
            )
            x_BTD = x_BTD + F.linear(seen.transpose(1, 2).reshape(rows, new, -1), out)
            gate, up = F.linear(self._norm(x_BTD), gate_up).chunk(2, dim=-1)
            x_BTD = x_BTD + F.linear(F.silu(gate) * up, down)
        return Output(F.linear(self._norm(x_BTD[:, -logits_to_keep:]), head))

    def _norm(self, x_BTD: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x_BTD, x_BTD.shape[-1:], eps=self.config.rms_norm_eps).to(self._weights[0].dtype)

    def _fused(self, model: LlamaForCausalLM) -> list[torch.Tensor]:
        """Embedding and head, then four matrices of each layer."""
        inner, half = model.model, self._size // 2
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
