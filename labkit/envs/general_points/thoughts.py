"""Thoughts: a search for a formula, told step by step.

A thought is the optional field ``thought`` of an answer, written before the formula. The verifier ignores it. For the
numbers 10 9 3 8 and the target 24::

    10-9=1: 3 8 1; 8-1=7: 3 7; 3*7=21 no; back to 3 8 1; 8*1=8: 3 8; 3*8=24

A step joins two numbers and tells the numbers that remain, the new one last. The last step of a try tells what the try
comes to. A try that misses the target ends in ``no``; the next one starts from all numbers again, or from those after
``back to``. A thought may end in ``no``: then the search was given up, and the formula tells what its last try equals.
The idea of serialised search is that of Stream of Search (Gandhi et al., arXiv 2404.03683).

Steps stay within whole numbers from 0 to 99. Hands that need fractions have no thought.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

from labkit.envs.general_points import expression

LARGEST = 99
"""Steps lead to whole numbers up to this one."""

SOLVES = 0.35
"""Share of the written tries that reach the target."""
GIVES_UP = (0.3, 0.4, 0.6, 0.75, 0.9, 1.0)
"""Share of the written searches that are given up after the first miss, after the second, and so on: most go on at
first, and most end after a few misses, so that a player who writes what is likeliest ends it too."""

_STEP = re.compile(r"(\d+)([-+*/])(\d+)=(\d+)(?:: ([\d ]+\d|\d))?( no)?")
_BACK = re.compile(r"back to ([\d ]+\d)")


class Step(NamedTuple):
    """Two numbers joined."""

    left: int
    op: str
    right: int
    value: int
    remaining: tuple[int, ...]
    """The numbers after the step, the new one last."""
    parts: tuple[str, ...]
    """How each of them is made from the hand's numbers, as formulas."""

    @property
    def text(self) -> str:
        told = f"{self.left}{self.op}{self.right}={self.value}"
        return told if len(self.remaining) == 1 else f"{told}: {' '.join(map(str, self.remaining))}"


class Thought(NamedTuple):
    """A told search."""

    text: str
    formula: str
    """Of the last try, with the number it equals: ``(10-9)*8*3=24``."""
    solved: bool
    tries: tuple[tuple[str, ...], ...]
    """The steps of each try from the hand on, as texts."""


def search_length(rng: random.Random, solved: bool | None = None) -> tuple[int, bool]:
    """How many tries a search has, and whether its last one reaches the target, by :data:`SOLVES` and :data:`GIVES_UP`.

    Args:
        solved: only searches whose last try does, or does not.
    """
    while True:
        tries, hit = 1, rng.random() < SOLVES
        while not hit and rng.random() >= GIVES_UP[tries - 1]:
            tries, hit = tries + 1, rng.random() < SOLVES
        if solved is None or hit == solved:
            return tries, hit


def think(
    rng: random.Random,
    numbers: Sequence[int],
    target: int,
    *,
    tries: int = 1,
    solved: bool = True,
    seen: Collection[tuple[str, ...]] = (),
    avoid: Collection[int] = (),
) -> Thought:
    """A search of ``tries`` tries, of which the last reaches the target if ``solved``, and no other does.

    Args:
        numbers: two to four, in the order in which they are dealt.
        seen: tries that are not made again.
        avoid: numbers that no try comes to, beside the target.

    Raises:
        ValueError: the target cannot be reached within whole numbers from 0 to :data:`LARGEST`.
    """
    if solved and target not in reachable(_key(numbers)):
        raise ValueError(f"{target} cannot be reached from {numbers} by steps within 0 to {LARGEST}")
    start = (tuple(numbers), tuple(map(str, numbers)))
    told: list[str] = []
    made: list[tuple[str, ...]] = []
    path: list[Step] = []
    for number in range(1, tries + 1):
        last = solved and number == tries
        if told:
            path = _kept(rng, path, target, last)
            if path:
                told.append(f"back to {' '.join(map(str, path[-1].remaining))}")
        kept = len(path)
        path = _solving(rng, start, path, target) if last else _missing(rng, start, path, target, avoid, {*made, *seen})
        made.append(tuple(step.text for step in path))
        told += [step.text for step in path[kept:]]
        if not last:
            told[-1] += " no"
    return Thought("; ".join(told), f"{_rendered(path)}={path[-1].value}", solved, tuple(made))


def _kept(rng: random.Random, path: list[Step], target: int, last: bool) -> list[Step]:
    """The steps that the next try goes on from: sometimes the first one, where it led somewhere."""
    good = len(path) == 3 and target in reachable(_key(path[0].remaining))
    return path[:1] if good and rng.random() < 0.5 else []


def _solving(rng: random.Random, start: tuple, path: list[Step], target: int) -> list[Step]:
    path = list(path)
    while True:
        values, parts = (path[-1].remaining, path[-1].parts) if path else start
        if len(values) == 1:
            return path
        path.append(rng.choice([s for s in steps(values, parts) if target in reachable(_key(s.remaining))]))


