"""The pieces of HTML that all tabs add to the views: notes, badges, the status of a seat."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import combinations

from app.shared.catalogue import public
from app.shared.window import Seat, same_deal
from labkit.counting import counted
from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.evaluation.tokens import Token
from labkit.players.registry import BUILT_IN, PlayerInfo
from labkit.views.markup import Mark, mark_of, signed, text
from labkit.views.parting import parting_html
from labkit.views.turns import summary_html, turns_html

KINDS = {"tiny": "bundled model", "run": "trained here"}
"""What the page calls a kind of model, where that is another word."""
NO_MODEL = ("script", *BUILT_IN)
"""Kinds of player that are not models; what a player of one's own is, only its summary tells."""
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


def no_checkpoint() -> str:
    """The page's state while there is no model to choose."""
    return note(
        "There is no checkpoint on this machine. Run notebook 04 or “labkit train” to make one. "
        "Until then the expert and the random player can play, and so can you.",
        "void",
    )


def refused(query: Mapping[str, str], keys: Collection[str], instead: str | None) -> str:
    """What a link asked for and cannot have.

    Args:
        instead: the first player that sits where the link's is missing.
    """
    notes = []
    if "players" in keys:
        wanted = ", ".join(query["players"].split(","))[:80]
        notes.append(f"This machine does not have every player of the link ({wanted}); {instead} plays instead.")
    others = [key for key in keys if key != "players"]
    if others:
        notes.append(f"Ignored an invalid link parameter ({', '.join(others)}); using the default.")
    return note(" ".join(notes), "void")


def badge(info: PlayerInfo | None) -> str:
    """What kind of player is chosen; one of labkit's own that is not a model says so."""
    if info is None:
        return ""
    if info.kind in NO_MODEL:
        kind = Mark("!", f"{info.kind}: not a model", "void")
    elif info.is_model:
        kind = Mark("◆", KINDS.get(info.kind, info.kind), "plain")
    else:
        kind = Mark("◇", "a player of your own", "plain")
    return f'<p class="lk app-badge">{kind.html()} {text(info.summary)}</p>'


def spinner(running: str) -> str:
    """What a player is busy with; nothing when it is not."""
    if not running:
        return ""
    return f'<span class="app-busy"><span class="app-spinner" aria-hidden="true"></span>{text(running)}</span>'


def busy(running: str) -> str:
    """The status line while there is nothing else to say."""
    return f'<div class="lk app-status">{spinner(running)}</div>'


def stale(what: Sequence[str]) -> str:
    """Why an episode is not the one that the settings describe."""
    if not what:
        return ""
    return note(f"Played with another {listed(what)}. Press Play to play what is set now.", "void")


def listed(words: Sequence[str], joint: str = "or") -> str:
    """``a``, ``a or b``, ``a, b or c``."""
    return f" {joint} ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


def status(seat: Seat, differs: Sequence[str], running: str = "") -> str:
    """One line over the turn cards: where the episode comes from and how it stands."""
    if seat.shown is None:
        return busy(running)
    episode = seat.shown.episode
    return (
        f'<div class="lk app-status">{ORIGINS[seat.shown.origin].html()}<strong>{text(episode.player)}</strong>'
        f"{summary_html(episode)}{spinner(running)}{spoken(episode)}{no_room(episode)}{stale(differs)}</div>"
    )


def spoken(episode: Episode) -> str:
    """The last verdict, for who listens to the page."""
    if not episode.attempts:
        return ""
    verdict = episode.attempts[-1].verdict
    return f'<span class="lk-unseen">{text(mark_of(verdict).word)}: {text(verdict.feedback)}</span>'


def no_room(episode: Episode) -> str:
    """Says that the prompt filled the model's context, so that the model could not answer."""
    samples = [a.sample for a in episode.attempts if not a.answer]
    full = next((s for s in samples if s is not None and s.truncated and s.tokens == 0), None)
    if full is None:
        return ""
    return note(
        f"The prompt of {full.prompt_tokens} tokens fills the model's context: there was no room for an answer. "
        "Use fewer attempts, or a model with a longer context."
    )


def turns(seat: Seat, differs: Sequence[str], empty: str) -> str:
    """The turn cards; outlined when they were played with other settings.

    Args:
        empty: what is said where there is no episode.
    """
    if seat.shown is None:
        return f'<p class="lk lk-empty app-empty">{text(empty)}</p>' if empty else ""
    if not seat.shown.episode.attempts:
        return ""
    cards = turns_html(seat.shown.episode, seat.tokens, live=True)
    return f'<div class="lk lk-stale">{cards}</div>' if differs else cards


def partings(episodes: Sequence[Episode], tokens: Callable[[Episode, Episode], Sequence[Sequence[Token]]]) -> str:
    """Where the answers of each two players on the same deal part.

    Args:
        tokens: of the first episode, at the answer where the two part.
    """
    pairs = [(one, other) for one, other in combinations(episodes, 2) if same_deal(one.task, other.task)]
    if not pairs:
        return note("Two players must have played the same deal; press Play all first.", "void")
    shown = "".join(parting_html(pair, (tokens(*pair), tokens(*pair[::-1]))) for pair in pairs)
    return f'<div class="lk app-partings">{shown}</div>'


def own_verdict(own: Episode | None) -> str:
    """What the verifier said last, beside the person's answer."""
    if own is None or not own.attempts:
        return ""
    last, used = own.attempts[-1], len(own.position.attempts)
    if own.success:
        tries = "the first attempt" if len(own.attempts) == 1 else counted(len(own.attempts), "attempt")
        return note(f"Correct: solved in {tries}, return {signed(own.reward)}.", "ok")
    verdict = f"{mark_of(last.verdict).word}, {signed(last.reward)}: {last.verdict.feedback}"
    if own.done:
        return note(f"{verdict} No attempt is left; return {signed(own.reward)}.", "bad")
    if last.verdict.success:
        return note(f"Correct, {signed(last.reward)}.", "ok")
    return note(f"{verdict} {used} of {counted(own.task.attempts, 'attempt')} used.", "bad")


def own_turns(own: Episode | None, stale: bool) -> str:
    """The person's turn cards."""
    if own is None:
        return ""
    return f'<div class="lk app-own{" lk-stale" if stale else ""}">{summary_html(own)}{turns_html(own)}</div>'


def console_line(name: str | None, error: Exception) -> str:
    """What the console says of a player that cannot play on."""
    kind = "" if isinstance(error, UsageError) else f"{type(error).__name__}: "
    return " ".join(f"Player {name} stopped: {kind}{error}".split())


def trouble(name: str | None, error: Exception) -> str:
    """What went wrong and what to do, without the server's folders. The app goes on."""
    if isinstance(error, UsageError):
        return note(public(str(error)))
    cause = public(f"{type(error).__name__}: {error}".splitlines()[0][:300])
    advice = "Try again, or choose another player; `labkit app --debug` shows on the console where it happened."
    if "out of memory" in str(error).lower() or isinstance(error, MemoryError):
        advice = "There is not enough memory: close other models, or choose a smaller player."
    return note(f"{name} stopped: {cause}. {advice}")
