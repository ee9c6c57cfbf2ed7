"""Several processes: that there are as many as were asked for, and that they do what one does."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from accelerate.commands import launch
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.utils import FullyShardedDataParallelPlugin
from accelerate.utils.launch import prepare_multi_gpu_env
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from labkit import cli
from labkit.errors import UsageError
from labkit.models.policy import Policy
from labkit.players.registry import resolve_checkpoint
from labkit.runs import Run
from labkit.training import train
from labkit.training.common import distributed
from tests.training import small_games

ROOT = Path(__file__).parents[3]
ACCELERATE = ROOT / "configs/accelerate"

MODEL = "tiny:gp-l/init"
COMMON = {"model": MODEL, "seed": 1, "lr": 1e-4, "kl": 0.1, "save_every": 1}
SFT = {**COMMON, "stage": "sft", "steps": 3, "batch_size": 7, "micro_batch_tokens": 900, "mistakes": 2}
RL = {**COMMON, "stage": "rl", "updates": 2, "attempts": 2, "max_new_tokens": 96, "micro_batch_tokens": 800}
# Three groups on two processes, three rows a step of which each does one at a time; nine episodes.
GRPO = {**RL, "episodes": 12, "group": 4, "minibatches": 4, "credit": {"kind": "grpo", "mean_over": "episode"}}
GRPO |= {"micro_batch_tokens": 1}
PPO = {**RL, "episodes": 9, "minibatches": 2, "epochs": 2, "credit": {"kind": "ppo"}, "critic": "shared"}
PPO |= {"critic_lr": 1e-4}
PAIR = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "labkit", "train"]


def written(folder, config):
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def alone(folder, config):
    return train(written(folder, config), out=folder / "one")


def pair(folder, config):
    """The same on two processes; returns the run, the only one there is."""
    done = subprocess.run(
        [*PAIR, written(folder, {**config, "processes": 2}), "--out", folder / "two"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (path,) = (folder / "two").iterdir()
    assert done.stdout.split() == [str(path)]
    return Run(path)


def assert_alike(one, two):
    """Weights and metrics, but for what sums in another order differ by."""
    start = load_file(resolve_checkpoint(MODEL) / "model.safetensors")
    *_, last = one.checkpoints().values()
    ours = load_file(last / "model.safetensors")
    assert max((ours[name] - start[name]).abs().max() for name in start) > 1.5e-4
    # The value head and AdamW's moments too.
    for file in ("model.safetensors", "optimizer.safetensors"):
        ours, theirs = (load_file(run.path / "state" / file) for run in (one, two))
        assert ours.keys() == theirs.keys()
        apart = 0
        for name in ours:
            # AdamW divides a gradient by its size. Where that is below its epsilon (3e-10 was seen, of up to 1e-2),
            # rounding says which way a weight goes: a few of a million, and by less than one step.
            far = ~torch.isclose(theirs[name], ours[name], atol=5e-6, rtol=1e-3)
            apart += int(far.sum())
            torch.testing.assert_close(theirs[name][far], ours[name][far], atol=COMMON["lr"], rtol=0)
        assert apart <= (5 if file == "model.safetensors" else 0)
    assert_equal_lines(one.metrics(), two.metrics())


def assert_equal_lines(ours, theirs):
    """Metrics but for the clock, and for how far rounding went."""
    but = ("seconds", "rollout/tokens_per_second", "rollout/logp_mismatch")
    lines = [[{k: v for k, v in m.items() if not k.startswith(but)} for m in metrics] for metrics in (ours, theirs)]
    assert len(lines[0]) == len(lines[1]) > 1
    for a, b in zip(*lines, strict=True):
        assert b == pytest.approx(a, rel=1e-4, abs=1e-6)


# ---- the world that was asked for --------------------------------------------------------------------------


def test_a_run_for_several_processes_is_not_begun_by_one(tmp_path, capsys):
    config = written(tmp_path, {**SFT, "processes": 3})
    assert cli.main(["train", str(config), "--out", str(tmp_path / "runs")]) == 2
    said = capsys.readouterr().err
    assert "wants 3 processes and 1 was started; use `torchrun --nproc_per_node 3 -m labkit train" in said
    assert not (tmp_path / "runs").exists()


THREADS = """
import atexit, sys
from pathlib import Path
# Registered first, so called last.
atexit.register(lambda: print("threads:", *(p.read_text().strip() for p in Path("/proc/self/task").glob("*/comm"))))
from labkit.cli import main
sys.exit(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="names of threads are read from /proc")
def test_processes_that_are_refused_leave_their_group(tmp_path):
    """A thread of the group that outlives the interpreter aborts its process now and then."""
    script = tmp_path / "main.py"
    script.write_text(THREADS)
    config = written(tmp_path, {**SFT, "processes": 3})
    done = subprocess.run([*PAIR[:-3], script, "train", config, "--out", tmp_path], capture_output=True, text=True)
    assert "wants 3 processes and 2 were started" in done.stderr
    # The launcher kills the other process as soon as one has ended.
    assert "threads: " in done.stdout and "gloo" not in done.stdout


