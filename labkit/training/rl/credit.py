"""Which turn earned what: from rewards to advantages, for each kind of credit.

========== ============================= ============================== ==================
credit     ratio of new to old policy    advantage                      critic
========== ============================= ============================== ==================
ppo        per token                     GAE over turns                 value of each turn
ppo-turn   per turn (the authors' way)   GAE over turns                 value of each turn
ppo-bilevel per token                    GAE over turns, then in them   value of each token
grpo       per token                     return against its group       none
rloo       per token                     return against the others      none
reinforce  per token                     discounted return from here on none
========== ============================= ============================== ==================
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import Field

from labkit.config import Config
from labkit.rollout import Rollout
from labkit.training.rl import advantages, objectives

Kind = Literal["ppo", "ppo-turn", "ppo-bilevel", "grpo", "rloo", "reinforce"]
WITH_CRITIC = ("ppo", "ppo-turn", "ppo-bilevel")
IN_GROUPS = ("grpo", "rloo")


class Credit(Config):
    """How rewards become advantages."""

    kind: Kind = "ppo"
    """See the table in ``labkit/training/rl/credit.py``."""
    gamma: float = Field(0.9, gt=0, le=1)
    """Discount from turn to turn; the authors' number."""
    lam: float = Field(0.95, ge=0, le=1)
    """GAE's lambda over turns; the authors' number."""
    token_gamma: float = Field(1.0, gt=0, le=1)
    """Discount from token to token (``ppo-bilevel``)."""
    token_lam: float = Field(0.95, ge=0, le=1)
    """GAE's lambda over the tokens of a turn (``ppo-bilevel``)."""
    scale: bool = False
    """Divide by the standard deviation of the group (``grpo``); without it easy and hard tasks weigh alike."""
    normalise: bool = True
    """Bring the advantages of an update to mean 0 and standard deviation 1: over tokens (``ppo-bilevel``), episodes
    (``grpo``, ``rloo``) or turns (the others)."""
    mean_over: Literal["token", "turn", "episode"] = "token"
    """What weighs alike in the loss: every token (long answers weigh more), every turn, or every episode (GRPO's).
    ``ppo-turn`` counts turns."""
    reward_scale: float = Field(0.2, gt=0)
    """Rewards are multiplied by this before anything else, so that values are of the order of 1; a success of
    GeneralPoints earns 5."""


def assign(rollout: Rollout, credit: Credit, group: int) -> None:
    """Fill in ``advantage``, ``weight`` in the loss and, where there is a critic, ``return`` of every sampled token.

    Args:
        group: episodes of one task that follow each other (``grpo``, ``rloo``).
    """
    reward_EK = torch.from_numpy(rollout.reward_EK) * credit.reward_scale
    mask_EK = torch.from_numpy(rollout.mask_EK)
    weight_EKT = objectives.mean_weights(torch.from_numpy(rollout.mask_EKT), credit.mean_over)
    rollout.set_tokens("weight", weight_EKT.numpy())
    if credit.kind == "ppo-bilevel":
        value_EKT, mask_EKT = (torch.from_numpy(x) for x in (rollout.over_tokens("value"), rollout.mask_EKT))
        advantage, returned = advantages.bilevel_gae(
            reward_EK, value_EKT, mask_EKT, credit.gamma, credit.lam, credit.token_gamma, credit.token_lam
        )
        rollout.set_tokens("return", returned.numpy())
        if credit.normalise:
            advantage = advantages.normalise(advantage, mask_EKT)
        rollout.set_tokens("advantage", advantage.numpy())
        return
    if credit.kind in WITH_CRITIC:
        value_EK = torch.from_numpy(rollout.over_turns("value"))
        advantage, returned = advantages.turn_gae(reward_EK, value_EK, mask_EK, credit.gamma, credit.lam)
        rollout.set_turns("return", returned.numpy())
    elif credit.kind == "reinforce":
        advantage = advantages.returns(reward_EK, mask_EK, credit.gamma)
    else:
        group_E = torch.from_numpy(np.arange(len(reward_EK)) // group)
        return_E = torch.from_numpy(rollout.return_E) * credit.reward_scale
        if credit.kind == "grpo":
            advantage_E = advantages.group_relative(return_E, group_E, scale=credit.scale)
        else:
            advantage_E = advantages.leave_one_out(return_E, group_E)
        if credit.normalise:
            # Over episodes, where the mean is 0 already: over turns, of which failures have more, it would not be, and
            # groups that all did alike would seem better than they are.
            advantage_E = advantages.normalise(advantage_E, torch.ones_like(group_E, dtype=torch.bool))
        rollout.set_turns("advantage", (advantage_E[:, None] * mask_EK).numpy())
        return
    if credit.normalise:
        advantage = advantages.normalise(advantage, mask_EK)
    rollout.set_turns("advantage", advantage.numpy())
