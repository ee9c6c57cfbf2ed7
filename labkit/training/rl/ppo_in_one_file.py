"""PPO on sequential revision, in one file.

A language model answers a task, a verifier judges the answer, and the verdict goes back into the dialogue for the next
attempt ("SFT Memorizes, RL Generalizes", arXiv 2501.17161, section 3). An answer is one *turn*. The state s_k before
turn k is the whole dialogue so far; the action is the answer, with tokens a_k1, a_k2, ...; the verdict gives reward
r_k; the episode ends with its last turn. PPO [1] improves the policy pi over such episodes in four steps:

1. **Play** episodes with the current policy, pi_old.

2. **Estimate advantages**: how much better each turn was than the value function V expected. Generalized advantage
   estimation [2, eq. 16], over turns; V is 0 after the end::

       delta_k = r_k + gamma V(s_k+1) - V(s_k)
       A_k     = delta_k + gamma lambda A_k+1
       R_k     = A_k + V(s_k)

   All tokens of a turn get its advantage, normalised over the turns of the update.

3. **Clip**: raise the probability of tokens with A > 0, lower it where A < 0, but only until the ratio to the old
   policy has moved by epsilon. The clipped surrogate objective [1, eq. 7], a mean over tokens::

       rho_kt = pi(a_kt | s_k, a_k1 ... a_kt-1) / pi_old(a_kt | s_k, a_k1 ... a_kt-1)
       L_pi   = -mean_kt min(rho_kt A_k, clamp(rho_kt, 1 - epsilon, 1 + epsilon) A_k)

4. **Fit the values** [1, eq. 9], a mean over turns, and descend on L = L_pi + c L_V::

       L_V = 1/2 mean_k (V(s_k) - R_k)^2

V is a small MLP on the model's last hidden state before the first token of a turn, and shares the model with the
policy, as in arXiv 2501.17161 (appendix A). Tokens are never decoded and encoded again: a turn's context is the very
ids that were sent and sampled.

``labkit train`` with ``critic: shared`` computes the same update; a test compares the weights. It adds processes, mixed
precision, adapters, KL to a reference, other kinds of credit, resuming and logging.

Run it with ``python -m labkit.training.rl.ppo_in_one_file FOLDER``; the trained model is saved in FOLDER.

[1] Schulman et al. 2017, Proximal policy optimization algorithms, arXiv 1707.06347.
[2] Schulman et al. 2016, High-dimensional continuous control using generalized advantage estimation, arXiv 1506.02438.

Shape suffixes: K turns of a batch, N sampled tokens of all turns in order, T tokens of a row, D width.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

from labkit.envs import game
from labkit.errors import UsageError
from labkit.models import forward
from labkit.models.loader import load
from labkit.play import play_many
from labkit.players.base import Player
from labkit.players.checkpoint import Checkpoint
from labkit.players.registry import resolve_checkpoint


@dataclass(frozen=True)
class Settings:
    """Settings of a run. The defaults are those of ``configs/experiments/gp-l/rl.yaml``, which besides samples at
    temperature 0.6, warms up, holds the policy close to the Init by a KL, and trains in bf16."""

    model: str = "tiny:gp-l/init"
    """The checkpoint to start from."""
    cell: str = "gp-l"
    """The game; one whose episodes are text."""
    seed: int = 0
    """Of the deals, the sampling noise and the order of minibatches."""
    updates: int = 30
    episodes: int = 192
    """Episodes of an update."""
    max_new_tokens: int = 192
    """Longest answer, in tokens."""
    gamma: float = 0.9
    """Discount from turn to turn."""
    lam: float = 0.95
    """GAE's lambda: 0 trusts the values, 1 trusts the rewards."""
    reward_scale: float = 0.2
    """Factor on rewards, so that values are of the order of 1."""
    clip: float = 0.2
    """The clip's epsilon."""
    value_coefficient: float = 0.5
    """The value loss's c."""
    epochs: int = 1
    """Passes over the episodes of an update."""
    minibatches: int = 4
    """Optimizer steps in a pass."""
    lr: float = 2e-4
    critic_lr: float = 3e-3
    """Learning rate of the value head."""
    grad_clip: float = 1.0
    """Largest gradient norm."""
    chunk: int = 32
    """Turns of a forward pass. Affects memory and speed only."""


