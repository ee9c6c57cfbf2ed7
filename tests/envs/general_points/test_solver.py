"""The solver against two searches of another kind: orders x operators x brackets, and a model of the laws."""

import ast
import random
import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations_with_replacement, islice, permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.envs.general_points.expression import canonical, parse
from labkit.envs.general_points.solver import simplest, simplicity, solvable, solve
from labkit.errors import UsageError

RANK_HANDS = list(combinations_with_replacement(range(1, 14), 4))  # 1,820 multisets, jack to king as 11 to 13
OPS = {ast.Add: "__add__", ast.Sub: "__sub__", ast.Mult: "__mul__", ast.Div: "__truediv__"}


def value(formula: str) -> Fraction:
    """The value that Python's own grammar gives the formula."""

    def of(node: ast.expr) -> Fraction:
        if isinstance(node, ast.Constant):
            return Fraction(node.value)
        assert isinstance(node, ast.BinOp)
        return getattr(of(node.left), OPS[type(node.op)])(of(node.right))

    return of(ast.parse(formula, mode="eval").body)


def used(formula: str) -> list[int]:
    return sorted(map(int, re.findall(r"\d+", formula)))


def brute_force(hands: list[tuple[int, ...]], targets: list[int]) -> np.ndarray:
    """Which of the hands of four reach which target, shape (hands, targets).

    It tries 24 orders x 64 operators x 5 bracketings. Fractions are unreduced pairs of integers, which four
    cards up to 13 keep below 14^4.
    """

    def join(op: str, x: tuple, y: tuple) -> tuple:
        (a, b, ok), (c, d, fine) = x, y
        if op in "+-":
            return (a * d + b * c if op == "+" else a * d - b * c), b * d, ok & fine
        return (a * c, b * d, ok & fine) if op == "*" else (a * d, b * c, ok & fine & (c != 0))

    cards = np.array(hands, dtype=np.int64).T
    one, always = np.ones_like(cards[0]), np.ones(len(hands), dtype=bool)
    reached = np.zeros((len(hands), len(targets)), dtype=bool)
    for w, x, y, z in permutations([(card, one, always) for card in cards]):
        for p, q, r in product("+-*/", repeat=3):
            wx, xy, yz = join(p, w, x), join(q, x, y), join(r, y, z)
            for numerator, denominator, ok in (
                join(r, join(q, wx, y), z),
                join(r, join(p, w, xy), z),
                join(q, wx, yz),
                join(p, w, join(r, xy, z)),
                join(p, w, join(q, x, yz)),
            ):
                for column, target in enumerate(targets):
                    reached[:, column] |= ok & (numerator == target * denominator)
    return reached


def count_distinct(hand: tuple[int, ...], target: int) -> int:
    """The number of solutions up to order and bracketing, told apart by values in a model of these laws.

    Cards are random vectors v over a prime field, + adds them, * multiplies them entry by entry, 1/v inverts
    the entries, and -v is M v for a random matrix with M^2 = 1. So a-(b-c) = a-b+c and a/(b/c) = a*c/b hold,
    as do order and bracketing, but (-a)*b = -(a*b), which is another law, does not. Formulas that differ only
    in which of two equal cards stands where are one: they have the same set of values when such cards swap.
    """
    field, rng = 2**31 - 1, random.Random(24)
    a, b = rng.randrange(2, field), rng.randrange(2, field)
    c = (1 - a * a) * pow(b, -1, field)  # [[a, b], [c, -a]] squared is (a^2 + bc) times the identity

    def negative(v):
        return (a * v[0] + b * v[1]) % field, (c * v[0] - a * v[1]) % field

    def plus(v, w):
        return (v[0] + w[0]) % field, (v[1] + w[1]) % field

    def times(v, w):
        return v[0] * w[0] % field, v[1] * w[1] % field

    def inverse(v):
        return pow(v[0], -1, field), pow(v[1], -1, field)

    symbols = [(rng.randrange(1, field), rng.randrange(1, field)) for _ in hand]
    places = range(len(hand))
    swaps = [p for p in permutations(places) if all(hand[i] == hand[j] for i, j in enumerate(p))]
    formulas: dict[int, dict] = {}  # of the cards in a bit set: vectors under every swap -> value
    for subset in range(1, 2 ** len(hand)):
        found = formulas[subset] = {}
        if subset.bit_count() == 1:
            card = subset.bit_length() - 1
            found[tuple(symbols[swap[card]] for swap in swaps)] = Fraction(hand[card])
        for part in (part for part in range(1, subset) if part & subset == part):
            others = [
                (w, y, tuple(map(negative, w)), tuple(map(inverse, w))) for w, y in formulas[subset - part].items()
            ]
            for (v, x), (w, y, minus_w, over_w) in product(formulas[part].items(), others):
                found[tuple(map(plus, v, w))] = x + y
                found[tuple(map(plus, v, minus_w))] = x - y
                found[tuple(map(times, v, w))] = x * y
                if y != 0:
                    found[tuple(map(times, v, over_w))] = x / y
    return len({frozenset(vectors) for vectors, reached in found.items() if reached == target})


