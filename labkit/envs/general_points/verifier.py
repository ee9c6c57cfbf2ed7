"""The verifier of GeneralPoints: one verdict per answer, exact, for any text.

Order of the checks and rewards: "SFT Memorizes, RL Generalizes" (arXiv 2501.17161), appendix A.3. The first
check that fails names the verdict; every check that fails is evidence. Departures from the authors' code, each
on purpose:

* arithmetic is exact (``Fraction``): in floats 8/(3-8/3) is not 24 and 3, 3, 8, 8 can never be solved;
* valid JSON is read as what it is, and what is nearly JSON is read too (:mod:`labkit.envs.reading`);
* ranks are read in any spelling (:mod:`ranks`); ``number`` is evidence and never judged, readable or not;
* the reward is that of the first failure; ``combine: sum`` adds up all failures, as the authors' code does;
* feedback names cards, never what an unused card counts as: reading the rule stays the player's work.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from labkit.envs import settings
from labkit.envs.general_points import expression, prompts
from labkit.envs.general_points.cards import Rule, numbers_of
from labkit.envs.general_points.ranks import read_rank, read_ranks
from labkit.envs.reading import LIMIT, last_object
from labkit.episode import Verdict
from labkit.errors import UsageError

CATEGORIES = ("unreadable", "wrong_cards", "illegal_formula", "wrong_numbers", "wrong_value", "correct")
"""In the order in which they are checked."""

REWARD: Mapping[str, Any] = {
    "unreadable": -3.0,
    "wrong_cards": -1.5,
    "illegal_formula": -3.0,
    "wrong_numbers": -2.0,
    "wrong_value": -1.0,
    "correct": 5.0,
    "exhausted": -1.0,
    "combine": "first",
}
"""The paper's rewards (appendix A.3); ``combine`` is ``first`` or ``sum``."""

