"""The pieces of HTML of the V-IRL tab: a walk in a line, the stage, the person's buttons."""

from __future__ import annotations

from collections.abc import Sequence

from app.shared.html import ORIGINS, no_room, note, spinner, spoken, stale
from app.shared.window import Seat
from labkit.counting import counted
from labkit.envs.virl.headings import ACTIONS
from labkit.episode import Episode
from labkit.evaluation.tokens import Token
from labkit.views.markup import Mark, mark_of, signed, text
from labkit.views.turns import ended_html, position_html, strip_html
from labkit.views.virl import instruction_html, map_html, outcome_html, views_html

YOURS = Mark("●", "your walk", "plain")
# On a keyboard the letters lie around S as the compass points do.
KEYS = {
    "forward()": ("ArrowUp",), "stop()": ("s",),
    "north": ("w",), "northeast": ("e",), "east": ("d", "ArrowRight"), "southeast": ("c",),
    "south": ("x", "ArrowDown"), "southwest": ("z",), "west": ("a", "ArrowLeft"), "northwest": ("q",),
    "left": ("a", "ArrowLeft"), "right": ("d", "ArrowRight"),
    "slightly left": ("q",), "slightly right": ("e",),
}  # fmt: skip
"""The keys of each action; a turn goes by its word."""
ARROWS = {"ArrowUp": "↑", "ArrowDown": "↓", "ArrowLeft": "←", "ArrowRight": "→"}


def walk(seat: Seat, at: int, differs: Sequence[str], running: str = "") -> str:
    """A player's walk in a line.

    Args:
        at: index of the step that is looked at.
    """
    if seat.shown is None:
        return ""
    episode = seat.shown.episode
    below = f"{spinner(running)}{spoken(episode)}{no_room(episode)}{stale(differs)}"
    return _line(episode, ORIGINS[seat.shown.origin], at, bool(differs), below)


def own_walk(own: Episode, at: int) -> str:
    """The person's walk in a line, with what the verifier said last."""
    return _line(own, YOURS, at, False, own_verdict(own))


def _line(episode: Episode, mark: Mark, at: int, stale: bool, below: str) -> str:
    """Whose walk it is, how it stands, a button for each step."""
    return (
        f'<div class="lk app-walk">{mark.html()} <strong>{text(episode.player)}</strong> {ended_html(episode)}'
        f"<span>return <strong>{signed(episode.reward)}</strong></span>"
        f'<div class="app-steps{" lk-stale" if stale else ""}" data-steps>{strip_html(episode, at)}</div>{below}</div>'
    )


def stage(episode: Episode, at: int, answered: int | None, plan: bool) -> str:
    """The map, the four views and the instruction at one step, and what was answered there or at the step before.

    Args:
        answered: index of the position whose answers are told; None for none.
        plan: whether the map shows the planned path.
    """
    outcome = outcome_html(episode, answered) if answered is not None else ""
    hidden = "" if plan else '<p class="lk-soft">The plan is hidden while you walk.</p>'
    return (
        f'<div class="lk app-stage">{map_html(episode, at, plan=plan)}{views_html(episode, at)}'
        f"<div>{instruction_html(episode, at)}{outcome}{hidden}</div></div>"
    )


def turns(
    episode: Episode,
    at: int | None,
    stale: bool,
    tokens: Sequence[Sequence[Token]] = (),
    live: bool = False,
) -> str:
    """The turn cards of one step.

    Args:
        tokens, live: as of :func:`labkit.views.turns.turns_html`.
    """
    if at is None:
        return ""
    cards = position_html(episode, at, tokens, live=live)
    return f'<div class="lk lk-stale">{cards}</div>' if stale else cards


def nothing() -> str:
    """What is said where there is no walk."""
    return (
        '<p class="lk lk-empty app-empty">Nothing recorded for this walk. '
        "Press Play to watch the player, or walk it yourself.</p>"
    )


def pad(actions: str) -> str:
    """A button for each action of a rule, with its keys."""
    turns = ((f"turn_direction({word})", word) for word in ACTIONS[actions])
    buttons = [_button(action, label) for action, label in (("forward()", "forward"), *turns, ("stop()", "stop"))]
    return f'<div class="lk app-pad" data-pad role="group" aria-label="Your action">{"".join(buttons)}</div>'


def _button(action: str, label: str) -> str:
    keys = KEYS.get(label) or KEYS[action]
    legend = " ".join(f"<kbd>{ARROWS.get(key, key.upper())}</kbd>" for key in keys)
    return f'<button type="button" data-action="{action}" data-keys="{" ".join(keys)}">{label} {legend}</button>'


def own_verdict(own: Episode) -> str:
    """What the verifier said last to the person who walks; never the right action before it is found."""
    if not own.attempts:
        return note("You are at the start. Read the marked sentence, look around, and act.", "plain")
    last = own.attempts[-1]
    wrong = sum(not a.verdict.success for a in own.attempts)
    sum_up = f"{counted(len(own.positions), 'step')}, {wrong} wrong, return {signed(own.reward)}."
    if own.success:
        return note(f"You arrived: {sum_up}", "ok")
    verdict = f"{mark_of(last.verdict).word}, {signed(last.reward)}: {last.verdict.feedback}"
    if own.done:
        return note(f"{verdict} Your walk ends here: {sum_up}", "bad")
    if last.verdict.success:
        return note(f"Correct, {signed(last.reward)}.", "ok")
    used = len(own.position.attempts)
    return note(f"{verdict} {used} of {counted(own.task.attempts, 'attempt')} used." if used else verdict, "bad")
