"""Failure tags of V-IRL: what kind of mistake an answer holds, beyond its verdict.

Deterministic and cheap, so that any stored episode can be counted, filtered and compared by them.
"""

from __future__ import annotations

from collections.abc import Sequence

from labkit.envs.virl.verifier import FIELDS, Reading, Truth
from labkit.episode import Attempt, Verdict

TAGS = {
    "bad_json": "no complete JSON object with an action",
    "missing_field": "the observation or the instruction is missing or not text",
    "wrong_landmark": "the observation names a landmark where there is none, or misses one",
    "wrong_intersection": "the observation names an intersection where there is none, or misses one",
    "illegal_action": "the action is none of either action rule",
    "wrong_action_space": "the turn is told in a word of the other action rule",
    "wrong_heading": "a turn is right here, but not this one",
    "needless_turn": "a turn where going on or stopping is right",
    "missed_turn": "going on where a turn is right",
    "premature_stop": "stopping before the destination",
    "missed_stop": "not stopping at the destination",
    "repeat_of_previous_turn": "the same action as in an earlier attempt here",
    "ignored_feedback": "the same fault as in the attempt before",
}


def tags(
    reading: Reading,
    verdict: Verdict,
    truth: Truth,
    before: Sequence[Attempt],
    earlier: Sequence[Reading],
) -> tuple[str, ...]:
    """The tags of one answer.

    Args:
        before: the attempts made at this position so far, and ``earlier`` their readings.
    """
    repeated = bool(reading.fields) and any(_said(reading) == _said(r) for r in earlier if r.fields)
    ignored = bool(before) and not verdict.success and before[-1].verdict.feedback == verdict.feedback
    checks = {
        "bad_json": not reading.fields,
        "repeat_of_previous_turn": repeated,
        "ignored_feedback": ignored,
    }
    if reading.fields:
        checks |= _faults(reading, verdict, truth)
    return tuple(tag for tag in TAGS if checks.get(tag))


def _faults(reading: Reading, verdict: Verdict, truth: Truth) -> dict[str, bool]:
    done = reading.action.name if reading.action else ""
    right = truth.action.partition("(")[0]
    other = reading.action is not None and reading.action.rule not in ("", truth.actions)
    return {
        "missing_field": not all(isinstance(reading.fields.get(key), str) for key in FIELDS[:2]),
        "wrong_landmark": not verdict.evidence["landmark_right"],
        "wrong_intersection": not verdict.evidence["intersection_right"],
        "illegal_action": reading.action is None,
        "wrong_action_space": other,
        "wrong_heading": done == right == "turn_direction" and not other and not verdict.success,
        "needless_turn": done == "turn_direction" != right,
        "missed_turn": done == "forward" and right == "turn_direction",
        "premature_stop": done == "stop" and not verdict.success,
        "missed_stop": right == "stop" != done,
    }


def _said(reading: Reading) -> str:
    """The action; of one that cannot be read, its text."""
    return reading.action.text if reading.action else str(reading.fields["action"])
