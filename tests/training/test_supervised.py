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

from labkit.models.tiny import Shape, build_model, build_tokenizer
from labkit.runs import Run
from labkit.training.examples import Example
from labkit.training.supervised import Optimisation, collate, fit, micro_batches, token_loss


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(["cards make 24 and 7"] * 50, 400)


def small_model(tokenizer, seed=0):
    return build_model(Shape(hidden=16, layers=1, heads=2, feed_forward=16, context=64), tokenizer, seed)


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


def train(tokenizer, folder, *, steps=6, batch_of=examples, **settings):
    torch.manual_seed(0)
    model = small_model(tokenizer)
    run = Run.create(folder, "t", "stage: sft\n")
    fit(model, tokenizer, batch_of, Optimisation(steps=steps, lr=1e-2, batch_size=8, **settings), run)
    return model, run


def test_loss_falls_on_marked_tokens_only_and_predicts_the_next_one():
    # Two positions predict; the first token of the answer is predicted from the last of the prompt.
    # Logits favour token 1 by 2 everywhere over 3 others: log p(1) = 2 - log(e^2 + 3), log p(0) = -log(e^2 + 3).
    labels = collate([Example(np.array([5, 1, 0]), np.array([False, True, True]))], 9)["labels"]
    logits = torch.zeros(*labels.shape, 4)
    logits[..., 1] = 2
    z = math.log(math.exp(2) + 3)
    assert token_loss(logits, labels).item() == pytest.approx(-(2 - z) - (0 - z), abs=1e-6)


def test_collate_pads_on_the_right_and_hides_padding_from_the_loss():
    batch = collate([Example(np.array([1, 2, 3]), np.array([0, 0, 1], bool)), Example(np.array([4]), np.array([0], bool))], 9)
    assert batch["input_ids"].tolist() == [[1, 2, 3, 9, 9, 9, 9, 9], [4, 9, 9, 9, 9, 9, 9, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0]]
    assert batch["labels"].tolist() == [[-100, -100, 3, *[-100] * 5], [-100] * 8]


def test_micro_batches_keep_to_their_budget_and_lose_nothing():
    lengths = [3, 3, 4, 6, 6, 11, 30]
    made = [Example(np.zeros(n, int), np.zeros(n, bool)) for n in lengths]
    cut = [[len(e.ids) for e in rows] for rows in micro_batches(made, 12)]
    # 3 rows of 4 fill 12; 2 rows of 6 fill 12; what is longer than the budget goes alone.
    assert cut == [[3, 3, 4], [6, 6], [11], [30]]


def test_the_rate_warms_up_and_then_follows_its_schedule():
    constant = Optimisation(steps=100, lr=1.0, warmup=4)
    assert [constant.rate(s) for s in (0, 1, 3, 4, 99)] == [0.25, 0.5, 1.0, 1.0, 1.0]
    cosine = Optimisation(steps=104, lr=1.0, warmup=4, schedule="cosine")
    # Half-way down the cosine: .05 + .95 x .5 x (1 + cos(pi / 2)) = .525.
    assert cosine.rate(54) == pytest.approx(0.525)
    assert cosine.rate(104) == pytest.approx(0.05)


def test_cutting_the_batch_smaller_changes_nothing_but_rounding(tokenizer, tmp_path):
    whole, _ = train(tokenizer, tmp_path, micro_batch_tokens=4096)
    cut, _ = train(tokenizer, tmp_path, micro_batch_tokens=1)
    for a, b in zip(whole.parameters(), cut.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


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
from training.test_supervised import *
tokenizer = build_tokenizer(["cards make 24 and 7"] * 50, 400)
run = Run({run!r})
fit(small_model(tokenizer), tokenizer, lambda step: (time.sleep(0.02), examples(step))[1],
    Optimisation(steps=40, lr=1e-2, batch_size=8, save_every=1), run, resume={resume})
"""


def test_a_run_killed_hard_resumes_to_the_same_weights(tokenizer, tmp_path):
    straight, _ = train(tokenizer, tmp_path, steps=40, save_every=1)
    run = Run.create(tmp_path, "killed", "stage: sft\n")
    tests = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", SCRIPT.format(tests=tests, run=str(run.path), resume=False)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while len(run.metrics()) < 7:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(run.metrics()) < 40
    resumed = small_model(tokenizer, seed=1)
    fit(resumed, tokenizer, examples, Optimisation(steps=40, lr=1e-2, batch_size=8), run, resume=True)
    assert digest(resumed) == digest(straight)
    assert [m["step"] for m in run.metrics()] == list(range(1, 41))
