"""How often the printed intervals hold the truth, on simulated deals of which the truth is known.

Deals differ in difficulty and are the same for every seed and for both players; every seed has an effect of its own.
Both live on the logit scale. The truth is the mean over all deals and all seeds that there could be. A count of K out
of R intervals that hold it has a binomial error: bounds lie three such errors from what is asserted.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from labkit.evaluation.metrics import Trials
from labkit.evaluation.paired import Side, side_of
from labkit.evaluation.seeds import change_over, rate_across, rate_over

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


def _error(expected: float) -> float:
    return 3 * math.sqrt(expected * (1 - expected) / REPETITIONS)


DESIGNS = {
    "cards121": Design(121, 3, -0.7, 0.0),
    "cards121 small": Design(121, 3, -0.7, 0.15),
    "cards121 sft": Design(121, 3, -1.0, 0.4),
    "cards796 small": Design(796, 3, -0.7, 0.15),
    "walk none": Design(200, 3, 0.8, 0.0, answers=(2, 12)),
    "walk small": Design(200, 3, 0.8, 0.15, answers=(2, 12)),
    "walk wide 3": Design(200, 3, -1.95, 1.0, answers=(2, 12)),
    "walk wide 4": Design(200, 4, -1.95, 1.0, answers=(2, 12)),
    "walk wider 3": Design(200, 3, -1.95, 1.5, answers=(2, 12)),
    "walk wider 4": Design(200, 4, -1.95, 1.5, answers=(2, 12)),
}
if __name__ == "__main__":
    for name, d in DESIGNS.items():
        gain = d.trained_truth - d.init_truth
        print(
            name,
            round(d.trained_truth, 3),
            "rate",
            coverage(d, lambda i, s: rate_over(s).ci95, d.trained_truth),
            "change",
            coverage(d, lambda i, s: change_over([i] * len(s), s).change.ci95, gain),
            "across",
            coverage(d, lambda i, s: rate_across([x.estimate for x in s]).ci95, d.trained_truth),
            flush=True,
        )
