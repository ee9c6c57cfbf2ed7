"""Checks of the exercises in notebooks/07_rule_ood."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import Any

from labkit.envs.general_points import cards
from labkit.exercises import exercise, expect

_OLD, _NEW = "ten", "eleven-twelve-thirteen"
_HANDS = (["K", "6", "2", "4"], ["J", "Q", "A", "2"], ["10", "K", "K", "3"], ["3", "3", "8", "8"], ["Q", "Q", "J", "5"])


@exercise(
    "Under each rule, write down the four numbers of the cards; the order does not matter, the counts do.",
    "sorted(numbers) == sorted(used), with 10, 10, 10 in one rule and 11, 12, 13 in the other; A is 1 in both.",
)
def rules_of(learner: Any) -> str:
    """ "both", "old", "new" or "neither": under which rule these numbers are those of the cards, each card once."""
    tried = [
        [10, 6, 2, 4],
        [6, 4, 2, 13],
        [13, 6, 2],
        [11, 12, 1, 2],
        [10, 10, 10, 3],
        [10, 13, 13, 3],
        [3, 3, 8, 8],
    ]
    cases: list[tuple[Sequence[str], Sequence[int]]] = [
        (_HANDS[0], tried[0]),
        (_HANDS[0], tried[1]),
        *product(_HANDS, tried),
    ]
    cases += [(hand, cards.numbers_of(hand, rule)[::-1]) for hand in _HANDS for rule in (_OLD, _NEW)]
    for hand, used in cases:
        old, new = (Counter(cards.numbers_of(hand, rule)) == Counter(used) for rule in (_OLD, _NEW))
        right = "both" if old and new else "old" if old else "new" if new else "neither"
        expect(learner, (list(hand), list(used)), right)
    return f"right for {len(cases)} hands and formulas"


@exercise(
    "Look at the checks in their order; the first that fails gives the name.",
    "A formula can be complete although the number field is wrong: ask for the field before you ask for the formula.",
    "number_right is False: translation. number_right, but not complete: copying. Complete, but not 24: arithmetic.",
)
def failure(learner: Any) -> str:
    """ "right", or the first of these that went wrong: "format" (no legal formula), "translation" (the number field),
    "copying" (the formula does not use just these numbers), "arithmetic"."""
    names = ("format", "translation", "copying", "arithmetic", "right")
    for legal, number_right, complete, makes_24 in product((True, False), repeat=4):
        if not legal and (complete or makes_24):
            continue
        failed = [not legal, not number_right, not complete, not makes_24, True]
        right = next(name for name, fails in zip(names, failed, strict=True) if fails)
        expect(learner, (legal, number_right, complete, makes_24), right)
    return "right for every possible answer"


@exercise(
    "An answer is right if its numbers are those of the cards, in any order; None (no list could be read) is wrong.",
    "Divide by all answers: leaving out unreadable ones would reward a player for unreadable answers.",
)
def translation_accuracy(learner: Any) -> str:
    """The share of answers whose numbers are those of the cards under the rule, in any order; None is a wrong one."""
    faces = {"J": 11, "Q": 12, "K": 13}
    one = (["K", "6", "2", "4"], [13, 6, 2, 4])
    old, mixed, none = (one[0], [10, 6, 2, 4]), (one[0], [4, 13, 6, 2]), (one[0], None)
    twice, short = (["J", "J", "A", "5"], [11, 1, 1, 5]), (["Q", "A", "10", "9"], [12, 1, 10])
    for answers in ([one], [one, old], [mixed], [one, none], [twice, one, one], [short, old, none], [one] * 3 + [old]):
        right = sum(n is not None and Counter(n) == Counter(cards.numbers_of(c, _NEW)) for c, n in answers)
        expect(learner, (answers, faces), right / len(answers))
    return "right for seven lists of answers"


@exercise(
    "Hands on which both did alike say nothing about which is better; count the others in two groups.",
    "If neither is better, each changed hand is a fair coin: sum comb(m, k) up to the smaller group, over 2 ** m.",
    "Both tails: twice that sum, and never more than 1.",
)
def mcnemar(learner: Any) -> str:
    """(change, p): the mean of after minus before, and the two-sided p-value of McNemar's exact test."""
    cases = [(5, 0, 1, 4), (0, 0, 10, 0), (3, 1, 9, 7), (2, 3, 3, 2), (10, 0, 0, 5), (1, 12, 30, 57)]
    for both, worse, better, none in cases:
        before = [True] * (both + worse) + [False] * (better + none)
        after = [True] * both + [False] * worse + [True] * better + [False] * none
        changed = better + worse
        heads = [math.comb(changed, k) / 2**changed for k in range(changed + 1)]
        # Two-sided: all outcomes that are no likelier than the one seen.
        p = sum(h for h in heads if h <= heads[better] * (1 + 1e-9))
        expect(learner, (before, after), ((better - worse) / len(before), p))
    return "right for six pairs of players, with all outcomes of the coin summed"


@exercise(
    "Find the two neighbouring points between which ID success first reaches the level.",
    "Between (x0, y0) and (x1, y1), at x: y0 + (y1 - y0) * (x - x0) / (x1 - x0).",
    "A curve that begins at or above the level gives its first point; one that never reaches it gives None.",
)
def ood_at(learner: Any) -> str:
    """OOD success where ID success first reaches a level, straight between points; None where it never does."""
    rising = [(0.2, 0.2), (0.4, 0.3), (0.3, 0.1), (0.6, 0.0)]
    expect(learner, (rising, 0.3), 0.25)
    expect(learner, (rising, 0.4), 0.3)
    expect(learner, (rising, 0.5), 0.1 - 0.1 * 2 / 3)
    expect(learner, (rising, 0.1), 0.2)
    expect(learner, (rising, 0.7), None)
    expect(learner, ([(0.5, 0.25)], 0.5), 0.25)
    return "right for a curve that falls back on its way"
