"""The stage as a whole: what a run leaves behind, where it stops, and that it goes on from anywhere."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM

from labkit import cli
from labkit.config import read
from labkit.errors import UsageError
from labkit.players.registry import resolve_checkpoint
from labkit.runs import Run, listing
from labkit.runs import store as run_store
from labkit.runs.tokens import TokenReader
from labkit.training import train
from labkit.training.common.state import TrainState
from labkit.training.rl import loop as stage
from labkit.training.rl.config import RLConfig
from labkit.training.rl.loop import rl
from tests.tiny_models import trainable
from tests.training import small_games

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    small_games.saved(folder)
    return str(folder)


def settings(model, **changes):
    small = {"updates": 6, "episodes": 16, "attempts": 2, "max_new_tokens": 2, "save_every": 2, "kl": 0.05}
    small |= {"minibatches": 2, "epochs": 2, "weight_decay": 0.01, "stop": {"spread": 0}, "micro_batch_tokens": 64}
    return small_games.config(**{**small, "model": model, **changes})


def started(folder, config):
    return Run.create(folder, config.name, config.to_yaml())


def trained(folder, config):
    run = started(folder, config)
    rl(config, run, resume=False)
    return run


def last_weights(run):
    """Of the last checkpoint, to the bit."""
    *_, path = run.checkpoints().values()
    return small_games.digest(AutoModelForCausalLM.from_pretrained(path))


def timeless(run):
    """The metrics but for what depends on the clock."""
    clock = ("seconds", "rollout/tokens_per_second")
    return [{k: v for k, v in m.items() if not k.startswith(clock)} for m in run.metrics()]


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):
    """A run that nobody interrupted."""
    return trained(tmp_path_factory.mktemp("whole"), settings(model))


# ---- what a run leaves behind ----------------------------------------------------------------------------


def test_a_run_leaves_metrics_episodes_and_a_checkpoint_that_plays(whole):
    assert [m["step"] for m in whole.metrics()] == [1, 2, 3, 4, 5, 6]
    for m in whole.metrics():
        episodes = list(whole.episodes(f"train-{m['step']}"))
        assert len(episodes) == 16
        assert m["rollout/return"] == pytest.approx(sum(e.reward for e in episodes) / 16)
    # The newest, and the newest that has been seen to play well.
    assert list(whole.checkpoints()) == [4, 6]
    first = small_games.digest(small_games.model())
    assert last_weights(whole) != first


def test_checkpoints_that_were_asked_for_stay(model, tmp_path):
    run = trained(tmp_path, settings(model, checkpoints=(1, 3)))
    assert list(run.checkpoints()) == [1, 3, 4, 6]


# ---- collapse --------------------------------------------------------------------------------------------


def test_a_collapsed_run_stops_says_why_and_names_the_last_good_checkpoint(model, tmp_path, capsys):
    # No policy but a fresh one is this uncertain, about 2.83 nats of log 18 = 2.89.
    slow = {"lr": 3e-3, "epochs": 1, "minibatches": 1, "save_every": 1, "updates": 12}
    path = tmp_path / "config.yaml"
    path.write_text(settings(model, **slow, stop={"entropy": 2.8, "patience": 2, "spread": 0}).to_yaml())
    run = train(path, out=tmp_path / "runs")
    entropy = [m["policy/entropy_avg"] for m in run.metrics()]
    assert len(entropy) < 12
    assert all(e < 2.8 for e in entropy[-2:]) and not any(
        a < 2.8 and b < 2.8 for a, b in zip(entropy[:-2], entropy[1:-1], strict=True)
    )
    good = max(n for n, e in enumerate(entropy) if e >= 2.8)
    assert good >= 1
    # The last policy is kept too, for whoever wants to see what became of it.
    assert list(run.checkpoints()) == [good, len(entropy)]
    said = capsys.readouterr().err
    assert "collapsed: entropy fell to" in said
    assert f"the last good checkpoint is run:{run.id}@{good}" in said
    status = run.status
    assert status["status"] == "stopped"
    assert status["reason"].startswith("collapsed: entropy fell to")
    assert status["last_good"] == f"run:{run.id}@{good}"
    assert resolve_checkpoint(status["last_good"], runs=tmp_path / "runs") == run.checkpoint(good)


def test_a_run_without_a_good_checkpoint_or_a_bound_says_so_in_its_status(model, tmp_path):
    # Returns of a single episode have no spread.
    config = settings(model, updates=9, episodes=1, minibatches=1, stop={"spread": 1e-6, "patience": 2})
    path = tmp_path / "config.yaml"
    path.write_text(config.to_yaml())
    run = train(path, out=tmp_path / "runs")
    assert len(run.metrics()) == 2
    assert run.status["status"] == "stopped"
    assert run.status["reason"].startswith("collapsed: all returns are alike")
    assert run.status["last_good"] is None
    # With that bound off it goes to its end.
    whole = train(path, ["stop.spread=null", "updates=3"], out=tmp_path / "runs")
    assert whole.status["status"] == "finished" and "reason" not in whole.status
    assert len(whole.metrics()) == 3


def test_a_run_that_stops_without_a_good_checkpoint_says_so(model, tmp_path, capsys):
    run = trained(tmp_path, settings(model, updates=5, stop={"entropy": 9, "patience": 1}))
    assert len(run.metrics()) == 1
    assert f"begin again from {model}" in capsys.readouterr().err


def test_a_run_that_was_to_stop_does_not_go_on_when_it_is_resumed(model, tmp_path, monkeypatch):
    stop = {"entropy": 9, "patience": 2}
    straight = trained(tmp_path, settings(model, stop=stop, updates=5))
    assert len(straight.metrics()) == 2
    config = settings(model, stop=stop, updates=5)
    run = started(tmp_path, config)

    def cut(self, step, **more):
        save(self, step, **more)
        raise KeyboardInterrupt

    save = TrainState.save
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrainState, "save", cut)
        rl(config, run, resume=False)
    rl(config, run, resume=True)
    assert timeless(run) == timeless(straight)
    assert last_weights(run) == last_weights(straight)


# ---- going on --------------------------------------------------------------------------------------------

PLACES = {
    "while playing": (stage.Learner, "play", 4),
    "after playing": (stage.Learner, "score", 2),
    "after learning": (Run, "put_episodes", 3),
    "before logging": (Run, "log", 5),
    "before the state is saved": (TrainState, "save", 2),
    "before a checkpoint is written": (TrainState, "checkpoint", 2),
    "as the state is put in place": (run_store, "replace_folder", 4),
}


@pytest.mark.parametrize("place", PLACES)
def test_an_interrupted_run_goes_on_to_the_same_weights_and_metrics(whole, model, tmp_path, monkeypatch, place):
    owner, name, call = PLACES[place]
    original, count = getattr(owner, name), 0

    def interrupted(*args, **kwargs):
        nonlocal count
        count += 1
        if count == call:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    config = settings(model)
    run = started(tmp_path, config)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(owner, name, interrupted)
        if name == "replace_folder":
            patch.setattr("labkit.training.common.state.replace_folder", interrupted)
        rl(config, run, resume=False)
    rl(config, run, resume=True)
    assert timeless(run) == timeless(whole)
    assert last_weights(run) == last_weights(whole)
    assert list(run.checkpoints()) == list(whole.checkpoints())


SCRIPT = """
import sys
sys.path.insert(0, {root!r})
from labkit import cli
from tests.training import small_games
sys.exit(cli.main(["train", {config!r}, "--out", {out!r}]))
"""


def in_a_process(config, out):
    """``labkit train`` in a process of its own that knows the small games."""
    path = out / "config.yaml"
    path.write_text(config.to_yaml())
    script = SCRIPT.format(root=str(ROOT), config=str(path), out=str(out))
    command = [sys.executable, "-c", script]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_run_that_is_killed_hard_goes_on_to_the_same_weights_and_metrics(whole, model, tmp_path, seed):
    config = settings(model)
    process = in_a_process(config, tmp_path)
    while sum(len(run.metrics()) for run in listing(tmp_path)) < 2 + seed:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.002)
    (run,) = listing(tmp_path)
    time.sleep(random.Random(seed).uniform(0, 0.05))
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    rl(config, run, resume=True)
    assert timeless(run) == timeless(whole)
    assert last_weights(run) == last_weights(whole)


def test_ctrl_c_says_how_to_go_on(model, tmp_path, monkeypatch, capsys):
    config = settings(model, updates=3, save_every=1)
    path = tmp_path / "config.yaml"
    path.write_text(config.to_yaml())
    learn = stage.Learner.learn

    def cut(self, rollout, update):
        if update == 2:
            raise KeyboardInterrupt
        return learn(self, rollout, update)

    with monkeypatch.context() as patch:
        patch.setattr(stage.Learner, "learn", cut)
        assert cli.main(["train", str(path), "--out", str(tmp_path / "runs")]) == 130
    (run,) = (Run(p) for p in (tmp_path / "runs").iterdir())
    assert run.status["status"] == "stopped"
    assert f"labkit: stopped; go on with `labkit train --resume {run.id}`" in capsys.readouterr().err
    assert cli.main(["train", "--resume", run.id, "--out", str(tmp_path / "runs")]) == 0
    assert [m["step"] for m in run.metrics()] == [1, 2, 3]
    assert run.status["status"] == "finished"


# ---- probes ----------------------------------------------------------------------------------------------


def test_a_probe_is_logged_from_the_start_on_and_changes_nothing(tmp_path):
    trainable(tmp_path / "model")
    gp = {"cell": "gp-l", "updates": 2, "episodes": 4, "minibatches": 1, "epochs": 1}

    def run(**probe):
        return trained(tmp_path, settings(str(tmp_path / "model"), **gp, **probe))

    plain, probed = run(), run(probe={"every": 2, "episodes": 3})
    assert [m["step"] for m in probed.metrics()] == [0, 1, 2]
    shown = [{k for k in m if k.startswith("eval/")} for m in probed.metrics()]
    # From the second probe on, the change from the first is there as well.
    changes = {f"eval/{suite}/success/{name}" for suite in ("id", "rule-ood") for name in ("change", "change_ci95")}
    assert shown[2] == shown[0] | changes and not shown[0] & changes and not shown[1]
    assert {name.split("/")[1] for name in shown[0]} == {"id", "rule-ood"}
    assert len(list(probed.episodes("rule-ood-2"))) == 3
    assert last_weights(probed) == last_weights(plain)


# ---- other ways of training ------------------------------------------------------------------------------


def test_an_adapter_learns_and_its_initial_policy_is_the_model_without_it(model, tmp_path):
    config = settings(model, lora={"rank": 4}, updates=3, minibatches=1, epochs=1, kl=0.1)
    run = trained(tmp_path, config)
    kl = [m["objective/kl"] for m in run.metrics()]
    assert kl[0] == pytest.approx(0, abs=1e-7)
    assert kl[1] > 1e-6 and kl[2] > kl[1]
    newest = run.checkpoints()[3]
    assert (newest / "adapter_config.json").is_file()
    base = AutoModelForCausalLM.from_pretrained(model)
    assert small_games.digest(base) == small_games.digest(small_games.model())


def test_new_adapters_are_of_the_runs_seed(model, tmp_path):
    from safetensors.torch import load_file

    def first_adapter(seed):
        run = trained(tmp_path, settings(model, lora={"rank": 4}, updates=1, lr=1e-9, seed=seed, weight_decay=0))
        return load_file(run.checkpoints()[1] / "adapter_model.safetensors")

    zero, one = first_adapter(0), first_adapter(1)
    name = next(n for n in zero if "lora_A" in n)
    assert (zero[name] - one[name]).abs().max() > 0.01


@pytest.mark.parametrize("kind", ["ppo", "grpo"])
def test_it_runs_in_bf16(model, tmp_path, kind):
    run = trained(tmp_path, settings(model, updates=1, precision="bf16", **small_games.of_kind(kind)))
    assert 0 < run.metrics()[0]["rollout/logp_mismatch"] < 0.1
    assert AutoModelForCausalLM.from_pretrained(run.checkpoints()[1]).dtype == torch.float32


def test_where_asked_the_arrays_of_an_update_are_stored_by_attempt(model, tmp_path):
    """The log-probabilities sum to what the episodes say; value and advantage are there for each sampled token."""
    run = trained(tmp_path, settings(model, updates=2, tokens=True))
    reader, advantages = TokenReader(run), []
    episodes = list(run.episodes("train-2"))
    assert len(episodes) == 16
    for episode in episodes:
        for attempt, arrays in zip(episode.attempts, reader.arrays(episode), strict=True):
            assert len(arrays["ids"]) == len(arrays["value"]) == attempt.sample.tokens > 0
            assert arrays["logp"].sum() == pytest.approx(attempt.sample.logp, abs=1e-4)
            advantages += arrays["advantage"].tolist()
    assert np.std(advantages) > 0
    assert not (trained(tmp_path, settings(model, updates=1)).path / "tokens").exists()


# ---- configs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["gp-l", "virl-l", "gp-vl", "virl-vl"])
def test_the_authors_config_has_the_authors_numbers(cell):
    config = RLConfig.parse(read(ROOT / f"configs/experiments/{cell}/authors-rl.yaml"))
    assert (config.updates, config.attempts) == ((20, 5) if cell.startswith("gp") else (15, 2))
    assert (config.credit.kind, config.credit.gamma, config.credit.lam) == ("ppo-turn", 0.9, 0.95)
    assert config.credit.normalise and config.credit.reward_scale == 1
    assert (config.clip, config.value_clip, config.value_coefficient, config.grad_clip) == (0.1, 0.1, 0.5, 0.01)
    assert (config.epochs, config.temperature, config.non_decisive_weight) == (4, 0.2, 0.5)
    rate = 1e-7 if cell == "virl-vl" else 1e-6
    assert (config.cell, config.lr, config.critic_lr, config.schedule) == (cell, rate, rate, "cosine")
    assert (config.critic, config.kl, config.entropy) == ("shared", 0, 0)


def test_the_rate_goes_down_a_cosine():
    config = small_games.config(updates=40, lr=1.0, lr_end=0.2, schedule="cosine")
    # Half-way: (1 + .2) / 2.
    assert [config.rate(n) for n in (0, 20, 40)] == pytest.approx([1.0, 0.6, 0.2])
    assert small_games.config(lr=0.5).rate(39) == 0.5


def test_the_rate_warms_up_before_its_schedule():
    config = small_games.config(updates=12, lr=1.0, warmup=4, schedule="cosine")
    # A quarter more each update; the cosine runs over the eight updates after them, and is half-way at the fourth.
    assert [config.rate(n) for n in (0, 1, 3, 4, 8, 12)] == pytest.approx([0.25, 0.5, 1.0, 1.0, 0.5, 0.0])
    assert [small_games.config(lr=0.5, warmup=2).rate(n) for n in (0, 1, 39)] == [0.25, 0.5, 0.5]


def test_the_critics_rate_goes_down_with_the_policys(tmp_path):
    config = small_games.config(updates=2, lr=0.1, critic_lr=0.5, schedule="cosine", episodes=4)
    it = small_games.learner(small_games.saved(tmp_path), config)
    rates = []
    for update in (0, 1):
        it.update(update)
        rates.append([group["lr"] for group in it.optimizer.param_groups])
    assert rates == [pytest.approx([0.1, 0.5]), pytest.approx([0.05, 0.25])]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"credit": {"kind": "grpo"}}, "set group to 2 or more"),
        ({"group": 3}, "64 episodes cannot be divided into groups of 3"),
        ({"critic": "none"}, "credit ppo needs a critic"),
        ({"credit": {"kind": "reinforce"}, "critic_warmup": 2}, "no critic to warm up"),
        ({"cell": "nowhere"}, "no cell 'nowhere'"),
        ({"credit": {"knd": "ppo"}}, "did you mean 'kind'"),
    ],
)
def test_what_does_not_fit_together_is_said_in_one_line(wrong, says):
    with pytest.raises(UsageError, match=says) as error:
        small_games.config(**wrong)
    assert "\n" not in str(error.value) and len(str(error.value)) < 200


def test_a_wrong_suite_is_reported_before_the_model_is_looked_for(tmp_path):
    path = tmp_path / "rl.yaml"
    path.write_text(yaml.safe_dump({"stage": "rl", "model": "nowhere", "updates": 1, "lr": 1.0, "suite": "gone"}))
    with pytest.raises(UsageError, match="gp-l has no suite 'gone'"):
        train(path, out=tmp_path / "runs")
