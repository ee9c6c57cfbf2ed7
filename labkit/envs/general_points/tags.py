"""Failure tags of GeneralPoints: what kind of mistake an answer holds, beyond its verdict.

Deterministic and cheap, so that any stored episode can be counted, filtered and compared by them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from labkit.envs.general_points.cards import Rule, numbers_of, other_rule
from labkit.envs.general_points.verifier import Reading
from labkit.episode import Attempt, Verdict

TAGS = {
    "bad_json": "no complete JSON object with a formula",
    "missing_field": "the cards or the number field is missing or unreadable",
    "wrong_card_read": "the cards field is not what was dealt",
    "wrong_face_value": "the numbers are those of the other face rule",
    "illegal_formula": "the formula cannot be read",
    "illegal_number": "a number that no card counts as",
    "number_reused": "a number is used more often than it was dealt",
    "number_missing": "a card is not used",
    "number_mismatch": "the formula uses other numbers than the number field lists",
    "division_by_zero": "the formula divides by zero",
    "arith_error": "the number after = is not what the formula equals",
    "wrong_target": "the formula is offered for another number than the target",
    "repeat_of_previous_turn": "the same formula as an earlier attempt, up to order and bracketing",
    "ignored_feedback": "the same fault, in the same place, as in the attempt before",
}
"""Every tag with its meaning, in the order in which they are listed."""


def tags(
    reading: Reading,
    verdict: Verdict,
    ranks: Sequence[str],
    faces: Rule,
    target: int,
    before: Sequence[Attempt],
    earlier: Sequence[Reading],
) -> tuple[str, ...]:
    """The tags of one answer.

    Args:
        before: the attempts made at this position so far, and ``earlier`` their readings.
    """
    if not reading.fields:
        found = {"bad_json"} | _repeats(reading, verdict, before, earlier)
        return tuple(t for t in TAGS if t in found)
    evidence = verdict.evidence
    expected, swapped = Counter(numbers_of(ranks, faces)), Counter(numbers_of(ranks, other_rule(faces)))
    used, stated = Counter(reading.numbers), Counter(reading.stated or ())
    legal = not reading.problem
    claimed = reading.value if reading.right_side is None else reading.right_side
    checks = {
        "missing_field": reading.cards is None or reading.stated is None,
        "wrong_card_read": reading.cards is not None and not evidence["cards_right"],
        "wrong_face_value": swapped != expected and swapped in (used, stated),
        "illegal_formula": not legal,
        "illegal_number": bool(evidence.get("not_dealt")),
        "number_reused": bool(evidence.get("overused")),
        "number_missing": bool(evidence.get("unused_cards")),
        "number_mismatch": legal and reading.stated is not None and used != stated,
        "division_by_zero": legal and reading.value is None,
        "arith_error": legal and reading.value is not None and reading.value != claimed,
        "wrong_target": claimed is not None and claimed != target,
    }
    found = {tag for tag, holds in checks.items() if holds} | _repeats(reading, verdict, before, earlier)
    return tuple(t for t in TAGS if t in found)


def _repeats(reading: Reading, verdict: Verdict, before: Sequence[Attempt], earlier: Sequence[Reading]) -> set[str]:
    found = set()
    if _formula(reading) and any(_formula(reading) == _formula(r) for r in earlier):
        found.add("repeat_of_previous_turn")
    if before and not verdict.success and before[-1].verdict.feedback == verdict.feedback:
        found.add("ignored_feedback")
    return found


def _formula(reading: Reading) -> str:
    """The formula up to order and bracketing; of one that cannot be read, its text."""
    return reading.canonical or str(reading.fields.get("formula", ""))
