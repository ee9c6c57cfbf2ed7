"""One policy-gradient update: play, score, assign credit, learn (paper, section 3 and appendix A).

Shape suffixes: N sampled tokens of a micro-batch in order, K its turns.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate.utils import gather_object

from labkit.models.batches import micro_batches
from labkit.models.vision import picture_inputs
from labkit.play import play_many
from labkit.rollout import Rollout, Row, collate, gather
from labkit.training.common.distributed import gathered_params, gradients
from labkit.training.rl import objectives
from labkit.training.rl.credit import KINDS, assign
from labkit.training.rl.metrics import Sums, critic_metrics, rollout_metrics

if TYPE_CHECKING:
    from labkit.models.policy import Scores
    from labkit.players.base import Player
    from labkit.training.common.setup import Prepared
    from labkit.training.rl.config import RLConfig


class Learner:
    """Trains a policy; :meth:`update` is one update.

    Args:
        ready: the policy, a :class:`labkit.models.policy.Policy`, with its optimizer.
        player: plays the episodes: the policy itself, or a server that samples from its weights. Its answers must
            carry the sampled ids and log-probabilities (:class:`labkit.players.base.Tokens`).
    """

    def __init__(self, config: RLConfig, ready: Prepared, player: Player) -> None:
        self.config, self.player = config, player
        self.policy, self.trained, self.initial = ready.module, ready.trained, ready.initial
        self.optimizer, self.accelerator, self.meter = ready.optimizer, ready.accelerator, ready.meter
        self.kind = KINDS[config.credit.kind]

    def update(self, update: int) -> tuple[dict[str, Any], Rollout]:
        """Play, score, assign credit and learn, once.

        Args:
            update: counted from 0; keys the deals and the sampling noise.

        Returns:
            Metrics (see ``docs/metrics.md``), and the played episodes, with the arrays of their tokens.
        """
        began = time.perf_counter()
        rollout = self.play(update)
        played = time.perf_counter()
        self.score(rollout)
        assign(rollout, self.config.credit, self.config.group)
        scored = time.perf_counter()
        metrics = self.learn(rollout, update)
        ended = time.perf_counter()
        metrics |= rollout_metrics(rollout)
        if self.config.has_critic:
            metrics |= critic_metrics(rollout)
        metrics |= {
            "seconds": ended - began,
            "seconds/play": played - began,
            "seconds/score": scored - played,
            "seconds/learn": ended - scored,
            "rollout/tokens_per_second": rollout.sampled_tokens / (played - began),
            "flops": self.meter.flops,
            "flops/training": self.meter.training_flops,
            "flops/inference": self.meter.inference_flops,
            "flops/attention": self.meter.attention_flops,
            "trained_tokens": self.meter.trained_tokens,
            "sampled_tokens": self.meter.sampled_tokens,
        }
        return metrics, rollout

    def play(self, update: int) -> Rollout:
        """Play the episodes of an update; each process plays its share, and all get all of them."""
        rank, processes = self.accelerator.process_index, self.accelerator.num_processes
        tasks = islice(self.config.tasks(update), rank, None, processes)
        places = range(rank, self.config.episodes, processes)
        key = (self.config.seed, update)
        played = gathered_params(
            self.trained,
            lambda: list(play_many(tasks, self.player, batch=self.config.batch, key=key, places=places)),
        )
        rollout = gather(gather_object(played))
        self.meter.read(len(row.ids) for row in rollout.rows)
        return rollout

    @torch.no_grad()
    def score(self, rollout: Rollout) -> None:
        """Compute log-probabilities and values before the update, and log-probabilities under the initial policy.

        If the update is a single optimizer step, the old log-probabilities are those of the step's own forward
        passes; without a critic no scoring pass is needed then. This is exact for any player, since the sampler's own
        log-probabilities are not used.
        """
        one_step = self.config.epochs == self.config.minibatches == 1
        own = self.config.has_critic or not one_step
        if not own and not self.initial:
            return
        scored: list[tuple[int, dict[str, np.ndarray]]] = []
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
                scored += zip((int(row.turn[0]) for row in rows), _split(rows, arrays), strict=True)
        passes = own + (self.initial is not None)
        self.meter.read((len(row.ids) for row in rollout.rows), times=passes)
        by_turn = dict(gather_object(scored))
        for row in rollout.rows:
            row.arrays |= by_turn[int(row.turn[0])]

    def learn(self, rollout: Rollout, update: int) -> dict[str, float]:
        """Train on the rollout for ``epochs`` epochs, fewer if ``target_kl`` is exceeded.

        Early stopping as in Spinning Up and CleanRL (``target_kl``): an epoch is judged by the mean KL of its own
        forward passes, and the epochs after it are skipped.
        """
        config, sums, norms = self.config, Sums(), []
        share = config.rate(update) / config.lr
        for group in self.optimizer.param_groups:
            group["lr"] = share * group["peak"]
        for epoch in range(config.epochs):
            of_epoch = Sums()
            order = np.random.default_rng((config.seed, update, epoch)).permutation(len(rollout.rows))
            for part in np.array_split(order, config.minibatches):
                rows = [rollout.rows[i] for i in part]
                if rows:
                    norms.append(self._step(rows, of_epoch, warm=update < config.critic_warmup))
            sums.merge(of_epoch)
            if config.target_kl and of_epoch.means(self.accelerator)["policy/approxkl_avg"] > config.target_kl:
                break
        metrics = sums.means(self.accelerator)
        return metrics | {"grad_norm": float(np.mean(norms)), "lr": config.rate(update), "epochs": epoch + 1}

    def _step(self, rows: Sequence[Row], sums: Sums, *, warm: bool) -> float:
        """One optimizer step on a minibatch; returns the norm of the gradient.

        Args:
            warm: train the value head only.
        """
        processes = self.accelerator.num_processes
        totals: dict[str, float] = {
            name: float(sum(row.arrays[name].sum() for row in rows))
            for name in ("weight", "value_weight")
            if name in rows[0].arrays
        }
        totals["turns"] = sum(len(np.unique(row.turn)) for row in rows)
        batches = list(self._micro_batches(rows))
        for number, (mine, counts) in enumerate(batches, 1):
            with gradients(self.accelerator, self.trained, last=number == len(batches)):
                with self.accelerator.autocast():
                    scores = self._scores(self.trained, mine)
                loss = self._loss(mine, scores, totals, sums if counts else Sums())
                # The loss is a mean over the units of all processes, whose gradients are averaged.
                self.accelerator.backward(loss * (processes if counts else 0))
        if warm:
            # No gradient rather than a zero one: weight decay and Adam's moments stay out too.
            for parameter in self.policy.model.parameters():
                parameter.grad = None
        norm = self._clip()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.meter.train(len(row.ids) for row in rows)
        return norm

    def _clip(self) -> float:
        """Clip the gradient; returns its norm before clipping (of the policy's, with a detached critic)."""
        every = [(p, group["critic"]) for group in self.optimizer.param_groups for p in group["params"]]
        groups = [[p for p, critic in every if not critic], [p for p, critic in every if critic]]
        if self.config.critic == "shared":
            groups = [groups[0] + groups[1]]
        # A detached critic is clipped separately: large value errors must not shorten the policy's step.
        norms = [self.accelerator.clip_grad_norm_(group, self.config.grad_clip) for group in groups if group]
        return float(norms[0])

    def _loss(self, rows: Sequence[Row], scores: Scores, totals: dict[str, float], sums: Sums) -> torch.Tensor:
        """This micro-batch's part of the minibatch's loss.

        Args:
            totals: sums over the minibatch, by which means are taken: of ``weight`` and ``value_weight`` over tokens,
                and the number of turns.
        """
        config, device = self.config, scores.logp_N.device

        def arrays(name: str) -> torch.Tensor:
            return torch.from_numpy(np.concatenate([row.arrays[name] for row in rows])).to(device)

        logp_N = scores.logp_N
        old_logp_N = arrays("logp") if "logp" in rows[0].arrays else logp_N.detach()
        sampled_N = torch.from_numpy(np.concatenate([row.logp for row in rows])).to(device)
        sums.add(**{"rollout/logp_mismatch": (old_logp_N - sampled_N).abs()})
        advantage_N, share_N = arrays("advantage"), arrays("weight") / totals["weight"]
        if self.kind.unit == "turn":
            # Turns are numbered within the micro-batch.
            first_K, turn_N = (torch.from_numpy(x).to(device) for x in _turns(rows))
            decisive_N = torch.from_numpy(np.concatenate([row.decisive for row in rows])).to(device)
            weight_N = torch.where(decisive_N, 1.0, config.non_decisive_weight)

            def over_turns(values_N: torch.Tensor) -> torch.Tensor:
                return values_N.new_zeros(len(first_K)).index_add(0, turn_N, weight_N * values_N)

            logp, old_logp, advantage = over_turns(logp_N), over_turns(old_logp_N), advantage_N[first_K]
            share = torch.full_like(logp, 1 / totals["turns"])
        else:
            logp, old_logp, advantage, share = logp_N, old_logp_N, advantage_N, share_N
        policy_loss, clipped, ratio = objectives.clipped(logp, old_logp, advantage, config.clip)
        sums.add(**{"loss/policy_avg": policy_loss, "policy/clipfrac_avg": clipped.float(), "val/ratio": ratio})
        sums.add(**{"policy/entropy_avg": scores.entropy_N})
        sums.add(**{"policy/approxkl_avg": objectives.kl_k3(old_logp_N, logp_N.detach())})
        loss = (share * policy_loss).sum() - config.entropy * (share_N * scores.entropy_N).sum()
        if self.initial:
            kl_N = objectives.kl_k3(logp_N, arrays("ref_logp"))
            loss = loss + config.kl * (share_N * kl_N).sum()
            sums.add(**{"objective/kl": kl_N})
        if scores.value_N is not None:
            fitted_N = arrays("value_weight") > 0
            share = arrays("value_weight")[fitted_N] / totals["value_weight"]
            value, old, returned = scores.value_N[fitted_N], arrays("value")[fitted_N], arrays("return")[fitted_N]
            value_loss = objectives.value_loss(value, old, returned, config.value_clip)
            sums.add(**{"loss/value_avg": value_loss})
            loss = loss + config.value_coefficient * (share * value_loss).sum()
        return loss

    def _micro_batches(self, rows: Sequence[Row]) -> Iterator[tuple[Sequence[Row], bool]]:
        rank, processes = self.accelerator.process_index, self.accelerator.num_processes
        return micro_batches(rows, self.config.micro_batch_tokens, rank, processes)

    def _scores(self, policy: torch.nn.Module, rows: Sequence[Row]) -> Scores:
        batch = collate(rows)
        batch |= picture_inputs(self.policy.model, batch["input_ids"], [row.pictures for row in rows])
        batch = {name: tensor.to(self.accelerator.device) for name, tensor in batch.items()}
        return policy(**batch, temperature=self.config.temperature)


def _turns(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    """The first token of each turn ``[K]`` and the turn of each token ``[N]``, counted within the rows."""
    _, first_K, turn_N = np.unique(np.concatenate([row.turn for row in rows]), return_index=True, return_inverse=True)
    return first_K, turn_N


def _split(rows: Sequence[Row], arrays: dict[str, torch.Tensor]) -> list[dict[str, np.ndarray]]:
    """Arrays over all sampled tokens, split by row."""
    ends = np.cumsum([len(row.turn) for row in rows])[:-1]
    split = {name: np.split(array.float().cpu().numpy(), ends) for name, array in arrays.items()}
    return [dict(zip(split, parts, strict=True)) for parts in zip(*split.values(), strict=True)]
