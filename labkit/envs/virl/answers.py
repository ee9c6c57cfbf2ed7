"""Answers in the format that the prompt asks for, right or with a mistake such as models make."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

from labkit.envs.virl.headings import ACTIONS

MISTAKES = {"action": 4, "rule": 3, "step": 3, "broken": 1}
"""How often each is made: any action of the action space, the other rule's word, the answer of a neighbouring step, an
answer cut short."""


def answer_text(observation: str, instruction: str, action: str) -> str:
    """An answer in the format that the prompt asks for."""
    fields = {"current observation": observation, "current instruction": instruction, "action": action}
    return json.dumps(fields, ensure_ascii=False)


def mistaken(
    rng: random.Random,
    observation: str,
    instruction: str,
    action: str,
    actions: str,
    *,
    swapped: str | None,
    neighbours: Sequence[str],
) -> str:
    """An answer with a mistake in it, which may be right by chance.

    Args:
        observation, instruction, action: of the right answer.
        actions: the action rule.
        swapped: the right action under the other rule; None if that is not to be told.
        neighbours: the right answers of the steps before and behind.
    """
    possible = {"action": True, "rule": swapped is not None, "step": bool(neighbours), "broken": True}
    weights = [weight * possible[kind] for kind, weight in MISTAKES.items()]
    kind = rng.choices(tuple(MISTAKES), weights=weights)[0]
    if kind == "step":
        return rng.choice(neighbours)
    if kind == "action":
        turns = [f"turn_direction({word})" for word in ACTIONS[actions]]
        action = rng.choice(("forward()", "stop()", rng.choice(turns)))
    elif kind == "rule" and swapped is not None:
        action = swapped
    text = answer_text(observation, instruction, action)
    return text[: rng.randrange(len(text))] if kind == "broken" else text
