"""``scripts/bundle.py``: cards in words, and what is refused before a player is replaced."""

import json
import re
import runpy
import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save

from labkit.errors import UsageError
from labkit.players.registry import BUNDLED
from labkit.runs import Run

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "bundle.py"))


@pytest.mark.parametrize("card", sorted(BUNDLED.rglob("card.json")), ids=lambda card: card.parent.name)
def test_the_readme_of_a_bundled_player_is_what_its_card_says(card):
    written = SCRIPT["readme"](json.loads(card.read_text(encoding="utf-8")))
    assert written == (card.parent / "README.md").read_text(encoding="utf-8")


def test_the_page_on_the_tiny_model_says_what_the_cards_say():
    page = (Path(__file__).parents[2] / "docs" / "tiny-model.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `tiny:(gp-l/[\w-]+)` \| (\d.*) \|$", page, re.MULTILINE)
    assert [name for name, _ in rows] == ["gp-l/init", "gp-l/sft", "gp-l/sft-thoughts", "gp-l/rl"]
    for name, cells in rows:
        card = json.loads((BUNDLED / name / "card.json").read_text(encoding="utf-8"))
        sampled, greedy = card["sampled"], card["results"]
        told = [sampled["id"], sampled["rule-ood"], greedy["rule-ood"], sampled["rule-ood"]["number_right"]]
        spans = [(100 * rate["value"], *(100 * end for end in rate["ci95"])) for rate in told]
        assert cells.split(" | ") == [f"{value:.1f}% [{low:.1f}, {high:.1f}]" for value, low, high in spans]


@pytest.mark.parametrize(
    ("cell", "missing", "said"),
    [
        ("gp-l", "chat_template.jinja", "step-2 has no chat_template.jinja"),
        ("lever", None, "no card is described for lever; add its row to CARDS"),
    ],
)
def test_a_player_stays_where_a_run_cannot_replace_it(tmp_path, monkeypatch, cell, missing, said):
    run = Run.create(tmp_path, "run", f"stage: rl\ncell: {cell}\n")
    run.checkpoint(2).mkdir(parents=True)
    for name in SCRIPT["KEPT"]:
        if name != missing:
            (run.checkpoint(2) / name).write_text("new")
    old = tmp_path / "bundled" / "player"
    old.mkdir(parents=True)
    (old / "config.json").write_text("old")
    monkeypatch.setitem(SCRIPT["main"].__globals__, "BUNDLED", tmp_path / "bundled")
    with pytest.raises(UsageError, match=said):
        SCRIPT["main"](str(run.path), "player", "A player.")
    assert [(path.name, path.read_text()) for path in old.iterdir()] == [("config.json", "old")]


def test_halved_weights_are_readable_by_everyone_and_half_as_precise(tmp_path):
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(save({"layer": torch.tensor([1.0, 1.0001, 1.001])}))
    weights.chmod(0o644)
    SCRIPT["halve"](weights)
    # Between 1 and 2 float16 has steps of 1/1024: 1.0001 is nearest to 1, 1.001 to 1 + 1/1024.
    half = load_file(weights)["layer"]
    assert half.dtype == torch.float16 and half.tolist() == [1, 1, 1 + 1 / 1024]
    assert stat.S_IMODE(weights.stat().st_mode) == 0o644