def check_stream(hand: tuple[int, ...], target: int, formulas: list[str]) -> None:
    assert all(value(formula) == target for formula in formulas)
    assert all(used(formula) == sorted(hand) for formula in formulas)
    assert len({canonical(parse(formula)) for formula in formulas}) == len(formulas)


# The counts were found beforehand by enumeration with another program; `brute_force` finds them again.
def test_counts_of_solvable_hands():
    plain = {hand for hand in RANK_HANDS if solvable(hand)}
    ten = [hand for hand in RANK_HANDS if solvable([min(rank, 10) for rank in hand])]
    assert len(RANK_HANDS) == 1820
    assert len(plain) == 1362
    assert sum(hand[-1] > 10 for hand in plain) == 796
    assert len(ten) == 1236
    assert sum(hand[-1] > 10 for hand in ten) == 670
    assert len({tuple(sorted(min(rank, 10) for rank in hand)) for hand in ten}) == 566


def test_every_hand_of_four_agrees_with_brute_force():
    targets = [24, 0, -7, 1, *random.Random(5).sample(range(-200, 400), 4)]
    expected = brute_force(RANK_HANDS, targets)
    assert expected[:, 0].sum() == 1362
    for column, target in enumerate(targets):
        assert [solvable(hand, target) for hand in RANK_HANDS] == expected[:, column].tolist()
        streams = [any(True for _ in solve(hand, target)) for hand in RANK_HANDS[:: 1 if target == 24 else 7]]
        assert streams == expected[:: 1 if target == 24 else 7, column].tolist()


@pytest.mark.parametrize(
    ("hand", "target", "formulas"),
    [
        ((3, 3, 8, 8), 24, ["8/(3-8/3)"]),
        ((4, 4, 7, 7), 24, ["(4-4/7)*7"]),
        ((1, 1, 1, 1), 24, []),
        # A product of three ones has 0, 1 or 2 divisors and is 1; a sum is 3, 1 or -1. A number and a pair's
        # product make a sum of 2 or 0, a number and a pair's sum a product of 2, 1/2 or 0.
        ((1, 1, 1), 1, ["1*1*1", "1*1/1", "1+1-1", "1/1/1"]),
        ((1, 1, 1), -1, ["1-1-1"]),
        # To 0, three numbers need a+b = c, a*b = c, a/b = c or a = b: here 1+1 = 2, seen twice, and 1 = 1.
        ((1, 1, 2), 0, ["(1-1)*2", "(1-1)/2", "1+1-2", "2-1-1"]),
    ],
)
def test_known_solutions(hand, target, formulas):
    assert sorted(solve(hand, target)) == formulas


@pytest.mark.parametrize(
    ("hand", "target"),
    [
        ((1, 1, 3, 8), 24),
        ((1, 5, 7, 12), 24),
        ((2, 3, 4, 6), 24),
        ((6, 6, 6, 6), 24),
        ((4, 4, 4, 4), 24),
        ((2, 2, 2, 12), 24),
        ((1, 1, 2, 2), 0),
        ((1, 2, 3, 3), 0),
        ((2, 2, 2, 2), 0),
        ((1, 2, 4, 8), -6),
        ((1, 1, 1, 1), 1),
        ((1, 2, 3), 6),
        ((1, 2, 3, 4, 5), 24),
        ((2, 2, 3, 5, 7), 0),
    ],
)
def test_number_of_distinct_solutions(hand, target):
    formulas = list(solve(hand, target))
    check_stream(hand, target, formulas)
    assert len(formulas) == count_distinct(hand, target)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 13), min_size=3, max_size=4), st.sampled_from([24, 1, 0, -2, 12]))
