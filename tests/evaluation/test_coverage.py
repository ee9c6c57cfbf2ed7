"""How often the printed intervals hold the truth, on simulated deals of which the truth is known.

Deals differ in difficulty and are the same for every seed and for both players; every seed has an effect of its own.
Both live on the logit scale. The truth is the mean over all deals and all seeds that there could be. A count of K out
of R intervals that hold it has a binomial error: bounds lie three such errors from what is asserted.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from labkit.evaluation.metrics import Trials
from labkit.evaluation.paired import Side, change_of, side_of
from labkit.evaluation.seeds import across, change_over, crossed, rate_across, rate_over

REPETITIONS = 400


class Design:
    """Cards or routes, players and seeds to draw evaluations from.

    Args:
        deals: hands or routes in one evaluation.
        seeds: training seeds.
        rate: mean logit of the trained player.
        spread: standard deviation of the seeds' effects (logit).
        difficulty: standard deviation of the deals' effects (logit).
        answers: fewest and most answers to a deal; 1 and 1 with cards.
    """

    def __init__(self, deals: int, seeds: int, rate: float, spread: float, difficulty=1.0, answers=(1, 1)) -> None:
        self.deals, self.seeds, self.rate, self.spread = deals, seeds, rate, spread
        self.difficulty, self.answers = difficulty, answers
        self.init = -0.5 if rate < 0 else 0.3
        noise = np.random.default_rng(0)
        hard, seed = noise.standard_normal((2, 1_000_000))
        self.trained_truth = _expit(rate + spread * seed + difficulty * hard).mean()
        self.init_truth = _expit(self.init + difficulty * hard).mean()

    def draw(self, noise: np.random.Generator) -> tuple[Side, list[Side]]:
        """Init's evaluation, and that of each seed."""
        hard_E = self.difficulty * noise.standard_normal(self.deals)
        count_E = noise.integers(self.answers[0], self.answers[1] + 1, self.deals)
        effects = self.spread * noise.standard_normal(self.seeds)
        init = _side(noise, self.init + hard_E, count_E)
        return init, [_side(noise, self.rate + effect + hard_E, count_E) for effect in effects]


def _expit(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _side(noise: np.random.Generator, logit_E: np.ndarray, count_E: np.ndarray) -> Side:
    hits_E = noise.binomial(count_E, _expit(logit_E))
    return side_of([Trials(int(h), int(n)) for h, n in zip(hits_E, count_E, strict=True)], [1.0] * len(count_E))


def coverage(design: Design, interval: Callable[[Side, Sequence[Side]], tuple[float, float]], truth: float) -> float:
    noise = np.random.default_rng(1)
    held = 0
    for _ in range(REPETITIONS):
        low, high = interval(*design.draw(noise))
        held += low <= truth <= high
    return held / REPETITIONS


NARROW = {
    "121 hands, seeds alike": Design(121, 3, -0.7, 0.0),
    "121 hands, seeds a little apart": Design(121, 3, -0.7, 0.15),
    "121 hands, seeds as far apart as those of SFT": Design(121, 3, -1.0, 0.4),
    "796 hands, seeds a little apart": Design(796, 3, -0.7, 0.15),
    "200 routes, seeds alike": Design(200, 3, 0.8, 0.0, answers=(2, 12)),
    "200 routes, seeds a little apart": Design(200, 3, 0.8, 0.15, answers=(2, 12)),
}
WIDE = {
    "200 routes, 3 seeds from 2 to 50%": Design(200, 3, -1.95, 1.0, answers=(2, 12)),
    "200 routes, 4 seeds from 2 to 50%": Design(200, 4, -1.95, 1.0, answers=(2, 12)),
    "200 routes, 3 seeds from 1 to 70%": Design(200, 3, -1.95, 1.5, answers=(2, 12)),
}
DESIGNS = NARROW | WIDE
LEAST = 0.95 - 3 * math.sqrt(0.95 * 0.05 / REPETITIONS)
MOST = 0.985
"""An interval that always holds the truth is no 95% interval; that of many equal seeds is a little wide."""


def of_rate(init: Side, seeds: Sequence[Side]) -> tuple[float, float]:
    return rate_over(seeds).ci95


def of_change(init: Side, seeds: Sequence[Side]) -> tuple[float, float]:
    return change_over([init] * len(seeds), seeds).change.ci95


def of_numbers(init: Side, seeds: Sequence[Side]) -> tuple[float, float]:
    """From the seeds' own numbers, and what their episodes tell of the deals."""
    return rate_across([s.estimate for s in seeds], shared_of(seeds)).ci95


def of_changed_numbers(init: Side, seeds: Sequence[Side]) -> tuple[float, float]:
    return across([change_of(init, s) for s in seeds], shared_of(seeds, init)).ci95


def shared_of(seeds: Sequence[Side], init: Side | None = None) -> float:
    rows = [s.estimate.value + len(s.error_E) * (s.error_E - (init.error_E if init else 0)) for s in seeds]
    return crossed(np.stack(rows)).shared


@pytest.mark.parametrize("name", DESIGNS)
@pytest.mark.parametrize("interval", [of_rate, of_change, of_numbers])
def test_an_interval_over_seeds_holds_the_truth_in_95_of_100_cases(name, interval):
    design = DESIGNS[name]
    truth = design.trained_truth - (design.init_truth if interval is of_change else 0)
    assert LEAST <= coverage(design, interval, truth) <= MOST


@pytest.mark.parametrize("name", NARROW)
def test_changes_of_which_only_numbers_were_kept(name):
    design = DESIGNS[name]
    assert LEAST <= coverage(design, of_changed_numbers, design.trained_truth - design.init_truth) <= MOST


@pytest.mark.parametrize("name", ["121 hands, seeds alike", "200 routes, seeds alike"])
def test_one_seed_holds_the_truth_over_deals(name):
    design = DESIGNS[name]
    gain = design.trained_truth - design.init_truth
    assert LEAST <= coverage(design, lambda init, seeds: seeds[0].estimate.ci95, design.trained_truth) <= MOST
    assert LEAST <= coverage(design, lambda init, seeds: change_of(init, seeds[0]).ci95, gain) <= MOST


def test_one_seed_does_not_hold_the_truth_over_seeds():
    design = DESIGNS["796 hands, seeds a little apart"]
    assert coverage(design, lambda init, seeds: seeds[0].estimate.ci95, design.trained_truth) < LEAST
