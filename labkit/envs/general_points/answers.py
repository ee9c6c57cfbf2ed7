"""Answers in the format that the prompt asks for, right or with a mistake such as models make."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence

from labkit.envs.general_points import expression
from labkit.envs.general_points.cards import Rule, numbers_of

MISTAKES = {"value": 5, "rule": 3, "numbers": 3, "broken": 1}
"""How often each is made: another value, another rule for face cards, a number lost or doubled, an answer cut short."""


def answer_text(
    ranks: Sequence[str], numbers: Sequence[int], formula: str, target: int, *, thought: str | None = None
) -> str:
    """An answer in the format that the prompt asks for, with the optional ``thought`` where one is given."""
    fields = {"cards": list(ranks), "number": list(numbers)} | ({} if thought is None else {"thought": thought})
    return json.dumps(fields | {"formula": f"{formula}={target}"})


def mistaken(
    rng: random.Random,
    ranks: Sequence[str],
    numbers: Sequence[int],
    target: int,
    other_rule: Callable[[], Rule],
) -> str:
    """An answer with a mistake in it, which may be right by chance.

    Args:
        numbers: what the ranks count as.
        other_rule: draws the rule that is followed where that is the mistake.
    """
    kind = rng.choices(tuple(MISTAKES), weights=tuple(MISTAKES.values()))[0]
    if kind == "rule":
        numbers = numbers_of(ranks, other_rule())
    used = list(numbers)
    if kind == "numbers":
        used[rng.randrange(len(used))] = rng.choice((rng.choice(used), rng.randint(1, 13)))
    text = answer_text(ranks, numbers, random_formula(rng, used), target)
    return text[: rng.randrange(len(text))] if kind == "broken" else text


def random_formula(rng: random.Random, numbers: Sequence[int]) -> str:
    """A formula of the numbers, each once, in any order, with any operators and brackets."""
    terms = [str(n) for n in rng.sample(numbers, len(numbers))]
    while len(terms) > 1:
        at = rng.randrange(len(terms) - 1)
        terms[at : at + 2] = [f"({terms[at]}{rng.choice('+-*/')}{terms[at + 1]})"]
    return expression.render(expression.parse(terms[0]))


def typed_answer(formula: str, ranks: Sequence[str]) -> str:
    """A bare formula in the answer format; its numbers stand in for ``number``."""
    try:
        numbers = expression.numbers(expression.parse(formula.partition("=")[0]))
    except expression.FormulaError:
        numbers = ()
    return json.dumps({"cards": list(ranks), "number": list(numbers), "formula": formula}, ensure_ascii=False)
