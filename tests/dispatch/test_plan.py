"""Plans against what is known otherwise: published sizes, arithmetic by hand, and real steps that are measured."""

import json
import os
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
import transformers
import yaml

from labkit import cli
from labkit.config import read
from labkit.dispatch import host as hosts
from labkit.dispatch import memory, pictures, plan, shapes, work
from labkit.dispatch.host import GPU, Host, Launch
from labkit.envs import game, prompt, start
from labkit.errors import UsageError
from labkit.models.chat import encode_for
from labkit.models.vision import picture_inputs
from labkit.players.registry import info, load_bundle
from labkit.training import stages, train
from labkit.training.sft import fit
from labkit.training.sft.data import expert_dialogues
from tests import vision_models
from tests.tiny_models import text_config

ROOT = Path(__file__).parents[2]
ELEVEN = "meta-llama/Llama-3.2-11B-Vision-Instruct"
SFT = {"stage": "sft", "model": "tiny:gp-l/init", "cell": "gp-l", "steps": 2, "batch_size": 64, "lr": 1e-4}
SFT |= {"micro_batch_tokens": 8192}
PARAMETERS = info(SFT["model"]).card["parameters"]
RL = {"stage": "rl", "model": "tiny:gp-l/init", "cell": "gp-l", "updates": 3, "episodes": 64, "lr": 1e-4}


def planned(config, host=None):
    return plan.plan(stages.parse(config), host)


@pytest.fixture
def small_gpu(monkeypatch):
    """A GPU of 64 MB, with round numbers."""
    monkeypatch.setitem(hosts.GPUS, "small", GPU(64e6, 1e12, 1e12))


@pytest.fixture
def on_gpus(tmp_path, small_gpu):
    def make(processes, **fsdp):
        data = {"num_processes": processes, "distributed_type": "FSDP" if fsdp else "MULTI_GPU", "fsdp_config": fsdp}
        (tmp_path / "accelerate.yaml").write_text(yaml.safe_dump(data))
        return Host.parse({"name": "h", "ssh": "h", "gpu": "small", "accelerate": str(tmp_path / "accelerate.yaml")})

    return make


@pytest.mark.parametrize(
    ("model", "published"),
    [
        (ELEVEN, 10_670_220_835),
        ("tianzhechu/GP-L-Init", 10_670_220_835),
        ("Qwen/Qwen2.5-VL-7B-Instruct", 8_292_166_656),
        ("Qwen/Qwen3-VL-8B-Instruct", 8_767_123_696),
    ],
)
def test_a_known_shape_has_the_published_number_of_parameters(model, published):
    """The numbers are those of the models' pages on the hub, from their weights."""
    with torch.device("meta"):
        built = shapes.build(shapes.shape_of(model), torch.float32)
    assert sum(p.numel() for p in built.parameters()) == published


def test_a_model_that_is_not_here_and_not_known_is_an_error():
    with pytest.raises(UsageError, match=r"nobody/knows.*config.json"):
        shapes.shape_of("nobody/knows")


def test_weights_gradients_and_moments_are_those_of_adamw_in_fp32():
    found = planned(SFT)
    assert found.counted.parameters == found.counted.trained == found.counted.reached == PARAMETERS
    assert found.parts["weights"]["learn"] == found.parts["gradients"]["learn"] == 4 * PARAMETERS
    assert found.parts["optimizer"] == dict.fromkeys(("play", "learn", "step"), 8 * PARAMETERS)
    # One checkpoint, and weights and two moments in the saved state.
    assert found.disk == 4 * PARAMETERS + 12 * PARAMETERS


def test_the_flops_of_a_plan_are_those_that_the_run_logs(tmp_path):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(SFT))
    last = train(tmp_path / "c.yaml", out=tmp_path).metrics()[-1]
    found = planned(SFT)
    assert found.work.trained == pytest.approx(last["trained_tokens"], rel=0.02)
    assert found.flops["training"] == pytest.approx(last["flops"], rel=0.02)
    assert found.flops["attention"] == pytest.approx(last["flops/attention"], rel=0.1)


def test_an_rl_plan_bounds_the_run_from_above(tmp_path):
    small = {**RL, "updates": 1, "episodes": 16, "max_new_tokens": 192}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(small))
    last = train(tmp_path / "c.yaml", out=tmp_path).metrics()[-1]
    found = planned(small)
    assert last["trained_tokens"] <= found.work.trained <= 3 * last["trained_tokens"]
    # Init writes thoughts, as the expert of its SFT did; without them an answer is half as long.
    assert found.lengths.answer == pytest.approx(last["rollout/answer_tokens"], rel=0.25)
    # Every dialogue is read or sampled once, and scored once for the critic.
    assert found.work.read + found.work.sampled == pytest.approx(found.work.scored, rel=0.001)
    assert found.lengths.turns == pytest.approx(5, abs=0.3)