def test_what_accelerate_launch_cannot_do_is_refused(tmp_path):
    """Asked for two processes on a CPU, it starts one and says nothing."""
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    train = ["-m", "labkit", "train", written(tmp_path, SFT), "--out", tmp_path / "runs"]
    done = subprocess.run([*launch, *train], capture_output=True, text=True)
    assert done.returncode != 0
    assert "labkit: accelerate launch was asked for several processes and started one" in done.stderr
    assert "torchrun --nproc_per_node" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_processes_that_do_not_know_of_each_other_are_refused(monkeypatch):
    distributed.init("cpu")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="2 processes were started, and each would train by itself"):
        distributed.init("cpu")


def test_sharding_is_not_dropped_without_a_word(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(UsageError, match="--device cuda"):
        distributed.init("cpu")
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(UsageError, match="eight-80gb-fsdp2"):
        distributed.init("cpu")


@pytest.mark.parametrize(
    ("name", "machines", "processes", "cpu", "kind"),
    [
        ("cpu", 1, 1, True, "NO"),
        ("one-gpu", 1, 1, False, "NO"),
        ("eight-80gb-fsdp2", 1, 8, False, "FSDP"),
        ("two-nodes-fsdp2", 2, 16, False, "FSDP"),
    ],
)
def test_the_shipped_launch_files_say_what_their_names_do(name, machines, processes, cpu, kind):
    found = load_config_from_file(str(ACCELERATE / f"{name}.yaml"))
    assert (found.num_processes, found.use_cpu, found.distributed_type) == (processes, cpu, kind)
    assert found.num_machines == machines
    # The run's own config says in which precision.
    assert found.mixed_precision == "no"


def test_there_is_a_test_for_each_launch_file():
    assert sorted(p.stem for p in ACCELERATE.iterdir()) == ["cpu", "eight-80gb-fsdp2", "one-gpu", "two-nodes-fsdp2"]


def test_two_nodes_share_out_a_model_as_one_does():
    one, two = (load_config_from_file(str(ACCELERATE / f"{n}.yaml")) for n in ("eight-80gb-fsdp2", "two-nodes-fsdp2"))
    assert one.fsdp_config == two.fsdp_config


def test_what_the_file_for_eight_makes_of_fsdp(monkeypatch):
    """As its processes find it in their environment."""
    parser = launch.launch_command_parser()
    file = str(ACCELERATE / "eight-80gb-fsdp2.yaml")
    arguments, *_ = launch._validate_launch_command(parser.parse_args(["--config_file", file, "-m", "labkit"]))
    for name, value in prepare_multi_gpu_env(arguments).items():
        monkeypatch.setenv(name, value)
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2
    assert plugin.reshard_after_forward is False
    assert plugin.cpu_ram_efficient_loading is False
    assert os.environ["ACCELERATE_USE_FSDP"] == "true"
    # Layers of the model inside of the policy.
    policy = Policy(small_games.model(), "shared")
    plugin.set_auto_wrap_policy(policy)
    assert plugin.auto_wrap_policy.keywords["transformer_layer_cls"] == {type(policy.model.model.layers[0])}


def test_one_process_trains_in_one_precision_after_another():
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp32", torch.float32)):
        with distributed.accelerator("cpu", precision, unused=False).autocast():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


# ---- two do what one does ----------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [PPO, GRPO], ids=["ppo", "grpo"])
def test_two_processes_reinforce_as_one(tmp_path, config):
    # What one keeps, two compute again.
    one, two = alone(tmp_path, config), pair(tmp_path, {**config, "activation_checkpointing": True})
    assert_alike(one, two)
    for step in (1, 2):
        episodes = [[[a.answer for a in e.attempts] for e in run.episodes(f"train-{step}")] for run in (one, two)]
        assert episodes[0] == episodes[1]


def test_two_processes_fine_tune_as_one_also_when_they_are_interrupted_and_go_on(tmp_path):
    command = [*PAIR, written(tmp_path, {**SFT, "processes": 2, "steps": 2000}), "--out", tmp_path / "two"]
    # Tests started by a shell's & inherit deafness to Ctrl-C; a program at a terminal does not.
    at_a_terminal = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    started = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **at_a_terminal)
    while not (found := list((tmp_path / "two").glob("*/metrics.jsonl"))):
        assert started.poll() is None
        time.sleep(0.02)
    started.send_signal(signal.SIGINT)
    assert started.wait() != 0
    two = Run(found[0].parent)
    assert two.status["status"] == "stopped"
    done = len(two.metrics())
    # As if it had been cut between the log of a step and its state: the step is done again.
    two.log({"step": done + 1, "loss": 9.9})
    steps = done + 2
    config = two.path / "config.yaml"
    config.write_text(config.read_text().replace("steps: 2000", f"steps: {steps}"))
    command = [*PAIR, "--resume", two.id, "--out", tmp_path / "two", "--json"]
    resumed = subprocess.run(command, capture_output=True, text=True)
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["status"] == "finished"
    assert_alike(alone(tmp_path, {**SFT, "steps": steps}), two)


