"""The forward passes that score: hidden states, logits, log-probabilities, exact KL. Sampling has its own.

Everything is computed at chosen tokens only, so the output layer of a vocabulary of 128,000 is never run on a prompt.
Training, evaluation and notebooks score through this module, so they agree on how a model is called.

Shape suffixes: B rows, T tokens of a row, N chosen tokens of all rows in order, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from labkit.models.vision import forbid, picture_inputs, placeholder_ids

if TYPE_CHECKING:
    from labkit.models.context import Picture

CHUNK = 2**23
"""Logits computed at a time. A batch's logits over a large vocabulary would outgrow the model, so they are computed in
pieces, and again in the backward pass."""


def language_model(model: nn.Module) -> PreTrainedModel:
    """The model inside an adapter, or the model itself."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def output_layer(model: nn.Module) -> nn.Module:
    """The layer from hidden states to logits."""
    return language_model(model).get_output_embeddings()


def hidden_states(
    model: nn.Module, input_ids: torch.Tensor, attention_mask: torch.Tensor, chosen: torch.Tensor, **pictures: Any
) -> torch.Tensor:
    """The last hidden state before each chosen token: what the token is predicted from, ``[N, D]``.

    Args:
        input_ids: ``[B, T]``, padded on the right.
        attention_mask: ``[B, T]``, 1 at real tokens.
        chosen: ``bool [B, T]``, True at the tokens to be scored; never at the first of a row.
        pictures: what the forward pass takes for pictures (:func:`labkit.models.vision.picture_inputs`).
    """
    trunk = language_model(model).base_model
    out = trunk(input_ids=input_ids, attention_mask=attention_mask, use_cache=False, **pictures)
    return out.last_hidden_state[:, :-1][chosen[:, 1:]]


def chosen_tokens(input_ids: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """The chosen tokens themselves, ``int64 [N]``."""
    return input_ids[:, 1:][chosen[:, 1:]]


def logits(model: nn.Module, hidden_ND: torch.Tensor) -> torch.Tensor:
    """Logits from hidden states, ``[N, V]``: fp32, or fp64 if the model is."""
    return _logits(hidden_ND, output_layer(model), *_scale_and_cap(model), placeholder_ids(model.config))


def log_probs(
    model: nn.Module, hidden_ND: torch.Tensor, token_N: torch.Tensor, temperature: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability of each token and entropy of its distribution, in nats, both ``[N]``.

    Args:
        temperature: of the distribution.
    """
    scale, softcap = _scale_and_cap(model)
    return score(hidden_ND, token_N, output_layer(model), temperature, softcap, scale, placeholder_ids(model.config))


def score(
    hidden_ND: torch.Tensor,
    token_N: torch.Tensor,
    head: nn.Module,
    temperature: float,
    softcap: float | None = None,
    scale: float = 1.0,
    never: Sequence[int] = (),
) -> tuple[torch.Tensor, torch.Tensor]:
    """As :func:`log_probs`, of an output layer by itself.

    Args:
        softcap, scale: bound and factor of the logits.
        never: tokens of probability 0.
    """

    def part(hidden_ND: torch.Tensor, token_N: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logp_NV = torch.log_softmax(_logits(hidden_ND, head, scale, softcap, never) / temperature, dim=-1)
        # A token with probability 0 would give 0 times minus infinity.
        entropy_N = -(logp_NV.exp() * logp_NV.clamp_min(torch.finfo(logp_NV.dtype).min)).sum(-1)
        return logp_NV.gather(1, token_N[:, None])[:, 0], entropy_N

    rows = max(1, CHUNK // head.weight.shape[0])
    if len(token_N) <= rows:
        return part(hidden_ND, token_N)
    parts = [
        checkpoint(part, h, t, use_reentrant=False)
        for h, t in zip(hidden_ND.split(rows), token_N.split(rows), strict=True)
    ]
    logp, entropy = zip(*parts, strict=True)
    return torch.cat(logp), torch.cat(entropy)


def select_targets(logits_BTV: torch.Tensor, labels_BT: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The logits that predict the N labelled tokens, in fp32, and those tokens: ``[N, V]`` and ``[N]``."""
    labels_BS = labels_BT[:, 1:]
    there_BS = labels_BS != -100
    return logits_BTV[:, :-1][there_BS].float(), labels_BS[there_BS]


def kl_full(logits_NV: torch.Tensor, ref_logits_NV: torch.Tensor) -> torch.Tensor:
    """KL(policy || reference) over the whole vocabulary, exactly, in nats, ``[N]``; in fp32 or better.

    Logits are finite.
    """
    logp_NV, ref_logp_NV = _log_softmax(logits_NV), _log_softmax(ref_logits_NV)
    return (logp_NV.exp() * (logp_NV - ref_logp_NV)).sum(-1)


@torch.inference_mode()
def exact_kl(
    model: nn.Module,
    reference: nn.Module,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    chosen: torch.Tensor,
    pictures: Sequence[Sequence[Picture]] = (),
) -> torch.Tensor:
    """KL(model || reference) of the distributions of the chosen tokens, at temperature 1, ``[N]``.

    The arguments are those of :func:`hidden_states`. The two models may lie on different devices.

    Args:
        pictures: of each row.
    """
    batch = (input_ids, attention_mask, chosen)
    states = [
        hidden_states(m, *(tensor.to(m.device) for tensor in batch), **picture_inputs(m, input_ids, pictures))
        for m in (model, reference)
    ]
    rows = max(1, CHUNK // output_layer(model).weight.shape[0])
    parts = zip(*(state_ND.split(rows) for state_ND in states), strict=True)
    return torch.cat([kl_full(logits(model, a), logits(reference, b).to(a.device)) for a, b in parts])


def _scale_and_cap(model: nn.Module) -> tuple[float, float | None]:
    """What a model does with its logits after the output layer: a factor and a bound.

    Granite divides by ``logits_scaling``, Cohere multiplies by ``logit_scale``, Falcon-H1 by ``lm_head_multiplier``;
    Gemma bends logits back (``final_logit_softcapping``).
    """
    config = language_model(model).config.get_text_config()
    scale = 1 / (getattr(config, "logits_scaling", None) or 1)
    for name in ("logit_scale", "lm_head_multiplier"):
        scale *= getattr(config, name, None) or 1
    return scale, getattr(config, "final_logit_softcapping", None)


def _logits(
    hidden_ND: torch.Tensor, head: nn.Module, scale: float, softcap: float | None, never: Sequence[int]
) -> torch.Tensor:
    logits_NV = head(hidden_ND)
    if scale != 1:
        logits_NV = logits_NV * scale
    if softcap:
        logits_NV = softcap * torch.tanh(logits_NV / softcap)
    return forbid(logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32)), never)


def _log_softmax(logits_NV: torch.Tensor) -> torch.Tensor:
    """In fp32, or in fp64 if the logits are: bf16 has 8 bits, and a KL is a difference of near numbers."""
    return logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32)).log_softmax(-1)
