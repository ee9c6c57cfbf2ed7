"""Settings of stage ``rl``, and which of them fit together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from labkit.counting import counted
from labkit.envs import game
from labkit.episode import Task
from labkit.models.policy import Critic
from labkit.training.common.probe import Probe
from labkit.training.common.setup import Cell, StartConfig
from labkit.training.rl.collapse import CollapseThresholds
from labkit.training.rl.credit import KINDS, Credit


class RLConfig(StartConfig):
    """Settings of the stage."""

    stage: Literal["rl"]
    name: str = "rl"
    """Last part of the run's id."""

    cell: Cell = "gp-l"
    """A cell of a game."""
    suite: str = "id"
    split: str = "train"
    """Deals or routes to train on. Post-training deals ``train`` only, so that the other splits measure it."""
    attempts: int | None = Field(None, ge=1)
    """Attempts at each position; the cell's own number if not given."""
    reward: dict[str, float | str] = {}
    """Entries of the reward table to replace."""

    updates: int = Field(ge=1)
    episodes: int = Field(256, ge=1)
    """Episodes of an update, over all processes."""
    group: int = Field(1, ge=1)
    """Episodes of each task; more than one for ``grpo`` and ``rloo``."""
    temperature: float = Field(1.0, gt=0)
    max_new_tokens: int = Field(256, ge=1)
    """Longest answer, in tokens."""
    batch: int = Field(128, ge=1)
    """Episodes that a process plays side by side."""
    sampler: Literal["bfloat16"] | None = None
    """Precision of sampling; the model's own if not given. Log-probabilities in the loss are those of the training
    forward pass, so a bf16 sampler only changes which tokens are sampled: ``rollout/logp_mismatch``."""

    credit: Credit = Credit()
    critic: Critic = "detached"
    """What the value loss trains: ``shared`` (the paper's: head and trunk), ``detached`` (the head only), ``none``."""
    critic_warmup: int = Field(0, ge=0)
    """First updates in which only the value head learns, ``shared`` or not."""
    clip: float = Field(0.2, gt=0)
    """How far the ratio of new to old probabilities may move before its gradient is cut; the authors' is .1."""
    value_clip: float | None = Field(None, gt=0)
    """How far a value may move in an update before its loss stops falling; the authors' is .1."""
    value_coefficient: float = Field(0.5, ge=0)
    kl: float = Field(0.0, ge=0)
    """Weight of the KL to the initial policy (the k3 estimate, on sampled tokens)."""
    entropy: float = Field(0.0, ge=0)
    """Weight of the entropy bonus."""
    non_decisive_weight: float = Field(1.0, ge=0)
    """Weight of tokens outside the decisive field in a turn's log-probability (``ppo-turn``); the authors' is .5."""

    epochs: int = Field(1, ge=1)
    """Passes over the episodes of an update."""
    target_kl: float | None = Field(None, gt=0)
    """Skip the remaining epochs of an update once ``policy/approxkl_avg`` of an epoch exceeds this, in nats a token."""
    minibatches: int = Field(1, ge=1)
    """Optimizer steps in each epoch."""
    critic_lr: float = Field(3e-3, gt=0)
    """Learning rate of the value head; ``schedule`` moves it in proportion to ``lr``."""
    warmup: int = Field(0, ge=0)
    """Updates over which the learning rates rise in equal steps. Adam's first steps are as long as the rate allows,
    whatever the gradient."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Over the updates after those; cosine goes down to ``lr_end``."""
    lr_end: float = Field(0.0, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    grad_clip: float = Field(1.0, gt=0)
    """Largest gradient norm; a detached critic's is clipped separately. The authors' is .01."""

    stop: CollapseThresholds = CollapseThresholds()
    """When the policy counts as collapsed."""
    probe: Probe | None = None
    """Evaluation inside the run."""
    tokens: bool = False
    """Store token ids, log-probabilities, values and advantages beside the episodes, for heat maps: about 30 bytes a
    sampled token, 3 MB for an update of 256 episodes with 5 answers of 40 tokens."""
    save_every: int = Field(5, ge=1)
    """Updates between saved states, from which an interrupted run resumes. Their checkpoints are kept as well: the
    newest, and the newest whose policy was healthy in the update after it."""

    @field_validator("group")
    @classmethod
    def _whole_groups(cls, value: int, info: ValidationInfo) -> int:
        if info.data.get("episodes", value) % value:
            raise ValueError(f"{counted(info.data['episodes'], 'episode')} cannot be divided into groups of {value}")
        return value

    @field_validator("credit")
    @classmethod
    def _compared(cls, value: Credit, info: ValidationInfo) -> Credit:
        if KINDS[value.kind].baseline == "group" and info.data.get("group") == 1:
            raise ValueError(f"credit {value.kind} compares episodes of one task; set group to 2 or more")
        return value

    @field_validator("critic", "critic_warmup")
    @classmethod
    def _has_critic(cls, value: str | int, info: ValidationInfo) -> str | int:
        credit = info.data.get("credit")
        if credit is None:
            return value
        needed = KINDS[credit.kind].baseline == "critic"
        if needed and value == "none":
            raise ValueError(f"credit {credit.kind} needs a critic; take shared or detached")
        if info.field_name == "critic_warmup" and value and not needed:
            raise ValueError(f"credit {credit.kind} has no critic to warm up; leave this out")
        return value

    @property
    def has_critic(self) -> bool:
        return KINDS[self.credit.kind].baseline == "critic"

    def tasks(self, update: int) -> Iterator[Task]:
        """The task of each episode of an update, counted from 0; those of a group follow one another.

        Raises:
            UsageError: the cell has no such suite or split, or its reward table no such entry.
        """
        count = self.episodes // self.group
        settings: dict[str, Any] = {"attempts": self.attempts} if self.attempts else {}
        if self.picture:
            settings["picture"] = self.picture
        deals = game(self.cell).tasks(
            self.suite, self.split, seed=self.seed, first=update * count, reward=self.reward or None, **settings
        )
        for task in islice(deals, count):
            yield from [task] * self.group

    def rate(self, update: int) -> float:
        """The policy's learning rate in an update, counted from 0."""
        if update < self.warmup:
            return self.lr * (update + 1) / self.warmup
        if self.schedule == "constant":
            return self.lr
        done = (update - self.warmup) / max(1, self.updates - self.warmup)
        share = 0.5 * (1 + np.cos(np.pi * done))
        return float(self.lr_end + (self.lr - self.lr_end) * share)