# ---- a model that two processes share out ------------------------------------------------------------------

SHARDED = """
import atexit
import os
import sys
from pathlib import Path
import torch
from torch.distributed.fsdp import fully_shard
from labkit.compute import Meter
from labkit.models.policy import Policy
from labkit.runs import Run
from labkit.training.common import distributed
from labkit.training.common.parameters import InitialPolicy
from labkit.training.common.setup import Prepared
from labkit.training.rl.update import Learner
from labkit.training.common.checkpointing import checkpoint_activations
from labkit.training.rl.loop import make_optimizer, make_player
from labkit.training.common.state import TrainState
from tests.training import small_games

shard, folder, model = sys.argv[1] == "2", Path(sys.argv[2]), sys.argv[3]
# Registered first, so called last.
left = folder / f"left-{os.environ['RANK']}"
atexit.register(lambda: left.write_text("no" if torch.distributed.is_initialized() else "yes"))
distributed.init("cpu")
settings = small_games.config(
    cell="highest", episodes=13, minibatches=2, epochs=2, attempts=3, max_new_tokens=5, lr=1e-3, critic="shared",
    kl=0.1, micro_batch_tokens=70,
)
loaded = small_games.load(model)
run = Run(folder)


def begin():
    policy = Policy(small_games.load(model).model, "shared").eval()
    initial = InitialPolicy(policy)
    if shard:
        checkpoint_activations(policy)
        for layer in policy.model.model.layers:
            fully_shard(layer)
        fully_shard(policy)
    optimizer = make_optimizer(policy, settings)
    here = small_games.replace(loaded, model=policy.model)
    meter = Meter(loaded.parameters)
    accelerator = distributed.accelerator("cpu", "fp32", unused=False)
    ready = Prepared(policy.model, policy, policy, optimizer, accelerator, meter, initial)
    return Learner(settings, ready, make_player(settings, here)), TrainState(run, policy, optimizer, meter)


learner, state = begin()
held = sum(p.to_local().numel() if shard else p.numel() for p in learner.policy.parameters())
said = [learner.update(0)[0]]
state.save(1)
learner, state = begin()
assert state.load() == 1
said.append(learner.update(1)[0])
state.save(2)
state.checkpoint(2, learner.policy.model, loaded.tokenizer)
if distributed.is_main():
    run.log({"step": 1, "held": held})
    for step, metrics in enumerate(said, 2):
        run.log({"step": step, **metrics})
"""


def test_a_model_in_two_parts_learns_as_a_whole_one(tmp_path):
    """FSDP2 on the CPU, layers computed again: play, score, learn, save, go on, and a checkpoint that loads."""
    small_games.saved(tmp_path / "model")
    script = tmp_path / "sharded.py"
    script.write_text(SHARDED)
    runs = {}
    for processes in (1, 2):
        runs[processes] = Run(tmp_path / str(processes))
        runs[processes].path.mkdir()
        # The model card of the checkpoint tells the run's settings.
        (runs[processes].path / "config.yaml").write_text("stage: rl\ncell: highest\n")
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
        arguments = [script, str(processes), runs[processes].path, tmp_path / "model"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([*torchrun, *arguments], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
    # Processes that end inside of their group abort now and then, after all is written.
    assert [(runs[2].path / f"left-{rank}").read_text() for rank in (0, 1)] == ["yes", "yes"]
    (one, *ours), (two, *theirs) = (run.metrics() for run in runs.values())
    assert two["held"] < 0.6 * one["held"]
    assert_equal_lines(ours, theirs)
    start = small_games.model().state_dict()
    models = [AutoModelForCausalLM.from_pretrained(run.checkpoints()[2]).state_dict() for run in runs.values()]
    assert max((models[0][name] - start[name]).abs().max() for name in start) > 5e-3
    for name in start:
        torch.testing.assert_close(models[1][name], models[0][name], atol=2e-5, rtol=0)
