"""A language model as actor and critic: log-probabilities, entropies and values at its sampled tokens.

The critic is a small MLP on the trunk's last hidden state, as in the paper (appendix A; at width 4096
:class:`ValueHead` has the authors' sizes, 4096 to 1024 to 512 to 1).

Shape suffixes: B rows, T tokens of a row, N sampled tokens of all rows in order, D width, V vocabulary.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import nn
from transformers import PreTrainedModel

from labkit.models import forward

Critic = Literal["shared", "detached", "none"]


class Scores(NamedTuple):
    """Scores of the sampled tokens."""

    logp_N: torch.Tensor
    """fp32 log-probability (nats) at the sampling temperature."""
    entropy_N: torch.Tensor
    """Entropy (nats) of the distribution that the token was sampled from."""
    value_N: torch.Tensor | None
    """Value of the state before the token; None without a critic."""


class ValueHead(nn.Module):
    """An MLP from a hidden state to the expected return; its output is 0 before training."""

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
        critic: ``shared`` (the value loss trains the trunk too, as in the paper), ``detached`` (it trains the head
            only) or ``none`` (no head).
        seed: of the head's initial weights.
    """

    def __init__(self, model: PreTrainedModel, critic: Critic = "none", *, seed: int = 0) -> None:
        super().__init__()
        self.model = model
        # Layers that FSDP2 may shard.
        self._no_split_modules = getattr(model, "_no_split_modules", None)
        self.critic = critic
        self.value_head = None
        if critic != "none":
            hidden = model.get_output_embeddings().weight
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                self.value_head = ValueHead(hidden.shape[1]).to(hidden.device)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        sampled: torch.Tensor,
        temperature: float = 1.0,
        **pictures: torch.Tensor,
    ) -> Scores:
        """Scores of the sampled tokens of right-padded rows.

        Args:
            input_ids: ``[B, T]``.
            attention_mask: ``[B, T]``, 1 at real tokens.
            sampled: ``bool [B, T]``, True at sampled tokens; never at the first of a row.
            temperature: the sampling temperature.
            pictures: of :func:`labkit.models.vision.picture_inputs`.
        """
        hidden_ND = forward.hidden_states(self.model, input_ids, attention_mask, sampled, **pictures)
        token_N = forward.chosen_tokens(input_ids, sampled)
        logp_N, entropy_N = forward.log_probs(self.model, hidden_ND, token_N, temperature)
        value_N = None
        if self.value_head is not None:
            seen_ND = hidden_ND.detach() if self.critic == "detached" else hidden_ND
            value_N = self.value_head(seen_ND.to(self.value_head.layers[0].weight.dtype)).float()
        return Scores(logp_N, entropy_N, value_N)