@dataclass
class Turn:
    """One answer: what the policy saw, what it sampled, and what came of it."""

    context: np.ndarray
    """``int64 [C]``: the dialogue before the answer."""
    ids: np.ndarray
    """``int64 [A]``: the sampled tokens, the end token included."""
    reward: float
    old_logp: torch.Tensor = field(init=False)
    """``[A]``: log-probabilities before the update."""
    value: float = 0.0
    """Value before the update."""
    advantage: float = 0.0
    target: float = 0.0
    """The return R that the value is fitted to."""


def play(player: Player, settings: Settings, update: int) -> list[list[Turn]]:
    """The turns of each episode of an update. The update keys the deals and the sampling noise."""
    first = update * settings.episodes
    tasks = islice(game(settings.cell).tasks("id", "train", seed=settings.seed, first=first), settings.episodes)
    played = play_many(tasks, player, batch=settings.episodes, key=(settings.seed, update))
    episodes = []
    for one in sorted(played, key=lambda p: p.index):
        turns = []
        for tokens, attempt in zip(one.tokens, one.episode.attempts, strict=True):
            if not len(tokens.ids):
                raise UsageError("a dialogue fills the model's context; take a model with a longer one")
            turns.append(Turn(tokens.context, tokens.ids, settings.reward_scale * attempt.reward))
        episodes.append(turns)
    return episodes


