"""Find the formulas that make a target out of some numbers.

examples:
  labkit solve 3 3 8 8                       the simplest solution: 8/(3-8/3)
  labkit solve 3 3 8 8 --target 25 --all     every solution, one a line
  labkit solve K Q 2 A --faces ten           ranks, under a face rule

Solutions that differ only in order and bracketing count as one. Without a solution the status is 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from labkit.commands.common import add_json, emit
from labkit.envs.general_points.options import FACES_HELP
from labkit.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "numbers", nargs="+", metavar="NUMBER", help="three to six whole numbers, or ranks with --faces"
    )
    parser.add_argument("--target", type=int, default=24, help="the number to make (default: 24)")
    parser.add_argument("--all", action="store_true", help="every solution, as they are found")
    parser.add_argument("--faces", metavar="RULE", help=FACES_HELP)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    from labkit.envs.general_points import cards, solver

    words = [w for given in args.numbers for w in given.replace(",", " ").split()]
    if args.faces is None:
        numbers: Sequence[int] = [_number(word) for word in words]
    else:
        numbers = cards.numbers_of(cards.parse_ranks(" ".join(words)), args.faces)
    target = cards.check_target(args.target)
    found = solver.solve(numbers, target) if args.all else iter(solver.simplest(numbers, target))
    if args.json:
        solutions = list(found)
        emit({"numbers": list(numbers), "target": target, "solutions": solutions})
        return 0 if solutions else 1
    solved = False
    for formula in found:
        print(formula)
        solved = True
    if not solved:
        print("no solution")
    return 0 if solved else 1


def _number(word: str) -> int:
    if word.upper() in ("A", "J", "Q", "K"):
        raise UsageError(f"{word} is a card; say what cards count as, for instance --faces ten")
    if not (word.isascii() and word.isdigit() and len(word) <= 7):
        raise UsageError(f"{word!r} is not a whole number from 1 to 1,000,000")
    return int(word)
