"""When a policy has collapsed, and further updates would only make it worse.

Judged from the logged metrics alone, so that a resumed run stops where an uninterrupted one would have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import Field

from labkit.config import Config


class Bounds(Config):
    """What a healthy policy stays within; a run stops after ``patience`` updates in a row outside of one bound.

    A bound of ``null`` is none.
    """

    entropy: float | None = Field(1e-3, ge=0)
    """Least mean entropy of a sampled token, in nats: below it nothing new is tried."""
    kl: float | None = Field(5.0, gt=0)
    """Largest mean KL to the initial policy, in nats a token; only where that is measured."""
    spread: float | None = Field(1e-6, ge=0)
    """Least standard deviation of the returns of an update: below it no answer is better than another."""
    patience: int = Field(3, ge=1)
    """Updates in a row."""


class Collapse(NamedTuple):
    """Why a run was stopped, and what is left of it."""

    reason: str
    """In words."""
    last_good: str | None
    """The newest checkpoint whose policy went on to play well, as the name of a player; None if there is none."""

    def way_back(self, beginning: str) -> str:
        """From where to begin again."""
        if self.last_good is None:
            return f"none of its checkpoints is good; begin again from {beginning}"
        return f"the last good checkpoint is {self.last_good}"


def within(metrics: Mapping[str, Any], bounds: Bounds) -> bool:
    """Whether one update's metrics are within all bounds."""
    return not _broken(metrics, bounds)


def proven(history: Sequence[Mapping[str, Any]], bounds: Bounds) -> set[int]:
    """The steps whose policy was healthy: the update that follows a step is played with what the step left, and says
    whether that was within all bounds."""
    return {m["step"] - 1 for m in history if "policy/entropy" in m and within(m, bounds)}


def collapse(history: Sequence[Mapping[str, Any]], bounds: Bounds) -> str | None:
    """Why to stop after the updates of ``history``, in words; None to go on."""
    recent = [m for m in history if "policy/entropy" in m][-bounds.patience :]
    if len(recent) < bounds.patience:
        return None
    for name in ("entropy", "kl", "spread"):
        if all(name in _broken(m, bounds) for m in recent):
            return _broken(recent[-1], bounds)[name]
    return None


def _broken(metrics: Mapping[str, Any], bounds: Bounds) -> dict[str, str]:
    entropy, kl, spread = metrics["policy/entropy"], metrics.get("objective/kl"), metrics["rollout/return_std"]
    broken = {}
    # What is not a number is within no bound.
    if bounds.entropy is not None and not entropy >= bounds.entropy:
        broken["entropy"] = (
            f"entropy fell to {entropy:.2g} nats a token (bound {bounds.entropy:g}): the policy says one thing only; "
            "lower the learning rate, or raise entropy or kl"
        )
    if None not in (kl, bounds.kl) and not kl <= bounds.kl:
        broken["kl"] = (
            f"KL to the initial policy rose to {kl:.2g} nats a token (bound {bounds.kl:g}): the policy has left what "
            "it knew; lower the learning rate, or raise kl"
        )
    if bounds.spread is not None and not spread > bounds.spread:
        solved = metrics["rollout/success"] == 1
        why = "every episode succeeds: nothing is left to learn" if solved else "no episode does better than another"
        broken["spread"] = f"all returns are alike ({why}); deal other tasks, or begin from another checkpoint"
    return broken
