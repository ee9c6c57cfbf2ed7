"""Every way to reach a target with a hand of numbers, each used once, exactly.

A formula over a hand is, at its root, a formula over one part of the hand joined to a formula over the other.
Parts of up to three numbers have few formulas (1, 6 and 68), which are tabulated by value; a larger hand is
split into two parts, and for each value of the smaller one the value that the larger one must have follows
from the target: the search meets in the middle, and enters only what leads to the target.

Each formula is built in canonical form (`expression.canonical`), as ``head op tail`` where the tail is the
operand that this form writes last. There is one such decomposition, so each solution is found once, and the
stream keeps no record of what it has given.

Values are reduced pairs (numerator, denominator): exact like `Fraction`, several times as fast.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence, Set
from functools import lru_cache
from itertools import combinations, product
from math import gcd
from operator import index
from typing import NamedTuple, TypeAlias

from labkit.envs.general_points.expression import MAX_NUMBER, operand_order
from labkit.errors import UsageError

MIN_NUMBERS, MAX_NUMBERS = 3, 6

_TABULATED = 3  # parts of up to so many numbers have their formulas in a table
_LISTED = 4  # and of up to so many their values in a set

Value: TypeAlias = tuple[int, int]
Cards: TypeAlias = tuple[int, ...]
_ZERO: Value = (0, 1)


def solve(numbers: Sequence[int], target: int = 24) -> Iterator[str]:
    """Stream the formulas that use each number once and equal the target.

    They are distinct up to order and bracketing, each in its canonical form (see `expression.canonical`,
    which has the fewest brackets), in an order that depends on the arguments only. Nothing is worked out
    ahead of what is taken.

    Args:
        numbers: 3 to 6 whole numbers from 1 to 1,000,000, in any order.
        target: any whole number.

    Raises:
        UsageError: at the call, for arguments outside these bounds.
    """
    cards, value = _checked(numbers, target)
    return (form.text for form in _search(cards, value))


def solvable(numbers: Sequence[int], target: int = 24) -> bool:
    """Whether `solve` has anything to give for the same arguments; faster than asking it."""
    return _reachable(*_checked(numbers, target))


def simplest(numbers: Sequence[int], target: int = 24, k: int = 1) -> list[str]:
    """The k first solutions (fewer where there are fewer) in the order of `simplicity`.

    It looks at all solutions: well under a millisecond for four numbers, up to half a second for six.
    """
    return heapq.nsmallest(k, solve(numbers, target), key=simplicity)


def simplicity(formula: str) -> tuple[int, int, int, int, str]:
    """Sort key, simplest first: fewer divisions, then fewer brackets, fewer subtractions, a shorter text."""
    return formula.count("/"), formula.count("("), formula.count("-"), len(formula), formula


def _checked(numbers: Sequence[int], target: int) -> tuple[Cards, Value]:
    if not MIN_NUMBERS <= len(numbers) <= MAX_NUMBERS:
        raise UsageError(f"give {MIN_NUMBERS} to {MAX_NUMBERS} numbers, not {len(numbers)}")
    try:
        cards, goal = tuple(sorted(map(index, numbers))), index(target)
    except TypeError:
        raise UsageError("give whole numbers and a whole target") from None
    if cards[0] < 1 or cards[-1] > MAX_NUMBER:
        raise UsageError(f"give numbers from 1 to {MAX_NUMBER:,}")
    return cards, (goal, 1)


class _Form(NamedTuple):
    """A formula in canonical form, with what `_append` asks of it."""

    text: str
    operand: str  # the text as an operand of the other level: a sum in brackets
    key: tuple[bool, int, str]  # operand_order(operand)
    level: str  # "+" for a sum, "*" for a product, "" for a number
    last_op: str  # the operator of its last operand
    last_key: tuple[bool, int, str]  # operand_order of its last operand


_LEVEL = {"+": "+", "-": "+", "*": "*", "/": "*"}


def _append(head: _Form, op: str, tail: _Form) -> _Form | None:
    """The canonical form ``head op tail``, or None if the canonical form writes another operand last."""
    level = _LEVEL[op]
    if tail.level == level:
        return None
    if head.level == level:
        # Direct operands come before inverse ones, and each kind in operand order.
        if (tail.key < head.last_key) if op == head.last_op else (op == level):
            return None
        text = f"{head.text}{op}{tail.operand}"
    elif op == level and tail.key < head.key:
        return None
    else:
        text = f"{head.operand}{op}{tail.operand}"
    operand = f"({text})" if level == "+" else text
    return _Form(text, operand, operand_order(operand), level, op, tail.key)


def _search(cards: Cards, target: Value) -> Iterator[_Form]:
    """Every formula over the cards that has the value, once."""
    if len(cards) <= _TABULATED:
        yield from _forms(cards).get(target, ())
        return
    for head_cards, tail_cards in _splits(cards):
        if len(tail_cards) <= len(head_cards):
            for value, tails in _forms(tail_cards).items():
                for op, wanted in _heads(value, target, head_cards):
                    for head in _search(head_cards, wanted):
                        yield from filter(None, (_append(head, op, tail) for tail in tails))
        else:
            for value, heads in _forms(head_cards).items():
                for op, wanted in _tails(value, target, tail_cards):
                    for tail in _search(tail_cards, wanted):
                        yield from filter(None, (_append(head, op, tail) for head in heads))


@lru_cache(maxsize=1024)
def _forms(cards: Cards) -> dict[Value, list[_Form]]:
    """All formulas over up to three cards, by value."""
    if len(cards) == 1:
        text = str(cards[0])
        key = operand_order(text)
        return {(cards[0], 1): [_Form(text, text, key, "", "", key)]}
    table: dict[Value, list[_Form]] = {}
    for head_cards, tail_cards in _splits(cards):
        for x, heads in _forms(head_cards).items():
            for y, tails in _forms(tail_cards).items():
                for op, value in _results(x, y):
                    for head in heads:
                        for tail in tails:
                            if form := _append(head, op, tail):
                                table.setdefault(value, []).append(form)
    return table


def _reachable(cards: Cards, target: Value) -> bool:
    """Whether any formula over two or more cards has the value."""
    for part, rest in _halves(cards):
        wanted = _partners(part, target)
        if len(rest) <= _LISTED:
            if not _values(rest).isdisjoint(wanted):
                return True
        elif any(_reachable(rest, value) for value in wanted):
            return True
    return False


@lru_cache(maxsize=256)
def _partners(cards: Cards, target: Value) -> frozenset[Value]:
    """The values that some value of the cards, on either side of an operator, takes to the target.

    Left out: 0 takes any value to 0. Where the rest of the hand is multiplied by 0, one card of that rest can
    be multiplied by all the others, which are 0, so another split reaches the target too.
    """
    return frozenset(wanted for value in _forms(cards) for _, wanted in _before(value, target) + _after(value, target))


def _values(cards: Cards) -> Set[Value]:
    """The values of all formulas over up to four cards."""
    return _forms(cards).keys() if len(cards) <= _TABULATED else _values_of_four(cards)


@lru_cache(maxsize=64)
def _values_of_four(cards: Cards) -> frozenset[Value]:
    values = set()
    for part, rest in _halves(cards):
        for x, y in product(_forms(part), _forms(rest)):
            for op, (numerator, denominator) in _results(x, y):
                values.add((numerator, denominator))
                # y - x and y / x
                if op == "-":
                    values.add((-numerator, denominator))
                elif op == "/" and numerator:
                    values.add((denominator, numerator) if numerator > 0 else (-denominator, -numerator))
    return frozenset(values)


def _heads(tail: Value, target: Value, cards: Cards) -> Iterator[tuple[str, Value]]:
    """The (op, head) such that ``head op tail = target`` and the cards can make the head."""
    if tail == target == _ZERO:
        yield from (("*", head) for head in sorted(_values(cards)))
    yield from (solved for solved in _before(tail, target) if _makes(cards, solved[1]))


def _tails(head: Value, target: Value, cards: Cards) -> Iterator[tuple[str, Value]]:
    """The (op, tail) such that ``head op tail = target`` and the cards can make the tail."""
    if head == target == _ZERO:
        for tail in sorted(_values(cards)):
            yield "*", tail
            if tail != _ZERO:
                yield "/", tail
    yield from (solved for solved in _after(head, target) if _makes(cards, solved[1]))


def _makes(cards: Cards, value: Value) -> bool:
    return value in _values(cards) if len(cards) <= _LISTED else _reachable(cards, value)


def _reduced(numerator: int, denominator: int) -> Value:
    divisor = gcd(numerator, denominator)
    if denominator < 0:
        divisor = -divisor
    return numerator // divisor, denominator // divisor


def _results(x: Value, y: Value) -> list[tuple[str, Value]]:
    """What ``x op y`` comes to, for each op that is defined."""
    (a, b), (c, d) = x, y
    results = [
        ("+", _reduced(a * d + b * c, b * d)),
        ("-", _reduced(a * d - b * c, b * d)),
        ("*", _reduced(a * c, b * d)),
    ]
    if c:
        results.append(("/", _reduced(a * d, b * c)))
    return results


def _before(y: Value, target: Value) -> list[tuple[str, Value]]:
    """The (op, x) with ``x op y = target``.

    Left out: with y and the target 0, any x solves ``*``.
    """
    (c, d), (t, s) = y, target
    solved = [
        ("+", _reduced(t * d - s * c, s * d)),
        ("-", _reduced(t * d + s * c, s * d)),
    ]
    if c:
        solved += (("*", _reduced(t * d, s * c)), ("/", _reduced(t * c, s * d)))
    return solved


def _after(x: Value, target: Value) -> list[tuple[str, Value]]:
    """The (op, y) with ``x op y = target``.

    Left out: with x and the target 0, any y solves ``*``, and any but 0 solves ``/``.
    """
    (a, b), (t, s) = x, target
    solved = [
        ("+", _reduced(t * b - s * a, s * b)),
        ("-", _reduced(s * a - t * b, s * b)),
    ]
    if a:
        solved.append(("*", _reduced(t * b, s * a)))
        if t:
            solved.append(("/", _reduced(a * s, b * t)))
    return solved


def _splits(cards: Cards) -> Iterable[tuple[Cards, Cards]]:
    """The distinct ways to part the cards into two hands, in both orders, the most even ones first."""
    places = _PLACES[len(cards)]
    return dict.fromkeys([(tuple([cards[i] for i in a]), tuple([cards[i] for i in b])) for a, b in places])


def _halves(cards: Cards) -> list[tuple[Cards, Cards]]:
    """`_splits` in one order only, the smaller hand first."""
    return [(part, rest) for part, rest in _splits(cards) if (len(part), part) <= (len(rest), rest)]


def _places(n: int) -> list[tuple[Cards, Cards]]:
    """The ways to part the indices below n into two, in both orders, the most even ones first."""
    sizes = sorted(range(1, n), key=lambda size: abs(2 * size - n))
    parts = [part for size in sizes for part in combinations(range(n), size)]
    return [(part, tuple(i for i in range(n) if i not in part)) for part in parts]


_PLACES = {n: _places(n) for n in range(2, MAX_NUMBERS + 1)}
