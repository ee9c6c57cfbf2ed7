"""Stage ``rl``: policy gradients on sequential revision (paper, section 3 and appendix A).

Each update plays episodes with the current policy, turns rewards into advantages (:mod:`credit`), and moves the
policy by the clipped surrogate, a value loss and, if configured, a KL to the initial policy and an entropy bonus. One
loop runs PPO with its kinds of credit, GRPO, RLOO and REINFORCE. ``ppo_in_one_file.py`` is the same update without
options.

Departures from the authors' code, and why:

* Episodes are played to their end, and no return bootstraps past it; theirs cuts a process's play after 256 turns and
  bootstraps across the border of episodes.
* Log-probabilities are fp32; theirs are summed and then rounded to bf16.
* The decisive field is found by character offsets, for any tokenizer; theirs by the ids of one tokenizer.
* Scores are of the distribution that was sampled: the whole softmax at the sampling temperature; theirs samples with
  top-p, which its scores ignore.
* All episodes are played side by side; theirs plays one.

Settings under which this is the authors' PPO are in ``configs/experiments/gp-l/authors-rl.yaml``.

An interrupted run resumes from its last saved update and plays the interrupted one again: sampling noise is keyed by
(seed, update, episode, position, attempt), so on a CPU it ends in the same weights, bit for bit.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import torch

from labkit.models.policy import Policy
from labkit.players.checkpoint import Checkpoint
from labkit.runs.tokens import TokenWriter
from labkit.training.common import distributed
from labkit.training.common.parameters import learning_rates
from labkit.training.common.setup import Prepared, Session, drawing, prepare, session, start_from
from labkit.training.rl.collapse import Collapse, collapse, healthy_steps
from labkit.training.rl.config import RLConfig
from labkit.training.rl.update import Learner

if TYPE_CHECKING:
    from labkit.models.bundle import ModelBundle
    from labkit.rollout import Rollout
    from labkit.runs import Run


def rl(config: RLConfig, run: Run, *, resume: bool, device: str = "cpu") -> Collapse | None:
    """Train a checkpoint with reinforcement learning.

    Returns:
        Why the run was stopped, if the policy collapsed.
    """
    next(config.tasks(0))  # A wrong suite or reward is reported before the model is loaded.
    bundle = start_from(config, device)
    config = config.model_copy(update={"picture": drawing(config, bundle)})
    ready = make_policy(config, bundle, run)
    player = make_player(config, bundle)
    learner = Learner(config, ready, player)
    probe = config.probe.of(bundle, config.cell, run) if config.probe else None
    with session(
        run, ready, bundle.processing_class, unit="updates", total=config.updates, resume=resume, probe=probe
    ) as opened:
        for update in range(opened.first, config.updates):
            # Decided before the update and from the stored metrics, so that a resumed run stops at the same update.
            reason = distributed.on_main(lambda: collapse(run.metrics(), config.stop))
            if reason:
                _keep(config, run, opened, update, last=True)
                good = _last_good(config, run)
                ended = Collapse(f"collapsed: {reason}", None if good is None else f"run:{run.id}@{good}")
                opened.progress.say(f"{ended.reason}; {ended.recovery_hint(config.model)}")
                return ended
            # A resumed run starts with an empty cache too: the cache shapes the passes, and so the last bits.
            player.clear_cache()
            metrics, rollout = learner.update(update)
            done = update + 1
            metrics |= opened.probe(done)
            if opened.is_main:
                run.put_episodes(f"train-{done}", rollout.episodes)
                if config.tokens:
                    _store_tokens(run, f"train-{done}", rollout)
            opened.log(done, metrics)
            opened.progress.update(done)
            opened.progress.say(_line(done, metrics))
            _keep(config, run, opened, done, last=done == config.updates)
    return None


def make_policy(config: RLConfig, bundle: ModelBundle, run: Run | None = None) -> Prepared:
    """The policy of a model, with its critic and its optimizer, ready to be trained.

    Args:
        run: where trackers write.
    """
    policy = Policy(bundle.model, config.critic if config.has_critic else "none", seed=config.seed)
    # Dropout would make the ratio of an unchanged policy differ from 1.
    policy.eval()
    return prepare(config, bundle.model, policy, make_optimizer(policy, config), reference=config.kl > 0, run=run)


def make_player(config: RLConfig, bundle: ModelBundle) -> Checkpoint:
    """What plays the episodes: the model itself, sampled as the config says."""
    return Checkpoint(
        bundle,
        name=config.name,
        temperature=config.temperature,
        max_new_tokens=config.max_new_tokens,
        batch=config.batch,
        sampler=config.sampler,
    )


def make_optimizer(policy: Policy, config: RLConfig) -> torch.optim.AdamW:
    """AdamW over the trained parameters, in groups of one peak learning rate; the value head is a group of its own."""
    groups = [{**group, "critic": False} for group in learning_rates(policy.model, config.lr, config.part_lr)]
    if policy.value_head is not None:
        head = list(policy.value_head.parameters())
        groups.append({"params": head, "lr": config.critic_lr, "peak": config.critic_lr, "critic": True})
    return torch.optim.AdamW(groups, betas=config.betas, weight_decay=config.weight_decay)


def _store_tokens(run: Run, name: str, rollout: Rollout) -> None:
    """Write the token arrays of an update; one that is done again replaces what it left."""
    with TokenWriter(run, name, anew=True) as writer:
        for episode, arrays in rollout.arrays_by_attempt():
            writer.add(episode, arrays)


def _keep(config: RLConfig, run: Run, opened: Session, done: int, *, last: bool) -> None:
    """Write the checkpoint and the state of an update, and delete checkpoints that are no longer needed.

    Besides those of ``checkpoints``, the newest is kept and, until its policy has played a healthy update, the newest
    whose policy has.
    """
    due = last or done % config.save_every == 0
    if due or done in config.checkpoints:
        opened.checkpoint(done)
        kept = {*config.checkpoints, done, _last_good(config, run)}
        for step, path in run.checkpoints().items():
            if step not in kept and opened.is_main:
                shutil.rmtree(path)
    if due:
        opened.save(done)


def _last_good(config: RLConfig, run: Run) -> int | None:
    """The newest checkpoint whose policy was healthy in the update after it."""
    return max(healthy_steps(run.metrics(), config.stop) & set(run.checkpoints()), default=None)


def _line(update: int, metrics: dict[str, Any]) -> str:
    """An update in one line."""
    parts = [
        f"update {update}",
        f"success {metrics['rollout/success']:.1%}",
        f"return {metrics['rollout/return']:+.2f}",
        f"entropy {metrics['policy/entropy_avg']:.3f}",
    ]
    if "objective/kl" in metrics:
        parts.append(f"KL {metrics['objective/kl']:.4f}")
    parts += [_probed(name[5:], metrics) for name in metrics if _headline(name)]
    parts.append(f"{metrics['seconds']:.1f} s")
    return " · ".join(parts)


def _headline(name: str) -> bool:
    """Whether this is a probe's headline number: ``eval/SUITE/METRIC``."""
    return name.startswith("eval/") and name.count("/") == 2 and not name.endswith(("/ci95", "/n"))


def _probed(name: str, metrics: dict[str, Any]) -> str:
    """A probe's headline number, and its change since the first probe, on the same deals."""
    text = f"{name} {metrics[f'eval/{name}']:.1%}"
    if f"eval/{name}/change" in metrics:
        low, high = metrics[f"eval/{name}/change_ci95"]
        text += f" ({100 * metrics[f'eval/{name}/change']:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}])"
    return text
