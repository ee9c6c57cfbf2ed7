"""Several independent samples of each deal: pass@k, with intervals over deals."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import comb

from labkit.episode import Episode
from labkit.evaluation.metrics import Estimate, Trials, share


def pass_at(
    episodes: Sequence[Episode], deals: Sequence[Hashable], weights: Sequence[float] | None = None
) -> dict[str, Estimate]:
    """pass@1 to pass@K: the chance that one of k samples of a deal succeeds, K the samples of each deal.

    Of a deal with c successes in n samples: 1 - C(n - c, k) / C(n, k), which is unbiased, unlike
    1 - (1 - c/n)^k (Chen et al. 2021, "Evaluating large language models trained on code", arXiv 2107.03374,
    equation 1). The interval is over deals: samples of one deal are one cluster.

    Args:
        deals: which deal each episode is of.
        weights: share of the deals that each episode stands for; None if all count alike.
    """
    samples: dict[Hashable, int] = dict.fromkeys(deals, 0)
    solved = samples.copy()
    for episode, deal in zip(episodes, deals, strict=True):
        samples[deal] += 1
        solved[deal] += episode.success
    weight = dict(zip(deals, weights or [1.0] * len(episodes), strict=True))
    weights_D = [weight[deal] for deal in samples]
    return {
        str(k): share((_trials(samples[d], solved[d], k) for d in samples), weights_D)
        for k in range(1, min(samples.values(), default=0) + 1)
    }


def _trials(n: int, c: int, k: int) -> Trials:
    """A deal's chance; as n trials, since n samples tell more than one success or failure would."""
    return Trials(n * (1 - comb(n - c, k) / comb(n, k)), n)
