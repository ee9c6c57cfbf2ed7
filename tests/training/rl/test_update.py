"""The learner: its gradient against an independent loss, and its invariances."""

import copy
import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from labkit.players.base import Answer, Tokens
from labkit.training.rl.credit import Credit, assign
from labkit.training.rl.loop import make_player
from tests.training import small_games
from tests.training.small_games import KINDS, config, exact_model, learner, of_kind, plain_sgd, weights

SGD = {"lr": 1.0, "critic_lr": 1.0, "grad_clip": 1e9}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return small_games.saved(tmp_path_factory.mktemp("model"))


def scored(learner, update=0):
    """Play, score and credit, as an update does."""
    rollout = learner.play(update)
    learner.score(rollout)
    assign(rollout, learner.config.credit, learner.config.group)
    return rollout


def shifted(learner, by=0.3):
    """Move the policy away from the one that played, so that ratios are not 1, some beyond the clip, values not 0."""
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in learner.policy.parameters():
            parameter += (
                by * torch.randn(parameter.shape, generator=noise, dtype=torch.double) / math.sqrt(parameter.shape[-1])
            )


# ---- the loss --------------------------------------------------------------------------------------------


def written_out(policy, rollout, config):
    """The whole loss in plain loops, one sampled token after another, from logits and hidden states."""
    c = config.credit
    tokens = []
    for row in rollout.rows:
        with torch.no_grad():
            out = policy.model(input_ids=torch.from_numpy(row.ids)[None], output_hidden_states=True)
            places = row.sampled.nonzero()[0]
            logp_TV = (out.logits[0] / config.temperature).log_softmax(-1)
            values = policy.value_head(out.hidden_states[-1][0]) if policy.value_head is not None else None
        for n, t in enumerate(places):
            arrays = {name: float(array[n]) for name, array in row.arrays.items()}
            now = logp_TV[t - 1]
            tokens.append(
                {
                    **{f"old_{name}": number for name, number in arrays.items()},
                    "logp": float(now[row.ids[t]]),
                    "entropy": -float((now.exp() * now).sum()),
                    "value": float(values[t - 1]) if values is not None else None,
                    "turn": int(row.turn[n]),
                    "decisive": bool(row.decisive[n]),
                }
            )
    turns = [[x for x in tokens if x["turn"] == k] for k in sorted({x["turn"] for x in tokens})]

    def surrogate(log_ratio, advantage):
        ratio = math.exp(log_ratio)
        return -min(ratio * advantage, min(max(ratio, 1 - config.clip), 1 + config.clip) * advantage)

    def error(x):
        near = x["old_value"] + max(-config.value_clip, min(config.value_clip, x["value"] - x["old_value"]))
        return 0.5 * max((x["value"] - x["old_return"]) ** 2, (near - x["old_return"]) ** 2)

    total = sum(x["old_weight"] for x in tokens)

    def mean(of):
        return sum(x["old_weight"] * of(x) for x in tokens) / total

    if c.kind == "ppo-turn":
        policy_loss = 0.0
        for turn in turns:
            part = sum((1 if x["decisive"] else config.non_decisive_weight) * (x["logp"] - x["old_logp"]) for x in turn)
            policy_loss += surrogate(part, turn[0]["old_advantage"]) / len(turns)
    else:
        policy_loss = mean(lambda x: surrogate(x["logp"] - x["old_logp"], x["old_advantage"]))
    kl = mean(lambda x: math.exp(x["old_ref_logp"] - x["logp"]) - 1 - (x["old_ref_logp"] - x["logp"]))
    loss = policy_loss + config.kl * kl - config.entropy * mean(lambda x: x["entropy"])
    if c.kind == "ppo-bilevel":
        loss += config.value_coefficient * mean(error)
    elif config.has_critic:
        loss += config.value_coefficient * sum(error(turn[0]) for turn in turns) / len(turns)
    return loss