def _missing(
    rng: random.Random, start: tuple, kept: list[Step], target: int, avoid: Collection[int], seen: Collection
) -> list[Step]:
    """A try that misses: mostly a sensible beginning, then a number near the target."""
    for _ in range(50):
        path = list(kept)
        while len(path) < len(start[0]) - 1:
            values, parts = (path[-1].remaining, path[-1].parts) if path else start
            found = list(steps(values, parts))
            if len(values) == 2:
                found = [s for s in found if s.value != target and s.value not in avoid]
                if not found:
                    break
                if rng.random() < 0.7:
                    found = [min(found, key=lambda s: abs(s.value - target))]
            elif len(values) == 3:
                found = [s for s in found if target not in reachable(_key(s.remaining))] or found
            elif rng.random() < 0.5:
                found = [s for s in found if target in reachable(_key(s.remaining))] or found
            path.append(rng.choice(found))
        if len(path) == len(start[0]) - 1 and tuple(s.text for s in path) not in seen:
            return path
    raise ValueError(f"every try of {start[0]} found reaches {target} or has been made")


def _key(values: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(values))


def steps(values: Sequence[int], parts: Sequence[str]) -> Iterator[Step]:
    """Every step from the values, each of which is made as the formula in ``parts`` says."""
    done = set()
    for i, j in combinations(range(len(values)), 2):
        rest = tuple(v for n, v in enumerate(values) if n not in (i, j))
        how = tuple(p for n, p in enumerate(parts) if n not in (i, j))
        a, b = (i, j) if values[i] >= values[j] else (j, i)
        for op, (x, y) in (("+", (i, j)), ("*", (i, j)), ("-", (a, b)), ("/", (a, b))):
            value = _joined(values[x], op, values[y])
            if value is not None and (values[x], op, values[y]) not in done:
                done.add((values[x], op, values[y]))
                made = f"({parts[x]}{op}{parts[y]})"
                yield Step(values[x], op, values[y], value, (*rest, value), (*how, made))


def _joined(x: int, op: str, y: int) -> int | None:
    """``x op y`` where it is a whole number from 0 to :data:`LARGEST`; x is at least y for ``-`` and ``/``."""
    if op == "/":
        return x // y if y and x % y == 0 else None
    value = x + y if op == "+" else x - y if op == "-" else x * y
    return value if value <= LARGEST else None


@lru_cache(maxsize=1 << 18)
def reachable(values: tuple[int, ...]) -> frozenset[int]:
    """What the sorted values can come to by steps."""
    if len(values) == 1:
        return frozenset(values)
    found: set[int] = set()
    for i, j in combinations(range(len(values)), 2):
        rest = values[:i] + values[i + 1 : j] + values[j + 1 :]
        for op in "+*-/":
            value = _joined(values[j], op, values[i])
            if value is not None:
                found |= reachable(_key((*rest, value)))
    return frozenset(found)


def _rendered(path: Sequence[Step]) -> str:
    return expression.render(expression.parse(path[-1].parts[0]))


def abandoned(thought: str) -> list[tuple[int, int]]:
    """Character spans of ``10-9`` in those steps that led to nothing, so that nobody learns to choose them."""
    spans: list[tuple[int, int]] = []
    path: list[tuple[tuple[int, int], str]] = []
    missed = False
    for match in re.finditer(rf"{_BACK.pattern}|{_STEP.pattern}", thought):
        if match[1] is not None:
            while path and path[-1][1] != match[1]:
                spans.append(path.pop()[0])
            missed = False
            continue
        if missed:
            spans += [span for span, _ in path]
            path = []
        path.append(((match.start(2), match.end(4)), match[6] or ""))
        missed = match[7] is not None
    return sorted(spans + [span for span, _ in path] if missed else spans)


def continued(thought: str) -> list[tuple[int, int]]:
    """Character spans of what stands between a miss and the next try: the decision to go on."""
    return [match.span(1) for match in re.finditer(r" no(; )", thought)]


def told_tries(thought: str) -> list[tuple[str, bool]]:
    """The thought, character for character, in its tries, and whether each ends in ``no``.

    What answers the feedback (``21 no``) counts as one. Text that is no search is one piece.
    """
    pieces = re.split(r"(?<= no; )", thought)
    return [(piece, piece.rstrip("; ").endswith(" no")) for piece in pieces if piece]


class Told(NamedTuple):
    """A step as a player tells it."""

    left: int
    op: str
    right: int
    value: int
    remaining: tuple[int, ...]

    @property
    def true(self) -> bool:
        """Whether it equals what it says."""
        if self.op == "/":
            return self.right * self.value == self.left and self.right != 0
        return (
            self.value
            == {"+": self.left + self.right, "-": self.left - self.right, "*": self.left * self.right}[self.op]
        )


def told(thought: str) -> list[Told]:
    """The steps that a thought tells; text that is no step is passed over."""
    return [
        Told(int(m[1]), m[2], int(m[3]), int(m[4]), tuple(map(int, m[5].split())) if m[5] else ())
        for m in _STEP.finditer(thought)
    ]
