"""The pieces of HTML of the V-IRL tab: the walks in a line each, the stage, the person's buttons."""

from __future__ import annotations

from app.panels import ORIGINS, note, spinner, spoken
from app.state import Shown
from labkit.envs.virl.headings import ACTIONS
from labkit.episode import Episode
from labkit.views.markup import Mark, mark_of, signed, text
from labkit.views.turns import ended_html, position_html, strip_html
from labkit.views.virl import instruction_html, map_html, outcome_html, views_html

NOTHING_RECORDED = "Nothing recorded for this walk. Press Play to watch the player, or walk it yourself."
YOURS = Mark("●", "your walk", "plain")
STALE = "Walked on another route or under other rules. Press Play for the one on the map."
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


def player_walk(shown: Shown, chosen: int | None, stale: bool, running: str = "") -> str:
    """The player's walk in a line.

    Args:
        chosen: index of the step that is looked at; None when the other walk is.
    """
    said = spinner(running) + spoken(shown.episode)
    return _walk("player", shown.episode, ORIGINS[shown.origin], chosen, stale, said)


def own_walk(own: Episode, chosen: int | None, stale: bool) -> str:
    """The person's walk in a line, with what the verifier said last."""
    return _walk("you", own, YOURS, chosen, stale, "" if stale else own_verdict(own))


def _walk(whose: str, episode: Episode, mark: Mark, chosen: int | None, stale: bool, said: str) -> str:
    """Whose walk it is, how it stands, a button for each step."""
    strip = strip_html(episode, -1 if chosen is None else chosen)
    return (
        f'<div class="app-walk" data-whose="{whose}">{mark.html()} '
        f"<strong>{text(episode.player)}</strong> {ended_html(episode)}"
        f"<span>return <strong>{signed(episode.reward)}</strong></span>"
        f'<div class="app-steps{" lk-stale" if stale else ""}">{strip}</div>'
        f"{said}{note(STALE, 'void') if stale else ''}</div>"
    )


def stage(episode: Episode, at: int, answered: int | None, plan: bool) -> str:
    """The map, the four views and the instruction at one step; what came of it, or of the one before.

    Args:
        answered: index of the position whose answers are told; None for none.
        plan: whether the map shows the planned path.
    """
    outcome = "" if answered is None else outcome_html(episode, answered)
    hidden = "" if plan else '<p class="lk-soft">The plan is hidden while you walk.</p>'
    return (
        f'<div class="lk app-stage">{map_html(episode, at, plan=plan)}{views_html(episode, at)}'
        f"<div>{instruction_html(episode, at)}{outcome}{hidden}</div></div>"
    )


def turns(episode: Episode | None, at: int | None, stale: bool) -> str:
    """The turn cards of one step."""
    if episode is None:
        return f'<p class="lk lk-empty app-empty">{NOTHING_RECORDED}</p>'
    if at is None:
        return ""
    cards = position_html(episode, at)
    return f'<div class="lk lk-stale">{cards}</div>' if stale else cards


def pad(actions: str) -> str:
    """A button for each action of a rule, with its keys."""
    turns = ((f"turn_direction({word})", word) for word in ACTIONS[actions])
    buttons = [_button(action, label) for action, label in (("forward()", "forward"), *turns, ("stop()", "stop"))]
    return f'<div class="lk app-pad" role="group" aria-label="Your action">{"".join(buttons)}</div>'


def _button(action: str, label: str) -> str:
    keys = KEYS.get(label) or KEYS[action]
    legend = " ".join(f"<kbd>{ARROWS.get(key, key.upper())}</kbd>" for key in keys)
    return f'<button type="button" data-action="{action}" data-keys="{" ".join(keys)}">{label} {legend}</button>'


def own_verdict(own: Episode) -> str:
    """What the verifier said last to the person who walks; never what is right before it is found."""
    if not own.attempts:
        return note("You stand at the start. Read the sentence that is marked, look around, and act.", "plain")
    last = own.attempts[-1]
    wrong = sum(not a.verdict.success for a in own.attempts)
    sum_up = f"{len(own.positions)} steps, {wrong} wrong, return {signed(own.reward)}."
    if own.success:
        return note(f"You arrived: {sum_up}", "ok")
    said = f"{mark_of(last.verdict).word}, {signed(last.reward)}: {last.verdict.feedback}"
    if own.done:
        return note(f"{said} Your walk ends here: {sum_up}", "bad")
    if last.verdict.success:
        return note(f"Correct, {signed(last.reward)}.", "ok")
    used = len(own.position.attempts)
    return note(f"{said} {used} of {own.task.attempts} attempts used." if used else said, "bad")
