"""Checks of the exercises in notebooks/05_ppo_by_hand."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import torch
from torch import nn

from labkit.exercises import NotYet, exercise, expect, same
from labkit.training.rl import advantages, objectives


@exercise(
    "The gradient of log softmax is 1 at the action that was taken, minus the probability of every action.",
    "advantage * (one_hot - softmax): one_hot is 1 at the action and 0 elsewhere.",
)
def policy_gradient(learner: Any) -> str:
    """An array as long as the logits: the gradient of advantage * log softmax(logits)[action]."""
    # By hand: two equal logits have the probabilities 1/2 and 1/2.
    expect(learner, (np.array([0.0, 0.0]), 0, 1.0), np.array([0.5, -0.5]))
    expect(learner, (np.array([0.0, 0.0]), 1, -2.0), np.array([1.0, -1.0]))
    noise = np.random.default_rng(0)
    for actions, advantage in product((2, 3, 5), (-1.0, 0.0, 4.0)):
        logits, action = noise.normal(size=actions).round(2), int(noise.integers(actions))
        theta = torch.tensor(logits, requires_grad=True)
        (advantage * theta.log_softmax(0)[action]).backward()
        assert theta.grad is not None
        expect(learner, (logits, action, advantage), theta.grad.numpy())
    return "equal to automatic differentiation, for 11 bandits"


@exercise(
    "The smaller of two products: ratio * advantage, and the ratio kept within 1 - clip and 1 + clip, * advantage.",
    "ratio.clamp(1 - clip, 1 + clip) keeps the ratio; torch.minimum takes the smaller one of each pair.",
)
def clipped_objective(learner: Any) -> str:
    """A tensor [N]: min(ratio * A, clamp(ratio, 1 - clip, 1 + clip) * A) of each token."""
    # By hand, with a clip of 0.2: the four corners, and a ratio of 1.
    given = torch.tensor([1.5, 0.5, 1.5, 0.5, 1.0]), torch.tensor([1.0, 1.0, -1.0, -1.0, 3.0])
    expect(learner, (*given, 0.2), torch.tensor([1.2, 0.5, -1.5, -0.8, 3.0]))
    grid = list(product((0.05, 0.79, 0.81, 1.0, 1.19, 1.21, 5.0), (-2.0, -0.1, 0.0, 0.1, 2.0)))
    ratio_N, advantage_N = (torch.tensor(column, dtype=torch.double) for column in zip(*grid, strict=True))
    for clip in (0.1, 0.2):
        right = -objectives.clipped(ratio_N.log(), torch.zeros_like(ratio_N), advantage_N, clip)[0]
        expect(learner, (ratio_N, advantage_N, clip), right)
    return "right for both signs and every side of the clip"


@exercise(
    "Begin with the last turn: its return is its reward.",
    "return_K[k] = reward_K[k] + gamma * return_K[k + 1]; go through the turns from the last to the first.",
)
def returns(learner: Any) -> str:
    """An array [K]: each turn's reward, plus gamma times the return of the next turn."""
    expect(learner, (np.array([0.0, 0.0, 1.0]), 0.5), np.array([0.25, 0.5, 1.0]))
    expect(learner, (np.array([-1.0, 5.0]), 1.0), np.array([4.0, 5.0]))
    noise = np.random.default_rng(0)
    for turns, gamma in product((1, 3, 6), (0.0, 0.9)):
        reward_K = noise.normal(size=turns).round(2)
        every = torch.ones(1, turns, dtype=torch.bool)
        expect(learner, (reward_K, gamma), advantages.returns(torch.tensor(reward_K)[None], every, gamma)[0].numpy())
    return "right for eight episodes"


@exercise(
    "Square the differences, take the mean, and halve it.",
    "The result is one number: use .mean().",
)
def critic_loss(learner: Any) -> str:
    """One number: half the mean of (value - return) ** 2."""
    expect(learner, (torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])), torch.tensor(1.25))
    noise = torch.Generator().manual_seed(0)
    for turns in (1, 4):
        value_K, return_K = torch.randn(2, turns, generator=noise)
        expect(learner, (value_K, return_K), objectives.value_loss(value_K, value_K, return_K, None).mean())
    return "right for three batches"


