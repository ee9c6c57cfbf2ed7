"""docs/metrics.md lists what runs log: all of it, and nothing else."""

import re
from pathlib import Path

import pytest
import yaml

from labkit.models.tiny import Shape, build_model, build_tokenizer
from labkit.training import train
from labkit.training.sft.mixture import vocabulary
from tests.training import small_games

PAGE = (Path(__file__).parents[2] / "docs/metrics.md").read_text(encoding="utf-8")
PROBE = {"every": 1, "episodes": 2, "suites": ["id"]}


def documented(heading):
    """The names in the first column of the table under a heading."""
    (section,) = [part for part in PAGE.split("\n## ") if part.startswith(heading)]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])}


def logged(tmp_path, **config):
    """The names that a run of these settings logs, probes under placeholders as on the page."""
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    names = {name for line in train(path, out=tmp_path / "runs").metrics() for name in line}
    known = {"id": "SUITE", "success": "METRIC", "per_step_accuracy": "METRIC"}
    return {
        "/".join(known.get(part, part) for part in name.split("/")) if name.startswith("eval/") else name
        for name in names
    }


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A model that knows the words of both games."""
    folder = tmp_path_factory.mktemp("base")
    words = build_tokenizer(vocabulary(), 500)
    build_model(Shape(hidden=8, layers=1, heads=1, feed_forward=8, context=2048), words, 0).save_pretrained(folder)
    words.save_pretrained(folder)
    return str(folder)


def test_the_page_lists_what_the_supervised_stages_log_and_nothing_else(base, tmp_path, monkeypatch):
    monkeypatch.setattr("labkit.training.sft.pretrain._TOKENIZER_DOCUMENTS", 50)
    shape = {"vocabulary": 300, "hidden": 8, "layers": 1, "heads": 1, "feed_forward": 8, "context": 2048}
    small = {"steps": 1, "batch_size": 2, "lr": 1e-3}
    names = logged(tmp_path, stage="pretrain", shape=shape, **small)
    assert "kl" not in names
    for cell in ("gp-l", "virl-l"):
        names |= logged(tmp_path, stage="sft", cell=cell, model=base, kl=0.1, probe=PROBE, **small)
    assert names == documented("Supervised") | documented("Probes") | {"step"}


def test_the_page_lists_what_reinforcement_logs_and_nothing_else(base, tmp_path):
    small = {"stage": "rl", "updates": 1, "episodes": 2, "max_new_tokens": 2, "attempts": 2, "lr": 1e-3}
    names = logged(tmp_path, model=base, cell="gp-l", kl=0.1, probe=PROBE, **small)
    small_games.saved(tmp_path / "model")
    for kind in small_games.KINDS:
        settings = {**small, **small_games.of_kind(kind), "episodes": 4}
        names |= logged(tmp_path, model=str(tmp_path / "model"), cell="bandit", **settings)
    assert names == documented("Reinforcement") | documented("Probes") | {"step"}
