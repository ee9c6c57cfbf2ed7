"""Collapse thresholds: when a policy counts as collapsed and its run is stopped.

The decision reads the logged metrics only, so a resumed run stops where an uninterrupted one would have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import Field

from labkit.config import Config


class CollapseThresholds(Config):
    """Limits of a healthy policy. A run stops after ``patience`` updates in a row beyond the same threshold.

    A threshold of ``null`` is not checked.
    """

    entropy: float | None = Field(1e-3, ge=0)
    """Lowest mean entropy of the sampled tokens, in nats: below it nothing new is tried."""
    kl: float | None = Field(5.0, gt=0)
    """Highest mean KL to the initial policy, in nats a token; only where it is measured."""
    spread: float | None = Field(1e-6, ge=0)
    """Lowest standard deviation of an update's returns: below it no answer is better than another."""
    patience: int = Field(3, ge=1)
    """Updates in a row."""


MEASURED = {"entropy": "policy/entropy_avg", "kl": "objective/kl", "spread": "rollout/return_std"}
"""The metric that each threshold is compared with."""


class Collapse(NamedTuple):
    """Why a run was stopped, and its last healthy checkpoint."""

    reason: str
    """One line, in words."""
    last_good: str | None
    """The newest checkpoint whose policy was healthy in the next update, as the name of a player; None without one."""

    def recovery_hint(self, beginning: str) -> str:
        """Which checkpoint to start again from; ``beginning`` if none of the run's is healthy."""
        if self.last_good is None:
            return f"none of its checkpoints is good; begin again from {beginning}"
        return f"the last good checkpoint is {self.last_good}"


def is_healthy(metrics: Mapping[str, Any], thresholds: CollapseThresholds) -> bool:
    """Whether the metrics of an update are within all thresholds."""
    return not exceeded(metrics, thresholds)


def healthy_steps(history: Sequence[Mapping[str, Any]], thresholds: CollapseThresholds) -> set[int]:
    """Steps whose policy was healthy. Update n + 1 is played by the policy of step n, so its metrics tell."""
    return {m["step"] - 1 for m in history if "policy/entropy_avg" in m and is_healthy(m, thresholds)}


def collapse(history: Sequence[Mapping[str, Any]], thresholds: CollapseThresholds) -> str | None:
    """Why to stop after the updates of ``history``, in one line; None to go on."""
    recent = [m for m in history if "policy/entropy_avg" in m][-thresholds.patience :]
    if len(recent) < thresholds.patience:
        return None
    for name in ("entropy", "kl", "spread"):
        if all(name in exceeded(m, thresholds) for m in recent):
            return exceeded(recent[-1], thresholds)[name]
    return None


def exceeded(metrics: Mapping[str, Any], thresholds: CollapseThresholds) -> dict[str, str]:
    """The thresholds that an update is beyond, with the reason in words. NaN is beyond every threshold.

    Args:
        metrics: those that stage ``rl`` logs of an update.
    """
    entropy, spread = metrics[MEASURED["entropy"]], metrics[MEASURED["spread"]]
    kl = metrics.get(MEASURED["kl"])
    found = {}
    if thresholds.entropy is not None and not entropy >= thresholds.entropy:
        found["entropy"] = (
            f"entropy fell to {entropy:.2g} nats a token (threshold {thresholds.entropy:g}): the policy gives one "
            "answer only; lower the learning rate, or raise entropy or kl"
        )
    if kl is not None and thresholds.kl is not None and not kl <= thresholds.kl:
        found["kl"] = (
            f"KL to the initial policy rose to {kl:.2g} nats a token (threshold {thresholds.kl:g}): the policy has "
            "left what it knew; lower the learning rate, or raise kl"
        )
    if thresholds.spread is not None and not spread > thresholds.spread:
        solved = metrics["rollout/success"] == 1
        why = "every episode succeeds: nothing is left to learn" if solved else "no episode does better than another"
        found["spread"] = f"all returns are alike ({why}); deal other tasks, or begin from another checkpoint"
    return found
