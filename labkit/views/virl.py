"""The view of V-IRL: the map, the street views, the instruction, an answer's fields."""

from __future__ import annotations

import re
from typing import Any

from labkit import envs
from labkit.envs.virl.game import observed, recipe_of
from labkit.envs.virl.geometry import compass
from labkit.envs.virl.headings import other_actions
from labkit.envs.virl.tags import TAGS
from labkit.envs.virl.walk import instruction_of
from labkit.episode import Attempt, Episode, Position
from labkit.errors import UsageError
from labkit.views.base import Picture, Row
from labkit.views.default import folded
from labkit.views.markup import Mark, img, mark_of, plain, shown_html, text
from labkit.views.street_map import map_svg

__all__ = [
    "ENDED", "PICTURE", "TAGS", "expected", "facing", "fields", "folded", "hand", "instruction_html",
    "map_html", "other_rule_label", "outcome_html", "rule_label", "setting", "situation", "step", "views_html",
]  # fmt: skip

ENDED = {
    "success": Mark("✓", "arrived", "ok"),
    "exhausted": Mark("✗", "not arrived: attempts used up", "bad"),
    "failed": Mark("✗", "stopped elsewhere", "bad"),
}
PICTURE = Picture("the four street views: front, right; back, left", 320, "JPEG")
_RULES = {"absolute": "absolute turns (north, east …)", "relative": "relative turns (left, right …)"}


def rule_label(actions: str) -> str:
    """The words that turns take under an action rule."""
    return _RULES[actions]


def other_rule_label(position: Position) -> str:
    """The rule that :attr:`labkit.episode.Attempt.other_rule` judges by."""
    return rule_label(other_actions(position.state["actions"]))


def setting(episode: Episode) -> str:
    """City, both ends and the action rule in a few words."""
    route, rule = episode.task.deal["route"], episode.task.rule
    walk = " · free walk" if rule.get("walk") == "free" else ""
    ends = f"{route['start']['name']} to {route['destination']['name']}"
    return f"{route['city']}: {ends} · {rule_label(rule['actions'])}{walk}"


def hand(episode: Episode, height: int = 96) -> str:
    """The map as the episode stands, and the instruction. ``height`` is of no use here."""
    body = f"{map_html(episode)}{instruction_html(episode)}"
    return f'<div class="lk lk-walk">{body}</div>'


def step(episode: Episode, position: int) -> str:
    """``Step 3 of 9``; a free walk is as long as it gets."""
    free = episode.task.rule.get("walk") == "free"
    if free and not episode.done:
        return f"Step {position + 1}"
    count = len(episode.positions) if free else episode.positions[position].state["steps"]
    return f"Step {position + 1} of {count}"


def facing(position: Position) -> str:
    """``facing southeast 128°``."""
    heading = round(float(position.state["heading"])) % 360
    return f"facing {compass(position.state['heading'])} {heading}°"


def situation(episode: Episode, position: int) -> str:
    """The walker's heading and the latest answer."""
    here = episode.positions[position]
    latest = here.attempts[-1].fields.get("action") if here.attempts else None
    answered = plain(latest) if latest is not None else ""
    return " · ".join(part for part in (facing(here), answered[:60]) if part)


def expected(position: Position) -> str:
    """The right action, in the words of both rules where they differ."""
    state = position.state
    words = f"expected {state['action']}"
    if state["other_action"] != state["action"]:
        words += f"; {other_actions(state['actions'])}: {state['other_action']}"
    return words


def fields(episode: Episode, position: Position, attempt: Attempt) -> list[Row]:
    """The three fields of the answer format, each compared with the truth."""
    read, evidence = attempt.fields, attempt.verdict.evidence
    if not read:
        return []
    state = position.state
    seen_rightly = bool(evidence.get("landmark_right") and evidence.get("intersection_right"))
    sentence = _bare(read.get("current instruction")) == _bare(state["instruction"])
    right = "wrong_action" not in evidence.get("failed", ())
    return [
        _row("current observation", read, seen_rightly, f"there is: {observed(episode.task, state)}"),
        _row("current instruction", read, sentence, f"the sentence now is: {state['instruction']}"),
        Row("action", plain(read.get("action", "")), right, expected(position)),
    ]


