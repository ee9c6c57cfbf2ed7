"""Statistics over training seeds against numbers worked out by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from labkit.episode import Episode, Task
from labkit.evaluation import Estimate, wilson
from labkit.evaluation.paired import difference
from labkit.evaluation.seeds import across, crossed, level, pooled, rate_across, shared_part, t95


def test_students_quantiles():
    table = {1: 12.7062, 2: 4.3027, 3: 3.1824, 10: 2.2281, 30: 2.0423, 120: 1.9799, 1e9: 1.95996}
    assert {f: t95(f) for f in table} == {f: pytest.approx(t, abs=6e-5) for f, t in table.items()}
    assert 4.3027 < t95(1.5) < 12.7062


def played(right: list[bool], player: str = "rl") -> list[Episode]:
    """Episodes that end well or not, of the same tasks each time."""
    tasks = [Task("gp-l", {}, {}, attempts=1, reward={}, index=i) for i in range(len(right))]
    return [Episode(t, (), "success" if r else "exhausted", player) for t, r in zip(tasks, right, strict=True)]


def logit_interval(value: float, half: float) -> tuple[float, float]:
    half /= value * (1 - value)
    return tuple(stats.logistic.cdf(stats.logistic.ppf(value) + side) for side in (-half, half))


SIMILAR = np.array([[1, 1, 0, 0], [1, 0, 0, 0]])
"""Mean squares: seeds 4 * 2 * .125^2 = .125; deals 2 * .6875 / 3 = .4583; left .375 / 3 = .125. The seeds bring no
more than chance, so the variance of the mean is .4583 / 8, that of deals, with 3 degrees of freedom. A seed's own
variance: of the deals (.4583 - .125) / 2 = .1667, left .125."""
T3 = stats.t.ppf(0.975, 3)
APART = np.array([[1, 1, 1, 0], [0, 0, 0, -1]])
"""Mean squares: seeds 4 * 2 * .5^2 = 2, deals 2 * .75 / 3 = .5, left 0: variances 2 / 8 with 1 degree of freedom, and
.5 / 8 with 3."""


def test_seeds_that_differ_by_chance_add_no_variance():
    found = crossed(SIMILAR.astype(float))
    assert found == pytest.approx(
        (0.375, math.sqrt(0.458333 / 8), T3 * math.sqrt(0.458333 / 8), 0.166667 / 0.291667), rel=1e-5
    )


def test_seeds_that_differ_widely_have_the_quantile_of_few_seeds():
    found = crossed(APART.astype(float))
    half = math.hypot(stats.t.ppf(0.975, 1) * 0.5, T3 * 0.25)
    assert found == pytest.approx((0.25, math.sqrt(2.5 / 8), half, 1.0), rel=1e-5)


def test_the_interval_of_a_rate_over_seeds_is_students_on_the_logit_scale():
    seeds = [played(list(map(bool, row))) for row in SIMILAR]
    low, high = logit_interval(0.375, T3 * math.sqrt(0.458333 / 8))
    found = level(seeds)
    assert (found.value, found.n) == (0.375, 8) and found.ci95 == pytest.approx((low, high), rel=1e-4)
    assert 0 < low < 0.375 < high < 1
    assert shared_part(seeds) == pytest.approx(0.5714, abs=1e-4)
    # One seed has its own interval, and so have seeds of which nothing varies.
    assert level(seeds[:1]) == (0.5, 4, wilson(0.5, 4))
    assert level([played([True] * 9)] * 3).ci95 == wilson(1.0, 9)


def test_a_weighted_rate_over_seeds():
    seeds = [played(row) for row in ([True, False, True], [True, False, False])]
    assert level(seeds, weights=[0.5, 0.25, 0.25]).value == pytest.approx((0.75 + 0.5) / 2)


def test_a_change_takes_its_bounds_from_both_rates_and_their_correlation():
    before = np.array([[0, 0, 0, 1, 0, 1, 0, 0], [0, 0, 1, 1, 0, 0, 0, 0]])
    after = np.array([[1, 0, 1, 1, 0, 1, 0, 1], [1, 0, 0, 1, 0, 1, 1, 1]])
    found = pooled([(played(b.astype(bool)), played(a.astype(bool))) for b, a in zip(before, after, strict=True)])
    b, a, d = (crossed(rows.astype(float)) for rows in (before, after, after - before))
    (low_b, high_b), (low_a, high_a) = (logit_interval(mean.value, mean.half) for mean in (b, a))
    r = (b.error**2 + a.error**2 - d.error**2) / (2 * b.error * a.error)
    down = math.sqrt((a.value - low_a) ** 2 + (high_b - b.value) ** 2 - 2 * r * (a.value - low_a) * (high_b - b.value))
    up = math.sqrt((high_a - a.value) ** 2 + (b.value - low_b) ** 2 - 2 * r * (high_a - a.value) * (b.value - low_b))
    assert (found.change.value, found.change.n) == (pytest.approx(0.625 - 0.25), 2)
    assert found.change.ci95 == pytest.approx((0.375 - down, 0.375 + up), rel=1e-9)
    assert [s.value for s in found.seeds] == pytest.approx([0.375, 0.375])


def test_one_seed_has_the_interval_of_a_difference():
    pair = played([True, False, False, True, False]), played([True, True, True, False, False])
    assert pooled([pair]).change == difference(*pair)._replace(n=1)


def test_seeds_without_any_change_keep_the_interval_of_one():
    pair = played([True] * 20 + [False] * 10), played([True] * 20 + [False] * 10)
    found = pooled([pair] * 3)
    assert found.change.value == 0 and found.change.ci95 == difference(*pair).ci95 and found.change.ci95[1] > 0


def test_what_cannot_be_pooled_is_an_error():
    pair = played([True, False]), played([True, True])
    with pytest.raises(ValueError, match="no seeds"):
        pooled([])
    with pytest.raises(ValueError, match="no seeds"):
        level([])
    with pytest.raises(ValueError, match="not play the same tasks"):
        pooled([pair, (played([True] * 3), played([True] * 3))])
    with pytest.raises(ValueError, match="no trial in any episode"):
        level([pair[0]] * 2, metric="number_right")


def test_numbers_without_episodes_by_hand():
    one, two = Estimate(0.2, 10, (0.0, 0.4)), Estimate(0.6, 10, (0.4, 0.8))
    own, spread = (0.2 / 1.959964) ** 2, 0.4**2 / 2
    # All of a seed's own variance is that of the deals: it is added to the spread.
    half = math.hypot(stats.t.ppf(0.975, 1) * math.sqrt(spread / 2), 0.2)
    assert across([one, two]).ci95 == pytest.approx((0.4 - half, 0.4 + half))
    assert across([one, two]).n == 20
    # None of it is: it is a part of the spread already.
    half = stats.t.ppf(0.975, 1) * math.sqrt(spread / 2)
    assert across([one, two], shared=0).ci95 == pytest.approx((0.4 - half, 0.4 + half))
    # Seeds closer than their own noise: they differ by chance, and the noise counts.
    near = Estimate(0.2, 10, (0.0, 0.4)), Estimate(0.21, 10, (0.01, 0.41))
    half = 1.959964 * math.sqrt(own / 2)
    assert across(near, shared=0).ci95 == pytest.approx((0.205 - half, 0.205 + half))
    assert across([one, one, one]).ci95 == pytest.approx(one.ci95)
    assert across([one]) == rate_across([one]) == one
    with pytest.raises(ValueError, match="no seeds"):
        across([])


def test_rates_without_episodes_stay_within_zero_and_one():
    one, two = Estimate(0.2, 10, (0.0, 0.4)), Estimate(0.6, 10, (0.4, 0.8))
    low, high = rate_across([one, two]).ci95
    assert across([one, two]).ci95[0] < 0 < low < 0.4 < high < 1
    none = Estimate(0.0, 10, wilson(0, 10))
    assert rate_across([none, none]).ci95 == none.ci95
