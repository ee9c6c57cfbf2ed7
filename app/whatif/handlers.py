"""What the What-if tab shows after each thing that can happen. Nothing here knows how the page is built."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import gradio as gr

from app.shared.catalogue import Catalogue
from app.shared.html import busy, console_line, note, trouble
from app.shared.live import live
from app.shared.stopping import Key, Line
from app.shared.tokens import place_of, tokens_of
from app.shared.window import Shown
from app.whatif import html
from app.whatif.forks import MOST, Forks, offered, steps_of
from app.whatif.settings import WhatIfSettings
from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.whatif import NOTHING, Branch, Edit, editable, edited

CONSOLE = logging.getLogger("app")
Updates = dict[str, Any]


class Start(NamedTuple):
    """An episode from another tab, and the turn at which it is to be forked."""

    episode: Episode
    turn: tuple[int, int]
    source: str = ""
    """The query string of the view that it is from; empty where it cannot be made again."""
    temperature: float = 0.0
    seed: int = 0


Source = Callable[[Mapping[str, str]], Start]
"""Makes an episode again, from the query of the view that it is from."""


class WhatIfHandlers:
    """The handlers of the tab.

    Args:
        line: who plays and who waits, in all tabs.
        sources: by tab, what makes the first episode of a link again.
    """

    TAB = "whatif"

    def __init__(self, catalogue: Catalogue, line: Line, sources: Mapping[str, Source]) -> None:
        self.catalogue, self.line, self.sources = catalogue, line, sources

    # What is looked at

    def begin(self, start: Start, session: str) -> Updates:
        """A new tree, from an episode of another tab."""
        self.line.stop(self.key(session))
        branch = Branch(start.episode, temperature=start.temperature, seed=start.seed)
        forks = replace(Forks(source=start.source).grown(branch), turn=start.turn)
        return {
            **self.draw(forks),
            **self.form(forks),
            "player": self._player(start.episode.player),
            "temperature": start.temperature,
            "seed": start.seed,
        }

    def _player(self, name: str) -> str | None:
        """The player of an episode, or the first on offer where it is not."""
        return name if name in self.catalogue.names else next(iter(self.catalogue.names), None)

    def draw(self, forks: Forks, running: str = "", growing: Shown | None = None) -> Updates:
        """The tree, and two of its branches.

        Args:
            running: what a player is busy with.
            growing: what it has played so far.
        """
        episode = growing.episode if growing else None
        beside = forks.shown if episode else forks.beside
        return {
            "forks": forks,
            "tree": html.tree_html(forks, running),
            "between": "" if episode else html.between_html(forks),
            "one": html.branch_html(forks, beside),
            "one place": gr.update(visible=beside is not None),
            "two": html.branch_html(forks, forks.shown, live=episode),
            "note": "",
            "empty": gr.update(visible=False),
            "area": gr.update(visible=True),
        }

    def form(self, forks: Forks, what: str = NOTHING) -> Updates:
        """The form of a fork at the turn, with what stands there now."""
        try:
            found = editable(forks.episode, *forks.turn)
        except UsageError as error:
            return {"note": note(str(error))}
        what = what if what in found else NOTHING
        values = offered(forks.episode, what, found[what])
        other = next((value for value in values if value != found[what]), "")
        return {
            "turn": html.turn_html(forks),
            "what": gr.update(choices=[(html.label(name), name) for name in found], value=what),
            "text": gr.update(value=found[what], visible=what != NOTHING and not values),
            "choice": gr.update(choices=list(values), value=other, visible=bool(values)),
        }

    def change(self, forks: Forks, chosen: WhatIfSettings) -> Updates:
        """Something else is to be changed at the turn."""
        return {**self.form(forks, str(chosen.what)), "note": ""} if forks.tree.branches else {}

    def pick(self, forks: Forks, picked: object, session: str) -> Updates:
        """A click on a branch: look at it, or put it beside the one that is looked at."""
        try:
            do, index = json.loads(str(picked))
        except (ValueError, TypeError, RecursionError):
            return {}
        there = type(index) is int and 0 <= index < len(forks.tree.branches)
        if not there or do not in ("show", "beside") or self.running(session):
            return {}
        if do == "beside":
            return self.draw(replace(forks, beside=None if index == forks.beside else index))
        last = forks.tree.branches[index].episode
        at = max((n for n, p in enumerate(last.positions) if p.attempts), default=0)
        turn = (at, max(0, len(last.positions[at].attempts) - 1))
        forks = replace(forks, shown=index, beside=forks.tree.branches[index].parent, turn=turn)
        return {**self.draw(forks), **self.form(forks)}

    def turn(self, forks: Forks, of: object, fork: object, session: str) -> Updates:
        """“What if …” on a card of a branch."""
        index = _index(forks, of)
        place = None if index is None else place_of(forks.tree.branches[index].episode, fork)
        if index is None or place is None or self.running(session):
            return {}
        beside = forks.shown if index != forks.shown else forks.beside
        forks = replace(forks, shown=index, beside=beside, turn=place)
        return {**self.draw(forks), **self.form(forks)}

    def ask(self, forks: Forks, part: str, of: object, ask: object, session: str) -> Updates:
        """The tokens of the answers of one position, when a card asks for them."""
        index = _index(forks, of)
        if index is None or self.running(session):
            return {}
        episode = forks.tree.branches[index].episode
        place = place_of(episode, ask)
        if place is None:
            return {}
        try:
            return {part: html.branch_html(forks, index, tokens_of(self.catalogue, episode, place[0]))}
        except Exception as error:  # whatever a model does, the app goes on and says what happened
            CONSOLE.debug("", exc_info=True)
            return {"note": trouble(episode.player, error)}

    # Playing

    def key(self, session: str) -> Key:
        return Key(session, self.TAB, 0)

    def running(self, session: str) -> bool:
        return bool(self.line.running(session, self.TAB))

    def press(self, forks: Forks, chosen: WhatIfSettings, session: str) -> Updates:
        """The button of the form; while a player answers it is the Stop button."""
        if self.running(session):
            self.line.stop(self.key(session))
            return {**self.draw(forks), **self.button(False)}
        try:
            self._edit(forks, chosen)
            for name in ("player", "temperature", "seed"):
                chosen.value(name)
        except UsageError as error:
            return {"note": note(str(error))}
        return self._wait(forks, session)

    def again(self, forks: Forks, session: str) -> Updates:
        """The button that plays the forks of a link."""
        return self._wait(forks, session) if forks.source and not self.running(session) else {}

    def _wait(self, forks: Forks, session: str) -> Updates:
        if len(forks.tree.branches) >= MOST:
            return {"note": html.full(MOST)}
        if self.line.full:
            return {"note": note("Too many players are waiting already. Try again in a minute.", "void")}
        self.line.draw(self.key(session))
        place = self.line.waiting(self.key(session))
        status = f"Waiting: number {place} in line …" if place else "Starting …"
        shown = {"tree": html.tree_html(forks, status)} if forks.tree.branches else {"empty": busy(status)}
        return {**shown, "note": "", **self.button(True)}

    def run(self, forks: Forks, chosen: WhatIfSettings, session: str) -> Iterator[Updates]:
        """Fork at the turn, and let the player go on."""
        yield from self._guarded(session, chosen.player, lambda stopped: self._fork(forks, chosen, stopped))

    def rebuild(self, forks: Forks, session: str) -> Iterator[Updates]:
        """Play the episode and the forks of a link."""
        yield from self._guarded(session, "The player", lambda stopped: self._rebuilt(forks, stopped))

    def _guarded(
        self, session: str, name: str, play: Callable[[Callable[[], bool]], Iterator[Updates]]
    ) -> Iterator[Updates]:
        """What is played in the window's turn, until it is over or stopped."""
        key = self.key(session)
        ticket = self.line.take(key)
        if ticket is None:
            return
        try:
            for updates in play(ticket.stopped.is_set):
                if not self.line.holds(key, ticket):
                    return
                yield updates
        except Exception as error:  # whatever a player does, the app goes on and says what happened
            CONSOLE.warning("%s", console_line(name, error))
            CONSOLE.debug("", exc_info=True)
            yield {"note": trouble(name, error)}
        if self.line.holds(key, ticket):
            self.line.stop(key)
            yield self.button(False)

    def _edit(self, forks: Forks, chosen: WhatIfSettings) -> tuple[Edit, Episode]:
        """The change that the form asks for, and the episode as it leaves it.

        Raises:
            UsageError: a field is invalid, or nothing of this kind can be changed there.
        """
        if not forks.tree.branches:
            raise UsageError("Open an episode first: press “What if …” on a card.")
        now = editable(forks.episode, *forks.turn)
        what = str(chosen.what)
        listed = what in now and offered(forks.episode, what, now[what])
        edit = Edit(*forks.turn, what, "" if what == NOTHING else chosen.value("choice" if listed else "text"))
        return edit, edited(forks.episode, edit)

    def _fork(self, forks: Forks, chosen: WhatIfSettings, stopped: Callable[[], bool]) -> Iterator[Updates]:
        edit, episode = self._edit(forks, chosen)
        grown = forks
        for shown in self._played(edit, episode, forks, chosen, stopped):
            if isinstance(shown, Forks):
                grown = shown
            else:
                yield self.draw(forks, f"Attempt {len(shown.episode.position.attempts) + 1} …", shown)
        yield {**self.draw(grown), **self.form(grown)}

    def _played(
        self, edit: Edit, episode: Episode, forks: Forks, chosen: Any, stopped: Callable[[], bool]
    ) -> Iterator[Shown | Forks]:
        """The fork as it grows, then the tree with it."""
        temperature, seed = chosen.temperature, int(chosen.seed)
        last = episode
        if not episode.done:
            settings = WhatIfSettings(temperature=temperature, seed=seed)
            for shown in live(self.catalogue, chosen.player, settings, episode, stopped):
                last = shown.episode
                yield shown
        yield forks.grown(Branch(last, forks.shown, edit, temperature, seed))

    def _rebuilt(self, forks: Forks, stopped: Callable[[], bool]) -> Iterator[Updates]:
        query = _query(forks.source)
        start = self.sources[query.get("tab", "")](query)
        grown = Forks(source=forks.source).grown(Branch(start.episode, temperature=start.temperature, seed=start.seed))
        yield self.draw(grown, "Playing the forks …")
        for step in forks.waiting:
            episode = edited(grown.episode, step.edit)
            for shown in self._played(step.edit, episode, grown, step, stopped):
                if isinstance(shown, Forks):
                    grown = shown
            yield self.draw(grown, "Playing the forks …")
        last = grown.tree.branches[-1]
        known = {"player": self._player(last.episode.player), "temperature": last.temperature, "seed": last.seed}
        yield {**self.draw(grown), **self.form(grown), **known}

    @staticmethod
    def button(running: bool) -> Updates:
        return {
            "go": gr.update(value="Stop" if running else "Go on from here", variant="stop" if running else "primary"),
            "again": gr.update(visible=False),
        }

    # Links and files

    def open(self, query: Mapping[str, str]) -> Updates:
        """A new window: what its link asks for waits for a click, since it has to be played."""
        if query.get("tab") != self.TAB or "source" not in query:
            return {}
        source = query["source"]
        try:
            if _query(source).get("tab", "") not in self.sources:
                raise ValueError("no such view")
            waiting = steps_of(query.get("forks", "[]"))
        except ValueError:
            return {"notice": note("This link names no forks that can be played; open an episode instead.", "void")}
        return {"forks": Forks(source=source, waiting=waiting), "again": gr.update(visible=True)}

    def link(self, forks: Forks) -> Updates:
        """The link that makes the branch again."""
        try:
            return {"carrier": forks.link() if forks.tree.branches else "", "note": ""}
        except UsageError as error:
            return {"carrier": "", "note": note(str(error), "void")}

    def export(self, forks: Forks) -> Updates:
        """All branches with their lineage, as JSON."""
        return {"carrier": forks.tree.to_json() if forks.tree.branches else ""}


def _query(source: str) -> dict[str, str]:
    return dict(parse_qsl(source.removeprefix("?"), max_num_fields=40))


def _index(forks: Forks, of: object) -> int | None:
    """The branch that a card's script named."""
    word = str(of)[:6]
    return int(word) if word.isdecimal() and int(word) < len(forks.tree.branches) else None
