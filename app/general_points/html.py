"""The pieces of HTML of the GeneralPoints tab: the hand, and the keys that type a formula."""

from __future__ import annotations

from app.general_points.presets import PRESETS, TARGET
from app.general_points.settings import CELLS, GeneralPointsSettings
from app.shared.html import note
from labkit import envs
from labkit.envs.general_points.cards import numbers_of
from labkit.envs.general_points.game import ranks_of
from labkit.episode import Task
from labkit.views.markup import text
from labkit.views.turns import hand_html

SIGNS = {"+": "+", "−": "-", "×": "*", "÷": "/", "(": "(", ")": ")", "⌫": "⌫"}


def lesson(chosen: GeneralPointsSettings) -> str:
    """What a preset is about, while it is on the table; what it tells of players is of cards in words."""
    if chosen.cell != CELLS[0]:
        return ""
    here = (chosen.cards, chosen.rule, chosen.target)
    return next((note(p.note, "plain") for p in PRESETS if (p.cards, p.rule, TARGET) == here), "")


def hand(task: Task, solvable: bool) -> str:
    """The cards; says so when nothing reaches the target."""
    hint = "" if solvable else note("This hand has no solution under this rule. You can still play it.", "void")
    return hand_html(envs.start(task), 84) + hint


def keys(task: Task) -> str:
    """A button for each card, with the number that it counts as, and for each sign."""
    ranks = ranks_of(task.deal)
    numbers = numbers_of(ranks, task.rule["faces"])
    cards = [(r if r == str(n) else f"{r}={n}", str(n)) for r, n in zip(ranks, numbers, strict=True)]
    buttons = "".join(
        f'<button type="button" data-insert="{text(typed)}">{text(label)}</button>'
        for label, typed in (*cards, *SIGNS.items())
    )
    return f'<div class="lk app-keys" role="group" aria-label="Type the formula">{buttons}</div>'
