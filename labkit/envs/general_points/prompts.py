"""What GeneralPoints says to a player: the prompt and the verifier's feedback, as templates.

Sections follow the paper's appendix A (task, input, output format); the words are our own. ``--prompts FILE``
puts other templates in their place, for a checkpoint that expects the prompts it was trained with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labkit.envs import settings
from labkit.envs.general_points.cards import Rule, face_values
from labkit.envs.settings import fill

DEFAULT: Mapping[str, str] = {
    "task": (
        "Make {target} from {count} cards, the number of each card once, with + - * / and brackets. "
        "A counts as 1. {faces}"
    ),
    "input": "Cards: {cards}",
    "input_picture": "The cards are in the picture.",
    "format": 'Answer in JSON with "cards", "number" and "formula", the formula ending in ={target}.',
    "faces_equal": "J, Q and K each count as {J}.",
    "faces_apart": "J counts as {J}, Q counts as {Q}, K counts as {K}.",
    "unreadable": 'There is no complete JSON object with a "formula" in that answer.',
    "wrong_cards": "Those are not the cards on the table.",
    "illegal_formula": "The formula cannot be read: {reason}.",
    "wrong_numbers": "The formula does not use the cards as they count: {reason}.",
    "wrong_value": "The formula {reason}, not {target}.",
    "correct": "Correct.",
    "again": "Try again.",
}
_OPENING = ("target", "count", "faces")
_REASON = ("reason", "target")
PLACEHOLDERS: Mapping[str, tuple[str, ...]] = {
    "task": _OPENING,
    "input": (*_OPENING, "cards"),
    "input_picture": _OPENING,
    "format": _OPENING,
    "faces_equal": ("J", "Q", "K"),
    "faces_apart": ("J", "Q", "K"),
    "unreadable": ("target",),
    "wrong_cards": ("target",),
    "illegal_formula": _REASON,
    "wrong_numbers": _REASON,
    "wrong_value": _REASON,
    "correct": ("target",),
}
"""What each template is given. The cards are given in words to ``input`` alone, which picture cells do not use."""
VARIANTS: Mapping[str, tuple[str, ...]] = {
    "task": (
        "A game of cards: write a formula worth {target} that uses the numbers of all {count} cards, each exactly "
        "once. Allowed are + - * / and brackets. {faces} A counts as 1.",
        "{faces} A counts as 1. With the numbers of {count} cards, none left out and none used twice, reach {target}. "
        "You may add, subtract, multiply, divide and use brackets.",
        "Your goal is {target}. Combine {count} cards by + - * / and brackets so that the number of each appears once. "
        "Remember: {faces} A counts as 1.",
    ),
    "input": ("You hold {cards}.", "On the table: {cards}", "The cards are {cards}."),
    "input_picture": (
        "Look at the picture for the cards.",
        "The picture shows your cards.",
        "Your cards: see the picture.",
    ),
    "format": (
        'Reply with a JSON object: "cards" (their names), "number" (what they count as) and "formula", which ends in '
        "={target}.",
        'Give JSON only. Its keys are "cards", "number" and "formula"; end the formula with ={target}.',
        'The answer is one JSON object that holds "cards", "number" and "formula". Write ={target} behind the formula.',
    ),
    "faces_equal": (
        "Every J, Q or K is worth {J}.",
        "Face cards (J, Q, K) are {J} each.",
        "J stands for {J}, and so do Q and K.",
    ),
    "faces_apart": (
        "J is worth {J}, Q is worth {Q} and K is worth {K}.",
        "Face cards: J = {J}, Q = {Q}, K = {K}.",
        "J stands for {J}, Q for {Q} and K for {K}.",
    ),
}
"""Variants of sections of the prompt, for training with diverse prompts."""
_WORDS = {3: "three", 4: "four", 5: "five", 6: "six"}


def merged(prompts: Mapping[str, str] | None) -> Mapping[str, str]:
    """The default templates with the given ones in their place.

    Raises:
        UsageError: a template that does not exist, or is not text.
    """
    return settings.merged(DEFAULT, prompts)


def prompt_variant(number: int) -> dict[str, str]:
    """The templates of a prompt variant; see :func:`settings.prompt_variant`."""
    return settings.prompt_variant(DEFAULT, VARIANTS, number)


def face_sentence(faces: Rule, prompts: Mapping[str, str] | None = None) -> str:
    """The sentence that states the rule: the only words that change between ID and rule-OOD."""
    values, templates = face_values(faces), merged(prompts)
    equal = len(set(values.values())) == 1
    return fill(templates["faces_equal" if equal else "faces_apart"], **values)


def opening(
    ranks: Sequence[str], faces: Rule, target: int, *, picture: bool, prompts: Mapping[str, str] | None = None
) -> str:
    """The first user message. With ``picture`` the ranks are not given in words."""
    templates = merged(prompts)
    values = {
        "faces": face_sentence(faces, prompts),
        "target": target,
        "count": _WORDS[len(ranks)],
        "cards": ", ".join(ranks),
    }
    names = ("task", "input_picture" if picture else "input", "format")
    parts = [fill(templates[name], **{given: values[given] for given in PLACEHOLDERS[name]}) for name in names]
    return "\n".join(part for part in parts if part)


def feedback(category: str, *, target: int, reason: str = "", prompts: Mapping[str, str] | None = None) -> str:
    """The verifier's sentence for a category."""
    templates = merged(prompts)
    sentence = fill(templates[category], reason=reason, target=target)
    return sentence if category == "correct" else f"{sentence} {templates['again']}".strip()
