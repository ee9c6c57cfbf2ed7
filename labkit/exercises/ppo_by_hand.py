"""Checks of the exercises in notebooks/05_ppo_by_hand."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import torch

from labkit.exercises import exercise, expect
from labkit.training.rl import advantages, objectives


@exercise(
    "The last advantage is the last error; the one before adds (gamma * lam) times it.",
    "A[k] = sum over l of (gamma * lam) ** l * delta[k + l], as far as there are errors.",
)
def gae_as_sum(learner: Any) -> str:
    """An array [K]: each turn's error plus all later ones, times (gamma * lam) ** distance."""
    for delta, gamma, lam in [([1.0, 1.0, 1.0], 0.5, 1.0), ([0.0, 0.0, 1.0], 0.9, 0.95), ([2.0], 0.9, 0.5)]:
        expect(learner, (np.array(delta), gamma, lam), _sum(delta, gamma, lam))
    noise = np.random.default_rng(0)
    for turns, gamma, lam in product((2, 5), (0.0, 0.9, 1.0), (0.0, 0.95, 1.0)):
        errors = noise.normal(size=turns).round(2)
        expect(learner, (errors, gamma, lam), _sum(errors, gamma, lam))
    return "right for 21 episodes"


def _sum(delta: Any, gamma: float, lam: float) -> np.ndarray:
    """The discounted sum of errors, computed as returns are from rewards."""
    delta_EK = torch.tensor(np.array(delta))[None]
    return advantages.returns(delta_EK, torch.ones_like(delta_EK, dtype=torch.bool), gamma * lam)[0].numpy()


@exercise(
    "Only the last error changes: the value after the last turn is next_value, not 0.",
    "delta of the last turn is reward + gamma * next_value - value; nothing else is added to it.",
)
def cut_gae(learner: Any) -> str:
    """An array [K]: GAE of a cut episode: the value after the last turn is next_value, later errors are unknown."""
    cases = [([0.0, 0.0], [0.0, 0.0], 1.0), ([-0.2, 1.0], [0.3, 0.4], 0.0), ([-0.2, -0.2, -0.4], [0.3, 0.1, 0.0], 0.5)]
    for (rewards, values, follows), gamma, lam in product(cases, (0.5, 0.9, 1.0), (0.0, 0.95, 1.0)):
        # One more turn, whose reward equals its value, has the error 0.
        reward_EK, value_EK = (torch.tensor([[*given, follows]], dtype=torch.double) for given in (rewards, values))
        mask_EK = torch.ones_like(reward_EK, dtype=torch.bool)
        right = advantages.turn_gae(reward_EK, value_EK, mask_EK, gamma, lam)[0][0, :-1]
        expect(learner, (np.array(rewards), np.array(values), follows, gamma, lam), right.numpy())
    return "right for episodes that are cut, and for one that ends"


@exercise(
    "Where the curve is flat: beyond 1 + clip on one side, below 1 - clip on the other.",
    "It depends on the sign of the advantage; a ratio that went the wrong way is never clipped.",
)
def has_no_gradient(learner: Any) -> str:
    """True or False: is the minimum of ratio * A and clamped ratio * A the clamped one, and the ratio clamped?"""
    examples = [(1.3, 1.0), (0.7, 1.0), (1.3, -1.0), (0.7, -1.0), (1.0, 1.0)]
    grid = list(product((0.05, 0.79, 0.81, 0.95, 1.0, 1.19, 1.21, 5.0), (-2.0, -0.1, 0.1, 2.0)))
    for clip in (0.2, 0.1):
        for ratio, advantage in examples + grid:
            logp, old = torch.tensor([ratio], dtype=torch.double).log(), torch.zeros(1, dtype=torch.double)
            clipped = objectives.clipped(logp, old, torch.tensor([advantage], dtype=torch.double), clip)[1]
            expect(learner, (ratio, advantage, clip), bool(clipped))
    return "right for both signs and every side of the clip"


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
