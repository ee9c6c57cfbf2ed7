"""The benches: that they time what they say, and that both ways do the same work."""

import json
import subprocess
import sys
import time
from fractions import Fraction
from importlib.util import find_spec

import pytest
import torch

from labkit.bench import layers as layers_bench
from labkit.bench import play as play_bench
from labkit.bench import rollout as rollout_bench
from labkit.bench import runs as runs_bench
from labkit.bench import solver as solver_bench
from labkit.bench import timing
from labkit.bench import train as train_bench
from labkit.bench import verifier as verifier_bench
from labkit.bench import views as views_bench
from labkit.cli import main
from labkit.envs.general_points import expression
from labkit.envs.virl.render import views
from labkit.models.loader import load


def test_each_layer_of_sampling_gives_the_same_answers():
    said = []
    for layer in ("plain", "cached", "prefixes", "drafts", "fused"):
        played = layers_bench.play(layers_bench.player(layer, max_new_tokens=4), 0, 2)
        said.append([[a.answer for a in one.episode.attempts] for one in played])
    assert said == said[:1] * 5
    assert sum(map(len, said[0])) > 2


def test_each_layer_is_timed_beside_the_one_before_it(monkeypatch):
    monkeypatch.setattr(layers_bench, "EPISODES", 1)
    rows = list(layers_bench.rows(rounds=1))
    assert [row.what for row in rows] == ["cached", "prefixes", "drafts", "fused", "bf16"]
    assert [row.plain.split(" ")[0] for row in rows] == ["plain", "cached", "prefixes", "drafts", "fused"]
    assert len(rows) == layers_bench.figures()
    assert all(row.rate > 0 and row.plain_rate > 0 for row in rows)


def test_rates_and_ratio():
    # 20 units in 20 ms or more: at most 1,000 a second; 5 in as long: a quarter of that.
    def wait(units):
        return lambda number: time.sleep(0.02) or units

    row = timing.compare("b", "w", "u/s", wait(20), wait(5), "plain", rounds=3)
    assert 200 < row.rate <= 1000 and row.plain_rate == pytest.approx(row.rate / row.ratio, rel=0.5)
    assert row.ratio == pytest.approx(4, rel=0.5) and row.rounds == 3


def test_rounds_take_turns():
    calls = []
    timing.compare("b", "w", "u/s", lambda n: calls.append(f"a{n}") or 1, lambda n: calls.append(f"b{n}") or 1, "", 2)
    assert calls == ["a0", "b0", "a1", "b1"]


def test_each_other_way_gets_a_row_of_the_same_rounds():
    calls = []

    def wait(name, units):
        return lambda number: calls.append(f"{name}{number}") or time.sleep(0.02) or units

    half, double = timing.compare_all("b", "w", "u/s", wait("a", 10), {"x": wait("x", 20), "y": wait("y", 5)}, rounds=2)
    assert calls == ["a0", "x0", "y0", "a1", "x1", "y1"]
    assert (half.plain, double.plain) == ("x", "y") and half.rate == double.rate
    assert half.ratio == pytest.approx(0.5, rel=0.5) and double.ratio == pytest.approx(2, rel=0.5)


