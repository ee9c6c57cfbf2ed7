"""Credit assignment: from the rewards of turns to the advantages of tokens.

A kind of credit is a row of :data:`KINDS`: over which unit the ratio is taken, what returns are compared with, and a
function that estimates advantages.

========== ============================= ============================== ==================
credit     ratio of new to old policy    advantage                      baseline
========== ============================= ============================== ==================
ppo        per token                     GAE over turns                 value of each turn
ppo-turn   per turn (the authors' way)   GAE over turns                 value of each turn
ppo-bilevel per token                    GAE over turns, then in them   value of each token
grpo       per token                     return of the episode          mean of its group
rloo       per token                     return of the episode          mean of the others
reinforce  per token                     discounted reward-to-go        none
========== ============================= ============================== ==================

Shape suffixes: E episodes, padded to K turns, each padded to T sampled tokens.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field, field_validator

from labkit.config import Config
from labkit.extensions import import_modules
from labkit.rollout import Rollout
from labkit.training.rl import advantages, objectives


class Credit(Config):
    """How rewards become advantages."""

    kind: str = "ppo"
    """A row of the table in ``labkit/training/rl/credit.py``: ``ppo``, ``ppo-turn``, ``ppo-bilevel``, ``grpo``,
    ``rloo`` or ``reinforce``; or one that a module in ``LABKIT_MODULES`` adds to :data:`KINDS`."""
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
    """Normalise the advantages of an update to mean 0 and standard deviation 1, over the units that the estimate is
    made for: tokens (``ppo-bilevel``), episodes (``grpo``, ``rloo``) or turns (the others)."""
    mean_over: Literal["token", "turn", "episode"] = "token"
    """The loss is a mean over tokens (long answers weigh more), turns, or episodes (GRPO's). ``ppo-turn`` always
    takes the mean over turns."""
    reward_scale: float = Field(0.2, gt=0)
    """Factor on rewards, so that values are of the order of 1; a success of GeneralPoints earns 5."""

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        import_modules()
        if kind not in KINDS:
            near = difflib.get_close_matches(kind, KINDS, 1)
            raise ValueError(f"did you mean {near[0]}?" if near else f"the kinds are {', '.join(KINDS)}")
        return kind


Estimate = tuple[torch.Tensor, torch.Tensor | None]
"""Advantages, and the returns that the critic is fitted to (None without a critic). ``[E]`` is one number an episode,
``[E, K]`` one a turn, ``[E, K, T]`` one a token. A critic fitted to ``[E, K]`` is read at the first token of each turn,
in front of which stands the prompt."""


class Kind(NamedTuple):
    """One kind of credit."""

    unit: Literal["token", "turn"]
    """What the ratio of new to old probabilities is taken of."""
    baseline: Literal["critic", "group"] | None
    """What returns are compared with: a value function, the other episodes of the same task, or nothing."""
    estimate: Callable[[Rollout, Credit, int], Estimate]
    """From a rollout, the settings and the number of episodes of each task. A pure function: it keeps nothing between
    calls, so that a resumed run goes on to the same weights. A setting that it needs is a field of :class:`Credit`."""


def turn_gae(rollout: Rollout, credit: Credit, group: int) -> Estimate:
    """GAE over turns (Schulman et al. 2016, arXiv 1506.02438)."""
    value_EK = torch.from_numpy(rollout.over_turns("value"))
    mask_EK = torch.from_numpy(rollout.mask_EK)
    return advantages.turn_gae(_rewards(rollout, credit), value_EK, mask_EK, credit.gamma, credit.lam)


def bilevel_gae(rollout: Rollout, credit: Credit, group: int) -> Estimate:
    """GAE over turns, then over the tokens of each turn (VAGEN, arXiv 2510.16907)."""
    value_EKT = torch.from_numpy(rollout.over_tokens("value"))
    mask_EKT = torch.from_numpy(rollout.mask_EKT)
    factors = credit.gamma, credit.lam, credit.token_gamma, credit.token_lam
    return advantages.bilevel_gae(_rewards(rollout, credit), value_EKT, mask_EKT, *factors)


def group_relative(rollout: Rollout, credit: Credit, group: int) -> Estimate:
    """Return minus the group's mean (GRPO, arXiv 2402.03300)."""
    return advantages.group_relative(*_groups(rollout, credit, group), scale=credit.scale), None


def leave_one_out(rollout: Rollout, credit: Credit, group: int) -> Estimate:
    """Return minus the mean of the others of the group (RLOO, arXiv 2402.14740)."""
    return advantages.leave_one_out(*_groups(rollout, credit, group)), None


def reward_to_go(rollout: Rollout, credit: Credit, group: int) -> Estimate:
    """Discounted reward from the turn on (REINFORCE, Williams 1992)."""
    mask_EK = torch.from_numpy(rollout.mask_EK)
    return advantages.returns(_rewards(rollout, credit), mask_EK, credit.gamma), None


KINDS: dict[str, Kind] = {
    "ppo": Kind("token", "critic", turn_gae),
    "ppo-turn": Kind("turn", "critic", turn_gae),
    "ppo-bilevel": Kind("token", "critic", bilevel_gae),
    "grpo": Kind("token", "group", group_relative),
    "rloo": Kind("token", "group", leave_one_out),
    "reinforce": Kind("token", None, reward_to_go),
}


def assign(rollout: Rollout, credit: Credit, group: int) -> None:
    """Fill in the arrays of the rollout's rows that the loss reads.

    ``advantage`` and ``weight`` (in the mean over tokens) of every sampled token; with a critic also ``return`` and
    ``value_weight`` (in the mean of the value loss).

    Args:
        group: episodes of each task; they follow each other in the rollout.
    """
    mask_EKT = torch.from_numpy(rollout.mask_EKT)
    rollout.set_tokens("weight", objectives.mean_weights(mask_EKT, credit.mean_over).numpy())
    advantage, returns = KINDS[credit.kind].estimate(rollout, credit, group)
    if credit.normalise:
        # Over the units of the estimate. Group baselines make the mean over episodes zero; over turns, of which failed
        # episodes have more, it would not be, and a group of equal returns would get advantages.
        masks = {1: torch.ones(len(mask_EKT), dtype=torch.bool), 2: torch.from_numpy(rollout.mask_EK), 3: mask_EKT}
        advantage = advantages.normalise(advantage, masks[advantage.dim()])
    _set(rollout, "advantage", advantage)
    if returns is not None:
        _set(rollout, "return", returns)
        for row in rollout.rows:
            first = np.unique(row.turn, return_index=True)[1]
            of_turns = np.isin(np.arange(len(row.turn)), first).astype(np.float32)
            row.arrays["value_weight"] = of_turns if returns.dim() == 2 else row.arrays["weight"]


def _rewards(rollout: Rollout, credit: Credit) -> torch.Tensor:
    """``reward_EK``, scaled."""
    return torch.from_numpy(rollout.reward_EK) * credit.reward_scale


def _groups(rollout: Rollout, credit: Credit, group: int) -> tuple[torch.Tensor, torch.Tensor]:
    """``return_E``, scaled, and the number of each episode's group, ``group_E``."""
    return_E = torch.from_numpy(rollout.return_E) * credit.reward_scale
    return return_E, torch.arange(len(return_E)) // group


def _set(rollout: Rollout, name: str, array: torch.Tensor) -> None:
    """Give every token the number of its episode, its turn or its own."""
    if array.dim() == 3:
        rollout.set_tokens(name, array.numpy())
        return
    turns_EK = array if array.dim() == 2 else array[:, None].expand(rollout.mask_EK.shape)
    rollout.set_turns(name, turns_EK.numpy())
