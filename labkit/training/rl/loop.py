"""Stage ``rl``: policy gradients on sequential revision (paper, section 3 and appendix A).

Each update plays episodes with the present policy, turns rewards into advantages (:mod:`credit`), and moves the
policy by the clipped surrogate, a value loss, and where asked a KL to the initial policy and an entropy bonus. One
loop for PPO with its kinds of credit, GRPO, RLOO and REINFORCE.

Departures from the authors' code, and why:

* Whole episodes are played, and nothing bootstraps past their end; theirs cuts after 256 turns of a process and
  bootstraps across the border of episodes.
* Log-probabilities are fp32; theirs are summed and then rounded to bf16.
* The decisive field is found by character offsets, for any tokenizer; theirs by the ids of one tokenizer.
* What is scored is what was sampled: the whole softmax at the temperature of sampling; theirs samples with top-p,
  which its scores ignore.
* All episodes are played side by side; theirs plays one.

Settings under which this is the authors' PPO are in ``configs/experiments/gp-l/authors-rl.yaml``.

An interrupted run goes on from its last saved update and plays the cut one again: sampling noise is keyed by (seed,
update, episode, position, attempt), so on a CPU it ends in the same weights, bit for bit.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from pydantic import Field, ValidationInfo, field_validator

from labkit.compute import Meter
from labkit.config import Config
from labkit.envs import game
from labkit.models.loader import ModelBundle, load
from labkit.models.policy import Critic, Policy
from labkit.players.registry import resolve_checkpoint
from labkit.progress import Progress
from labkit.training.common import distributed, trackers
from labkit.training.common.checkpointing import recompute_layers
from labkit.training.common.parameters import InitialPolicy, LoRA, prepare_parameters
from labkit.training.common.probe import Probe
from labkit.training.common.state import TrainState
from labkit.training.common.trackers import Tracker, tracked
from labkit.training.rl.collapse import Bounds, Collapse, collapse, proven
from labkit.training.rl.credit import IN_GROUPS, WITH_CRITIC, Credit
from labkit.training.rl.update import Learner

if TYPE_CHECKING:
    from labkit.runs import Run


class RLConfig(Config):
    """Settings of the stage."""

    stage: Literal["rl"]
    name: str = "rl"
    """Last part of the run's id."""
    seed: int = 0
    """Of the deals, the sampling noise, new adapters and the value head."""
    processes: int | None = Field(None, ge=1)
    """How many are to train together: a run on another number refuses to start. Any number gives the same weights."""
    model: str
    """Where to start: a bundled checkpoint (``tiny:gp-l/init``), a directory, a hub id, ``run:ID@STEP``."""
    lora: LoRA | None = None
    """Train an adapter instead of the whole model."""
    freeze: tuple[str, ...] = ()
    """Parts that stay as they are."""

    cell: str = "gp-l"
    """A cell in text, or a registered one."""
    suite: str = "id"
    split: str = "train"
    """Hands or routes that are dealt. Post-training deals ``train`` only."""
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
    """The longest answer."""
    batch: int = Field(128, ge=1)
    """Episodes that a process plays side by side."""
    sampler: Literal["bfloat16"] | None = None
    """Precision of playing; the model's own if not given. Log-probabilities in the loss are those of the training
    forward, so a bf16 sampler costs exactness only in what is played: ``rollout/logp_mismatch``."""

    credit: Credit = Credit()
    critic: Critic = "detached"
    """What the value loss reaches: ``shared`` (the paper's: the trunk too), ``detached`` (the head only), ``none``."""
    critic_warmup: int = Field(0, ge=0)
    """Updates at the beginning in which only the value head learns, ``shared`` or not."""
    clip: float = Field(0.2, gt=0)
    """How far the ratio of new to old probabilities may move before its gradient is cut; the authors' is .1."""
    value_clip: float | None = Field(None, gt=0)
    """How far a value may move in an update before its loss stops falling; the authors' is .1."""
    value_coefficient: float = Field(0.5, ge=0)
    kl: float = Field(0.0, ge=0)
    """Weight of the KL to the initial policy (the k3 estimate, on sampled tokens)."""
    entropy: float = Field(0.0, ge=0)
    """Weight of the entropy bonus."""
    thought_weight: float = Field(1.0, ge=0)
    """What tokens outside of the decisive field weigh in a turn's log-probability (``ppo-turn``); the authors' is
    .5."""

    epochs: int = Field(1, ge=1)
    """Passes over the episodes of an update."""
    minibatches: int = Field(1, ge=1)
    """Optimiser steps in each pass."""
    micro_batch_tokens: int = Field(2048, ge=1)
    """Tokens of a forward pass of a process, padding included; changes nothing but memory and speed."""
    activation_checkpointing: bool = False
    """Compute each layer again in the backward pass instead of keeping what it has computed: much less memory, a third
    more computation, the same gradients."""
    lr: float = Field(gt=0)
    critic_lr: float = Field(3e-3, gt=0)
    """Learning rate of the value head; ``schedule`` moves it in proportion to ``lr``."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Over the updates; cosine goes down to ``lr_end``."""
    lr_end: float = Field(0.0, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = Field(0.0, ge=0)
    grad_clip: float = Field(1.0, gt=0)
    """Largest gradient norm, of a detached critic by itself; the authors' is .01."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of forward and backward; weights and optimiser stay in fp32."""

    stop: Bounds = Bounds()
    """When the policy counts as collapsed."""
    probe: Probe | None = None
    """Evaluation inside the run."""
    trackers: tuple[Tracker, ...] = ()
    """Where else than in ``metrics.jsonl`` the metrics go: ``tensorboard``, ``wandb``, ``trackio``."""
    save_every: int = Field(5, ge=1)
    """Updates between saved states, from which an interrupted run goes on."""
    checkpoints: tuple[int, ...] = ()
    """Updates at which a checkpoint is kept; so are the newest, and the newest whose policy went on to play well."""

    @field_validator("cell")
    @classmethod
    def _in_text(cls, cell: str) -> str:
        if game(cell).pictured:
            raise ValueError("pictures are not trained on yet; take the cell in text")
        return cell

    @field_validator("group")
    @classmethod
    def _whole_groups(cls, value: int, info: ValidationInfo) -> int:
        if info.data.get("episodes", value) % value:
            raise ValueError(f"{info.data['episodes']} episodes cannot be cut into groups of {value}")
        return value

    @field_validator("credit")
    @classmethod
    def _compared(cls, value: Credit, info: ValidationInfo) -> Credit:
        if value.kind in IN_GROUPS and info.data.get("group") == 1:
            raise ValueError(f"credit {value.kind} compares episodes of one task; set group to 2 or more")
        return value

    @field_validator("critic", "critic_warmup")
    @classmethod
    def _has_critic(cls, value: str | int, info: ValidationInfo) -> str | int:
        kind = info.data["credit"].kind if "credit" in info.data else None
        if kind in WITH_CRITIC and value == "none":
            raise ValueError(f"credit {kind} needs a critic; take shared or detached")
        if info.field_name == "critic_warmup" and value and kind not in WITH_CRITIC:
            raise ValueError(f"credit {kind} has no critic to warm up; leave this out")
        return value

    @property
    def has_critic(self) -> bool:
        return self.credit.kind in WITH_CRITIC

    def rate(self, update: int) -> float:
        """The policy's learning rate in an update, counted from 0."""
        if self.schedule == "constant":
            return self.lr
        share = 0.5 * (1 + np.cos(np.pi * update / self.updates))
        return float(self.lr_end + (self.lr - self.lr_end) * share)


def rl(config: RLConfig, run: Run, *, resume: bool, device: str = "cpu") -> Collapse | None:
    """Train a checkpoint by reinforcement.

    Returns:
        Why it was stopped, if the policy collapsed.
    """
    loaded = load(resolve_checkpoint(config.model), device=device)
    # Text reaches no vision tower.
    logged = {"trackers": config.trackers, "folder": trackers.folder(run)}
    accelerator = distributed.accelerator(loaded.model.device, config.precision, unused=loaded.is_vlm, **logged)
    model = prepare_parameters(loaded.model, config.lora, config.freeze, seed=config.seed)
    loaded = replace(loaded, model=model)
    policy = Policy(loaded.model, config.critic if config.has_critic else "none", seed=config.seed)
    # Dropout would make the ratio of an untouched policy differ from 1.
    policy.eval()
    optimizer = _optimizer(policy, config)
    meter = Meter.of(loaded.model)
    initial = InitialPolicy(policy) if config.kl else None
    if config.activation_checkpointing:
        recompute_layers(policy)
    state = TrainState(run, policy, optimizer, meter)
    trained, optimizer = accelerator.prepare(policy, optimizer)
    first = state.load() if resume else 0
    learner = Learner(config, loaded, policy, trained, optimizer, accelerator, meter, initial)
    main = accelerator.is_main_process
    probe = config.probe.of(loaded, config.cell, run) if config.probe else None

    def probed(done: int) -> dict[str, Any]:
        return distributed.whole(trained, lambda: probe(done, loaded.model) if main else {}) if probe else {}

    progress = Progress("updates", config.updates, first, enabled=main)
    with closing(progress), tracked(accelerator, run, first) as log:
        if probe and first == 0:
            log({"step": 0, "flops": 0.0, **probed(0)})
            progress.start()
        for update in range(first, config.updates):
            # Asked before an update and of what is on disk, so that a run that goes on stops where it would have.
            why = distributed.on_main(lambda: collapse(run.metrics(), config.stop))
            if why:
                _keep(config, run, state, loaded, update, last=True)
                good = _last_good(config, run)
                ended = Collapse(f"collapsed: {why}", None if good is None else f"run:{run.id}@{good}")
                progress.say(f"{ended.reason}; {ended.way_back(config.model)}")
                return ended
            metrics, episodes = learner.update(update)
            done = update + 1
            metrics |= probed(done)
            if main:
                run.put_episodes(f"train-{done}", episodes)
                log({"step": done, **metrics})
                progress.update(done)
                progress.say(_line(done, metrics))
            _keep(config, run, state, loaded, done, last=done == config.updates)
    return None


def _keep(config: RLConfig, run: Run, state: TrainState, loaded: ModelBundle, done: int, *, last: bool) -> None:
    """What is kept after an update: the state to go on from, and checkpoints.

    Of checkpoints nobody asked for: the newest, and until its policy has played well, the newest whose did.
    """
    due = last or done % config.save_every == 0
    if due or done in config.checkpoints:
        state.checkpoint(done, loaded.model, loaded.tokenizer)
        kept = {*config.checkpoints, done, _last_good(config, run)}
        for step, path in run.checkpoints().items():
            if step not in kept and distributed.is_main():
                shutil.rmtree(path)
    if due:
        state.save(done)


def _last_good(config: RLConfig, run: Run) -> int | None:
    """The newest checkpoint whose policy went on to play well."""
    return max(proven(run.metrics(), config.stop) & set(run.checkpoints()), default=None)


def _optimizer(policy: Policy, config: RLConfig) -> torch.optim.AdamW:
    """AdamW on what is trained, with the value head in a group of its own."""
    head = [] if policy.value_head is None else list(policy.value_head.parameters())
    actor = [p for p in policy.model.parameters() if p.requires_grad]
    groups = [{"params": actor, "lr": config.lr, "critic": False}]
    if head:
        groups.append({"params": head, "lr": config.critic_lr, "critic": True})
    return torch.optim.AdamW(groups, betas=config.betas, weight_decay=config.weight_decay)


def _line(update: int, metrics: dict[str, Any]) -> str:
    """An update in words."""
    said = [
        f"update {update}",
        f"success {metrics['rollout/success']:.1%}",
        f"return {metrics['rollout/return']:+.2f}",
        f"entropy {metrics['policy/entropy']:.3f}",
    ]
    if "objective/kl" in metrics:
        said.append(f"KL {metrics['objective/kl']:.4f}")
    said += [_probed(name[5:], metrics) for name in metrics if _headline(name)]
    said.append(f"{metrics['seconds']:.1f} s")
    return " · ".join(said)


def _headline(name: str) -> bool:
    """Whether this is a probe's main number: ``eval/SUITE/METRIC``."""
    return name.startswith("eval/") and name.count("/") == 2 and not name.endswith(("/ci95", "/n"))


def _probed(name: str, metrics: dict[str, Any]) -> str:
    """A probe's main number, and how it has changed since the first probe on the same deals."""
    said = f"{name} {metrics[f'eval/{name}']:.1%}"
    if f"eval/{name}/change" in metrics:
        low, high = metrics[f"eval/{name}/change_ci95"]
        said += f" ({100 * metrics[f'eval/{name}/change']:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}])"
    return said
