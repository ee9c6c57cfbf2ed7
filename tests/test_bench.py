"""The benches: that they time what they say, and that both ways do the same work."""

import json
import subprocess
import sys
import time
from fractions import Fraction

import pytest

from labkit.bench import play as play_bench
from labkit.bench import solver as solver_bench
from labkit.bench import timing
from labkit.bench import verifier as verifier_bench
from labkit.bench import views as views_bench
from labkit.cli import main
from labkit.envs.general_points import expression
from labkit.envs.virl import views


def test_rates_and_ratio():
    # 20 units in 20 ms or more: at most 1,000 a second; 5 in as long: a quarter of that.
    def wait(units):
        return lambda number: time.sleep(0.02) or units

    row = timing.compare("b", "w", "u/s", wait(20), wait(5), "plain", rounds=3)
    assert 200 < row.rate <= 1000 and row.plain_rate == pytest.approx(row.rate / row.ratio, rel=0.5)
    assert row.ratio == pytest.approx(4, rel=0.5) and row.rounds == 3


def test_rounds_take_turns():
    calls = []
    timing.compare(
        "b", "w", "u/s", lambda n: calls.append(f"a{n}") or 1, lambda n: calls.append(f"b{n}") or 1, "", 2
    )
    assert calls == ["a0", "b0", "a1", "b1"]


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
        return verifier_bench.plain_check(
            json.dumps({**entry, "answer": json.dumps({"formula": formula})}).encode()
        )

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
    assert "hands/s" in capsys.readouterr().out