def test_peak_memory_is_seen():
    """In a process of its own: in a large one, freed memory that is still held can be given out again."""
    code = (
        "from labkit.bench import timing\n"
        "timing.reset_peak()\n"
        "before = timing.peak_mib()\n"
        "block = bytearray(64 * 2**20)\n"
        "block[::4096] = b'x' * len(block[::4096])\n"
        "print(timing.peak_mib() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 50 < float(done.stdout) < 80


def test_brute_force_finds_the_known_solutions():
    assert "8/(3-(8/3))" in set(solver_bench.brute_force((3, 3, 8, 8)))
    assert not list(solver_bench.brute_force((1, 1, 1, 1)))
    for formula in solver_bench.brute_force((4, 4, 6, 8)):
        assert expression.evaluate(expression.parse(formula)) == Fraction(24)


def test_the_plain_checker():
    entry = {"cards": ["K", "Q", "2", "2"], "faces": "ten", "target": 24}

    def check(formula):
        return verifier_bench.plain_check(json.dumps({**entry, "answer": json.dumps({"formula": formula})}).encode())

    assert check("10+10+2*2=24") and not check("10+10*2+2=24")  # 24 and 32
    assert not check("10+10+4=24") and not check("10/(2-2)+10=24")


def test_play_is_timed_by_batch_size(monkeypatch):
    monkeypatch.setattr(play_bench, "EPISODES", {1: 1, 2: 2})
    monkeypatch.setattr(play_bench, "PLAIN_EPISODES", 1)
    monkeypatch.setattr(play_bench, "NEW_TOKENS", 4)
    one, two = play_bench.rows(rounds=1)
    assert one.what.endswith("batch 1") and two.what.endswith("batch 2")
    assert min(one.rate, one.plain_rate, two.rate, two.plain_rate) > 0 and one.unit == "episodes/s"


def test_views_are_timed_and_none_but_those_asked_for_again_are_kept(monkeypatch):
    monkeypatch.setattr(views_bench, "SIZE", 64)
    monkeypatch.setattr(views_bench, "PANORAMA", 200)  # pi times 64
    monkeypatch.setattr(views_bench, "PICTURES", 2)
    monkeypatch.setattr(views_bench, "FEW", 1)
    drawn = []
    render = views.render
    monkeypatch.setattr(views, "render", lambda *a: drawn.append(0) or render(*a))
    one, cut, again, four = views_bench.rows(rounds=2)
    # Before timing 2 squares of 4 and, to compare, 4 views; then in each of two rounds 2 views for each of the
    # first two rows, 1 square for the third, whose own 2 are there already, and 2 squares for the last.
    assert len(drawn) == 2 * 4 + 4 + 2 * (2 + 2 + 1 * 4 + 2 * 4)
    assert (one.unit, four.unit, again.unit, cut.unit) == ("views/s", "squares/s", "squares/s", "views/s")
    assert again.ratio > 20 and min(row.rate for row in (one, four, cut)) > 0


def test_rollouts_are_timed_by_cell_and_precision(monkeypatch):
    small = {"EPISODES": 2, "BATCH": {"gp-l": 2, "virl-l": 2}, "POSITIONS": 2, "PLAIN": {"gp-l": 1, "virl-l": 1}}
    for name, value in {**small, "NEW_TOKENS": 4, "ATTEMPTS": 2}.items():
        monkeypatch.setattr(rollout_bench, name, value)
    rollout_bench._walks.cache_clear()
    rows = list(rollout_bench.rows(rounds=1))
    assert len(rows) == rollout_bench.figures()
    rollout_bench._walks.cache_clear()
    assert [(row.what.split(",")[0], row.what.split(" ")[-1], row.plain.split(" ")[0]) for row in rows] == [
        (cell, dtype, other)
        for cell in ("gp-l", "virl-l")
        for dtype in ("float32", "bfloat16")
        for other in ("one", "bare")
    ]
    assert all(row.rate > 0 and row.plain_rate > 0 and row.unit == "tokens/s" for row in rows)
    # Both rows of a pair are of the same rounds of ours.
    assert [row.rate for row in rows[::2]] == [row.rate for row in rows[1::2]]


def test_all_ways_of_a_rollout_count_what_they_sample(monkeypatch, tmp_path):
    """Four tokens an answer at most; two walks of two positions are four answers."""
    for name, value in {"NEW_TOKENS": 4, "ATTEMPTS": 2, "POSITIONS": 2}.items():
        monkeypatch.setattr(rollout_bench, name, value)
    rollout_bench._walks.cache_clear()
    path, _ = play_bench.checkpoint(tmp_path)
    loaded = load(path)
    ours, plain = rollout_bench._player(loaded, "float32", 2), rollout_bench.Plain(path)
    for player, batch in ((ours, 2), (plain, 1)):
        count, tokens = rollout_bench.walks(0, player, 2, batch)
        assert count == 2 and 4 <= tokens <= 16
        count, tokens = rollout_bench.episodes(0, player, 3, batch)
        assert count == 3 and 6 <= tokens <= 24  # no answer of four tokens is right
    assert rollout_bench.Bare(loaded, "float32", "virl-l", 2).decode(0) == 2 * 2 * 4
    rollout_bench._walks.cache_clear()


SMALL = {"STEPS": 2, "BATCH": 3, "EPISODES": 4, "GROUP": 2, "ATTEMPTS": 2, "NEW_TOKENS": 4}


def test_training_is_timed_beside_the_bare_pass_and_trl_where_it_is(monkeypatch):
    for name, value in SMALL.items():
        monkeypatch.setattr(train_bench, name, value)
    # Compiling takes a minute; the supervised loop's tests compile.
    monkeypatch.setattr(train_bench, "compiler", lambda: None)
    rows = list(train_bench.rows(rounds=1))
    assert len(rows) == train_bench.figures()
    there = bool(find_spec("trl"))
    assert [row.what.split(",")[0] for row in rows] == [
        "SFT",
        "RL (ppo) without play",
        "RL (grpo) without play",
        *["RL (grpo) with play"] * there,
    ]
    assert [row.unit for row in rows] == ["tokens/s"] * 3 + ["episodes/s"] * there
    assert all(row.rate > 0 and row.plain_rate > 0 for row in rows)
    monkeypatch.setattr(train_bench, "find_spec", lambda name: None)
    assert [row.unit for row in train_bench.rows(rounds=1)] == ["tokens/s"] * 3


def test_the_bare_pass_learns_what_the_stage_learns(tmp_path):
    """Else it would be a ceiling of other work: the same tokens, and weights that move alike."""
    path, _ = play_bench.checkpoint(tmp_path)
    ours, plain = load(path), load(path)
    examples = train_bench.encode(ours.tokenizer, train_bench.expert_dialogues("gp-l", 5, mistakes=1), parts=False)
    options = train_bench.Optimisation(steps=1, batch_size=5, lr=1e-4, betas=(0.9, 0.999), micro_batch_tokens=10**6)
    run = train_bench.Run.create(tmp_path / "runs", "t", "stage: sft\n")
    meter = train_bench.fit(ours.model, ours.tokenizer, lambda step: examples, options, run)
    batches = train_bench.cut(examples, 10**6)
    optimizer = torch.optim.AdamW(plain.model.parameters(), lr=1e-4, weight_decay=0.0)
    train_bench.bare(plain.model, optimizer, batches)
    assert meter.trained_tokens == sum(int(batch["attention_mask"].sum()) for batch in batches)
    for a, b in zip(ours.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=2e-6, rtol=0)


def test_bench_reports_each_way(capsys, monkeypatch):
    monkeypatch.setattr(solver_bench, "HANDS", 8)
    monkeypatch.setattr(solver_bench, "PLAIN_HANDS", 1)
    monkeypatch.setattr(verifier_bench, "ANSWERS", 40)
    assert main(["bench", "solver", "verifier", "--rounds", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["bench"] for row in document["rows"]] == ["solver", "solver", "verifier"]
    for row in document["rows"]:
        assert row["rate"] > 0 and row["ratio"] == pytest.approx(row["rate"] / row["plain_rate"])
    assert document["machine"]["cpu"] and document["machine"]["cores"] >= 1
    assert main(["bench", "solver", "--rounds", "1"]) == 0
    out, err = capsys.readouterr()
    assert "hands/s" in out
    # A line for each figure when it is done, and how many there are.
    assert [line.split(":")[:2] for line in err.splitlines() if line.startswith("solver")] == [
        ["solver", " has a solution?"],
        ["solver", " all solutions, each once"],
    ]
    assert "2/2 figures" in err and "left" in err


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_an_interrupt_keeps_the_figures_that_are_done(options, capsys, monkeypatch):
    def rows(rounds):
        yield timing.Row("solver", "first", "hands/s", 2.0, 1.0, 2.0, "plain", rounds, None)
        raise KeyboardInterrupt

    monkeypatch.setattr(solver_bench, "rows", rows)
    assert main(["bench", "solver", *options]) == 130
    out, err = capsys.readouterr()
    assert "first" in out and err.endswith("labkit: stopped; timed 1 of 2 figures\n")
    if options:
        assert [row["what"] for row in json.loads(out)["rows"]] == ["first"]


def test_the_index_is_timed_beside_a_scan(monkeypatch):
    monkeypatch.setattr(runs_bench, "EPISODES", 60)
    monkeypatch.setattr(runs_bench, "PLAYED", 20)
    rows = list(runs_bench.rows(rounds=2))
    assert len(rows) == runs_bench.figures() and all(row.rate > 0 and row.plain_rate > 0 for row in rows)
    assert {row.unit for row in rows} == {"episodes/s", "queries/s"}
