"""The command ``labkit figures``: lists, draws, keeps and runs."""

import json
import sys
from pathlib import Path

import pytest

from labkit.cli import main
from labkit.dispatch import host as hosts
from labkit.dispatch import remote
from labkit.replication import Archive
from tests.replication.stored_runs import FIGURE, lay_out


def _json(capsys, *words):
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_command_lists_the_figures_and_what_is_stored(here, capsys):
    listed = {row["figure"]: row for row in _json(capsys, "figures")}
    assert {name: (row["runs"], row["of"], len(row["missing"])) for name, row in listed.items()} == {
        "05": (4, 4, 0), "06": (2, 2, 2), "10": (4, 4, 0), "grid": (8, 8, 0)
    }  # fmt: skip
    assert main(["figures"]) == 0
    assert "4 of 4 runs, complete" in capsys.readouterr().out


def test_the_command_draws_from_stored_runs(here, capsys, tmp_path):
    out = tmp_path / "out"
    told = _json(capsys, "figures", "5", "--stills", "none", "--out", str(out))
    assert (out / "figures.html").stat().st_size > 1_000_000
    assert [row["value"] for row in told["figures"][0]["rows"]] == pytest.approx([0.75, 0.1, 0.4, 0.55])
    assert [f["verdict"] for f in told["figures"][0]["findings"]] == ["too few seeds"] * 2
    assert told["figures"][0]["missing"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["figures", "7"], "no figure '7'"),
        (["figures", "--run"], "name the figures to run: 05, 06, 10, grid"),
        (["figures", "05", "--seeds", "x"], "whole numbers with commas"),
        (["figures", "05", "--cell", "gp-x"], "no cell 'gp-x'; did you mean gp-l?"),
        (["figures", "05", "--cell", "virl-l"], "figure 05 has nothing in virl-l"),
        (["figures", "05", "--from", "nowhere"], "no folder nowhere"),
        (["figures", "05", "--keep", "x"], "--keep copies runs and does nothing else"),
        (["figures", "--keep", "nope"], "no run nope"),
        (["figures", "05", "--without-episodes"], "name them with --keep"),
    ],
)
def test_a_wrong_use_is_said_in_one_line(here, capsys, words, said):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_runs_are_kept_by_the_command(here, capsys):
    run = Archive(["runs"]).runs[0]
    (kept,) = _json(capsys, "figures", "--keep", run.id)
    assert kept == {
        "run": f"results/{run.id}",
        "bytes": sum(p.stat().st_size for p in Path(f"results/{run.id}").rglob("*") if p.is_file()),
    }


def test_one_run_from_nothing_and_nothing_is_run_twice(tmp_path, monkeypatch, capsys):
    """Really trains: two steps of SFT, and one update of RL from the first of them."""
    probe = {"probe.every": 1, "probe.episodes": 4, "probe.split": "test"}
    plan = {
        **FIGURE,
        "set": probe,
        "curves": [
            {**FIGURE["curves"][0], "set": {"steps": 2, "batch_size": 2}},
            {"name": "on", "method": "rl", "config": "gp-l/rl.yaml", "start": {"curve": "SFT", "step": 1},
             "set": {"updates": 1, "episodes": 2, "attempts": 1, "max_new_tokens": 8, "kl": 0}},
        ],
        "claims": [],
    }  # fmt: skip
    lay_out(tmp_path, f05=plan)
    monkeypatch.chdir(tmp_path)
    words = ["figures", "05", "--run", "--seeds", "100", "--stills", "none"]
    told = _json(capsys, *words)
    assert told["figures"][0]["missing"] == []
    assert [(r["player"], list(r["seeds"])) for r in told["figures"][0]["rows"]] == [("SFT", ["100"])] * 2 + [
        ("on", ["100"])
    ] * 2
    made = sorted(p.name for p in Path("runs").glob("*/config.yaml"))
    assert len(made) == 2
    assert main(words) == 0
    assert sorted(p.name for p in Path("runs").glob("*/config.yaml")) == made
    assert "1 of" not in capsys.readouterr().err


def test_runs_are_sent_to_a_host_once_and_count_when_fetched(tmp_path, monkeypatch, capsys):
    """Really trains: two steps of SFT, on this machine as a host."""
    small = {**FIGURE["curves"][0], "set": {"steps": 2, "batch_size": 2}}
    probe = {"probe.every": 1, "probe.episodes": 4, "probe.split": "test"}
    lay_out(tmp_path, f05={**FIGURE, "set": probe, "curves": [small], "claims": []})
    (tmp_path / "here.yaml").write_text(json.dumps({"folder": str(tmp_path / "there"), "python": sys.executable}))
    monkeypatch.chdir(tmp_path)
    words = ["figures", "05", "--run", "--to", "here.yaml", "--seeds", "100"]
    [sent] = _json(capsys, *words)["sent"]
    assert _json(capsys, *words)["sent"] == [sent], "sent again, it is the same run"
    run = remote.SentRun(hosts.load("here.yaml"), sent, "runs")
    for _ in run.follow(every=0.1):
        pass
    run.fetch()
    told = _json(capsys, "figures", "05", "--seeds", "100", "--stills", "none")
    assert told["figures"][0]["missing"] == []
    assert _json(capsys, *words) == {"sent": [], "left": 0}
    assert main(["figures", "05", "--to", "here.yaml"]) == 2 and "give --run too" in capsys.readouterr().err