_NOTHING = ("", "null", "none", "n/a")
"""What stands for a formula that is not given."""
_RIGHT_SIDE = re.compile(r"([-−–]?)\s*(\d+(?:\.\d+)?)\s*\.?")


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer as read, before any rule is applied to it. Read once, judged under as many rules as one likes."""

    fields: Mapping[str, Any]
    """``cards``, ``number``, ``thought``, ``formula`` as the player gave them; no verdict looks at the thought. Empty
    when unreadable."""
    formula_span: tuple[int, int] | None = None
    """Character offsets of the formula in the answer: the decisive field."""
    cards: tuple[str, ...] | None = None
    """Recognised ranks; None if they are not ranks."""
    stated: tuple[int, ...] | None = None
    """The ``number`` field as integers; None if it is not a list of them."""
    numbers: tuple[int, ...] = ()
    """Numbers of the formula, in reading order."""
    value: Fraction | None = None
    """What the formula equals; None if it divides by zero or is illegal."""
    right_side: Fraction | None = None
    """The number after ``=``, where one is given."""
    problem: str = ""
    """Why the formula is illegal; empty if it is legal."""
    tree: expression.Node | None = None
    """The formula, parsed; None if it is illegal."""

    @property
    def canonical(self) -> str:
        """The formula up to order and bracketing; empty if it is illegal."""
        return expression.canonical(self.tree) if self.tree else ""


def read(answer: str) -> Reading:
    """Read an answer. Never raises, whatever the text; takes linear time."""
    return _read(answer) if len(answer) <= LIMIT else Reading({})


@lru_cache(maxsize=1024)
def _read(answer: str) -> Reading:
    """Cached, since the answers of an episode are looked at again with each further attempt."""
    found = last_object(answer, "formula")
    if found is None:
        return Reading({})
    fields = {k: found.fields[k] for k in ("cards", "number", "thought", "formula") if k in found.fields}
    known: dict[str, Any] = {
        "fields": fields,
        "formula_span": found.spans["formula"],
        "cards": _ranks(fields.get("cards")),
        "stated": _integers(fields.get("number")),
    }
    formula = fields["formula"]
    if not isinstance(formula, str):
        return Reading(**known, problem="it is not text")
    if formula.strip().lower() in _NOTHING:
        return Reading(**known, problem=f"{formula.strip() or 'an empty text'} is not a formula")
    left, equals, right = formula.replace("＝", "=").partition("=")
    right_side = _right_side(right.lstrip("=")) if equals else None
    if equals and right_side is None:
        return Reading(**known, problem="after = there must be one number")
    try:
        tree = expression.parse(left)
    except expression.FormulaError as error:
        return Reading(**known, right_side=right_side, problem=error.reason)
    try:
        value = expression.evaluate(tree)
    except expression.FormulaError:
        value = None
    return Reading(
        **known,
        numbers=expression.numbers(tree),
        value=value,
        right_side=right_side,
        tree=tree,
    )


def _ranks(value: Any) -> tuple[str, ...] | None:
    """The ranks of a ``cards`` field: a list of cards, each as text or as an object with a ``rank``, or one text."""
    if isinstance(value, str):
        try:
            return read_ranks(value) or None
        except UsageError:
            return None
    if not isinstance(value, list):
        return None
    named = (v.get("rank", "") if isinstance(v, dict) else v for v in value)
    ranks = tuple(rank for v in named if isinstance(v, str) and (rank := read_rank(v)))
    return ranks if len(ranks) == len(value) else None


def _integers(value: Any) -> tuple[int, ...] | None:
    if not isinstance(value, list) or not all(isinstance(v, str) and re.fullmatch(r"\d{1,6}", v) for v in value):
        return None
    return tuple(int(v) for v in value)


def _right_side(text: str) -> Fraction | None:
    match = _RIGHT_SIDE.fullmatch(text.strip()) if len(text) < 1000 else None
    return Fraction(match[2]) * (-1 if match[1] else 1) if match else None


def verdict(
    reading: Reading,
    ranks: Sequence[str],
    faces: Rule,
    target: int = 24,
    *,
    picture: bool = False,
    reward: Mapping[str, Any] = REWARD,
    templates: Mapping[str, str] | None = None,
) -> Verdict:
    """Judge a reading against the dealt ranks.

    Args:
        picture: an image cell; only there are the recognised cards judged.
        reward: reward of each category and ``combine``, how several failures add up.
    """
    if not reading.fields:
        feedback = prompts.feedback("unreadable", target=target, prompts=templates)
        return Verdict("unreadable", False, float(reward["unreadable"]), feedback, {"failed": ["unreadable"]})
    numbers = numbers_of(ranks, faces)
    evidence: dict[str, Any] = {
        "expected_numbers": list(numbers),
        "cards_right": reading.cards is not None and Counter(reading.cards) == Counter(ranks),
        "number_right": reading.stated is not None and Counter(reading.stated) == Counter(numbers),
    }
    failures: dict[str, str] = {}
    if picture and not evidence["cards_right"]:
        failures["wrong_cards"] = ""
    if reading.problem:
        failures["illegal_formula"] = reading.problem
    else:
        used, dealt = Counter(reading.numbers), Counter(numbers)
        evidence["used"] = list(reading.numbers)
        evidence["value"] = None if reading.value is None else str(reading.value)
        if used != dealt:
            failures["wrong_numbers"] = _number_faults(used, dealt, ranks, numbers, evidence)
        if reading.value != target or reading.right_side not in (None, target):
            failures["wrong_value"] = _value_fault(reading, target)
    evidence["failed"] = list(failures)
    category = next(iter(failures), "correct")
    counted = list(failures) if reward.get("combine") == "sum" and failures else [category]
    return Verdict(
        category,
        category == "correct",
        float(sum(reward[c] for c in counted)),
        prompts.feedback(category, target=target, reason=failures.get(category, ""), prompts=templates),
        evidence,
    )


def _number_faults(
    used: Counter[int], dealt: Counter[int], ranks: Sequence[str], numbers: Sequence[int], evidence: dict[str, Any]
) -> str:
    """Say which numbers are wrong, and record them; a card left out is named by its rank, not by its number."""
    foreign = sorted(n for n in used if n not in dealt)
    overused = sorted(n for n in used if n in dealt and used[n] > dealt[n])
    left, unused = used.copy(), []
    for rank, number in zip(ranks, numbers, strict=True):
        if left[number] > 0:
            left[number] -= 1
        else:
            unused.append(rank)
    evidence |= {"not_dealt": foreign, "overused": overused, "unused_cards": unused}
    parts = []
    if foreign:
        parts.append(f"no card counts as {_list(foreign)}")
    if overused:
        parts.append(
            f"{_list(overused)} is used too often" if len(overused) == 1 else f"{_list(overused)} are used too often"
        )
    if unused:
        parts.append(f"{_list(unused)} is not used" if len(unused) == 1 else f"{_list(unused)} are not used")
    return ", ".join(parts)


def _list(items: Sequence[Any], most: int = 6) -> str:
    """``3, 4 and 5``; a long list is cut, since an answer can hold hundreds of numbers."""
    words = [str(i) for i in items[:most]] + (["others"] if len(items) > most else [])
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _value_fault(reading: Reading, target: int) -> str:
    if reading.value is None:
        return "divides by zero"
    if reading.value == target and reading.right_side is not None:
        return f"ends in ={_decimal(reading.right_side)}"
    shown = str(reading.value)
    return f"equals {shown}" if len(shown) <= 20 else "equals a very long fraction"


def _decimal(number: Fraction) -> str:
    return str(number) if number.denominator == 1 else f"{float(number):g}"


def check_reward(table: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The default table with the given entries in its place.

    Raises:
        UsageError: an entry that does not exist, or a value it cannot have.
    """
    given = dict(table or {})
    combine = given.pop("combine", REWARD["combine"])
    if combine not in ("first", "sum"):
        raise UsageError(f"reward combine is first or sum, not {combine!r}")
    numbers = {name: value for name, value in REWARD.items() if name != "combine"}
    return {**settings.reward_table(numbers, given), "combine": combine}
