"""The pieces of HTML that the app adds to the views: notes, badges, the status of an episode."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Mapping

from app.players import NO_MODEL
from app.presets import PRESETS
from app.state import Settings, Shown, same_deal
from labkit.episode import Episode, Task
from labkit.errors import UsageError
from labkit.players.registry import PlayerInfo
from labkit.views.markup import Mark, details, mark_of, pre, signed, text
from labkit.views.turns import hand_html, summary_html, turns_html

NOTHING_RECORDED = "Nothing recorded for this deal. Press Play to see the player try it."
ORIGINS = {
    "recorded": Mark("●", "recorded", "plain"),
    "live": Mark("▶", "live", "plain"),
    "stopped": Mark("■", "stopped by you", "void"),
}


def note(message: str = "", tone: str = "bad") -> str:
    """A sentence beside a field; nothing when there is nothing to say."""
    icon = {"bad": "✗", "ok": "✓", "void": "⊘", "plain": "ℹ"}[tone]
    if not message:
        return ""
    return f'<p class="lk app-note lk-{tone}"><span aria-hidden="true">{icon}</span> {text(message)}</p>'


def lesson(settings: Settings) -> str:
    """What a preset is about, while it is on the table."""
    here = (settings.cards, settings.rule, settings.target)
    return next((note(p.lesson, "plain") for p in PRESETS if (p.cards, p.faces, 24) == here), "")


def no_checkpoint() -> str:
    """The page's state while there is no model to choose."""
    return note(
        "No checkpoint on this machine: run notebook 04 or “labkit train” to make one. "
        "Until then expert and random can play, and so can you.",
        "void",
    )


def refused(query: Mapping[str, str], keys: Collection[str], recorded: bool) -> str:
    """What a link asked for and cannot have."""
    if "a" in keys:
        instead = "showing the recorded episode instead" if recorded else "choose another one"
        return note(f"Player {query['a'][:80]} is not on this machine; {instead}.", "void")
    if keys:
        return note(f"This link's {' and '.join(keys)} cannot be; the default stands in its place.", "void")
    return ""


def player_badge(info: PlayerInfo | None) -> str:
    """What kind of player is chosen; one that is not a model says so."""
    if info is None:
        return ""
    kind = Mark("!", f"{info.kind}: not a model", "void") if info.kind in NO_MODEL else Mark("◆", info.kind, "plain")
    return f'<p class="lk app-badge">{kind.html()} {text(info.summary)}</p>'


def hand(episode: Episode, solvable: bool) -> str:
    """The cards; says so when nothing reaches the target."""
    hint = "" if solvable else note("This hand has no solution under this rule. You can still play it.", "void")
    return hand_html(episode, 92) + hint


def spinner(running: str) -> str:
    """What a player is busy with; nothing when it is not."""
    if not running:
        return ""
    return f'<span class="app-busy"><span class="app-spinner" aria-hidden="true"></span>{text(running)}</span>'


def busy(running: str) -> str:
    """The status line while there is nothing else to say."""
    return f'<div class="lk app-status">{spinner(running)}</div>'


def status(shown: Shown | None, task: Task, running: str = "") -> str:
    """One line over the turn cards: where the episode comes from and how it stands."""
    if shown is None:
        return busy(running)
    player = f"<strong>{text(shown.episode.player)}</strong>"
    stale = ""
    if not same_deal(shown.episode.task, task):
        stale = note("Played with other cards or under another rule. Press Play for the deal on the table.", "void")
    return (
        f'<div class="lk app-status">{ORIGINS[shown.origin].html()}{player}{summary_html(shown.episode)}'
        f"{spinner(running)}{spoken(shown.episode)}{stale}</div>"
    )


def spoken(episode: Episode) -> str:
    """The last verdict, for who listens to the page."""
    if not episode.attempts:
        return ""
    verdict = episode.attempts[-1].verdict
    return f'<span class="lk-unseen">{text(mark_of(verdict).word)}: {text(verdict.feedback)}</span>'


def turns(shown: Shown | None, task: Task, running: str = "") -> str:
    """The turn cards; outlined when they belong to another deal."""
    if shown is None and not running:
        return f'<p class="lk lk-empty app-empty">{NOTHING_RECORDED}</p>'
    if shown is None or not shown.episode.attempts:
        return ""
    cards = turns_html(shown.episode)
    return cards if same_deal(shown.episode.task, task) else f'<div class="lk lk-stale">{cards}</div>'


def own_verdict(own: Episode | None) -> str:
    """What the verifier said last, beside the formula."""
    if own is None or not own.attempts:
        return ""
    last, used = own.attempts[-1], len(own.attempts)
    if own.success:
        tries = "the first attempt" if used == 1 else f"{used} attempts"
        return note(f"Correct: solved in {tries}, return {signed(own.reward)}.", "ok")
    said = f"{mark_of(last.verdict).word}, {signed(last.reward)}: {last.verdict.feedback}"
    if own.done:
        return note(f"{said} No attempt is left; return {signed(own.reward)}.", "bad")
    return note(f"{said} {used} of {own.task.attempts} attempts used.", "bad")


def own_turns(own: Episode | None, task: Task) -> str:
    """The person's turn cards."""
    if own is None:
        return ""
    body = f"{summary_html(own)}{turns_html(own)}"
    return f'<div class="lk app-own{"" if same_deal(own.task, task) else " lk-stale"}">{body}</div>'


def trouble(error: Exception) -> str:
    """What went wrong and what to do; the traceback opens on a click. The app goes on."""
    if isinstance(error, UsageError):
        return note(str(error))
    cause = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    advice = "Try again, or choose another player."
    if "out of memory" in str(error).lower() or isinstance(error, MemoryError):
        advice = "There is not enough memory: close other models, or choose a smaller player."
    trace = details("Traceback", pre("".join(traceback.format_exception(error))))
    return f'{note(f"{cause}. {advice}")}<div class="lk">{trace}</div>'
