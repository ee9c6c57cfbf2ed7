"""Every config in the repository is valid, and its run is reproducible from what is in it."""

from pathlib import Path

import pytest

from labkit.config import read
from labkit.training import stages

CONFIGS = sorted((Path(__file__).parents[2] / "configs").rglob("*.yaml"))


@pytest.mark.parametrize("path", [p for p in CONFIGS if "\nstage: " in p.read_text()], ids=lambda p: p.stem)
def test_it_parses_and_fixes_its_seed(path):
    config = stages.parse(read(path), str(path))
    assert callable(stages.runner(config.stage))
    assert isinstance(config.seed, int)
    assert "seed" in read(path)


AUTHORS = [p for p in CONFIGS if p.stem.startswith("authors")]


@pytest.mark.parametrize("path", AUTHORS, ids=lambda p: "/".join(p.parts[-2:]))
def test_the_11b_model_is_trained_with_its_layers_computed_again(path):
    config = stages.parse(read(path), str(path))
    assert config.activation_checkpointing
