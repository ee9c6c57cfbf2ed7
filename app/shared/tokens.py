"""The tokens of an answer on the page, computed by its player when a visitor asks for them."""

from __future__ import annotations

from app.shared.catalogue import Catalogue
from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.evaluation.tokens import Token, answer_tokens, parting


def place_of(episode: Episode, sent: object) -> tuple[int, int] | None:
    """The position and the attempt that a card's script sent as ``POSITION.ATTEMPT``; None where there is no such."""
    position, dot, attempt = str(sent)[:20].partition(".")
    if not (dot and position.isdecimal() and attempt.isdecimal()):
        return None
    there = int(position) < len(episode.positions) and int(attempt) < len(episode.positions[int(position)].attempts)
    return (int(position), int(attempt)) if there else None


def tokens_of(catalogue: Catalogue, episode: Episode, position: int) -> list[list[Token]]:
    """The tokens of each attempt, in order over all positions; empty but for the attempts of one position.

    Raises:
        UsageError: the player is not on offer, or is not a model of this machine; or the dialogue is too long for it.
    """
    player = catalogue.player(episode.player, 0.0, lambda: False)
    attempts = range(len(episode.positions[position].attempts))
    found = player.ask(lambda model: [answer_tokens(model, episode, n, position) for n in attempts])
    before = sum(len(p.attempts) for p in episode.positions[:position])
    behind = len(episode.attempts) - before - len(found)
    return [*([] for _ in range(before)), *found, *([] for _ in range(behind))]


def tokens_there(catalogue: Catalogue, episode: Episode, other: Episode) -> list[list[Token]]:
    """The tokens of an episode at the answer where it parts from another; none where its player has none."""
    found = parting(episode, other)
    try:
        return tokens_of(catalogue, episode, found.position) if found else []
    except UsageError:
        return []