@pytest.mark.parametrize("mean_over", ["token", "episode"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_step_is_down_the_slope_of_the_loss_as_written_out(loaded, kind, mean_over):
    settings = config(
        cell="highest",
        episodes=8,
        attempts=3,
        max_new_tokens=3,
        temperature=0.9,
        critic="shared",
        kl=0.1,
        entropy=0.05,
        value_clip=0.1,
        non_decisive_weight=0.5,
        micro_batch_tokens=40,
        **{**of_kind(kind), "credit": Credit(kind=kind, mean_over=mean_over).model_dump()},
        **SGD,
    )
    it = learner(loaded, settings, plain_sgd, exact_model())
    rollout = scored(it)
    # Where nearly every answer is wrong, advantages are nearly all alike; and not the whole of an answer is decisive.
    rng = np.random.default_rng(0)
    of_turn = rng.normal(size=rollout.turns).astype(np.float32)
    for row in rollout.rows:
        # Those before the update; else the loss would take them from its own forward pass, which is shifted below.
        row.arrays.setdefault("logp", row.logp)
        row.decisive[:] = np.arange(len(row.decisive)) % 2 == 0
        row.arrays["advantage"] = of_turn[row.turn]
        if kind == "ppo-bilevel":
            row.arrays["advantage"] += rng.normal(size=len(row.turn)).astype(np.float32)
    shifted(it)
    parameters = list(it.policy.parameters())
    before = [p.detach().clone() for p in parameters]
    metrics = it.learn(rollout, 0)
    assert 0.05 < metrics["policy/clipfrac_avg"] < 0.95, "nothing is clipped, or everything: a poor example"
    with torch.no_grad():
        gradient = [b - p for b, p in zip(before, parameters, strict=True)]
        noise = torch.Generator().manual_seed(1)
        for _ in range(2):
            way = [torch.randn(p.shape, generator=noise, dtype=torch.double) for p in parameters]
            slope = sum(float((g * w).sum()) for g, w in zip(gradient, way, strict=True))
            at = []
            for step in (1e-6, -1e-6):
                for p, b, w in zip(parameters, before, way, strict=True):
                    p.copy_(b + step * w)
                at.append(written_out(it.policy, rollout, settings))
            assert slope == pytest.approx((at[0] - at[1]) / 2e-6, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_in_the_first_pass_every_ratio_is_1_and_nothing_is_clipped(loaded, kind):
    it = learner(loaded, config(attempts=2, episodes=16, max_new_tokens=2, clip=1e-4, kl=0.1, **of_kind(kind)))
    metrics, _ = it.update(0)
    assert metrics["val/ratio"] == pytest.approx(1, abs=1e-6)
    assert metrics["policy/clipfrac_avg"] == 0
    assert metrics["policy/approxkl_avg"] == pytest.approx(0, abs=1e-7)
    assert metrics["rollout/logp_mismatch"] < 1e-5
    # The policy that played is the initial one.
    assert metrics["objective/kl"] == pytest.approx(0, abs=1e-7)
    second, _ = it.update(1)
    assert second["objective/kl"] > 1e-5
    assert second["val/ratio"] == pytest.approx(1, abs=1e-6)


def test_later_passes_see_the_policy_move(loaded):
    it = learner(loaded, config(epochs=4, minibatches=2, clip=0.01))
    metrics, _ = it.update(0)
    assert metrics["policy/approxkl_avg"] > 1e-4
    assert metrics["policy/clipfrac_avg"] > 0.05


@pytest.mark.parametrize(("minibatches", "done"), [(2, 1), (1, 2)])
def test_target_kl_ends_an_update_after_the_epoch_that_exceeds_it(loaded, minibatches, done):
    """In the first epoch the policy is still the one that played, until its first step."""

    def trained(**settings):
        it = learner(loaded, config(attempts=2, episodes=16, minibatches=minibatches, **settings))
        return it.update(0)[0], weights(it.policy)

    stopped, few = trained(epochs=5, target_kl=1e-12)
    assert stopped["epochs"] == done
    assert stopped["trained_tokens"] * 5 == trained(epochs=5 * done)[0]["trained_tokens"]
    assert torch.equal(few, trained(epochs=done)[1])
    never, all_five = trained(epochs=5, target_kl=1e9)
    assert never["epochs"] == 5
    assert torch.equal(all_five, trained(epochs=5)[1])


# ---- what changes nothing --------------------------------------------------------------------------------


def after(loaded, updates=2, **settings):
    small = {"attempts": 3, "episodes": 8, "max_new_tokens": 3, "critic": "shared", "kl": 0.1, "entropy": 0.01}
    small |= {**SGD, "lr": 0.05, "critic_lr": 0.05, **settings}
    it = learner(loaded, config(**small), plain_sgd, exact_model())
    for update in range(updates):
        metrics, rollout = it.update(update)
        episodes = rollout.episodes
    return weights(it.policy), metrics, [a.answer for e in episodes for a in e.attempts]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mean_over", ["token", "turn", "episode"])
def test_however_the_batch_is_cut_the_weights_are_the_same(loaded, kind, mean_over):
    settings = {**of_kind(kind), "credit": {"kind": kind, "mean_over": mean_over}, "minibatches": 2}
    whole, metrics, answers = after(loaded, micro_batch_tokens=10**6, batch=8, **settings)
    cut, cut_metrics, cut_answers = after(loaded, micro_batch_tokens=1, batch=1, **settings)
    assert answers == cut_answers
    torch.testing.assert_close(cut, whole, atol=1e-7, rtol=0)
    for name in ("loss/policy_avg", "policy/entropy_avg", "objective/kl", "grad_norm"):
        assert cut_metrics[name] == pytest.approx(metrics[name], abs=1e-6), name


def test_only_what_is_sampled_counts_as_tokens(loaded):
    it = learner(loaded, config(episodes=8, epochs=3, kl=0.1))
    metrics, _ = it.update(0)
    # <user> pick <bot> and one sampled token; trained on three times.
    assert metrics["trained_tokens"] == 8 * 4 * 3
    # Read once to play, once to score, once by the initial policy.
    assert metrics["sampled_tokens"] == 8 * 4 * 3
    assert metrics["rollout/answer_tokens"] == 1
    assert metrics["flops"] == it.meter.parameters * 8 * 4 * (3 * 6 + 3 * 2)


def test_an_update_of_one_step_without_a_critic_reads_nothing_twice(loaded):
    """Its log-probabilities before the step are those of the step's own forward passes; the weights are the same."""
    settings = {"cell": "bandit", "attempts": 3, "episodes": 32, **of_kind("grpo"), **SGD}
    skips, scores = (learner(loaded, config(**settings), plain_sgd, exact_model()) for _ in range(2))
    before = weights(skips.policy)
    rollout = scored(skips)
    assert not any("logp" in row.arrays for row in rollout.rows)
    read = sum(len(row.ids) for row in rollout.rows)
    assert skips.meter.sampled_tokens == read  # once, to play
    metrics = skips.learn(rollout, 0)

    again = scored(scores)
    scores.config = config(**settings, minibatches=2)
    scores.score(again)
    scores.config = config(**settings)
    assert scores.meter.sampled_tokens == 2 * read
    assert scores.learn(again, 0) == pytest.approx(metrics, abs=1e-6)
    assert (weights(skips.policy) - before).abs().max() > 1e-3
    # Those of a pass of their own are kept in fp32.
    torch.testing.assert_close(weights(skips.policy), weights(scores.policy), atol=1e-7, rtol=0)


@pytest.mark.parametrize("kind", ["grpo", "ppo"])
def test_how_far_the_sampler_was_off_is_logged_with_and_without_a_scoring_pass(loaded, kind):
    it = learner(loaded, config(episodes=8, **of_kind(kind)))
    rollout = scored(it)
    for number, row in enumerate(rollout.rows):
        row.logp = row.logp + (0.5 if number % 2 else -0.25)
    assert it.learn(rollout, 0)["rollout/logp_mismatch"] == pytest.approx(0.375, abs=1e-5)


# ---- the critic ------------------------------------------------------------------------------------------


def moved(it, updates=1):
    before = {name: p.detach().clone() for name, p in it.policy.named_parameters()}
    for update in range(updates):
        it.update(update)
    return {name for name, p in it.policy.named_parameters() if not torch.equal(p, before[name])}


@pytest.mark.parametrize("critic", ["shared", "detached"])
def test_the_warm_up_moves_the_value_head_and_nothing_else(loaded, critic):
    settings = config(attempts=2, critic=critic, critic_warmup=2, weight_decay=0.1, kl=0.1, entropy=0.1)
    it = learner(loaded, settings)
    names = moved(it, updates=2)
    assert names and all(name.startswith("value_head.") for name in names)
    # Adam remembers nothing of the trunk either.
    assert not any(p in it.optimizer.state for p in it.policy.model.parameters())
    assert any(name.startswith("model.") for name in moved(it, updates=3))


@pytest.mark.parametrize("kind", ["ppo", "ppo-turn", "ppo-bilevel"])
def test_a_detached_critic_leaves_the_policys_step_alone(loaded, kind):
    """However wrong its values are, and however large its gradient: it is neither added nor clipped with."""

    def policy_after(critic, coefficient):
        settings = config(critic=critic, value_coefficient=coefficient, attempts=2, grad_clip=0.01, **of_kind(kind))
        it = learner(loaded, settings, plain_sgd)
        it.update(0)
        return weights(it.policy.model)

    assert torch.equal(policy_after("detached", 0.5), policy_after("detached", 100.0))
    # The head's last layer is 0 at first, so that the first step does not reach the trunk; the clip is shared.
    assert not torch.equal(policy_after("shared", 0.5), policy_after("shared", 100.0))


def test_values_begin_at_0_and_come_to_explain_the_returns(loaded):
    # Almost every answer is wrong, so what is to come depends on the attempts that are left.
    settings = {"cell": "highest", "attempts": 3, "max_new_tokens": 2, "critic_warmup": 40}
    it = learner(loaded, config(**settings, episodes=32, epochs=6, critic_lr=0.015))
    logged = [it.update(update)[0] for update in range(14)]
    assert logged[0]["val/value_avg"] == 0
    assert logged[0]["val/explained_variance"] == 0
    assert np.mean([m["val/explained_variance"] for m in logged[-4:]]) > 0.1
    assert logged[-1]["loss/value_avg"] < 0.5 * logged[0]["loss/value_avg"]


# ---- another player --------------------------------------------------------------------------------------


class Server:
    """Stands for a server that samples from the policy's weights: it has a model of its own, which is given the weights
    before each update, and its answers travel as JSON."""

    name = "server"

    def __init__(self, settings, loaded):
        self.model = copy.deepcopy(loaded.model)
        self.sampler = make_player(settings, dataclasses.replace(loaded, model=self.model))

    def receive(self, weights):
        self.model.load_state_dict(weights)
        self.sampler.clear_cache()

    def answer(self, turns):
        answers = []
        for answer in self.sampler.answer(turns):
            tokens = answer.tokens
            sent = json.dumps([tokens.context.tolist(), tokens.ids.tolist(), tokens.logp.tolist(), tokens.decisive])
            context, ids, logp, decisive = json.loads(sent)
            arrays = np.array(context), np.array(ids), np.array(logp, np.float32)
            answers.append(Answer(answer.text, answer.sample, Tokens(*arrays, tuple(decisive))))
        return answers


@pytest.mark.parametrize("kind", ["ppo", "grpo"])
def test_a_server_that_samples_from_the_same_weights_trains_to_the_same_policy(loaded, kind):
    settings = config(attempts=2, episodes=16, max_new_tokens=2, **of_kind(kind))
    alone, served = learner(loaded, settings), learner(loaded, settings, player=Server)
    for update in range(3):
        served.player.receive(served.policy.model.state_dict())
        alone.player.clear_cache()
        metrics = [it.update(update)[0] for it in (alone, served)]
        assert metrics[0]["rollout/return"] == metrics[1]["rollout/return"]
    assert torch.equal(weights(served.policy), weights(alone.policy))


def test_a_server_with_the_weights_of_the_start_shows_as_a_mismatch(loaded):
    it = learner(loaded, config(attempts=2, episodes=16, epochs=4), player=Server)
    first, second = it.update(0)[0], it.update(1)[0]
    assert first["rollout/logp_mismatch"] < 1e-5 < 1e-3 < second["rollout/logp_mismatch"]


# ---- what is logged --------------------------------------------------------------------------------------


def test_every_metric_is_explained_and_every_explained_metric_is_logged(loaded):
    text = (Path(__file__).parents[3] / "docs/metrics.md").read_text()
    table = text.partition("## Reinforcement")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    explained = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    it = learner(loaded, config(kl=0.1, episodes=4))
    logged = set(it.update(0)[0])
    assert explained == logged


def test_metrics_of_an_update_by_hand(loaded):
    it = learner(loaded, config(attempts=2, episodes=32, max_new_tokens=2))
    metrics, rollout = it.update(0)
    episodes = rollout.episodes
    attempts = [a for e in episodes for a in e.attempts]
    wins = [e.attempts[-1].verdict.success for e in episodes]
    first = [e.attempts[0].verdict.success for e in episodes]
    # A success earns 5, a wrong answer -1, and running out of attempts another -1.
    returns = [5 if f else 4 if w else -3 for f, w in zip(first, wins, strict=True)]
    assert metrics["rollout/return"] == pytest.approx(np.mean(returns))
    assert metrics["rollout/return_std"] == pytest.approx(np.std(returns), rel=1e-5)
    assert metrics["rollout/success"] == np.mean(wins)
    assert metrics["rollout/first_attempt_success"] == np.mean(first)
    assert metrics["rollout/right_answers"] == np.mean([a.verdict.success for a in attempts])
    assert metrics["rollout/turns"] == len(attempts) / 32
    assert metrics["rollout/truncated"] == np.mean([a.sample.truncated for a in attempts])
    assert metrics["rollout/episodes"] == 32


def test_an_update_is_a_function_of_its_number_and_the_seed(loaded):
    def answers(seed, update):
        return [a.answer for e in learner(loaded, config(seed=seed)).play(update).episodes for a in e.attempts]

    assert answers(0, 3) == answers(0, 3)
    assert answers(0, 3) != answers(0, 4)


def test_a_group_is_dealt_the_same_and_answers_differently(loaded):
    it = learner(loaded, config(cell="highest", group=4, episodes=16))
    episodes = it.play(2).episodes
    deals = [e.task.index for e in episodes]
    # Four deals an update: the third update deals numbers 8 to 11.
    assert deals == [n for n in range(8, 12) for _ in range(4)]
    assert len({tuple(a.answer for a in e.attempts) for e in episodes[:4]}) > 1
