"""What every tab of a game does: seat players, let them play, stop them, judge the person, write links and files.

Nothing here knows how the page is built. A handler takes the window as it is and returns ``{part: value or update}``;
what is not in it stays. The parts of a seat are named ``(index, name)``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Generic

import gradio as gr

from app import link
from app.shared import html, settings
from app.shared.catalogue import Catalogue
from app.shared.live import YOU, live
from app.shared.recordings import recorded
from app.shared.score import Score, score_html
from app.shared.settings import FieldError
from app.shared.stopping import Key, Line
from app.shared.tokens import place_of, tokens_of, tokens_there
from app.shared.window import S, Seat, Shown, Window, changed, same_deal
from labkit import envs
from labkit.episode import Episode, Task

CONSOLE = logging.getLogger("app")
Part = str | tuple[int, str]
Updates = dict[Part, Any]

SEATS = 3
NOTHING = "Nothing recorded for this deal. Press Play to see the player try it."


class Handlers(Generic[S]):
    """The handlers of a game's tab; a game supplies what it deals and how a seat of it looks.

    Args:
        line: who plays and who waits, in all tabs.
    """

    TAB: str
    """The tab's name in links."""
    SETTINGS: type[S]
    NOTES: Mapping[str, str]
    """The part that shows the message about a field."""
    FROZEN: tuple[str, ...]
    """Controls of the tab that wait while one of its players answers."""
    EMPTY: ClassVar[str] = NOTHING

    def __init__(self, catalogue: Catalogue, line: Line) -> None:
        self.catalogue = catalogue
        self.line = line

    # What a game supplies

    def cell(self, chosen: S) -> str:
        """The cell that is played."""
        raise NotImplementedError

    def deal(self, window: Window[S], task: Task) -> Updates:
        """The task on the table."""
        raise NotImplementedError

    def title(self, task: Task) -> str:
        """What a deal is called in a list."""
        return task.id

    def answer(self, chosen: S, own: Episode, typed: str) -> str:
        """What the person typed, as an answer.

        Raises:
            FieldError: it cannot be read; that costs no attempt.
        """
        raise NotImplementedError

    # Opening, and changes of the settings

    def open(self, query: Mapping[str, str]) -> Updates:
        """A new window, from its link if that is one to this tab."""
        first = self.SETTINGS()
        asked = query if query.get("tab") == self.TAB else {}
        chosen, wrong = link.read(asked, first)
        players = self.catalogue.seated(self.cell(chosen.mended()), SEATS)
        wanted = asked.get("players", "").split(",")[:SEATS] if "players" in asked else []
        gone = [name for name in wanted if name not in self.catalogue.names]
        players = [n if n and n not in gone else p for n, p in zip([*wanted, *[None] * SEATS], players, strict=False)]
        window = Window(chosen, tuple(map(Seat, players)), max(1, len(wanted)))
        notice = html.refused(query, [*wrong, *(["players"] if gone else [])], players[0])
        if not notice and not self.catalogue.has_model:
            notice = html.no_checkpoint()
        return {
            **self.lay(window),
            **self.controls(window),
            **{(i, "player"): seat.player for i, seat in enumerate(window.seats)},
            **{(i, "badge"): self.badge(seat) for i, seat in enumerate(window.seats)},
            "count": window.count,
            **self.places(window),
            "notice": notice,
        }

    def switch(self, window: Window[S]) -> Updates:
        """Another cell: its own players take the seats."""
        players = self.catalogue.seated(self.cell(window.settings.mended()), SEATS)
        window = replace(window, seats=tuple(map(Seat, players)))
        return {
            **self.lay(window),
            **{(i, "player"): seat.player for i, seat in enumerate(window.seats)},
            **{(i, "badge"): self.badge(seat) for i, seat in enumerate(window.seats)},
        }

    def controls(self, window: Window[S]) -> Updates:
        """The fields of the settings themselves."""
        return {name: getattr(window.settings, name) for name in settings.names(self.SETTINGS)}

    def lay(self, window: Window[S]) -> Updates:
        """After a change of a field: messages beside the invalid ones, and the deal as it is now."""
        notes = self.notes(window.settings)
        try:
            task = self.drawn(window.settings)
        except FieldError as error:
            return {**notes, **self.beside(error)}
        shown = {**self.deal(window, task), **self.seats(window, task), **self.own_side(window, task)}
        return {**notes, **shown, "parting": ""}

    def seats(self, window: Window[S], task: Task) -> Updates:
        """The seats that are on the screen."""
        drawn: Updates = {}
        for index, seat in enumerate(window.seats[: window.count]):
            drawn |= self.seat(window, index, self.with_recording(seat, task), task)
        return drawn

    def notes(self, chosen: S) -> Updates:
        """The messages about the fields; empty where a field is valid."""
        notes: Updates = dict.fromkeys((self.NOTES[name] for name in settings.names(self.SETTINGS)), "")
        for name, message in chosen.problems().items():
            notes[self.NOTES[name]] = notes[self.NOTES[name]] or html.note(message)
        return notes

    def drawn(self, chosen: S) -> Task:
        """The task that is shown: a wrong number of attempts does not keep the deal from the screen.

        Raises:
            FieldError: there is nothing to deal.
        """
        kept = ("attempts", "temperature", "seed")
        mended = chosen.mended()
        return replace(chosen, **{name: getattr(mended, name) for name in kept}).task

    def with_recording(self, seat: Seat, task: Task) -> Seat:
        """The seat with the recording of the task, unless something else was played there."""
        if seat.shown is not None and seat.shown.origin != "recorded":
            return seat
        return replace(seat, shown=recorded(task, seat.player), step=None)

    def places(self, window: Window[S]) -> Updates:
        """Which seats are on the screen."""
        return {
            **{(i, "place"): gr.update(visible=i < window.count) for i in range(SEATS)},
            "all": gr.update(visible=window.count > 1),
            "part": gr.update(visible=window.count > 1),
            "parting": "",
        }

    def sit(self, window: Window[S]) -> Updates:
        """As many seats as are asked for; what the others play ends."""
        for index in range(window.count, SEATS):
            self.line.stop(self.key(window, index))
        try:
            return {**self.places(window), **self.seats(window, self.drawn(window.settings))}
        except FieldError as error:
            return {**self.places(window), **self.beside(error)}

    def choose(self, window: Window[S], index: int) -> Updates:
        """Another player in a seat."""
        try:
            task = self.drawn(window.settings)
        except FieldError as error:
            return self.beside(error)
        seat = self.with_recording(window.seats[index], task)
        return {(index, "badge"): self.badge(seat), **self.seat(window, index, seat, task), "parting": ""}

    # Playing

    def press(self, window: Window[S], index: int) -> Updates:
        """The seat's Play button; while the seat plays it is its Stop button."""
        if index in self.line.running(window.session, self.TAB):
            return self.halt(window, index)
        try:
            task = self.playable(window.settings)
        except FieldError:
            return self.notes(window.settings)
        return {**self._wait(window, index, task), **self.freeze(window.session)}

    def press_all(self, window: Window[S]) -> Updates:
        """The button that lets all seats play; while one of them plays, it stops them all."""
        running = self.line.running(window.session, self.TAB)
        pressed: Updates = {}
        for index in running or range(window.count):
            pressed |= self.press(window, index)
        return pressed

    def playable(self, chosen: S) -> Task:
        """The task, once every field is valid.

        Raises:
            FieldError: a field is invalid.
        """
        for name in settings.names(self.SETTINGS):
            chosen.value(name)
        return chosen.task

    def _wait(self, window: Window[S], index: int, task: Task) -> Updates:
        """At once, before the player has time for this window."""
        if self.line.full:
            full = f"{len(self.line)} players are waiting already, and there is no more room. Try again in a minute."
            return {(index, "status"): html.note(full, "void")}
        key = self.key(window, index)
        self.line.draw(key)
        place = self.line.waiting(key)
        status = f"Waiting: number {place} in line …" if place else "Starting …"
        drawn = self.seat(window, index, Seat(window.seats[index].player), task, status)
        # What was played stays with the seat: its player may go on from there.
        del drawn[index, "shown"]
        return {**drawn, **self.buttons(index, running=True)}

    def run(self, window: Window[S], index: int, **how: Any) -> Iterator[Updates]:
        """Let the player answer, attempt by attempt, until its episode is over or its run is stopped."""
        key = self.key(window, index)
        ticket = self.line.take(key)
        if ticket is None:
            return
        before = replace(window.seats[index], step=None)
        seat = replace(before, shown=None)
        try:
            task = self.playable(window.settings)
            yield {(index, "status"): html.busy(f"Loading {seat.player} …")}
            for shown in self.play(window, before, task, ticket.stopped.is_set, **how):
                if not self.line.holds(key, ticket):
                    # The Stop button has drawn the end already, or another run has begun.
                    return
                seat = replace(seat, shown=shown)
                attempt = len(shown.episode.position.attempts) + 1
                over = shown.episode.done or shown.origin == "stopped"
                yield self.seat(window, index, seat, task, "" if over else f"Attempt {attempt} …")
                self.pause(window, shown, ticket)
        except Exception as error:  # whatever a player does, the app goes on and says what happened
            CONSOLE.warning("%s", html.console_line(seat.player, error))
            CONSOLE.debug("", exc_info=True)
            if self.line.holds(key, ticket):
                yield self.failed(window, index, seat, error)
        if self.line.holds(key, ticket):
            self.line.stop(key)
            yield self.buttons(index, running=False)

    def failed(self, window: Window[S], index: int, seat: Seat, error: Exception) -> Updates:
        """A seat whose player could not be loaded, or broke: what it played stays, nothing of another player."""
        trouble = html.trouble(seat.player, error)
        try:
            drawn = self.seat(window, index, seat, self.drawn(window.settings))
        except FieldError:
            return {(index, "status"): trouble}
        return {
            **drawn,
            (index, "status"): f"{drawn[index, 'status']}{trouble}",
            (index, "turns"): drawn[index, "turns"] if seat.shown else "",
        }

    def play(self, window: Window[S], seat: Seat, task: Task, stopped: Any) -> Iterator[Shown]:
        """The player's episode as it grows."""
        return live(self.catalogue, seat.player, window.settings, task, stopped)

    def pause(self, window: Window[S], shown: Shown, ticket: Any) -> None:
        """Between two answers that are watched."""

    def halt(self, window: Window[S], index: int) -> Updates:
        """The Stop button: keep the attempts made so far."""
        self.line.stop(self.key(window, index))
        seat = window.seats[index]
        if seat.shown is not None and seat.shown.origin == "live" and not seat.shown.episode.done:
            seat = replace(seat, shown=replace(seat.shown, origin="stopped"))
        stopped = {**self.buttons(index, running=False), **self.freeze(window.session)}
        try:
            return {**self.seat(window, index, seat, self.drawn(window.settings)), **stopped}
        except FieldError:
            return stopped

    def buttons(self, index: int, *, running: bool) -> Updates:
        """Play becomes Stop and the player stays while a seat plays. It is one button, so that it keeps the focus."""
        return {
            (index, "play"): gr.update(value="Stop" if running else "Play", variant="stop" if running else "primary"),
            (index, "player"): gr.update(interactive=not running),
        }

    def freeze(self, session: str) -> Updates:
        """The tab's controls wait while one of its players answers."""
        running = bool(self.line.running(session, self.TAB))
        return {
            **{name: gr.update(interactive=not running) for name in self.FROZEN},
            "all": gr.update(value="Stop all" if running else "Play all"),
            "part": gr.update(interactive=not running),
            **({"parting": ""} if running else {}),
        }

    def key(self, window: Window[S], index: int) -> Key:
        return Key(window.session, self.TAB, index)

    def seat(self, window: Window[S], index: int, seat: Seat, task: Task, running: str = "") -> Updates:
        """A seat's episode, and what its player is busy with."""
        differs = changed(seat, window.settings.mended(), task)
        return {
            (index, "shown"): seat.shown,
            (index, "status"): html.status(seat, differs, running),
            (index, "turns"): html.turns(seat, differs, "" if running else self.EMPTY),
        }

    def ask(self, window: Window[S], index: int, ask: object) -> Updates:
        """The tokens of the answers of one position, when a card asks for them."""
        seat = window.seats[index]
        place = place_of(seat.episode, ask) if seat.episode else None
        if seat.episode is None or place is None or index in self.line.running(window.session, self.TAB):
            return {}
        try:
            task = self.drawn(window.settings)
            seat = replace(seat, tokens=tokens_of(self.catalogue, seat.episode, place[0]))
            return {(index, "turns"): self.seat(window, index, seat, task)[index, "turns"]}
        except FieldError as error:
            return self.beside(error)
        except Exception as error:  # whatever a model does, the app goes on and says what happened
            CONSOLE.debug("", exc_info=True)
            return {(index, "status"): html.trouble(seat.player, error)}

    def part(self, window: Window[S]) -> Updates:
        """Where the answers of the players side by side part, with the probabilities that their models give."""
        played = [seat.episode for seat in window.seats[: window.count] if seat.episode and seat.episode.attempts]
        if self.line.running(window.session, self.TAB):
            return {}
        return {"parting": html.partings(played, partial(tokens_there, self.catalogue))}

    def badge(self, seat: Seat) -> str:
        """What kind of player sits there."""
        return html.badge(self.catalogue.infos.get(seat.player or ""))

    # The person

    def check(self, window: Window[S]) -> Updates:
        """Judge what the person typed; once their episode is over, clear it."""
        try:
            task = self.drawn(window.settings)
            own = self.own(window, task)
            if own is not None and own.done:
                return {"own": None, **self.own_side(replace(window, own=None), task)}
            own = own or envs.start(window.settings.task, YOU)
            own = envs.judge(own, self.answer(window.settings, own, window.typed))
        except FieldError as error:
            return self.beside(error)
        return {"own": own, **self.own_side(replace(window, own=own), task)}

    @staticmethod
    def own(window: Window[S], task: Task) -> Episode | None:
        """The person's episode of this task, if they have begun one."""
        own = window.own
        return own if own is not None and same_deal(own.task, task) else None

    def own_side(self, window: Window[S], task: Task) -> Updates:
        """The person's attempts."""
        here = self.own(window, task)
        over = here is not None and here.done
        return {
            "own note": html.own_verdict(here),
            "own turns": html.own_turns(window.own, stale=here is None),
            "check": "Start over" if over else "Check",
        }

    def count(self, window: Window[S]) -> Updates:
        """Count what the person and the players on the screen have finished."""
        episodes = [seat.episode for seat in window.seats[: window.count]]
        return self._scored(window.score.after(window.own, episodes))

    def reset_score(self, window: Window[S]) -> Updates:
        """Begin the score anew; what the person has finished already does not count again."""
        return self._scored(Score(before=window.own))

    def _scored(self, score: Score) -> Updates:
        shown = score_html(score, self.title)
        return {"score": score, "score table": shown, "score reset": gr.update(visible=bool(shown))}

    # Links and files

    def link(self, window: Window[S]) -> Updates:
        """The link to this window."""
        players = [seat.player for seat in window.seats[: window.count]]
        try:
            return {"carrier": link.write(self.TAB, window.settings, players)}
        except FieldError as error:
            return {"carrier": "", **self.beside(error)}

    def export(self, window: Window[S]) -> Updates:
        """The players' episodes and the person's, as the JSON lines that every part of labkit reads."""
        episodes = [*(seat.episode for seat in window.seats[: window.count]), window.own]
        return {"carrier": "".join(f"{e.to_json()}\n" for e in episodes if e is not None)}

    def beside(self, error: FieldError) -> Updates:
        """A message beside its field."""
        return {self.NOTES[error.field]: html.note(str(error))}
