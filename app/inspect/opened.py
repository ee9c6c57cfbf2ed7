"""The stored episodes that are open, with their tokens: stored ones, or those that a visitor asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.deals import table_link, temperature_of
from app.inspect import html
from app.inspect.stores import Store
from app.shared.catalogue import public
from app.shared.html import note
from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.evaluation.tokens import Token
from labkit.runs import Run
from labkit.runs.index import Index
from labkit.runs.notes import Note
from labkit.views.markup import text
from labkit.views.tokens import StoredTokens
from labkit.views.turns import episode_html

KEPT = 64
"""Episodes whose tokens are kept once they were asked for."""


@dataclass(frozen=True)
class Opened:
    """A stored episode that is open."""

    place: str
    """Where it is stored."""
    episode: Episode
    tokens: Sequence[Sequence[Token]]
    noted: Note = Note()
    notice: str = ""
    """HTML above it."""

    def html(self) -> str:
        """As the game's tab shows it."""
        run, name, number = self.place.rsplit("/", 2)
        play = table_link(self.episode.task, [self.episode.player], temperature_of(self.episode))
        where = f'<p class="lk-soft">{text(name)} {text(number)} of {text(run)}{play and f" · {play}"}</p>'
        shown = episode_html(self.episode, self.tokens, live=True)
        return f'<div data-of="{text(self.place)}">{where}{html.note_html(self.noted)}{self.notice}{shown}</div>'


class Asked:
    """The tokens that were asked for, of the latest episodes. They are the same for every visitor."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Sequence[Sequence[Token]]] = {}

    def keep(self, store: str, place: str, tokens: Sequence[Sequence[Token]]) -> None:
        """Keep the tokens of a stored episode, beside those of its other positions."""
        before = self._kept.pop((store, place), None) or [()] * len(tokens)
        self._kept[store, place] = [new or old for new, old in zip(tokens, before, strict=True)]
        while len(self._kept) > KEPT:
            self._kept.pop(next(iter(self._kept)), None)

    def beside(self, store: str, opened: Opened) -> Opened:
        """The episode with these tokens, where none were stored."""
        kept = self._kept.get((store, opened.place), ())
        return opened if any(opened.tokens) else replace(opened, tokens=kept)


def parts_of(place: str) -> tuple[str, str, int]:
    """Run, episode file and number of a stored episode.

    Raises:
        UsageError: the text names none.
    """
    run, name, number = (place.rsplit("/", 2) + ["", ""])[:3]
    if not number.isdecimal():
        raise UsageError(f"{place[:80]} names no stored episode; open one from the table")
    return run, name, int(number[:9])


def episode_of(place: str, index: Index) -> Episode:
    """A stored episode.

    Raises:
        UsageError: there is none.
    """
    return index.episode(*parts_of(place))


def stored(place: str, store: Store, index: Index) -> Opened:
    """A stored episode, with its note, and with its tokens where they were stored.

    Raises:
        UsageError: there is none.
    """
    episode, noted = episode_of(place, index), index.note(*parts_of(place))
    try:
        tokens = StoredTokens(Run(store.root / place.rsplit("/", 2)[0])).of(episode)
    except UsageError as error:
        message = note(f"The stored tokens cannot be shown: {public(str(error))}", "void")
        return Opened(place, episode, (), noted, message)
    return Opened(place, episode, tokens, noted)