def test_number_of_distinct_solutions_of_any_hand(hand, target):
    assert len(list(solve(hand, target))) == count_distinct(tuple(hand), target)


# `count_distinct` gives the same numbers, but takes 20 s for each.
@pytest.mark.parametrize(("hand", "target", "count"), [((1, 2, 3, 4, 5, 6), 24, 2553), ((2, 2, 3, 5, 7, 11), 0, 4025)])
def test_a_whole_stream_of_six(hand, target, count):
    formulas = list(solve(hand, target))
    check_stream(hand, target, formulas)
    assert len(formulas) == count


def reachable_target(hand: list[int], rng: random.Random) -> int:
    """A whole value of some formula over the hand, its shape drawn at random."""
    while True:
        parts = [Fraction(card) for card in hand]
        while len(parts) > 1:
            x, y = (parts.pop(rng.randrange(len(parts))) for _ in range(2))
            op = rng.choice("+-*/" if y else "+-*")
            parts.append({"+": x.__add__, "-": x.__sub__, "*": x.__mul__, "/": x.__truediv__}[op](y))
        if parts[0].denominator == 1:
            return int(parts[0])


@settings(max_examples=60)
@given(st.lists(st.one_of(st.integers(1, 13), st.integers(1, 10**6)), min_size=3, max_size=6), st.randoms())
def test_what_can_be_reached_is_found(hand, rng):
    target = reachable_target(hand, rng)
    assert solvable(hand, target)
    formulas = list(islice(solve(hand, target), 50))
    assert formulas
    check_stream(tuple(hand), target, formulas)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 30), min_size=5, max_size=6), st.integers(-10, 3000))
def test_solvable_agrees_with_solve(hand, target):
    formulas = list(islice(solve(hand, target), 20))
    assert solvable(hand, target) == bool(formulas)
    check_stream(tuple(hand), target, formulas)


def test_formulas_are_canonical_and_in_a_settled_order():
    formulas = list(solve((6, 1, 3, 4, 2), 24))
    assert [canonical(parse(formula)) for formula in formulas] == formulas
    assert formulas == list(solve((1, 2, 3, 4, 6), 24))


def test_solutions_come_one_at_a_time():
    """A hand of six that has thousands; two streams side by side do not disturb each other."""
    one, other = solve((1, 2, 3, 4, 5, 6), 24), solve((1, 2, 3, 4, 5, 6), 24)
    assert isinstance(one, Iterator)
    assert list(islice(one, 3)) == list(islice(other, 3))
    assert next(one) == next(other)


def test_simplest_first():
    by_hand = ["8*3*1*1", "8*3+1-1", "(3+1-1)*8", "(8+1-1)*3", "8*3*1/1", "8*3/1/1"]
    assert simplest((1, 1, 3, 8), 24, 10) == by_hand
    assert simplest((1, 1, 3, 8), 24, 2) == by_hand[:2]
    assert simplest((3, 3, 8, 8), 24, 5) == ["8/(3-8/3)"]
    assert simplest((1, 1, 1, 1)) == []
    everything = list(solve((1, 4, 7, 13), 24))
    assert simplest((1, 4, 7, 13), 24, 100) == sorted(everything, key=simplicity)


@pytest.mark.parametrize(
    ("numbers", "target"),
    [
        ([], 24),
        ([1, 2], 24),
        ([1] * 7, 24),
        ([0, 1, 2, 3], 24),
        ([-1, 1, 2, 3], 24),
        ([1, 2, 3, 10**6 + 1], 24),
        ([1, 2, 3, 4.0], 24),
        (["1", "2", "3"], 24),
        ([1, 2, 3, 4], 24.5),
    ],
)
def test_errors_of_use_are_told_at_the_call(numbers, target):
    for ask in (solve, solvable, simplest):
        with pytest.raises(UsageError, match="^give "):
            ask(numbers, target)


def test_the_largest_hand():
    hand = (10**6,) * 6
    # Nothing makes more of it than its product.
    assert list(solve(hand, 10**36)) == ["*".join(["1000000"] * 6)]
    assert not solvable(hand, 10**36 + 1)
