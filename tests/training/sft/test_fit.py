"""The supervised loop: its loss by hand, its invariances, and that a killed run ends in the same weights."""

import hashlib
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from labkit.bench.train import compiler
from labkit.models.chat import Example
from labkit.models.forward import select_targets
from labkit.models.tiny import Shape, build_model, build_tokenizer
from labkit.runs import Run
from labkit.training.common.parameters import LoRA, prepare_parameters, trainable
from labkit.training.sft.fit import Objective, Optimisation, collate, dft, fit


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(["cards make 24 and 7"] * 50, 400)


def small_model(tokenizer, seed=0):
    model = build_model(Shape(hidden=16, layers=1, heads=2, feed_forward=16, context=64), tokenizer, seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                # A spread of .02 instead of the tiny model's .06: twelve steps then show what a coefficient does.
                weight /= 3
    return model


def examples(seed, count=8):
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        length = int(rng.integers(4, 20))
        loss = np.zeros(length, dtype=bool)
        loss[length // 2 :] = True
        made.append(Example(rng.integers(10, 200, length), loss))
    return made


def digest(model):
    joined = b"".join(p.detach().numpy().tobytes() for p in model.parameters())
    return hashlib.sha256(joined).hexdigest()


def timeless(run):
    """The metrics but for how long each step took."""
    return [{k: v for k, v in m.items() if k != "seconds"} for m in run.metrics()]


def adapted_model(tokenizer, seed=0):
    """The small model with adapters, whose first weights depend on the seed, and dropout."""
    return prepare_parameters(small_model(tokenizer), LoRA(rank=2, dropout=0.2), seed=seed)


def train(tokenizer, folder, *, steps=6, batch_of=examples, model=None, objective=None, **settings):
    model = model or small_model(tokenizer)
    run = Run.create(folder, "t", "stage: sft\n")
    settings = Optimisation(steps=steps, lr=1e-2, batch_size=8, **settings)
    fit(model, tokenizer, batch_of, settings, run, objective=objective or Objective())
    return model, run


def test_loss_falls_on_marked_tokens_only_and_each_is_predicted_by_the_one_before():
    labels = collate([Example(np.array([5, 1, 0, 7]), np.array([True, False, True, True]))])["labels"]
    logits = torch.arange(labels.numel(), dtype=torch.bfloat16)[None, :, None].expand(-1, -1, 4)
    logits_NV, labels_N = select_targets(logits, labels)
    # The first token is predicted by none; the third by the logits at the second (1), the fourth by those at the third.
    assert labels_N.tolist() == [0, 7]
    assert logits_NV.dtype == torch.float32
    assert logits_NV.tolist() == [[1.0] * 4, [2.0] * 4]


def test_a_uniform_model_starts_at_the_loss_of_a_uniform_model(tokenizer, tmp_path):
    model = small_model(tokenizer)
    with torch.no_grad():
        model.get_input_embeddings().weight.zero_()
    run = Run.create(tmp_path, "t", "stage: sft\n")
    fit(model, tokenizer, examples, Optimisation(steps=1, lr=1e-9), run)
    (metrics,) = run.metrics()
    assert metrics["loss"] == metrics["nll"] == pytest.approx(math.log(len(tokenizer)), abs=1e-5)


def test_the_gradient_is_that_of_the_mean_over_all_learnt_tokens(tokenizer, tmp_path):
    model, total = small_model(tokenizer), 0.0
    for example in examples(0):
        ids, loss = torch.from_numpy(example.ids), example.loss[1:]
        logits_TV = model(input_ids=ids[None]).logits[0, :-1]
        total += torch.nn.functional.cross_entropy(logits_TV[loss], ids[1:][loss], reduction="sum")
    count = sum(e.loss[1:].sum() for e in examples(0))
    (total / count).backward()
    norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
    _, run = train(tokenizer, tmp_path, steps=1, micro_batch_tokens=40)
    assert run.metrics()[0]["loss"] == pytest.approx(total.item() / count, rel=1e-5)
    assert run.metrics()[0]["grad_norm"] == pytest.approx(norm.item(), rel=1e-4)


def test_dft_weighs_a_loss_by_its_own_probability():
    # p = 1/2 and 1/4: .5 x log 2 and .25 x log 4, both .3466.
    nll = -torch.tensor([0.5, 0.25]).log()
    assert dft(nll).tolist() == pytest.approx([0.5 * math.log(2), 0.25 * math.log(4)])


def test_the_gradient_of_dft_holds_its_weight_constant():
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.tensor([0, 4, 2])

    def nll(at):
        return torch.nn.functional.cross_entropy(at, labels, reduction="none")

    weight = torch.exp(-nll(logits))
    moving = logits.clone().requires_grad_()
    dft(nll(moving)).sum().backward()
    step = 1e-6
    for row in range(3):
        for word in range(5):
            there = torch.zeros_like(logits)
            there[row, word] = step
            slope = (weight * (nll(logits + there) - nll(logits - there))).sum() / (2 * step)
            assert moving.grad[row, word].item() == pytest.approx(slope.item(), abs=1e-8)


def test_kl_to_the_initial_policy_is_zero_at_first_then_positive_and_held_down_by_its_coefficient(tokenizer, tmp_path):
    def kls(coefficient):
        model, run = small_model(tokenizer), Run.create(tmp_path, "t", "stage: sft\n")
        settings = Optimisation(steps=12, lr=1e-2, batch_size=8)
        fit(model, tokenizer, lambda step: examples(0), settings, run, objective=Objective(kl=coefficient))
        return run.metrics()

    loose, tight = kls(1e-6), kls(3.0)
    for metrics in (loose, tight):
        assert abs(metrics[0]["kl"]) < 1e-6
        assert all(m["kl"] > 1e-5 for m in metrics[1:])
    assert tight[-1]["kl"] < 0.3 * loose[-1]["kl"]
    assert tight[-1]["loss"] == pytest.approx(tight[-1]["nll"] + 3 * tight[-1]["kl"], rel=1e-5)


def test_the_kl_is_of_the_policy_from_the_initial_one(tokenizer, tmp_path):
    batch = examples(0)
    initial, moved = small_model(tokenizer), small_model(tokenizer)
    settings = {"batch_of": lambda step: batch, "objective": Objective(kl=0.1)}
    moved, _ = train(tokenizer, tmp_path, steps=1, model=moved, **settings)
    _, run = train(tokenizer, tmp_path, steps=2, **settings)
    here, there = [], []
    for example in batch:
        ids, loss = torch.from_numpy(example.ids), torch.from_numpy(example.loss[1:])
        p, q = (m(input_ids=ids[None]).logits[0, :-1][loss].double().softmax(-1) for m in (moved, initial))
        here.append((p * (p / q).log()).sum(-1))
        there.append((q * (q / p).log()).sum(-1))
    policy_from_initial, initial_from_policy = (torch.cat(each).mean().item() for each in (here, there))
    assert run.metrics()[1]["kl"] == pytest.approx(policy_from_initial, rel=1e-4)
    assert abs(policy_from_initial / initial_from_policy - 1) > 1e-3


def test_the_initial_policy_costs_forward_passes(tokenizer, tmp_path):
    model, run = small_model(tokenizer), Run.create(tmp_path, "t", "stage: sft\n")
    meter = fit(model, tokenizer, examples, Optimisation(steps=2, lr=1e-2), run, objective=Objective(kl=0.1))
    assert meter.sampled_tokens == meter.trained_tokens > 0


def test_collate_pads_on_the_right_and_hides_padding_from_the_loss():
    batch = collate(
        [Example(np.array([1, 2, 3]), np.array([0, 0, 1], bool)), Example(np.array([4]), np.array([0], bool))]
    )
    assert batch["input_ids"].tolist() == [[1, 2, 3, 0, 0, 0, 0, 0], [4, 0, 0, 0, 0, 0, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0]]
    assert batch["labels"].tolist() == [[-100, -100, 3, *[-100] * 5], [-100] * 8]


def test_the_rate_warms_up_and_then_follows_its_schedule():
    constant = Optimisation(steps=100, lr=1.0, warmup=4)
    assert [constant.rate(s) for s in (0, 1, 3, 4, 99)] == [0.25, 0.5, 1.0, 1.0, 1.0]
    cosine = Optimisation(steps=104, lr=1.0, warmup=4, schedule="cosine")
    # Half-way down the cosine: .05 + .95 x .5 x (1 + cos(pi / 2)) = .525.
    assert cosine.rate(54) == pytest.approx(0.525)
    assert cosine.rate(104) == pytest.approx(0.05)


@pytest.mark.parametrize("objective", [Objective(), Objective("dft", kl=0.5)], ids=["cross-entropy", "dft and kl"])
def test_eight_batches_of_one_are_a_batch_of_eight_but_for_rounding(tokenizer, tmp_path, objective):
    whole, together = train(tokenizer, tmp_path, micro_batch_tokens=4096, objective=objective)
    cut, apart = train(tokenizer, tmp_path, micro_batch_tokens=1, objective=objective)
    for a, b in zip(whole.parameters(), cut.parameters(), strict=True):
        # AdamW divides by the size of a gradient, which makes rounding in a small one visible.
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)
    for name in ("loss", "nll", "grad_norm"):
        losses = [[m[name] for m in run.metrics()] for run in (together, apart)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_it_learns_and_a_reversed_rate_would_not(tokenizer, tmp_path):
    _, run = train(tokenizer, tmp_path, steps=60, batch_of=lambda step: examples(0))
    losses = [m["loss"] for m in run.metrics()]
    assert losses[-1] < 0.6 * losses[0]


def test_real_tokens_are_counted_padding_left_out(tokenizer, tmp_path):
    model, run = train(tokenizer, tmp_path, steps=2)
    tokens = sum(len(e.ids) for step in (0, 1) for e in examples(step))
    parameters = sum(p.numel() for p in model.parameters())
    assert run.metrics()[-1]["trained_tokens"] == tokens
    assert run.metrics()[-1]["flops"] == 6 * parameters * tokens


def test_adapters_cost_their_own_gradient_and_the_whole_models_passes(tokenizer, tmp_path):
    _, run = train(tokenizer, tmp_path, steps=2, model=adapted_model(tokenizer))
    # Seven layers of 16 x 16 (four of attention, three of the MLP) get two factors of rank 2: 7 x 2 x (16 + 16).
    moving = 448
    total = sum(p.numel() for p in small_model(tokenizer).parameters()) + moving
    (*_, last) = run.metrics()
    assert last["flops"] == (4 * total + 2 * moving) * last["trained_tokens"]


def test_checkpoints_are_kept_where_asked_and_at_the_end(tokenizer, tmp_path):
    model, run = train(tokenizer, tmp_path, checkpoints=(2, 4))
    assert list(run.checkpoints()) == [2, 4, 6]
    from transformers import AutoModelForCausalLM

    again = AutoModelForCausalLM.from_pretrained(run.checkpoint(6))
    assert digest(again) == digest(model)


def test_an_interrupted_run_resumes_to_the_same_weights_and_metrics(tokenizer, tmp_path):
    straight, whole = train(tokenizer, tmp_path, save_every=2)

    def interrupted(step):
        if step == 5:
            raise KeyboardInterrupt
        return examples(step)

    model = small_model(tokenizer)
    run = Run.create(tmp_path, "t", "stage: sft\n")
    settings = Optimisation(steps=6, lr=1e-2, batch_size=8, save_every=2)
    with pytest.raises(KeyboardInterrupt):
        fit(model, tokenizer, interrupted, settings, run)
    assert [m["step"] for m in run.metrics()] == [1, 2, 3, 4, 5]
    resumed = small_model(tokenizer, seed=1)
    fit(resumed, tokenizer, examples, settings, run, resume=True)
    assert digest(resumed) == digest(straight)
    assert timeless(run) == timeless(whole)


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from training.sft.test_fit import *
tokenizer = build_tokenizer(["cards make 24 and 7"] * 50, 400)
fit({model}(tokenizer), tokenizer, lambda step: (time.sleep(0.02), examples(step))[1],
    Optimisation(steps=40, lr=1e-2, batch_size=8, save_every=1), Run({run!r}), objective=Objective(*{objective}))
"""


@pytest.mark.parametrize(
    ("make", "objective"), [(small_model, Objective()), (adapted_model, Objective("dft", kl=0.1))], ids=["full", "lora"]
)
def test_a_run_killed_hard_resumes_to_the_same_weights(tokenizer, tmp_path, make, objective):
    straight, whole = train(tokenizer, tmp_path, steps=40, save_every=1, model=make(tokenizer), objective=objective)
    run = Run.create(tmp_path, "killed", "stage: sft\n")
    tests = str(Path(__file__).parents[2])
    script = SCRIPT.format(tests=tests, run=str(run.path), model=make.__name__, objective=tuple(objective))
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    while len(run.metrics()) < 7:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(run.metrics()) < 40
    resumed = make(tokenizer, seed=1)
    settings = Optimisation(steps=40, lr=1e-2, batch_size=8)
    fit(resumed, tokenizer, examples, settings, run, objective=objective, resume=True)
    assert digest(resumed) == digest(straight)
    assert timeless(run) == timeless(whole)


def test_the_saved_state_holds_what_is_trained_and_nothing_else(tokenizer, tmp_path):
    from safetensors import safe_open

    model, run = train(tokenizer, tmp_path, model=adapted_model(tokenizer))
    with safe_open(run.path / "state/model.safetensors", framework="pt") as saved:
        assert set(saved.keys()) == {f"model.{name}" for name in trainable(model)}
    with safe_open(run.path / "state/optimizer.safetensors", framework="pt") as saved:
        assert {int(key.split(".")[0]) for key in set(saved.keys())} == set(range(len(trainable(model))))


def test_dropout_is_drawn_anew_at_each_step_and_from_the_seed(tokenizer, tmp_path):
    def losses(seed):
        model = adapted_model(tokenizer)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "lora_B" in name:
                    weight.fill_(0.3)
        batch = [examples(0)] * 3
        settings = {"batch_of": batch.__getitem__, "seed": seed, "clip": 1e-9, "steps": 3}
        return [m["loss"] for m in train(tokenizer, tmp_path, model=model, **settings)[1].metrics()]

    first = losses(0)
    assert losses(0) == first
    assert len({*first, *losses(1)}) == 6


@pytest.mark.skipif(not compiler(), reason="torch.compile needs a C++ compiler")
def test_compiled_training_gives_the_same_weights_but_for_rounding_and_resumes_exactly(tokenizer, tmp_path):
    eager, _ = train(tokenizer, tmp_path / "eager", steps=3)
    whole, run = train(tokenizer, tmp_path / "whole", steps=3, compile=True)
    for a, b in zip(eager.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)
    halved, stopped = train(tokenizer, tmp_path / "halved", steps=2, compile=True, save_every=2)
    settings = Optimisation(steps=3, lr=1e-2, batch_size=8, compile=True)
    fit(halved, tokenizer, examples, settings, stopped, resume=True)
    assert digest(halved) == digest(whole)
    assert [m["loss"] for m in stopped.metrics()] == [m["loss"] for m in run.metrics()]
