"""The verifier beside the checker that one writes first: ``json.loads``, ``ast.parse``, a walk with Fraction.

The plain checker reads clean JSON only, trusts the depth of a formula, and says right or wrong; the verifier
reads whatever a model writes, names the failure, words the feedback and keeps the evidence. So a ratio below
1 is the price of that.
"""

from __future__ import annotations

import ast
import json
import operator
import random
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice

from labkit.bench.timing import Row, compare
from labkit.envs import game, start
from labkit.envs.lines import judge_of, verdict

ANSWERS = 4000
_PLAIN = "json.loads, ast.parse, Fraction; right or wrong only"
_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def figures() -> int:
    """How many rows there will be."""
    return 1


def rows(rounds: int = 3) -> Iterator[Row]:
    """Time judging JSON lines, as ``labkit verify`` does.

    Raises:
        AssertionError: the two ways disagree on an answer.
    """
    lines, judge = answers(), judge_of("gp-l")
    for line in lines:
        assert verdict(line, judge)["success"] == plain_check(line), f"the two ways disagree on {line!r}"
    yield compare(
        "verifier",
        "judge a JSON line",
        "answers/s",
        lambda _: len([json.dumps(verdict(line, judge)) for line in lines]),
        lambda _: len([json.dumps({"success": plain_check(line)}) for line in lines]),
        _PLAIN,
        rounds,
    )


def answers() -> list[bytes]:
    """Right answers and random ones, by turns, as lines of ``labkit verify``."""
    cell, rng, lines = game("gp-l"), random.Random("bench/verifier"), []
    for index, task in enumerate(islice(cell.tasks("id"), ANSWERS)):
        episode = start(task)
        answer = cell.random(episode, rng) if index % 2 else cell.expert(episode)
        state = episode.position.state
        lines.append(json.dumps({**state, "answer": answer}).encode())
    return lines


def plain_check(line: bytes) -> bool:
    """Whether an answer is right; for clean answers only."""
    entry = json.loads(line)
    left, _, right = json.loads(entry["answer"])["formula"].partition("=")
    tree = ast.parse(left, mode="eval").body
    dealt = [{"A": 1, "J": 10, "Q": 10, "K": 10}.get(rank) or int(rank) for rank in entry["cards"]]
    used = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    try:
        return Counter(used) == Counter(dealt) and _value(tree) == entry["target"] == int(right)
    except ZeroDivisionError:
        return False


def _value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    assert isinstance(node, ast.Constant) and isinstance(node.value, int)
    return Fraction(node.value)
