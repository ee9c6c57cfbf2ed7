"""What an update logs, under the names of ``docs/metrics.md``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from accelerate.utils import gather_object

from labkit.rollout import Rollout
from labkit.training.rl import objectives

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(slots=True)
class Sums:
    """Running sums and counts of metrics over micro-batches."""

    total: dict[str, float] = field(default_factory=dict)
    count: dict[str, float] = field(default_factory=dict)

    def add(self, **units: torch.Tensor) -> None:
        for name, values in units.items():
            self._count(name, float(values.detach().double().sum()), values.numel())

    def merge(self, other: Sums) -> None:
        for name, total in other.total.items():
            self._count(name, total, other.count[name])

    def _count(self, name: str, total: float, count: float) -> None:
        self.total[name] = self.total.get(name, 0.0) + total
        self.count[name] = self.count.get(name, 0.0) + count

    def means(self, accelerator: Accelerator) -> dict[str, float]:
        """Means over the units of all processes. Every process calls this."""
        names = sorted({name for names in gather_object([list(self.total)]) for name in names})
        pairs = torch.tensor([[self.total.get(n, 0.0), self.count.get(n, 0.0)] for n in names], dtype=torch.float64)
        pairs = accelerator.reduce(pairs.to(accelerator.device), "sum").cpu()
        return {name: float(total / count) for name, (total, count) in zip(names, pairs, strict=True)}


def rollout_metrics(rollout: Rollout) -> dict[str, float]:
    """Rewards, successes and lengths of the played episodes."""
    attempts = [attempt for episode in rollout.episodes for attempt in episode.attempts]
    first = [e.positions[0].attempts[0].verdict.success for e in rollout.episodes]
    return {
        "rollout/return": float(rollout.return_E.mean()),
        "rollout/return_std": float(rollout.return_E.std()),
        "rollout/success": float(np.mean([e.success for e in rollout.episodes])),
        "rollout/first_attempt_success": float(np.mean(first)),
        "rollout/right_answers": float(np.mean([a.verdict.success for a in attempts])),
        "rollout/turns": len(attempts) / len(rollout.episodes),
        "rollout/answer_tokens": rollout.sampled_tokens / len(attempts),
        "rollout/truncated": float(np.mean([a.sample is not None and a.sample.truncated for a in attempts])),
        "rollout/episodes": len(rollout.episodes),
    }


def critic_metrics(rollout: Rollout) -> dict[str, float]:
    """How well the values before the update predict the returns, over turns."""
    mask_EK = rollout.mask_EK
    value_K, return_K = (torch.from_numpy(rollout.over_turns(name)[mask_EK]) for name in ("value", "return"))
    explained = objectives.explained_variance(value_K, return_K)
    return {"val/value_avg": float(value_K.mean()), "val/explained_variance": float(explained)}
