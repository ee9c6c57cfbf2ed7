"""Advantages: how much better than expected a turn, a token or an episode was. Pure functions on tensors.

* :func:`returns`: discounted reward-to-go of each turn, without a baseline;
* :func:`turn_gae`: GAE over turns, against the values of a critic;
* :func:`bilevel_gae`: GAE over turns, then over the tokens of each turn;
* :func:`group_relative` and :func:`leave_one_out`: returns of whole episodes against those of the same deal, without a
  critic;
* :func:`normalise`: mean 0 and standard deviation 1 over a batch.

An episode ends with its last turn, whatever its status: the number of attempts is part of the game, so the value after
the last turn is 0. (The code of "SFT Memorizes, RL Generalizes", arXiv 2501.17161, fills one long buffer of turns and
carries returns over the border of an episode that ran out of attempts.)

Shape suffixes: E episodes, padded to K turns, each padded to T sampled tokens. Masks are True at real entries, which
come first: True, ..., True, False, ..., False. Padding is never read, and results are 0 there. Turn k of an episode
with n turns has the reward r_k and the value V_k before the turn; V_n = 0.

Baselines and normalisation are computed in fp64, which some accelerators lack; these arrays are small and stay on the
CPU.
"""

from __future__ import annotations

import torch

from labkit.counting import counted
from labkit.errors import UsageError

GROUP_EPS = 1e-4
"""Added to a group's standard deviation before dividing by it."""
BATCH_EPS = 1e-5
"""Added to a batch's standard deviation before dividing by it."""


def returns(reward_EK: torch.Tensor, mask_EK: torch.Tensor, gamma: float) -> torch.Tensor:
    """Discounted reward-to-go ``return_EK``: R_k = r_k + gamma R_{k+1}.

    Raises:
        ValueError: a row of the mask is not True first and False after.
    """
    (reward_EK,) = _clear_padding(mask_EK, reward_EK)
    return _discounted_sum(reward_EK, gamma)


