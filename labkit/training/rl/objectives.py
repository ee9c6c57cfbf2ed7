"""Loss terms, one number a unit. Pure functions on tensors; no model, no batch.

A unit is a sampled token, or a turn if the ratio is that of a turn. Units are averaged with the weights of
:func:`mean_weights`. Losses are minimised. Log-probabilities are natural logarithms, of the distribution that was
sampled (temperature included); KL is in nats. "Old" is the policy that played, "ref" the policy to stay close to; only
the new policy's numbers carry gradients.

Shape suffixes: N units (any shape, the same for all arguments), V vocabulary; E episodes of K turns of T tokens.
"""

from __future__ import annotations

from typing import Literal

import torch

_LARGEST_LOG_RATIO = 20.0


def clipped(
    logp_N: torch.Tensor, old_logp_N: torch.Tensor, advantage_N: torch.Tensor, clip: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """PPO's clipped surrogate, with the sign of a loss.

    Source: Schulman et al. 2017, "Proximal policy optimization algorithms" (arXiv 1707.06347), equation 7:
    -min(ratio A, clamp(ratio, 1 - clip, 1 + clip) A), where ratio = exp(logp - old_logp). While both policies are
    equal, its gradient is that of -A logp, the plain policy gradient. Once the ratio has moved further than ``clip``
    in the direction that A rewards, the gradient is zero. ``clip`` = inf never clips.

    Returns:
        ``loss_N``; ``clipped_N``, bool: the units whose gradient the clip cut; ``ratio_N``.
    """
    ratio_N = (logp_N - old_logp_N).exp()
    free_N = ratio_N * advantage_N
    bound_N = ratio_N.clamp(1 - clip, 1 + clip) * advantage_N
    return -torch.minimum(free_N, bound_N), bound_N < free_N, ratio_N


def value_loss(
    value_N: torch.Tensor, old_value_N: torch.Tensor, return_N: torch.Tensor, clip: float | None
) -> torch.Tensor:
    """``loss_N``: half the squared error of a value, clipped around the old value.

    With ``clip``: 0.5 max((V - R)^2, (V_clip - R)^2), where V_clip is V kept within ``clip`` of the old value. Not
    in the paper of PPO but in its first implementations (OpenAI Baselines, and the authors' of arXiv 2501.17161);
    ``clip`` has the units of a return. None: 0.5 (V - R)^2.
    """
    loss_N = (value_N - return_N).square()
    if clip is not None:
        near_N = old_value_N + (value_N - old_value_N).clamp(-clip, clip)
        loss_N = torch.maximum(loss_N, (near_N - return_N).square())
    return 0.5 * loss_N


def kl_k3(logp_N: torch.Tensor, ref_logp_N: torch.Tensor) -> torch.Tensor:
    """``kl_N``: (r - 1) - log r with r = ref / policy: an unbiased estimate of KL(policy || ref) from samples of
    the policy, never negative.

    Source: k3 of Schulman 2020, "Approximating KL divergence" (http://joschu.net/blog/kl-approx.html); it is the
    penalty of GRPO (arXiv 2402.03300, equation 4), as a loss. On fresh samples its gradient is, in expectation, that
    of KL(ref || policy), the other direction, which has the same minimum (Tang and Munos 2025, "On a few pitfalls in
    KL divergence gradient estimation for RL", arXiv 2506.09477).

    Beyond log r = 20, where the policy has left its own samples, r follows its tangent: a run that breaks down logs
    large numbers, not infinite ones.
    """
    log_r_N = ref_logp_N - logp_N
    near_N = log_r_N.clamp(max=_LARGEST_LOG_RATIO)
    return near_N.expm1() + near_N.exp() * (log_r_N - near_N) - log_r_N


def explained_variance(value_N: torch.Tensor, return_N: torch.Tensor) -> torch.Tensor:
    """Share of the variance of returns that the values explain: 1 - Var(R - V) / Var(R), a scalar.

    1: all of it; 0: as much as a constant would; negative: less than that. 0 also where returns do not vary.
    """
    spread = return_N.var(correction=0)
    return torch.where(spread > 0, 1 - (return_N - value_N).var(correction=0) / spread, 0.0)


def mean_weights(mask_EKT: torch.Tensor, over: Literal["token", "turn", "episode"]) -> torch.Tensor:
    """``weight_EKT`` of each token in a mean over tokens, turns or episodes; 0 in padding.

    In a mean over turns a token's weight is 1 / (tokens of its turn): the weights of a turn sum to 1, and all weights
    to the number of turns; likewise for episodes. So the weights can be computed before a batch is divided:
    micro-batches and processes each sum their part, and divide by the same total.

    ``token`` is DAPO's mean (arXiv 2503.14476, section 3.3): long answers weigh more. ``episode`` is GRPO's (arXiv
    2402.03300, equation 3): all episodes weigh the same, so a token of a long one weighs less. Dr. GRPO (arXiv
    2503.20783) is ``token`` with a constant total. If units are turns, T is 1.

    Args:
        mask_EKT: bool, tokens that carry loss.
    """
    weight_EKT = mask_EKT.float()
    if over == "token":
        return weight_EKT
    tokens = weight_EKT.sum(-1 if over == "turn" else (-2, -1), keepdim=True)
    return weight_EKT / tokens.clamp(min=1)
