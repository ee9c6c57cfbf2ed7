"""The solver beside the brute force that one writes first: every order, every operator, every bracketing."""

from __future__ import annotations

import operator
import random
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import permutations, product

from labkit.bench.timing import Row, compare
from labkit.envs.general_points import solver

HANDS = 400
"""Hands of a round, our way; the brute force does :data:`PLAIN_HANDS` of them."""
PLAIN_HANDS = 4
TARGET = 24
_OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
_PLAIN = "itertools over orders, operators and bracketings, with Fraction"


def figures() -> int:
    """How many rows there will be."""
    return 2


def rows(rounds: int = 3) -> Iterator[Row]:
    """Time finding whether a hand has a solution, and finding all solutions.

    Raises:
        AssertionError: the two ways disagree.
    """
    for hand in hands(0)[:PLAIN_HANDS]:
        assert solver.solvable(hand, TARGET) == any(brute_force(hand)), f"the two ways disagree on {hand}"
    yield compare(
        "solver",
        "has a solution?",
        "hands/s",
        lambda n: len([solver.solvable(hand, TARGET) for hand in hands(n)]),
        lambda n: len([any(brute_force(hand)) for hand in hands(n)[:PLAIN_HANDS]]),
        f"{_PLAIN}, up to the first",
        rounds,
    )
    yield compare(
        "solver",
        "all solutions, each once",
        "hands/s",
        lambda n: len([list(solver.solve(hand, TARGET)) for hand in hands(n)]),
        lambda n: len([set(brute_force(hand)) for hand in hands(n)[:PLAIN_HANDS]]),
        f"{_PLAIN}; finds each several times over",
        rounds,
    )


def hands(number: int) -> list[tuple[int, ...]]:
    """The hands of a round: four numbers from 1 to 13, other ones each round."""
    rng = random.Random(f"bench/solver/{number}")
    return [tuple(rng.randint(1, 13) for _ in range(4)) for _ in range(HANDS)]


def brute_force(numbers: Sequence[int]) -> Iterator[str]:
    """Every way of writing the target: 24 orders x 64 choices of operators x 5 bracketings."""
    for a, b, c, d in permutations(map(Fraction, numbers)):
        for (p, f), (q, g), (r, h) in product(_OPERATORS.items(), repeat=3):
            for form, value in (
                ("(({a}{p}{b}){q}{c}){r}{d}", lambda: h(g(f(a, b), c), d)),
                ("({a}{p}({b}{q}{c})){r}{d}", lambda: h(f(a, g(b, c)), d)),
                ("({a}{p}{b}){q}({c}{r}{d})", lambda: g(f(a, b), h(c, d))),
                ("{a}{p}(({b}{q}{c}){r}{d})", lambda: f(a, h(g(b, c), d))),
                ("{a}{p}({b}{q}({c}{r}{d}))", lambda: f(a, g(b, h(c, d)))),
            ):
                try:
                    if value() == TARGET:
                        yield form.format(a=a, b=b, c=c, d=d, p=p, q=q, r=r)
                except ZeroDivisionError:
                    continue
