"""Old names in stored runs: settings and metrics that were renamed after a run was written.

Everything that reads a run sees the new names only. A config that is given to ``labkit train`` must use them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SETTINGS = {"thought_weight": "non_decisive_weight", "learn": "train_on"}
"""Keys of a stage's config."""

METRICS = {
    "loss/policy": "loss/policy_avg",
    "loss/value": "loss/value_avg",
    "policy/approx_kl": "policy/approxkl_avg",
    "policy/clip_fraction": "policy/clipfrac_avg",
    "policy/entropy": "policy/entropy_avg",
    "policy/ratio": "val/ratio",
    "critic/value": "val/value_avg",
    "critic/explained_variance": "val/explained_variance",
    "optimizer/grad_norm": "grad_norm",
    "optimizer/lr": "lr",
}
"""Metrics of reinforcement learning."""


def migrated(data: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Data with its old names replaced, in the same order."""
    return {names.get(key, key): value for key, value in data.items()}
