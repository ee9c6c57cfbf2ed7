"""A language model as actor and critic: log-probabilities, entropies and values at its sampled tokens.

The critic is a small MLP on the trunk's last hidden state, as in the paper (appendix A; the authors' sizes,
4096 to 1024 to 512 to 1, are those of :class:`ValueHead` at width 4096). Everything is computed at sampled tokens
only: the output layer of a vocabulary of 128,000 is never run on a prompt.

Shape suffixes: B rows, T tokens of a row, N sampled tokens of all rows in order, D width, V vocabulary.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

CHUNK = 2**23
"""Logits computed at a time; more are cut in pieces that the backward pass computes again, since a batch's logits
over a large vocabulary would outgrow the model."""

Critic = Literal["shared", "detached", "none"]


class Scores(NamedTuple):
    """What the forward pass says of each sampled token."""

    logp_N: torch.Tensor
    """fp32 log-probability (nats) at the temperature that was sampled."""
    entropy_N: torch.Tensor
    """Entropy (nats) of the distribution that it was sampled from."""
    value_N: torch.Tensor | None
    """Value of the state that it was sampled in; None without a critic."""


class ValueHead(nn.Module):
    """An MLP from a hidden state to the expected return, which begins at 0."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, max(1, width // 4)),
            nn.ReLU(),
            nn.Linear(max(1, width // 4), max(1, width // 8)),
            nn.ReLU(),
            nn.Linear(max(1, width // 8), 1),
        )
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)

    def forward(self, hidden_ND: torch.Tensor) -> torch.Tensor:
        """``[N]`` from ``[N, D]``."""
        return self.layers(hidden_ND)[:, 0]


class Policy(nn.Module):
    """A causal language model, whole or adapted, with a value head.

    Args:
        critic: ``shared``: the value loss reaches the trunk, as in the paper; ``detached``: it trains the head
            only; ``none``: no head.
    """

    def __init__(self, model: PreTrainedModel, critic: Critic = "none", *, seed: int = 0) -> None:
        super().__init__()
        self.model = model
        # The layers that a process may hold a part of (FSDP2).
        self._no_split_modules = getattr(model, "_no_split_modules", None)
        self.critic = critic
        self.value_head = None
        if critic != "none":
            hidden = model.get_output_embeddings().weight
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                self.value_head = ValueHead(hidden.shape[1]).to(hidden.device)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, sampled: torch.Tensor, temperature: float = 1.0
    ) -> Scores:
        """Scores of the sampled tokens of right-padded rows.

        Args:
            input_ids: ``[B, T]``.
            attention_mask: ``[B, T]``, 1 at real tokens.
            sampled: ``bool [B, T]``: True at tokens that were sampled; never at the first.
            temperature: that they were sampled at.
        """
        inner = language_model(self.model)
        hidden_BTD = inner.base_model(
            input_ids=input_ids, attention_mask=attention_mask, use_cache=False
        ).last_hidden_state
        # The state in front of a token is what it was sampled from.
        hidden_ND = hidden_BTD[:, :-1][sampled[:, 1:]]
        token_N = input_ids[:, 1:][sampled[:, 1:]]
        softcap = getattr(inner.config.get_text_config(), "final_logit_softcapping", None)
        logp_N, entropy_N = score(hidden_ND, token_N, inner.get_output_embeddings(), temperature, softcap)
        value_N = None
        if self.value_head is not None:
            seen_ND = hidden_ND.detach() if self.critic == "detached" else hidden_ND
            value_N = self.value_head(seen_ND.to(self.value_head.layers[0].weight.dtype)).float()
        return Scores(logp_N, entropy_N, value_N)


def language_model(model: nn.Module) -> PreTrainedModel:
    """The model inside an adapter, or itself."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def score(
    hidden_ND: torch.Tensor, token_N: torch.Tensor, head: nn.Module, temperature: float, softcap: float | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability and entropy ``[N]`` of tokens under the distributions behind hidden states; in fp32, or in fp64
    if the model is.

    Args:
        softcap: bound of the logits, for models that bend them back (Gemma 2: ``final_logit_softcapping``).
    """

    def part(hidden_ND: torch.Tensor, token_N: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits_NV = head(hidden_ND)
        if softcap:
            logits_NV = softcap * torch.tanh(logits_NV / softcap)
        logits_NV = logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32))
        logp_NV = torch.log_softmax(logits_NV / temperature, dim=-1)
        # A token ruled out altogether would be 0 times minus infinity.
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
