"""Where a what-if begins: at a seat of a game's tab or at a stored episode. A link brings that episode back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

from app import link
from app.inspect.handlers import InspectHandlers
from app.shared.handlers import Handlers
from app.shared.live import live
from app.shared.settings import FieldError
from app.shared.tab import Tab
from app.shared.tokens import place_of
from app.shared.window import Window, changed
from app.whatif.handlers import Source, Start
from labkit.errors import UsageError


def at_seat(handlers: Handlers[Any], window: Window[Any], index: int, sent: object) -> Start | None:
    """The episode of a seat, at the turn that its card's script sent; None where there is no such turn."""
    shown = window.seats[index].shown
    place = place_of(shown.episode, sent) if shown else None
    if shown is None or place is None:
        return None
    try:
        same = not changed(window.seats[index], window.settings, window.settings.task)
        source = link.write(handlers.TAB, window.settings, [shown.episode.player])[1:] if same else ""
    except FieldError:
        source = ""
    # What a person stopped cannot be played again.
    source = source if shown.episode.done else ""
    return Start(shown.episode, place, source, shown.temperature, shown.seed)


def play_again(handlers: Handlers[Any], query: Mapping[str, str]) -> Start:
    """Play the episode of a game's link.

    Raises:
        UsageError: the link is invalid, or its player is not on offer.
    """
    chosen, wrong = link.read(query, handlers.SETTINGS())
    if wrong:
        raise UsageError(f"the link has an invalid {wrong[0]}")
    player, task = query.get("players", ""), handlers.playable(chosen)
    *_, shown = live(handlers.catalogue, player, chosen, task, lambda: False)
    return Start(shown.episode, (0, 0), "", shown.temperature, shown.seed)


def at_stored(handlers: InspectHandlers, store: str, place: object, sent: object = "0.0") -> Start | None:
    """A stored episode, at the turn that its card's script sent; None where there is no such episode or turn.

    Args:
        store: the folder of runs that is shown.
        place: where the episode is stored.
    """
    try:
        episode, source = handlers.stored(store, str(place)[:300])
    except UsageError:
        return None
    turn = place_of(episode, sent)
    if turn is None:
        return None
    temperature = next((a.sample.temperature for a in episode.attempts if a.sample), 0.0)
    query = urlencode({"tab": handlers.TAB, "store": source, "open": str(place)})
    return Start(episode, turn, query, temperature)


def read_again(handlers: InspectHandlers, query: Mapping[str, str]) -> Start:
    """The stored episode of a link.

    Raises:
        UsageError: it is not there.
    """
    found = at_stored(handlers, query.get("store", ""), query.get("open", ""))
    if found is None:
        raise UsageError("the stored episode of this link is not on this machine")
    return found


def sources_of(tabs: Iterable[Tab[Any]], inspect: InspectHandlers) -> dict[str, Source]:
    """By tab, what makes the first episode of a link again."""
    games = {tab.handlers.TAB: partial(play_again, tab.handlers) for tab in tabs}
    return {**games, inspect.TAB: partial(read_again, inspect)}
