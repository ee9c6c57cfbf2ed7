"""Stage ``vision``: a text model gets a tower; its two phases; what does not fit together."""

import json

import pytest
import torch
from safetensors.torch import load_file

from labkit.errors import UsageError
from labkit.models.loader import load
from labkit.models.vision import part_of
from labkit.training import train

CONFIG = {
    "stage": "vision",
    "model": "tiny:base",
    "tower": {"size": 48, "patch": 16, "hidden": 16, "layers": 1, "heads": 2, "feed_forward": 24},
    "freeze": ["language"],
    "steps": 2,
    "batch_size": 4,
    "lr": 1e-3,
    "save_every": 1,
}


def run(tmp_path, *overrides, **changes):
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({**CONFIG, **changes}))
    return train(config, overrides, out=tmp_path / "runs")


def test_first_the_tower_learns_and_then_everything(tmp_path):
    first = run(tmp_path)
    base, seeing = load("labkit/bundled/base"), load(first.checkpoint(2))
    old, new = base.model.state_dict(), seeing.model.state_dict()
    for name, weight in old.items():
        mine = new[name if name.startswith("lm_head") else f"model.language_model.{name.removeprefix('model.')}"]
        assert torch.equal(mine[: len(weight)], weight), name
    changes = {"model": str(first.checkpoint(2)), "tower": None, "freeze": [], "name": "all"}
    second = run(tmp_path, **changes)
    before, after = (load_file(r.checkpoint(2) / "model.safetensors") for r in (first, second))
    moved = {part_of(name) for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"vision", "connector", "language"}


def test_a_text_model_needs_a_tower(tmp_path):
    with pytest.raises(UsageError, match="tiny:base has no tower; give the settings of one as tower"):
        run(tmp_path, tower=None)


def test_a_vision_model_needs_none(tmp_path):
    seeing = run(tmp_path, steps=1).checkpoint(1)
    with pytest.raises(UsageError, match="sees already; leave tower out"):
        run(tmp_path, model=str(seeing))
