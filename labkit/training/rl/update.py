"""One update of a policy gradient: play, score, credit, learn (paper, section 3 and appendix A).

Shape suffixes: N sampled tokens of a forward pass in order, K turns of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate.utils import gather_object

from labkit.envs import game
from labkit.models.batches import micro_batches
from labkit.play import play_many
from labkit.players.checkpoint import Checkpoint
from labkit.rollout import Rollout, Row, collate, gather
from labkit.training.common.distributed import gradients, whole
from labkit.training.rl import objectives
from labkit.training.rl.credit import assign

if TYPE_CHECKING:
    from accelerate import Accelerator

    from labkit.compute import Meter
    from labkit.episode import Episode, Task
    from labkit.models.loader import ModelBundle
    from labkit.models.policy import Policy, Scores
    from labkit.training.common.parameters import InitialPolicy
    from labkit.training.rl.loop import RLConfig


@dataclass(slots=True)
class _Sums:
    """Numbers added up over the forward passes of an update, each with what it is a mean of."""

    total: dict[str, float] = field(default_factory=dict)
    count: dict[str, float] = field(default_factory=dict)

    def add(self, **means: torch.Tensor) -> None:
        for name, units in means.items():
            self.total[name] = self.total.get(name, 0.0) + float(units.detach().double().sum())
            self.count[name] = self.count.get(name, 0.0) + units.numel()


class Learner:
    """Moves a policy; :meth:`update` is one update.

    Args:
        policy: with the model of ``loaded``, which it plays with.
        trained: the same as accelerate has prepared it; what is differentiated.
        initial: the policy that training began with, where a KL to it is asked for.
    """

    def __init__(
        self,
        config: RLConfig,
        loaded: ModelBundle,
        policy: Policy,
        trained: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        accelerator: Accelerator,
        meter: Meter,
        initial: InitialPolicy | None = None,
    ) -> None:
        self.config, self.loaded, self.policy, self.trained = config, loaded, policy, trained
        self.optimizer, self.accelerator, self.meter = optimizer, accelerator, meter
        self.initial = initial
        self.player = Checkpoint(
            loaded,
            name=config.name,
            temperature=config.temperature,
            max_new_tokens=config.max_new_tokens,
            batch=config.batch,
            sampler=config.sampler,
        )

    def update(self, update: int) -> tuple[dict[str, Any], tuple[Episode, ...]]:
        """Play and learn once.

        Args:
            update: counted from 0; it keys the deals and the noise.

        Returns:
            Metrics (see ``docs/metrics.md``) and the episodes that were played.
        """
        began = time.perf_counter()
        rollout = self.play(update)
        played = time.perf_counter()
        self.score(rollout)
        assign(rollout, self.config.credit, self.config.group)
        scored = time.perf_counter()
        metrics = self.learn(rollout, update)
        ended = time.perf_counter()
        metrics |= _of_play(rollout)
        if self.config.has_critic:
            metrics |= _of_critic(rollout)
        metrics |= {
            "seconds": ended - began,
            "seconds/play": played - began,
            "seconds/score": scored - played,
            "seconds/learn": ended - scored,
            "rollout/tokens_per_second": rollout.sampled_tokens / (played - began),
            "flops": self.meter.flops,
            "flops/training": self.meter.training_flops,
            "flops/inference": self.meter.inference_flops,
            "trained_tokens": self.meter.trained_tokens,
            "sampled_tokens": self.meter.sampled_tokens,
        }
        return metrics, rollout.episodes

    def play(self, update: int) -> Rollout:
        """Play the episodes of an update; every process plays its share and gets all of them."""
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        mine = islice(self._tasks(update), rank, None, world)
        places = range(rank, self.config.episodes, world)
        key = (self.config.seed, update)
        # A run that goes on from a saved update remembers nothing either.
        self.player.forget()
        found = whole(
            self.trained,
            lambda: list(play_many(mine, self.player, batch=self.config.batch, key=key, places=places)),
        )
        rollout = gather(gather_object(found))
        self.meter.sampled_tokens += sum(len(row.ids) for row in rollout.rows)
        return rollout

    def _tasks(self, update: int) -> Iterator[Task]:
        config = self.config
        count = config.episodes // config.group
        settings = {"attempts": config.attempts} if config.attempts else {}
        deals = game(config.cell).tasks(
            config.suite,
            config.split,
            seed=config.seed,
            first=update * count,
            reward=config.reward or None,
            **settings,
        )
        for task in islice(deals, count):
            yield from [task] * config.group

    @torch.no_grad()
    def score(self, rollout: Rollout) -> None:
        """Log-probabilities and values before the update, and log-probabilities under the initial policy.

        Only what is needed: where an update is one optimiser step, the log-probabilities before it are those of the
        step's own forward passes, so without a critic there is no pass for them. That is exact for any sampler.
        """
        one_step = self.config.epochs == self.config.minibatches == 1
        own = self.config.has_critic or not one_step
        if not own and not self.initial:
            return
        found = []
        for rows, counts in self._micro_batches(rollout.rows):
            arrays = {}
            if own:
                with self.accelerator.autocast():
                    scores = self._scores(self.policy, rows)
                arrays["logp"] = scores.logp_N
                if scores.value_N is not None:
                    arrays["value"] = scores.value_N
            if self.initial:
                with self.initial.active() as reference, self.accelerator.autocast():
                    arrays["ref_logp"] = self._scores(reference, rows).logp_N
            if counts:
                found += zip((int(row.turn[0]) for row in rows), _cut(rows, arrays), strict=True)
        passes = own + (self.initial is not None)
        self.meter.sampled_tokens += passes * sum(len(row.ids) for row in rollout.rows)
        by_turn = dict(gather_object(found))
        for row in rollout.rows:
            row.arrays |= by_turn[int(row.turn[0])]

    def learn(self, rollout: Rollout, update: int) -> dict[str, float]:
        """Move the policy over the rollout, ``epochs`` times."""
        config, sums = self.config, _Sums()
        share = config.rate(update) / config.lr
        for group in self.optimizer.param_groups:
            group["lr"] = share * (config.critic_lr if group["critic"] else config.lr)
        norms = []
        for epoch in range(config.epochs):
            order = np.random.default_rng((config.seed, update, epoch)).permutation(len(rollout.rows))
            for part in np.array_split(order, config.minibatches):
                rows = [rollout.rows[i] for i in part]
                if rows:
                    norms.append(self._step(rows, sums, warm=update < config.critic_warmup))
        metrics = self._reduced(sums)
        return metrics | {"optimizer/grad_norm": float(np.mean(norms)), "optimizer/lr": config.rate(update)}

    def _step(self, rows: Sequence[Row], sums: _Sums, *, warm: bool) -> float:
        """One optimiser step; returns the norm of the gradient."""
        world = self.accelerator.num_processes
        weight = float(sum(row.arrays["weight"].sum() for row in rows))
        turns = sum(len(np.unique(row.turn)) for row in rows)
        batches = list(self._micro_batches(rows))
        for number, (mine, counts) in enumerate(batches, 1):
            with gradients(self.accelerator, self.trained, last=number == len(batches)):
                with self.accelerator.autocast():
                    scores = self._scores(self.trained, mine)
                loss = self._loss(mine, scores, weight, turns, sums if counts else _Sums())
                # Processes average their gradients; the loss is a mean over what all of them have.
                self.accelerator.backward(loss * (world if counts else 0))
        if warm:
            # No gradient at all, rather than one of 0: neither weight decay nor Adam's moments begin either.
            for parameter in self.policy.model.parameters():
                parameter.grad = None
        norm = self._clip()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.meter.trained_tokens += sum(len(row.ids) for row in rows)
        return norm

    def _clip(self) -> float:
        """Clip the gradient; returns the norm that it had (a detached critic left out)."""
        groups = [group["params"] for group in self.optimizer.param_groups]
        if self.config.critic == "shared":
            groups = [[parameter for group in groups for parameter in group]]
        # A detached critic is clipped by itself: how far its values are off must not shorten the policy's step.
        norms = [self.accelerator.clip_grad_norm_(group, self.config.grad_clip) for group in groups]
        return float(norms[0])

    def _loss(self, rows: Sequence[Row], scores: Scores, total: float, turns: int, sums: _Sums) -> torch.Tensor:
        """This forward pass's part of the loss: a mean over the step's tokens, whose weights add up to ``total``, or
        over its ``turns``."""
        config, device = self.config, scores.logp_N.device

        def arrays(name: str) -> torch.Tensor:
            return torch.from_numpy(np.concatenate([row.arrays[name] for row in rows])).to(device)

        old_logp_N = arrays("logp") if "logp" in rows[0].arrays else scores.logp_N.detach()
        sampled_N = torch.from_numpy(np.concatenate([row.logp for row in rows])).to(device)
        sums.add(**{"rollout/logp_mismatch": (old_logp_N - sampled_N).abs()})
        # Turns are counted anew within the forward pass; each is named by its first token.
        first_K, turn_N = (torch.from_numpy(x).to(device) for x in _turns(rows))
        logp_N, advantage_N, share_N = scores.logp_N, arrays("advantage"), arrays("weight") / total
        if config.credit.kind == "ppo-turn":
            decisive_N = torch.from_numpy(np.concatenate([row.decisive for row in rows])).to(device)
            weight_N = torch.where(decisive_N, 1.0, config.thought_weight)

            def of_turns(values_N: torch.Tensor) -> torch.Tensor:
                return values_N.new_zeros(len(first_K)).index_add(0, turn_N, weight_N * values_N)

            logp, old_logp, advantage = of_turns(logp_N), of_turns(old_logp_N), advantage_N[first_K]
            share = torch.full_like(logp, 1 / turns)
        else:
            logp, old_logp, advantage, share = logp_N, old_logp_N, advantage_N, share_N
        policy_loss, clipped, ratio = objectives.clipped(logp, old_logp, advantage, config.clip)
        sums.add(**{"loss/policy": policy_loss, "policy/clip_fraction": clipped.float(), "policy/ratio": ratio})
        sums.add(**{"policy/entropy": scores.entropy_N})
        sums.add(**{"policy/approx_kl": objectives.kl_k3(logp_N, old_logp_N)})
        loss = (share * policy_loss).sum() - config.entropy * (share_N * scores.entropy_N).sum()
        if self.initial:
            kl_N = objectives.kl_k3(logp_N, arrays("ref_logp"))
            loss = loss + config.kl * (share_N * kl_N).sum()
            sums.add(**{"objective/kl": kl_N})
        if scores.value_N is not None:
            # A value for each token, or for each turn: that of its first token, in front of which stands the prompt.
            every = config.credit.kind == "ppo-bilevel"
            at = slice(None) if every else first_K
            share = share_N if every else torch.full_like(scores.value_N[at], 1 / turns)
            value, old, returned = scores.value_N[at], arrays("value")[at], arrays("return")[at]
            value_loss = objectives.value_loss(value, old, returned, config.value_clip)
            sums.add(**{"loss/value": value_loss})
            loss = loss + config.value_coefficient * (share * value_loss).sum()
        return loss

    def _micro_batches(self, rows: Sequence[Row]) -> Iterator[tuple[Sequence[Row], bool]]:
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        return micro_batches(rows, self.config.micro_batch_tokens, rank, world)

    def _scores(self, policy: torch.nn.Module, rows: Sequence[Row]) -> Scores:
        batch = collate(rows, self.loaded.pad_id)
        batch = {name: tensor.to(self.accelerator.device) for name, tensor in batch.items()}
        return policy(**batch, temperature=self.config.temperature)

    def _reduced(self, sums: _Sums) -> dict[str, float]:
        """The means over all processes."""
        names = sorted({name for found in gather_object([list(sums.total)]) for name in found})
        pairs = torch.tensor([[sums.total.get(n, 0.0), sums.count.get(n, 0.0)] for n in names], dtype=torch.float64)
        pairs = self.accelerator.reduce(pairs.to(self.accelerator.device), "sum").cpu()
        return {name: float(total / count) for name, (total, count) in zip(names, pairs, strict=True)}


def _turns(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    """The first token of each turn ``[K]`` and the turn of each token ``[N]``, counted within the rows."""
    _, first_K, turn_N = np.unique(np.concatenate([row.turn for row in rows]), return_index=True, return_inverse=True)
    return first_K, turn_N


def _cut(rows: Sequence[Row], arrays: dict[str, torch.Tensor]) -> list[dict[str, np.ndarray]]:
    """Arrays over all sampled tokens, cut into those of each row."""
    ends = np.cumsum([len(row.turn) for row in rows])[:-1]
    cut = {name: np.split(array.float().cpu().numpy(), ends) for name, array in arrays.items()}
    return [dict(zip(cut, parts, strict=True)) for parts in zip(*cut.values(), strict=True)]


def _of_play(rollout: Rollout) -> dict[str, float]:
    """What the episodes of an update were like."""
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
        "rollout/truncated": float(np.mean([a.sample.truncated for a in attempts])),
        "rollout/episodes": len(rollout.episodes),
    }


def _of_critic(rollout: Rollout) -> dict[str, float]:
    """How well values before the update foresaw the returns of the turns."""
    mask_EK = rollout.mask_EK
    value_K, return_K = (torch.from_numpy(rollout.over_turns(name)[mask_EK]) for name in ("value", "return"))
    explained = objectives.explained_variance(value_K, return_K)
    return {"critic/value": float(value_K.mean()), "critic/explained_variance": float(explained)}