@exercise(
    "delta is reward + gamma * next value - value; after the last turn the value is 0.",
    "Go from the last turn to the first: the advantage is delta + gamma * lam * (the advantage of the next turn).",
)
def gae(learner: Any) -> str:
    """An array [K]: delta_k + gamma * lam * A_(k+1), where delta_k = r_k + gamma * V_(k+1) - V_k."""
    # By hand: the errors of the first are 0.5 - 1 and 2 - 0.5.
    expect(learner, (np.array([0.0, 2.0]), np.array([1.0, 0.5]), 1.0, 0.0), np.array([-0.5, 1.5]))
    expect(learner, (np.array([0.0, 2.0]), np.array([1.0, 0.5]), 1.0, 1.0), np.array([1.0, 1.5]))
    noise = np.random.default_rng(0)
    for turns, gamma, lam in product((1, 2, 5), (0.0, 0.9), (0.0, 0.95, 1.0)):
        reward_K, value_K = noise.normal(size=(2, turns)).round(2)
        rewards, values = (torch.tensor(x)[None] for x in (reward_K, value_K))
        right = advantages.turn_gae(rewards, values, torch.ones(1, turns, dtype=torch.bool), gamma, lam)[0][0]
        expect(learner, (reward_K, value_K, gamma, lam), right.numpy())
    return "right for 20 episodes"


class _TwoHeads(nn.Module):
    """A policy and a critic that are small enough to differentiate by eye."""

    def __init__(self) -> None:
        super().__init__()
        self.logits_NV = nn.Parameter(torch.tensor([[0.5, -0.5, 0.0], [0.0, 1.0, 0.2], [0.3, 0.3, -1.0]]).double())
        self.value_K = nn.Parameter(torch.tensor([0.5, -1.0]).double())

    def forward(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.logits_NV.log_softmax(-1)[torch.arange(3), torch.tensor([0, 1, 2])], self.value_K


@exercise(
    "The ratio is exp(logp - old_logp). The loss is minus the mean objective, plus value_weight * the critic's loss.",
    "Then optimizer.zero_grad(), loss.backward(), optimizer.step(); return loss.item().",
    "Call score() once, before the step: it is the policy as it is now that has gradients.",
)
def update(learner: Any) -> str:
    """The loss before the step, a number; and the weights after one step of the optimizer on it."""
    if not callable(learner):
        raise NotYet(f"give a function, not {learner!r}")
    return_K, advantage_N = torch.tensor([1.0, 0.0]).double(), torch.tensor([1.0, -1.0, 0.5]).double()
    # Against the old policy one ratio is 1, one is beyond the clip to which its advantage pulls, one on the other side.
    shift_N = torch.tensor([0.0, -0.5, -0.9]).double()
    for clip, value_weight in ((0.2, 0.5), (0.2, 0.0), (10.0, 2.0)):
        losses, weights = [], []
        for step in (_step, learner):
            policy = _TwoHeads()
            optimizer = torch.optim.AdamW(policy.parameters(), lr=0.01, weight_decay=0.0)
            old_logp_N = policy()[0].detach() + shift_N
            for _ in range(2):
                losses.append(step(policy, optimizer, old_logp_N, advantage_N, return_K, clip, value_weight))
            weights.append(torch.cat([p.detach().flatten() for p in policy.parameters()]))
        shown = f"with clip {clip:g} and value_weight {value_weight:g}"
        for number, (right, got) in enumerate(zip(losses[:2], losses[2:], strict=True), 1):
            if not same(got, right):
                raise NotYet(f"{shown}, step {number} returns {got!r}; it should return {right:.6g}")
        if not same(weights[1], weights[0]):
            raise NotYet(f"{shown}, the losses are right, but the weights after two steps are not")
    return "the library's losses and weights, for two steps under three settings"


def _step(
    score: Any,
    optimizer: torch.optim.Optimizer,
    old_logp_N: torch.Tensor,
    advantage_N: torch.Tensor,
    return_K: torch.Tensor,
    clip: float,
    value_weight: float,
) -> float:
    """A step with the library's own terms."""
    logp_N, value_K = score()
    policy_N = objectives.clipped(logp_N, old_logp_N, advantage_N, clip)[0]
    value_loss_K = objectives.value_loss(value_K, value_K.detach(), return_K, None)
    loss = policy_N.mean() + value_weight * value_loss_K.mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@exercise(
    "With the mean m of all n, the mean of the others is (n m - r) / (n - 1).",
    "r - (n m - r) / (n - 1) is (r - m) times a factor that depends on n only.",
)
def leave_one_out(learner: Any) -> str:
    """An array [E]: each return minus the mean of the other returns of its group."""
    for returns in ([0.0, 1.0], [1.0, 1.0, 1.0], [1.0, -1.2, -1.2, 0.8], [0.1, 0.2, 0.3, 0.4, 1.0, -1.2, 0.8, 0.6]):
        return_E, group_E = torch.tensor(returns, dtype=torch.double), torch.zeros(len(returns), dtype=torch.long)
        given = advantages.group_relative(return_E, group_E, scale=False)
        expect(learner, (given.numpy(),), advantages.leave_one_out(return_E, group_E).numpy())
    return "right for groups of 2, 3, 4 and 8"
