"""The view of GeneralPoints: the hand, an answer's fields, the names of the rules."""

from __future__ import annotations

import re
from typing import Any

from labkit.envs import game
from labkit.envs.general_points.cards import Rule, face_values, other_rule
from labkit.envs.general_points.prompts import face_sentence
from labkit.envs.general_points.render.picture import card_svg
from labkit.envs.general_points.tags import TAGS
from labkit.envs.general_points.thoughts import told, told_tries
from labkit.episode import Attempt, Episode, Position
from labkit.views.base import Folded, Picture, Row
from labkit.views.markup import Mark, plain, shown_html, text

__all__ = [
    "ENDED", "PICTURE", "TAGS", "fields", "folded", "hand", "other_rule_label", "rule_label", "setting", "situation",
    "step",
]  # fmt: skip

ENDED = {
    "success": Mark("✓", "solved", "ok"),
    "exhausted": Mark("✗", "not solved", "bad"),
}
PICTURE = Picture("the picture of the cards", 240, "PNG")

_SUITS = {"S": "spades", "H": "hearts", "D": "diamonds", "C": "clubs"}
_RANKS = {"A": "ace", "J": "jack", "Q": "queen", "K": "king"}
# To its closing quote, or to the end of an answer that was cut off in it.
_THOUGHT = re.compile(r'"thought"\s*:\s*"((?:[^"\\]|\\.)+)')


def rule_label(faces: Rule) -> str:
    """``J, Q, K = 10`` or ``J, Q, K = 11, 12, 13``."""
    numbers = [face_values(faces)[rank] for rank in "JQK"]
    equal = len(set(numbers)) == 1
    return f"J, Q, K = {numbers[0] if equal else ', '.join(map(str, numbers))}"


def other_rule_label(position: Position) -> str:
    """The rule that :attr:`labkit.episode.Attempt.other_rule` judges by."""
    return rule_label(other_rule(position.state["faces"]))


def setting(episode: Episode) -> str:
    """The rule and the target in a few words."""
    rule = episode.task.rule
    return f"{rule_label(rule['faces'])} · target {rule['target']}"


def hand(episode: Episode, height: int = 96) -> str:
    """The cards, or the picture of them that the player sees, with a spoken name, and the sentence of the rule.

    Args:
        height: pixels of a card; a picture has its own size.
    """
    dealt = episode.task.deal["cards"]
    rule = episode.task.rule
    names = ", ".join(f"{_RANKS.get(rank, rank)} of {_SUITS[suit]}" for rank, suit in dealt)
    shown = episode.positions[0].picture
    if shown:
        image = game(episode.task.cell).draw(shown["recipe"])
        picture = shown_html(image, names, PICTURE.side, PICTURE.form)
    else:
        cards = "".join(card_svg(rank, suit, height) for rank, suit in dealt)
        picture = f'<div class="lk-cards" role="img" aria-label="{text(names)}">{cards}</div>'
    caption = f"Make <strong>{rule['target']}</strong>. {text(face_sentence(rule['faces']))}"
    return f'<figure class="lk lk-hand">{picture}<figcaption>{caption}</figcaption></figure>'


def step(episode: Episode, position: int) -> str:
    """Empty: a hand has a single position."""
    return ""


def situation(episode: Episode, position: int) -> str:
    """Empty: a hand has a single position."""
    return ""


def fields(episode: Episode, position: Position, attempt: Attempt) -> list[Row]:
    """The three fields of the answer format, each compared with the deal."""
    read, evidence = attempt.fields, attempt.verdict.evidence
    if not read:
        return []
    state = position.state
    formula_failed = {"illegal_formula", "wrong_numbers", "wrong_value"}.intersection(evidence.get("failed", ()))
    numbers = evidence.get("expected_numbers", ())
    return [
        _listed("cards", read, evidence.get("cards_right"), f"dealt: {', '.join(state['cards'])}"),
        _listed("number", read, evidence.get("number_right"), f"they count as {', '.join(map(str, numbers))}"),
        Row("formula", plain(read.get("formula", "")), not formula_failed, _equals(evidence)),
    ]


def folded(attempt: Attempt) -> Folded | None:
    """The thought, a try a line; those that missed the target are greyed."""
    found = _THOUGHT.search(attempt.answer)
    if found is None:
        return None
    tries = told_tries(found[1])
    missed = [wrong for piece, wrong in tries if told(piece)]
    summary = f"{len(missed)} {'try' if len(missed) == 1 else 'tries'}, {sum(missed)} missed" if missed else "in words"
    return Folded(found.start(1), f"Thought: {summary}", tuple(tries))


def _listed(name: str, read: Any, right: bool | None, truth: str) -> Row:
    if name not in read:
        return Row(name, "missing", False, truth)
    return Row(name, plain(read[name]), right, "" if right else truth)


def _equals(evidence: Any) -> str:
    if "value" not in evidence:
        return ""
    return "divides by zero" if evidence["value"] is None else f"equals {evidence['value']}"
