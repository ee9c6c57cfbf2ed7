"""Which checkpoints lie on the way of a run."""

from pathlib import Path

import pytest
import yaml

from labkit.players.lineage import lineages, origin
from labkit.players.registry import PlayerInfo


def bundled(spec, run, steps, model=None, stage="sft", cell="gp-l"):
    card = {"run": run, "steps": steps, "config": {"stage": stage, "cell": cell, "model": model}}
    return PlayerInfo(spec, "tiny", spec, Path(spec), card)


BASE = bundled("tiny:base", "R0", 900, stage="pretrain")
INIT = bundled("tiny:init", "R1", 40, "tiny:base")
LATE, EARLY = (bundled(f"tiny:rl{at}", "R2", steps, "tiny:init", "rl") for at, steps in (("", 100), ("@9", 9)))
OTHER = bundled("tiny:sft", "R3", 7, "tiny:init")


def test_a_lineage_goes_from_the_first_model_to_the_last_checkpoint_by_steps():
    found = {lineage.last.run: lineage.specs for lineage in lineages([OTHER, LATE, EARLY, INIT, BASE])}
    assert found == {
        "R2": ("tiny:base", "tiny:init", "tiny:rl@9", "tiny:rl"),
        "R3": ("tiny:base", "tiny:init", "tiny:sft"),
    }


def test_only_players_on_offer_are_stops_and_one_stop_is_no_lineage():
    assert [lineage.specs for lineage in lineages([LATE, EARLY])] == [("tiny:rl@9", "tiny:rl")]
    assert lineages([LATE, BASE]) == []


def test_models_that_start_from_each_other_end():
    one, other = bundled("tiny:a", "A", 1, "tiny:b"), bundled("tiny:b", "B", 1, "tiny:a")
    assert all(len(lineage.specs) == 2 for lineage in lineages([one, other]))


@pytest.fixture
def run(tmp_path):
    def made(text, *steps):
        for step in steps:
            (tmp_path / "R9" / "checkpoints" / f"step-{step:06d}").mkdir(parents=True)
        (tmp_path / "R9" / "config.yaml").write_text(text, encoding="utf-8")
        folders = sorted((tmp_path / "R9" / "checkpoints").iterdir())
        return [PlayerInfo(f"run:R9@{s}", "run", "", f) for s, f in zip(sorted(steps), folders, strict=True)]

    return made


def test_checkpoints_of_a_stored_run_follow_what_it_started_from(run):
    stored = run(yaml.safe_dump({"stage": "rl", "cell": "gp-l", "model": "tiny:init"}), 20, 5)
    [found] = [lineage for lineage in lineages([INIT, BASE, *stored]) if lineage.last.run == "R9"]
    assert found.specs == ("tiny:base", "tiny:init", "run:R9@5", "run:R9@20")
    assert (found.last.stage, found.last.cell, found.last.step) == ("rl", "gp-l", 20)
    onward = bundled("tiny:on", "R10", 3, "run:R9")
    assert lineages([INIT, BASE, *stored, onward])[0].specs[-2:] == ("run:R9@20", "tiny:on")


def test_a_damaged_run_hides_no_other(run):
    stored = run("stage: [", 1, 2)
    assert origin(stored[0]).config == {}
    assert ("tiny:base", "tiny:init") in [lineage.specs for lineage in lineages([INIT, BASE, *stored])]


def test_other_players_have_no_origin():
    assert origin(PlayerInfo("expert", "expert", "")) is None