def score(model: PreTrainedModel, value_head: nn.Module, turns: list[Turn]) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability of each sampled token, ``[N]``, and the value before each turn, ``[K]``."""
    begins, lengths = [len(t.context) for t in turns], [len(t.ids) for t in turns]
    shape = len(turns), max(b + n for b, n in zip(begins, lengths, strict=True))
    ids_KT, real_KT = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    sampled_KT = torch.zeros(shape, dtype=torch.bool)
    for k, (turn, begin, length) in enumerate(zip(turns, begins, lengths, strict=True)):
        ids_KT[k, : begin + length] = torch.from_numpy(np.concatenate([turn.context, turn.ids]))
        real_KT[k, : begin + length] = 1
        sampled_KT[k, begin : begin + length] = True
    hidden_ND = forward.hidden_states(model, ids_KT, real_KT, sampled_KT)
    logp_N, _ = forward.log_probs(model, hidden_ND, forward.chosen_tokens(ids_KT, sampled_KT))
    first_K = np.cumsum([0, *lengths[:-1]])
    return logp_N, value_head(hidden_ND[first_K])[:, 0]


def estimate_advantages(episodes: list[list[Turn]], gamma: float, lam: float) -> None:
    """Fill in the advantage and the value target of every turn (step 2)."""
    for turns in episodes:
        next_value = next_advantage = 0.0
        for turn in reversed(turns):
            delta = turn.reward + gamma * next_value - turn.value
            turn.advantage = delta + gamma * lam * next_advantage
            turn.target = turn.advantage + turn.value
            next_value, next_advantage = turn.value, turn.advantage
    every = [turn for turns in episodes for turn in turns]
    mean, std = np.mean([t.advantage for t in every]), np.std([t.advantage for t in every])
    for turn in every:
        turn.advantage = float((turn.advantage - mean) / (std + 1e-5))


def loss_of(model: PreTrainedModel, value_head: nn.Module, turns: list[Turn], settings: Settings) -> torch.Tensor:
    """The sums over tokens and over turns whose means are the loss (steps 3 and 4): ``[2]``."""
    logp_N, value_K = score(model, value_head, turns)
    old_logp_N = torch.cat([t.old_logp for t in turns])
    advantage_N = torch.cat([torch.full((len(t.ids),), t.advantage) for t in turns])
    target_K = torch.tensor([t.target for t in turns])
    ratio_N = (logp_N - old_logp_N).exp()
    clamped_N = ratio_N.clamp(1 - settings.clip, 1 + settings.clip)
    policy_N = -torch.minimum(ratio_N * advantage_N, clamped_N * advantage_N)
    value_loss_K = 0.5 * (value_K - target_K).square()
    return torch.stack([policy_N.sum(), value_loss_K.sum()])


def update_policy(
    model: PreTrainedModel,
    value_head: nn.Module,
    optimizer: torch.optim.Optimizer,
    episodes: list[list[Turn]],
    settings: Settings,
    update: int,
) -> None:
    """Improve the policy on the episodes that it has played (steps 2 to 4)."""
    for turns in chunks([turn for episode in episodes for turn in episode], settings.chunk):
        with torch.no_grad():
            logp_N, value_K = score(model, value_head, turns)
        for turn, logp, value in zip(turns, logp_N.split([len(t.ids) for t in turns]), value_K, strict=True):
            turn.old_logp, turn.value = logp, float(value)
    estimate_advantages(episodes, settings.gamma, settings.lam)
    for epoch in range(settings.epochs):
        order = np.random.default_rng((settings.seed, update, epoch)).permutation(len(episodes))
        for part in np.array_split(order, settings.minibatches):
            batch = [turn for i in part for turn in episodes[i]]
            tokens = sum(len(turn.ids) for turn in batch)
            for turns in chunks(batch, settings.chunk):
                policy, value = loss_of(model, value_head, turns, settings)
                (policy / tokens + settings.value_coefficient * value / len(batch)).backward()
            nn.utils.clip_grad_norm_([*model.parameters(), *value_head.parameters()], settings.grad_clip)
            optimizer.step()
            optimizer.zero_grad()


def chunks(turns: list[Turn], size: int) -> Iterator[list[Turn]]:
    """The turns cut into forward passes; turns of like length go together, which saves padding."""
    ordered = sorted(turns, key=lambda turn: len(turn.context) + len(turn.ids))
    return (ordered[i : i + size] for i in range(0, len(ordered), size))


def make_value_head(width: int) -> nn.Sequential:
    """An MLP from a hidden state to the expected return; its output is 0 before training."""
    last = nn.Linear(width // 8, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(width, width // 4), nn.ReLU(), nn.Linear(width // 4, width // 8), nn.ReLU(), last)


def train(settings: Settings, folder: str) -> None:
    """Train a checkpoint and save the result; prints a line an update."""
    if game(settings.cell).pictured:
        raise UsageError(f"{settings.cell} shows pictures, and this file reads text; use labkit train")
    torch.manual_seed(settings.seed)
    bundle = load(resolve_checkpoint(settings.model))
    # The model stays in evaluation mode: dropout would make the ratio of an unchanged policy differ from 1.
    model, value_head = bundle.model, make_value_head(bundle.model.get_output_embeddings().weight.shape[1])
    player = Checkpoint(bundle, name="ppo", temperature=1.0, max_new_tokens=settings.max_new_tokens)
    groups = [{"params": model.parameters()}, {"params": value_head.parameters(), "lr": settings.critic_lr}]
    optimizer = torch.optim.AdamW(groups, lr=settings.lr, weight_decay=0.0)
    for update in range(settings.updates):
        episodes = play(player, settings, update)
        update_policy(model, value_head, optimizer, episodes, settings, update)
        rewards = [sum(turn.reward for turn in turns) / settings.reward_scale for turns in episodes]
        print(f"update {update + 1}: mean return {np.mean(rewards):+.2f}", flush=True)
    model.save_pretrained(folder)
    bundle.tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    train(Settings(), sys.argv[1])
