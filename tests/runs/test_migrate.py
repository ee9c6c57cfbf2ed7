"""Stored runs that use old names are read under the new ones."""

import gzip
import json
from pathlib import Path

import pytest
import yaml

from labkit.runs import Run
from labkit.runs.migrate import METRICS, SETTINGS
from labkit.training import stages

RESULTS = sorted((Path(__file__).parents[2] / "results").glob("*/config.yaml"))
TRAINED = [p.parent for p in RESULTS if yaml.safe_load(p.read_text()).get("stage") in stages.STAGES]


def test_results_hold_training_runs_of_both_stages():
    assert {Run(path).config["stage"] for path in TRAINED} >= {"sft", "rl"}


@pytest.mark.parametrize("path", TRAINED, ids=lambda p: p.name)
def test_a_stored_config_is_read_with_every_value_that_it_had(path):
    stored = yaml.safe_load((path / "config.yaml").read_text())
    data = stages.parse(Run(path).config).model_dump(mode="json")
    for key, value in stored.items():
        read = data[SETTINGS.get(key, key)]
        # A section has gained settings since; those it had are the same.
        assert (read | value if isinstance(value, dict) else value) == read, key


def test_no_setting_has_an_old_name_and_every_new_name_is_a_setting():
    from labkit.training.rl.config import RLConfig
    from labkit.training.sft.stage import SFTConfig

    known = {**RLConfig.model_fields, **SFTConfig.model_fields}
    assert SETTINGS.keys().isdisjoint(known) and set(SETTINGS.values()) <= set(known)


def test_stored_metrics_have_the_new_names_and_their_own_values():
    (first,) = [path for path in TRAINED if Run(path).config["stage"] == "rl"][:1]
    with gzip.open(first / "metrics.jsonl.gz", "rt") as lines:
        stored = [json.loads(line) for line in lines]
    for then, now in zip(stored, Run(first).metrics(), strict=True):
        assert METRICS.keys().isdisjoint(now)
        assert now == {METRICS.get(name, name): value for name, value in then.items()}
    assert now["policy/entropy_avg"] > 0
