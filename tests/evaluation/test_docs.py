"""docs/evaluation.md names what is measured, all of it and nothing else."""

import re
from pathlib import Path

from labkit.evaluation import evaluate, general_points, virl
from labkit.evaluation.metrics import RATES
from labkit.players.simple import Random

TEXT = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
OF_MODELS = {"tokens", "truncated", "kl", "reference"}
"""What only a model's answers have."""


def test_every_measure_is_explained_and_every_explained_one_is_measured():
    measured = OF_MODELS | set(RATES) | set(general_points.RATES) | set(virl.RATES) | set(virl.ASKED_ONCE)
    for cell in ("gp-l", "virl-l"):
        measured |= set(evaluate(Random(), cell, "rule-ood", episodes=3, attempts=1, samples=2).details)
    assert set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)) == measured