def _row(name: str, read: Any, right: bool, truth: str) -> Row:
    if name not in read:
        return Row(name, "missing", False, truth)
    return Row(name, plain(read[name]), right, "" if right else truth)


def _bare(sentence: Any) -> str:
    """A sentence without its number, its full stop and the case of its letters."""
    return re.sub(r"^\s*\d+[.)]\s*", "", plain(sentence or "")).strip(" .").casefold()


def map_html(episode: Episode, position: int = -1, *, plan: bool = True) -> str:
    """The map with the walker at a position, and the position in words.

    Args:
        position: index into ``episode.positions``.
        plan: whether the planned path and the destination are shown.

    Raises:
        IndexError: no position has this index.
    """
    at = range(len(episode.positions))[position]
    here = f"{step(episode, at)}, {facing(episode.positions[at])}"
    keys = [("taken", "walked"), ("wrong", "✗ wrong")]
    keys = [("plan", "planned"), *keys, ("goal", "★ goal")] if plan else keys
    legend = " ".join(f'<span class="lk-key lk-key-{key}">{label}</span>' for key, label in keys)
    svg = map_svg(episode, at, f"Map: {here}", plan=plan)
    caption = f"<figcaption><strong>{text(here)}</strong> {legend}</figcaption>"
    return f'<figure class="lk lk-map">{svg}{caption}</figure>'


def views_html(episode: Episode, position: int = -1, size: int = 448) -> str:
    """The four street views at a position and its observation as the prompt has it. A player that reads words does not
    see the views.

    Args:
        size: pixels of the square of four views, at most; an even number.

    Raises:
        IndexError: no position has this index.
    """
    at = range(len(episode.positions))[position]
    state, seen = episode.positions[at].state, episode.positions[at].picture
    pictured = episode.task.picture is not None
    alt = f"Front, right, back and left at step {at + 1}. {observed(episode.task, state)}"
    try:
        if seen:
            shown = shown_html(envs.game(episode.task.cell).draw(seen["recipe"]), alt, size, "JPEG")
        else:
            shown = img(envs.game("virl-vl").draw(recipe_of(episode.task, state, {"size": size})), alt, "JPEG")
    except UsageError as error:
        shown = f'<p class="lk-empty">{text(error)}</p>'
    observation = observed(episode.task, state, withheld=pictured)
    who = "Told besides the picture" if pictured else "What the player is told instead"
    caption = f'<figcaption><span class="lk-soft">{who}:</span> {text(observation)}</figcaption>'
    return f'<figure class="lk lk-views">{shown}{caption}</figure>'


def instruction_html(episode: Episode, position: int = -1) -> str:
    """The instruction: finished sentences are ticked, the current one is marked.

    Raises:
        IndexError: no position has this index.
    """
    at = range(len(episode.positions))[position]
    now = episode.positions[at].state["sentence"]
    if episode.success and at == len(episode.positions) - 1:
        now += 1
    items = []
    for number, sentence in enumerate(instruction_of(episode.task)):
        icon, word, current = "", "", ""
        if number < now:
            icon, word = "✓", "done: "
        elif number == now:
            icon, word, current = "▶", "now: ", ' aria-current="step"'
        shown = f'<span class="lk-unseen">{word}</span>{text(sentence)}'
        items.append(f'<li{current}><span aria-hidden="true">{icon}</span><span>{shown}</span></li>')
    return f'<ol class="lk lk-instruction">{"".join(items)}</ol>'


def outcome_html(episode: Episode, position: int) -> str:
    """The answers at a position, each with its mark, and the expected action.

    Raises:
        IndexError: no position has this index.
    """
    here = episode.positions[position]
    answers = "".join(
        f"<li>{mark_of(a.verdict).html()} <code>{text(plain(a.fields.get('action', '')))}</code></li>"
        for a in here.attempts
    )
    return (
        f'<section class="lk lk-outcome"><strong>{text(step(episode, position))}</strong>'
        f'<ul>{answers}</ul><span class="lk-soft">{text(expected(here))}</span></section>'
    )
