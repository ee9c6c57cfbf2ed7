"""Checks of the exercises in notebooks/09_revision_scaling."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

from labkit.compute import Meter
from labkit.exercises import exercise, expect


@exercise(
    "Of a hand like [False, True], the first attempt failed, the second solved, and there was no third.",
    "Divide by the hands whose list has at least n entries, not by all hands.",
)
def chance_of_attempt(learner: Any) -> str:
    """A list of k shares: of the hands that had an n-th attempt, those that it solved; 0 where there was none."""
    yes, late, never = [True], [False, False, True], [False] * 5
    expect(learner, ([yes, late, never, never], 3), [1 / 4, 0.0, 1 / 3])
    expect(learner, ([yes, yes], 3), [1.0, 0.0, 0.0])
    expect(learner, ([never], 5), [0.0] * 5)
    # Five hands, one solved by each attempt: 1 of 5, 1 of 4, 1 of 3, 1 of 2, 1 of 1.
    expect(learner, ([[False] * n + [True] for n in range(5)], 5), [1 / 5, 1 / 4, 1 / 3, 1 / 2, 1.0])
    return "right for four records; 1 of 5, of 4, of 3 ... is what one success an attempt looks like"


@exercise(
    "All k tries miss a hand of chance p with probability (1 - p) ** k.",
    "Take the mean over hands of 1 - (1 - p) ** k; not the mean of p first.",
)
def expected_within(learner: Any) -> str:
    """The mean over hands of the chance that k independent tries hold a right one."""
    # By hand: chances 0 and 1 stay at 1/2; 1/2 gives 1/2, 3/4, 7/8.
    for p, k, right in (([0.5], 3, 7 / 8), ([0.0, 1.0], 9, 0.5), ([0.5, 0.0], 2, 3 / 8), ([0.2, 0.4], 1, 0.3)):
        expect(learner, (p, k), right)
    for p, k in product(([0.1, 0.9], [0.3, 0.3, 0.6], [0.05] * 4), (2, 5, 10)):
        tries = [[chance] * k for chance in p]
        expect(learner, (p, k), sum(_any(chances) for chances in tries) / len(tries))
    apart, alike = learner([0.0, 0.6], 5), learner([0.3, 0.3], 5)
    return f"five tries solve {apart:.0%} of hands with chances 0 and 0.6, but {alike:.0%} where both have 0.3"


def _any(chances: list[float]) -> float:
    """The chance of at least one success, added up try by try."""
    solved = 0.0
    for chance in chances:
        solved += (1 - solved) * chance
    return solved


@exercise(
    "Kept: every token of the dialogue counts once, 2 FLOPs for each parameter.",
    "Not kept: the n-th attempt costs the whole dialogue up to and with its answer; add these up.",
)
def flops(learner: Any) -> str:
    """2 FLOPs for each parameter and token: of the dialogue once if kept, of each attempt's whole text if not."""
    for kept in (True, False):
        expect(learner, (10, 100, [30], [], kept), 2 * 10 * 130)
    # Dialogues of 130, 180 (20 + 30 more) and 230 tokens.
    expect(learner, (10, 100, [30, 30, 30], [20, 20], True), 2 * 10 * 230)
    expect(learner, (10, 100, [30, 30, 30], [20, 20], False), 2 * 10 * (130 + 180 + 230))
    for prompt, (answers, feedback) in product((1, 79), (([35, 20], [17]), ([5, 6, 7, 8], [1, 2, 3]))):
        texts = [["p"] * prompt + ["a"] * answers[0]]
        for reply, answer in zip(feedback, answers[1:], strict=True):
            texts.append(texts[-1] + ["f"] * reply + ["a"] * answer)
        for kept, tokens in ((True, len(texts[-1])), (False, sum(map(len, texts)))):
            right = Meter(967_808, sampled_tokens=tokens).inference_flops
            expect(learner, (967_808, prompt, answers, feedback, kept), right)
    ten = [learner(967_808, 80, [34] * 10, [22] * 9, kept) / 1e9 for kept in (True, False)]
    return f"ten attempts of the tiny model cost {ten[0]:.1f} GFLOP kept, {ten[1]:.1f} read anew"


@exercise(
    "The first is always looked at. The second is if the first was wrong: with probability (n - c) / n.",
    "The chance that j samples are all wrong is comb(n - c, j) / comb(n, j); add it up for j = 0 ... k - 1.",
)
def answers_drawn(learner: Any) -> str:
    """The mean, over all orders of n samples with c right ones, of how many are looked at: until a right one, or k."""
    # By hand: one right of two: 1 or 2, each half the time. All wrong: k. All right: 1.
    for given, right in {(2, 1, 2): 1.5, (5, 0, 3): 3.0, (5, 5, 3): 1.0, (3, 1, 3): 2.0, (4, 2, 1): 1.0}.items():
        expect(learner, given, right)
    cases = [(n, c, k) for n in range(1, 6) for c, k in product(range(n + 1), range(1, n + 1))]
    for n, c, k in cases:
        orders = list(permutations(range(n)))
        expect(learner, (n, c, k), sum(_looked_at(order, c, k) for order in orders) / len(orders))
    return f"right for all {len(cases)} cases up to 5 samples, every order of them counted"


def _looked_at(order: tuple[int, ...], right: int, most: int) -> int:
    """Samples looked at in this order, of which the numbers below ``right`` are right."""
    first = next((place for place, sample in enumerate(order, 1) if sample < right), most)
    return min(first, most)
