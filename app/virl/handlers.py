"""What the V-IRL tab shows after each thing that can happen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import gradio as gr

from app.shared.handlers import SEATS, Handlers, Updates
from app.shared.html import busy
from app.shared.live import YOU, live
from app.shared.settings import FieldError
from app.shared.stopping import Ticket
from app.shared.window import Seat, Shown, Window, changed, same_deal
from app.virl import html
from app.virl.presets import PICKED
from app.virl.settings import PACES, RAIL, VIRLSettings, held_out_of, routes_of
from labkit import envs
from labkit.envs.virl.game import answer_text, observed
from labkit.episode import Episode, Task

BEGIN, END, AGAIN = "Walk it yourself", "End your walk", "Walk it again"


class VIRLHandlers(Handlers[VIRLSettings]):
    """The handlers of the tab."""

    TAB = "virl"
    SETTINGS = VIRLSettings
    NOTES = dict.fromkeys(
        ("city", "route", "actions", "walk", "cell", "attempts", "temperature", "seed", "rail", "pace"), "note"
    )
    FROZEN = (
        "picked", "city", "route", "actions", "walk", "cell", "attempts", "temperature", "seed", "rail", "pace",
        "count", "own walk",
    )  # fmt: skip

    def cell(self, chosen: VIRLSettings) -> str:
        return chosen.cell

    def controls(self, window: Window[VIRLSettings]) -> Updates:
        chosen = window.settings.on_route()
        fields: Updates = {"route": self._routes(chosen), "rail": self._rail(chosen)}
        return {**super().controls(replace(window, settings=chosen)), **fields}

    @staticmethod
    def _routes(chosen: VIRLSettings) -> dict[str, Any]:
        """The routes of the chosen city on the list, and the one that a link names."""
        name = chosen.value("city")
        offered = {**routes_of(name), **{id: r for id, r in held_out_of(name).items() if id == chosen.route}}
        choices = [
            (f"{number if id in routes_of(name) else id} · {route.start.name} → {route.destination.name}", id)
            for number, (id, route) in enumerate(offered.items())
        ]
        return gr.update(choices=choices, value=chosen.route)

    @staticmethod
    def _rail(chosen: VIRLSettings) -> dict[str, Any]:
        """The rail's key, in sight where it is not the usual one."""
        return gr.update(value=chosen.rail, visible=chosen.rail != RAIL)

    def take(self, window: Window[VIRLSettings]) -> Updates:
        """Another route of the list, on its usual rail."""
        chosen = replace(window.settings, rail=RAIL)
        return {**self.lay(replace(window, settings=chosen)), "rail": self._rail(chosen)}

    def move(self, window: Window[VIRLSettings]) -> Updates:
        """To another city: its routes, and the first of them on the map."""
        try:
            chosen = replace(window.settings, rail=RAIL).in_city()
        except FieldError as error:
            return self.beside(error)
        shown = self.lay(replace(window, settings=chosen))
        return {**shown, "route": self._routes(chosen), "rail": self._rail(chosen)}

    def deal(self, window: Window[VIRLSettings], task: Task) -> Updates:
        return {}

    def title(self, task: Task) -> str:
        route = task.deal["route"]
        return f"{route['start']['name']} → {route['destination']['name']}"

    def pick(self, window: Window[VIRLSettings]) -> Updates:
        """The route on which the finding shows, under the changed rule, with the players that were compared."""
        chosen = replace(VIRLSettings(), actions="relative", pace=window.settings.pace)
        names: list[str | None] = [name for name in PICKED.players.values() if name in self.catalogue.names]
        names += self.catalogue.seated(chosen.cell, SEATS)[len(names) :]
        window = replace(window, settings=chosen, seats=tuple(map(Seat, names)), count=SEATS)
        return {
            **self.lay(window),
            **self.controls(window),
            **{(i, "player"): name for i, name in enumerate(names)},
            **{(i, "badge"): self.badge(seat) for i, seat in enumerate(window.seats)},
            "count": window.count,
            **self.places(window),
        }

    def seat(self, window: Window[VIRLSettings], index: int, seat: Seat, task: Task, running: str = "") -> Updates:
        differs = changed(seat, window.settings.mended(), task)
        episode = seat.episode
        answered = None if episode is None else _answered(episode, seat.step)
        if episode is None or not same_deal(episode.task, task):
            on_stage = envs.start(task)
            at, told = len(on_stage.positions) - 1, None
        else:
            on_stage, last = episode, len(episode.positions) - 1
            at, told = last if seat.step is None else min(seat.step, last), answered
        looked_at = 0 if episode is None else len(episode.positions) - 1 if seat.step is None else seat.step
        return {
            (index, "shown"): seat.shown,
            (index, "step"): seat.step,
            (index, "status"): html.walk(seat, looked_at, differs, running) if episode else busy(running),
            (index, "stage"): html.stage(on_stage, at, told, plan=True),
            (index, "turns"): html.turns(episode, answered, bool(differs), seat.tokens, live=True)
            if episode
            else _empty(running),
        }

    def look(self, window: Window[VIRLSettings], index: int, step: object) -> Updates:
        """At a step of a player's walk; while the player walks, the seat follows it."""
        seat = window.seats[index]
        at = _step_of(seat.episode, step)
        if index in self.line.running(window.session, self.TAB) or at is None:
            return {}
        try:
            return self.seat(window, index, replace(seat, step=at), self.drawn(window.settings))
        except FieldError as error:
            return self.beside(error)

    def play(
        self, window: Window[VIRLSettings], seat: Seat, task: Task, stopped: Any, one: bool = False
    ) -> Iterator[Shown]:
        """The player's walk, from where it stands if it can go on.

        Args:
            one: a single answer, instead of all.
        """
        shown, settings = seat.shown, window.settings
        begin: Task | Episode = task
        if shown is not None and shown.origin != "recorded" and not shown.episode.done:
            begin = task if changed(seat, settings, task) else shown.episode
        walked = live(self.catalogue, seat.player, settings, begin, stopped)
        return islice(walked, 2) if one else walked

    def one_step(self, window: Window[VIRLSettings], index: int) -> Iterator[Updates]:
        """The Step button: one answer."""
        return self.run(window, index, one=True)

    def pause(self, window: Window[VIRLSettings], shown: Shown, ticket: Ticket) -> None:
        if shown.episode.attempts and not shown.episode.done:
            ticket.stopped.wait(PACES.get(window.settings.pace, 0.0))

    # The person

    def walk_yourself(self, window: Window[VIRLSettings]) -> Updates:
        """Begin the person's walk; while it is open, end it."""
        try:
            task = window.settings.task
        except FieldError as error:
            return self.beside(error)
        own = self.own(window, task)
        own = envs.start(task, YOU) if own is None or own.done else None
        return self.own_side(replace(window, own=own, step=None), task)

    def act(self, window: Window[VIRLSettings], action: object) -> Updates:
        """The person's action, judged; what is seen and the sentence are filled in rightly."""
        try:
            task = self.drawn(window.settings)
        except FieldError as error:
            return self.beside(error)
        own = self.own(window, task)
        if not isinstance(action, str) or own is None or own.done:
            return {}
        state = own.position.state
        own = envs.judge(own, answer_text(observed(own.task, state), state["instruction"], action))
        return self.own_side(replace(window, own=own, step=None), task)

    def look_back(self, window: Window[VIRLSettings], step: object) -> Updates:
        """At a step of the person's walk."""
        try:
            task = self.drawn(window.settings)
        except FieldError as error:
            return self.beside(error)
        at = _step_of(self.own(window, task), step)
        return {} if at is None else self.own_side(replace(window, step=at), task)

    def own_side(self, window: Window[VIRLSettings], task: Task) -> Updates:
        """The person's walk. While it is open the players are out of sight: their maps tell the way."""
        own = self.own(window, task)
        if own is None:
            places: Updates = {"own place": gr.update(visible=False), "players": gr.update(visible=True)}
            return {"own": window.own, "step": None, "own walk": BEGIN, **places}
        walking = not own.done
        at = len(own.positions) - 1 if window.step is None else window.step
        answered = _answered(own, window.step, walking)
        return {
            "own": own,
            "step": window.step,
            "own walk": END if walking else AGAIN,
            "own place": gr.update(visible=True),
            "players": gr.update(visible=not walking),
            "own status": html.own_walk(own, at),
            "pad": html.pad(task.rule["actions"]) if walking and window.step is None else "",
            "own stage": html.stage(own, at, answered, plan=not walking),
            "own turns": html.turns(own, answered, False),
        }


def _empty(running: str) -> str:
    return "" if running else html.nothing()


def _step_of(episode: Episode | None, sent: object) -> int | None:
    """The index of a position that the browser sent; None where it is none."""
    if isinstance(sent, int) and episode is not None and 0 <= sent < len(episode.positions):
        return sent
    return None


def _answered(episode: Episode, step: int | None, walking: bool = False) -> int | None:
    """The step whose cards are shown: the one chosen, else the last that was answered.

    The cards tell the right action: while a person walks, those of the open step are kept back.
    """
    last = len(episode.positions) - 1
    ready = last if episode.position.attempts and not walking else last - 1
    at = ready if step is None else min(step, ready)
    return at if at >= 0 else None
