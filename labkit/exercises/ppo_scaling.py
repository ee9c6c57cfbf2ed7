"""Checks of the exercises in notebooks/06_ppo_scaling."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from labkit.compute import Meter
from labkit.evaluation.metrics import mean
from labkit.exercises import exercise, expect
from labkit.exercises.ppo_by_hand import update
from labkit.views.widgets.curves import smoothed as library_smoothed

__all__ = ["choose_rate", "paired_interval", "smoothed", "update", "update_flops"]


@exercise(
    "Each point is a weighted mean of the values so far: the newest weighs 1, the one before weight, then weight ** 2.",
    "Keep two running sums, of the values and of their weights; multiply both by weight before you add.",
)
def smoothed(learner: Any) -> str:
    """A list: at each place the weighted mean of all values up to it, those k places back weighing weight ** k."""
    for given, right in (
        (([3.0, 3.0, 3.0], 0.9), [3.0, 3.0, 3.0]),
        (([0.0, 1.0], 0.5), [0.0, 2 / 3]),
        (([1.0, 0.0, 0.0], 0.5), [1.0, 1 / 3, 1 / 7]),
        (([2.0, 5.0], 0.0), [2.0, 5.0]),
    ):
        expect(learner, given, right)
    noise = np.random.default_rng(0).normal(size=20).round(2).tolist()
    for weight in (0.0, 0.6, 0.95):
        expect(learner, (noise, weight), library_smoothed(noise, weight))
    return "equal to the dashboard's curve, from the first point on"


@exercise(
    "Playing reads every token once, each scoring pass once more: 2 FLOPs a parameter. An epoch of learning costs 6.",
    "2 N D (1 + scored) + 6 N D epochs.",
)
def update_flops(learner: Any) -> str:
    """A number of FLOPs: play and the scoring passes at 2 a parameter and token, each epoch of learning at 6."""
    # By hand: ten parameters, one token.
    for given, right in {(10, 1, 0, 1): 80.0, (10, 1, 2, 1): 120.0, (10, 1, 1, 4): 280.0}.items():
        expect(learner, given, right)
    for tokens, scored, epochs in product((1, 91_495), (0, 1, 2), (1, 3)):
        meter = Meter(967_808, trained_tokens=epochs * tokens, sampled_tokens=(1 + scored) * tokens)
        expect(learner, (967_808, tokens, scored, epochs), meter.flops)
    share = learner(1, 1, 2, 1)
    return f"equal to the library's meter; with a critic and a KL a token costs {share:.0f} FLOPs a parameter, not 6"


@exercise(
    "The difference of a hand is 1, 0 or -1; take the mean of these, and their standard deviation (n - 1).",
    "change ± 1.96 standard errors; a standard error is the standard deviation over the square root of n.",
)
def paired_interval(learner: Any) -> str:
    """Three numbers (change, low, high): the mean difference hand by hand, and its normal 95% interval."""
    # By hand: differences 1 and 0, mean 1/2, variance 1/2, standard error 1/2.
    expect(learner, ([False, True], [True, True]), (0.5, 0.5 - 0.98, 0.5 + 0.98), 1e-3)
    expect(learner, ([True, False] * 5, [True, False] * 5), (0.0, 0.0, 0.0), 1e-3)
    noise = np.random.default_rng(0)
    for n in (10, 40, 300):
        before, after = (noise.random(n) < p for p in (0.3, 0.5))
        found = mean((after.astype(float) - before.astype(float)).tolist())
        expect(learner, (before.tolist(), after.tolist()), (found.value, *(found.ci95 or ())), 1e-3)
    return "equal to the library's interval, for up to 300 hands"


@exercise(
    "Average ID success over the seeds of each learning rate first.",
    "The experiment asks about the changed rule, so a choice that uses it has seen the answer.",
)
def choose_rate(learner: Any) -> str:
    """The learning rate with the highest mean ID success over its seeds; the changed rule plays no part."""
    rows = [
        {"lr": 1e-4, "seed": 0, "id": 0.30, "rule-ood": 0.40},
        {"lr": 1e-4, "seed": 1, "id": 0.34, "rule-ood": 0.44},
        {"lr": 4e-4, "seed": 0, "id": 0.50, "rule-ood": 0.05},
        {"lr": 4e-4, "seed": 1, "id": 0.20, "rule-ood": 0.05},
        {"lr": 2e-4, "seed": 0, "id": 0.38, "rule-ood": 0.20},
        {"lr": 2e-4, "seed": 1, "id": 0.40, "rule-ood": 0.22},
    ]
    expect(learner, (rows[:1],), 1e-4)
    expect(learner, (rows[:2] + rows[4:],), 2e-4)
    expect(learner, (rows,), 2e-4)
    expect(learner, (rows[::-1],), 2e-4)
    expect(learner, (rows[:4],), 4e-4)
    return "chosen by the mean over seeds, without the changed rule"