def turn_gae(
    reward_EK: torch.Tensor, value_EK: torch.Tensor, mask_EK: torch.Tensor, gamma: float, lam: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Generalized advantage estimation over turns.

    Source: Schulman et al. 2016, "High-dimensional continuous control using generalized advantage estimation"
    (arXiv 1506.02438), equation 16, on an episode that ends::

        delta_k = r_k + gamma V_{k+1} - V_k
        A_k     = delta_k + gamma lam A_{k+1}

    ``lam`` = 0 trusts the values (A is the one-step error delta), ``lam`` = 1 trusts what happened (A is the
    discounted return minus V).

    Args:
        value_EK: the critic's value before each turn.

    Returns:
        ``advantage_EK``, and ``return_EK`` = advantage + value, the target of the value function.

    Raises:
        ValueError: a row of the mask is not True first and False after.
    """
    reward_EK, value_EK = _clear_padding(mask_EK, reward_EK, value_EK)
    delta_EK = reward_EK + gamma * _next(value_EK) - value_EK
    advantage_EK = _discounted_sum(delta_EK, gamma * lam)
    return advantage_EK, advantage_EK + value_EK


def bilevel_gae(
    reward_EK: torch.Tensor,
    value_EKT: torch.Tensor,
    mask_EKT: torch.Tensor,
    gamma: float,
    lam: float,
    token_gamma: float,
    token_lam: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Bi-level generalized advantage estimation: over turns, then over the tokens of each turn.

    Source: Wang et al. 2025, "VAGEN: reinforcing world model reasoning for multi-turn VLM agents" (arXiv
    2510.16907), as in the code that its authors released. Where turn k has the tokens 0 to l_k::

        over turns:   delta_k   = r_k + gamma V_{k+1, l_{k+1}} - V_{k, l_k}
                      A_k       = delta_k + gamma lam A_{k+1}
        over tokens:  A_{k,l_k} = A_k
                      delta_kt  = token_gamma V_{k,t+1} - V_kt                      for t < l_k
                      A_kt      = delta_kt + token_gamma token_lam A_{k,t+1}

    Two conventions of theirs matter. The value of a turn is that of its *last* token, before which all of the answer
    but that token is known. The token level subtracts it again, so with every gamma and lambda at 1 each token gets
    the rewards that follow minus its own value, as in GAE over tokens. And the advantage of the last token *is* the
    turn's; it replaces the token's own delta. Their code has one lambda; this has two, as their paper. Single tokens
    have no reward.

    Args:
        value_EKT: ``[..., t]`` is the critic's value before token t of the turn.

    Returns:
        ``advantage_EKT``, and ``return_EKT`` = advantage + value, the target of the value function.

    Raises:
        ValueError: a row of the mask is not True first and False after, or a turn without tokens precedes one with
            tokens.
    """
    (value_EKT,) = _clear_padding(mask_EKT, value_EKT)
    last_EKT = mask_EKT & ~_next(mask_EKT)
    turn_value_EK = (value_EKT * last_EKT).sum(-1)
    turn_EK, _ = turn_gae(reward_EK, turn_value_EK, mask_EKT.any(-1), gamma, lam)
    delta_EKT = torch.where(last_EKT, turn_EK.unsqueeze(-1), token_gamma * _next(value_EKT) - value_EKT)
    advantage_EKT = _discounted_sum(delta_EKT, token_gamma * token_lam)
    return advantage_EKT, advantage_EKT + value_EKT


def group_relative(return_E: torch.Tensor, group_E: torch.Tensor, *, scale: bool) -> torch.Tensor:
    """``advantage_E`` of GRPO: a return minus the mean of its group, in units of the group's spread if ``scale``.

    Source: Shao et al. 2024, "DeepSeekMath" (arXiv 2402.03300), section 4.1.2. The paper does not say which
    standard deviation; it is the sample's (n - 1), with 1e-4 added, as in TRL. Without ``scale``: Dr. GRPO (Liu et
    al. 2025, "Understanding R1-Zero-like training", arXiv 2503.20783), since the division favours groups in which
    nearly everything fails or succeeds.

    Args:
        group_E: the number of each episode's group, usually its deal.

    Raises:
        UsageError: a group has only one episode.
    """
    # In fp64: the mean of equal returns has a rounding error, which division by a tiny deviation would enlarge.
    peer_EE = _peers(group_E).double()
    size_E = peer_EE.sum(1)
    advantage_E = return_E - peer_EE @ return_E.double() / size_E
    if scale:
        std_E = (peer_EE @ advantage_E.square() / (size_E - 1)).sqrt()
        advantage_E = advantage_E / (std_E + GROUP_EPS)
    return advantage_E.to(return_E.dtype)


def leave_one_out(return_E: torch.Tensor, group_E: torch.Tensor) -> torch.Tensor:
    """``advantage_E`` of RLOO: a return minus the mean of the *other* returns of its group.

    Source: Ahmadian et al. 2024, "Back to basics" (arXiv 2402.14740), after Kool et al. 2019, "Buy 4 REINFORCE
    samples, get a baseline for free!". The baseline does not depend on the episode, so the gradient is unbiased;
    it is n / (n - 1) times :func:`group_relative` without ``scale``.

    Args:
        group_E: the number of each episode's group, usually its deal.

    Raises:
        UsageError: a group has only one episode.
    """
    other_EE = _peers(group_E).fill_diagonal_(False).double()
    baseline_E = other_EE @ return_E.double() / other_EE.sum(1)
    return (return_E - baseline_E).to(return_E.dtype)


def normalise(advantage: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Shift and scale to mean 0 and standard deviation 1 over the entries in the mask; 0 outside it.

    The standard deviation is the population's (divided by n, not n - 1), with 1e-5 added. A single entry, or equal
    entries, give zeros. Call it on a whole batch, before it is divided into minibatches.

    Args:
        advantage, mask: of the same shape; the mask may have gaps.
    """
    # In fp64: the mean of equal entries has a rounding error, which division by a tiny deviation would enlarge.
    entry_N = advantage[mask].double()
    scaled_N = (entry_N - entry_N.mean()) / (entry_N.std(correction=0) + BATCH_EPS)
    return torch.zeros_like(advantage).masked_scatter(mask, scaled_N.to(advantage.dtype))


def _clear_padding(mask: torch.Tensor, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The tensors with zeros in padding, so that each recursion starts from zero at the end of a row."""
    if (_next(mask) & ~mask).any():
        raise ValueError("a row of the mask is not True first and False after")
    return tuple(tensor.masked_fill(~mask, 0) for tensor in tensors)


def _next(x: torch.Tensor) -> torch.Tensor:
    """``[..., k]`` is ``x[..., k + 1]``; after the last comes 0 (or False)."""
    return torch.cat([x[..., 1:], torch.zeros_like(x[..., :1])], dim=-1)


def _discounted_sum(x: torch.Tensor, factor: float) -> torch.Tensor:
    """y_k = x_k + factor y_{k+1} along the last axis; y is 0 after the end."""
    total = torch.zeros_like(x[..., 0])
    sums = []
    for k in reversed(range(x.shape[-1])):
        total = x[..., k] + factor * total
        sums.append(total)
    return torch.stack(sums[::-1], dim=-1)


def _peers(group_E: torch.Tensor) -> torch.Tensor:
    """``peer_EE``: True where two episodes are of one group, each with itself included."""
    peer_EE = group_E[:, None] == group_E
    alone_E = peer_EE.sum(1) == 1
    if alone_E.any():
        raise UsageError(
            "group baselines need two episodes of each deal; alone on its deal: "
            f"{int(alone_E.sum())} of {counted(len(group_E), 'episode')}; set group to 2 or more"
        )
    return peer_EE