STEP = """
import sys
from labkit.training import train
from labkit.training.sft import fit

def status(name):
    line = next(line for line in open("/proc/self/status") if line.startswith(name))
    return 1024 * int(line.split()[1])

gradients, steps = fit._gradients, []
def measured(*args):
    before = status("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")
    out = gradients(*args)
    steps.append(status("VmHWM") - before)
    return out
fit._gradients = measured
train(sys.argv[1], out=sys.argv[2])
print(steps[-1])
"""


def _measured(config, tmp_path):
    """Bytes that a process takes more for its second step."""
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-c", STEP, str(tmp_path / "c.yaml"), str(tmp_path / "runs")]
    # Memory that is freed goes back to the system at once.
    exact = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    return int(subprocess.run(command, capture_output=True, text=True, check=True, env=exact).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process's memory is read from /proc")
@pytest.mark.parametrize("changes", [{}, {"activation_checkpointing": True}, {"precision": "bf16"}])
def test_the_planned_memory_is_what_a_step_takes(tmp_path, changes):
    """Resident memory of a real process, which grows in the second step by that step alone."""
    config = {**SFT, "steps": 2, "mistakes": 1, **changes}
    measured, found = _measured(config, tmp_path), planned(config)
    assert 0.75 < measured / (found.parts["activations"]["learn"] + found.parts["gradients"]["learn"]) < 1.35


def _seeing(family, tmp_path, **more):
    """A tiny model that sees, and the config of an SFT on hands in pictures."""
    folder = vision_models.FAMILIES[family](tmp_path / family)
    return {**SFT, "model": str(folder), "cell": "gp-vl", "batch_size": 16, **more}


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process's memory is read from /proc")
@pytest.mark.parametrize("changes", [{}, {"activation_checkpointing": True}])
def test_the_planned_memory_of_pictures_is_what_a_step_takes(tmp_path, changes):
    config = _seeing("mllama", tmp_path, batch_size=64, thought=True, **changes)
    measured, found = _measured(config, tmp_path), planned(config)
    assert 0.75 < measured / (found.parts["activations"]["learn"] + found.parts["gradients"]["learn"]) < 1.35


@pytest.mark.parametrize("family", ["llava", "gemma3", "qwen2_5_vl", "qwen3_vl", "mllama"])
def test_pictures_without_data_take_what_real_ones_take(family, tmp_path):
    """Bytes and operations of the trainer's own pass over real pictures, and the tokens that it reads."""
    config = stages.parse(_seeing(family, tmp_path, batch_size=4, micro_batch_tokens=10**6))
    found = plan.plan(config)
    bundle = load_bundle(config.model)
    dialogues = expert_dialogues("gp-vl", 4, picture=bundle.reader.drawing)
    examples = encode_for(bundle, dialogues, game("gp-vl").draw)
    assert found.lengths.prompt == statistics.mean(int(e.loss.argmax()) for e in examples)
    # All rows as long as the plan's: those of the longest of more hands.
    most = max(len(e.ids) for e in examples)
    batch = fit.collate(examples)
    for parameter in bundle.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    module = fit.Predictor(bundle.model.train())
    with memory.LiveBytes(module) as live, memory.Operations() as done:
        shown = picture_inputs(bundle.model, batch["input_ids"], [e.pictures for e in examples])
        module(**batch, **shown).sum().backward()
    longer = found.lengths.longest / most
    assert found.counted.activations == pytest.approx(live.peak * longer, rel=0.15)
    assert found.counted.operations == pytest.approx(done.total / 4 * longer, rel=0.15)


@pytest.mark.parametrize(
    ("model", "tokens", "crossed"),
    [
        # Four tiles of 560 pixels, each 40 x 40 patches and one more.
        (ELEVEN, 1, 4 * 1601),
        # 1,200 pixels are read as 43 x 43 squares of 28, or as 38 x 38 of 32.
        ("Qwen/Qwen2.5-VL-7B-Instruct", 43 * 43, 0),
        ("Qwen/Qwen3-VL-8B-Instruct", 38 * 38, 0),
    ],
)
def test_a_picture_has_the_tokens_of_its_family(model, tokens, crossed):
    sight = pictures.Sight(stages.parse({**SFT, "model": model, "cell": "gp-vl"}), Path("runs"))
    hand = next(game("gp-vl").tasks("id", "train", picture={"size": 64}))
    seen = sight.look(prompt(start(hand))[0].picture, 7)
    assert seen.span == (7, 7 + tokens)
    assert pictures.crossed(shapes.shape_of(model), [seen]) == crossed


def test_a_model_that_reads_text_has_no_plan_for_pictures():
    with pytest.raises(UsageError, match=r"llama|text"):
        planned({**SFT, "cell": "gp-vl"})


def test_a_checkpoint_writes_thoughts_if_its_last_sft_taught_them(tmp_path):
    # Init learnt thoughts; RL and rejection sampling go on from there, and SFT on plain answers ends them.
    runs = {"a": {"stage": "rl", "model": "tiny:gp-l/init"}, "b": {"stage": "sft", "samples": 8, "model": "run:a"}}
    runs |= {"c": {"stage": "sft", "model": "run:a"}, "d": {"stage": "rl", "model": "someone/else"}}
    for name, config in runs.items():
        (tmp_path / name / "checkpoints/step-1").mkdir(parents=True)
        (tmp_path / name / "checkpoints/step-1/config.json").write_text("{}")
        (tmp_path / name / "config.yaml").write_text(yaml.safe_dump(config))
        (tmp_path / name / "status.json").write_text('{"status": "finished"}')
    assert {name for name in runs if work.thinks(f"run:{name}", tmp_path)} == {"a", "b"}
    assert work.thinks("tiny:gp-l/rl", tmp_path) and not work.thinks("tiny:virl-l/init", tmp_path)


def test_counting_without_data_counts_what_real_tensors_take():
    """The same bytes, from the trainer's own loss on real tensors of a small model."""
    config = stages.parse({**SFT, "micro_batch_tokens": 10**6})
    rows, tokens, chosen = 12, 40, 120
    shape = transformers.LlamaConfig(**text_config(num_hidden_layers=3))
    model = shapes.build(shape, torch.float32).train()
    counted = memory.count(partial(shapes.build, shape), config, memory.Rows(rows, tokens, chosen))
    module = fit.Predictor(model)
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    labels = torch.full((rows, tokens), -100)
    labels[:, 1 : 1 + chosen // rows] = 5
    ids, mask = torch.full((rows, tokens), 5), torch.ones((rows, tokens), dtype=torch.long)
    mask[0, -1] = 0
    with memory.LiveBytes(module) as live:
        loss = torch.nn.functional.cross_entropy(module(ids, mask, labels), torch.full((chosen,), 5), reduction="sum")
        loss.backward()
    assert counted.activations == pytest.approx(live.peak, rel=0.05)
    assert counted.gradients == sum(4 * p.numel() for p in module.parameters())


def test_operations_are_two_a_product_and_four_a_pair_of_tokens_in_attention():
    query_BHTD = torch.randn(2, 3, 5, 4)
    with memory.Operations() as forward:
        torch.randn(6, 7) @ torch.randn(7, 8)
        torch.nn.functional.scaled_dot_product_attention(query_BHTD, query_BHTD, query_BHTD)
    assert forward.total == 2 * 6 * 7 * 8 + 2 * 3 * (4 * 5 * 5 * 4)


def test_live_bytes_are_those_held_at_once():
    with memory.LiveBytes(torch.nn.Linear(2, 2)) as live:
        kept = torch.zeros(1000, dtype=torch.float32)
        for _ in range(3):
            torch.ones(500, dtype=torch.float64)
        view = kept[10:]
        assert live.now == 4000
    assert live.peak == 8000 and view.shape == (990,)


def test_sharing_out_divides_what_is_kept_and_gathers_what_is_used(on_gpus):
    alone, shared = planned(SFT, on_gpus(1)), planned(SFT, on_gpus(4, fsdp_reshard_after_forward=False))
    for part in ("weights", "optimizer"):
        assert shared.parts[part]["step"] == alone.parts[part]["step"] // 4
    weights = 4 * PARAMETERS
    assert shared.parts["weights, gathered"] == {"load": weights, "play": weights, "learn": weights}
    assert shared.parts["gradients"]["learn"] == weights + weights // 4
    assert "DDP's buckets" in planned(SFT, on_gpus(4)).parts


def test_text_reaches_no_vision_tower_and_lora_trains_adapters_only():
    lora = {"rank": 4, "target_modules": ["q_proj"]}
    config = stages.parse({**SFT, "model": ELEVEN, "lora": lora})
    shape = shapes.shape_of(ELEVEN)
    # A short model of the same kind: 2 of 40 layers, and no layer of cross-attention.
    shape.text_config.num_hidden_layers, shape.text_config.cross_attention_layers = 2, []
    counted = memory.count(lambda dtype: shapes.build(shape, dtype), config, memory.Rows(1, 8, 4))
    # Two factors, 4096 to 4 and 4 to 4096, in each layer of text; the tower has 40 layers of width 1280.
    assert counted.reached == 2 * 4 * (4096 + 4096)
    assert counted.trained == counted.reached + 40 * 4 * (1280 + 1280)


def test_what_does_not_fit_is_mended_by_the_smallest_change(on_gpus):
    host = on_gpus(1)
    config = {**SFT, "micro_batch_tokens": 4096}
    found = planned(config, host)
    assert found.fits is False and max(found.phases, key=found.phases.get) == "learn"
    words, better = plan.remedy(found, host)
    assert better.fits and words.startswith("--set activation_checkpointing=true")
    again = planned({**config, "activation_checkpointing": True}, host)
    if not again.fits:
        assert words != "--set activation_checkpointing=true"
    # Nothing helps where the weights alone are too large.
    too_large = planned({**SFT, "model": ELEVEN, "lora": {}, "activation_checkpointing": True}, host)
    assert plan.remedy(too_large, host) is None


def test_hours_follow_from_the_named_rates(on_gpus):
    found = planned({**SFT, "precision": "bf16"}, on_gpus(2))
    assert found.hours == pytest.approx(found.flops["training"] / (2 * 1e12 * plan.UTILISATION) / 3600)
    rl = planned({**RL, "precision": "bf16", "critic": "detached"}, on_gpus(2))
    assert set(rl.seconds) == {"learn", "score", "play"}
    # Sampling is slower than reading the weights once for each token of an answer.
    answers = 3 * rl.lengths.turns * rl.lengths.answer
    assert rl.seconds["play"] > answers * 4 * PARAMETERS / 1e12


def test_a_cpu_has_no_rate_and_an_unknown_machine_no_limit(tmp_path):
    assert planned(SFT).hours is None and planned(SFT).fits is True
    elsewhere = planned(SFT, Host.parse({"name": "h", "ssh": "h"}))
    assert elsewhere.fits is None and elsewhere.limit is None


def test_several_machines_need_slurm(tmp_path):
    (tmp_path / "a.yaml").write_text("num_processes: 16\nnum_machines: 2\n")
    host = Host.parse({"name": "h", "ssh": "h", "accelerate": str(tmp_path / "a.yaml")})
    with pytest.raises(UsageError, match="2 machines"):
        host.launch()
    assert host.model_copy(update={"launcher": "slurm"}).launch() == Launch(16, 2, cuda=True)


def test_the_command_prints_a_table_or_json(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(SFT))
    assert cli.main(["plan", str(tmp_path / "c.yaml"), "--set", "steps=7"]) == 0
    out = capsys.readouterr().out
    assert (
        f"{PARAMETERS / 1e6:.1f} million parameters" in out
        and "activations" in out
        and "7 steps of 64 dialogues" in out
    )
    assert cli.main(["plan", str(tmp_path / "c.yaml"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["memory"]["peak"] == max(document["memory"]["phases"].values())
    assert document["fits"] is True and document["parameters"] == PARAMETERS


def test_errors_of_use_are_one_line(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(SFT))
    assert cli.main(["plan", str(tmp_path / "c.yaml"), "--to", "h80"]) == 2
    assert "did you mean h800?" in capsys.readouterr().err
    (tmp_path / "h.yaml").write_text("ssh: h\nlancher: slurm\n")
    assert cli.main(["plan", str(tmp_path / "c.yaml"), "--to", str(tmp_path / "h.yaml")]) == 2
    assert "did you mean 'launcher'?" in capsys.readouterr().err
    assert cli.main(["plan", "configs/models/tiny.yaml"]) == 2
    assert "stages sft and rl" in capsys.readouterr().err


PLANNED = [
    (path, *line.removeprefix("# labkit plan --to ").split(": "))
    for path in sorted((ROOT / "configs/experiments").glob("*/*.yaml"))
    for line in path.read_text(encoding="utf-8").splitlines()
    if line.startswith("# labkit plan")
]


def _check(path, to, said):
    found = plan.plan(stages.parse(read(path)), hosts.load(str(ROOT / f"configs/hosts/{to}.yaml")))
    gib = 2**30
    assert said == f"{found.peak / gib:.1f} of {found.limit / gib:.1f} GiB a GPU, {found.hours:.2f} hours"
    assert found.fits


def test_the_papers_configs_say_what_is_planned(monkeypatch):
    """Of each the first; all of them are compared by the slow test."""
    monkeypatch.chdir(ROOT)
    assert len(PLANNED) == 24
    path, to, said = PLANNED[0]
    _check(path, to, said)


@pytest.mark.slow("each counts the steps of an 11B model")
@pytest.mark.parametrize(("path", "to", "said"), PLANNED[1:], ids=lambda value: getattr(value, "stem", str(value)[:12]))
def test_each_of_the_papers_configs_says_what_is_planned(path, to, said, monkeypatch):
    monkeypatch.chdir(ROOT)
    _check(path, to, said)
