"""What the panel of many deals shows after each thing that can happen."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from time import monotonic
from typing import Any

import gradio as gr

from app.panels.many import html
from app.panels.many.series import Series, play
from app.panels.panel import PanelHandlers, Updates
from app.shared.html import busy, console_line, note
from app.shared.settings import FieldError, Fields, Parsed, Whole, setting
from app.shared.window import Window
from labkit import envs

CONSOLE = logging.getLogger("app")
FIRST, MOST = 20, 100
"""Deals that are played, at first and at most."""


@dataclass(frozen=True, slots=True)
class ManyFields(Fields):
    """How many deals, and of which split."""

    many: float | None = setting(Whole(1, MOST), "Deals", default_factory=lambda: FIRST)
    split: str = setting(Parsed(str.strip), "Split", "")
    """No split is the one that the game holds out."""


class ManyHandlers(PanelHandlers):
    """The handlers of the panel."""

    NAME = "many"
    FIELDS = ManyFields

    def fields(self) -> ManyFields:
        return ManyFields(split=self.held_out)

    def read(self, query: Mapping[str, str]) -> tuple[ManyFields, list[str]]:
        chosen, wrong = super().read(query)
        if chosen.split in ("all", *self.splits):
            return chosen, wrong
        # Gradio refuses every event of a list whose value is none of its choices.
        return replace(chosen, split=self.held_out), [*wrong, "split"]

    def series(self, window: Window[Any], chosen: ManyFields) -> Series:
        """What is to be played, nothing of it played yet.

        Raises:
            FieldError: a field is invalid, or there is no such deal.
        """
        count, split = chosen.value("many"), chosen.value("split") or self.held_out
        settings = window.settings
        known = ("all", *envs.game(self.game.cell(settings)).splits)
        if split not in known:
            raise FieldError("split", f"no split {split[:60]!r}; the splits are {', '.join(known)}")
        temperature, seed = settings.value("temperature"), settings.value("seed")
        tasks = tuple(islice(settings.deals(split), count))
        players = tuple(dict.fromkeys(self.seated(window)))
        if not players:
            raise FieldError("many", "There is no player at the table; choose one.")
        return Series(tasks, split, players, temperature, seed)

    def press(self, window: Window[Any], chosen: ManyFields, series: Series | None, opened: int | None) -> Updates:
        """The Play button; while the players play it is the Stop button."""
        if self.playing(window):
            self.game.line.stop(self.key(window))
            return {**self.drawn(series, opened), **self._button(playing=False)}
        try:
            series = self.series(window, chosen)
        except FieldError as error:
            return {"note": note(str(error))}
        said = self.wait(window)
        if not self.playing(window):
            return {"note": said}
        return {
            "note": "",
            "series": series,
            "opened": None,
            "deal": "",
            "board": "",
            "deals": "",
            "status": busy(said),
        } | self._button(playing=True)

    def run(self, window: Window[Any], chosen: ManyFields, series: Series | None) -> Iterator[Updates]:
        """Let the players play, until all episodes have ended or the run is stopped."""
        line, key = self.game.line, self.key(window)
        ticket = line.take(key)
        if ticket is None or series is None:
            return
        yield {"status": busy("Loading the players …")}
        began = monotonic()
        for grown in play(series, self.game.catalogue, ticket.stopped.is_set):
            series = grown
            left = (monotonic() - began) / series.ended * (series.total - series.ended) if series.ended else None
            yield self.drawn(series, None, playing=True, left=left)
        if line.holds(key, ticket):
            line.stop(key)
            for name, error in series.failures.items():
                CONSOLE.warning("%s", console_line(name, error))
            yield {**self.drawn(series, None), **self._button(playing=False)}

    def drawn(
        self, series: Series | None, opened: int | None, *, playing: bool = False, left: float | None = None
    ) -> Updates:
        """The series as it stands."""
        if series is None:
            return {"status": "", "board": html.nothing(), "deals": ""}
        return {
            "series": series,
            "status": html.status(series, playing, left),
            "board": html.board(series),
            "deals": html.deals(series, self.game.title, opened),
        }

    @staticmethod
    def _button(*, playing: bool) -> Updates:
        return {"play": gr.update(value="Stop" if playing else "Play", variant="stop" if playing else "primary")}

    def open(self, picked: object, window: Window[Any], chosen: ManyFields, series: Series | None) -> Updates:
        """A click on a deal, or on what closes it."""
        if series is None or not isinstance(picked, str):
            return {}
        if picked == html.CLOSE:
            return {"opened": None, "deal": "", "deals": html.deals(series, self.game.title, None)}
        place = int(picked) if picked.isdecimal() and len(picked) < 5 else len(series.tasks)
        if place not in series.shared(series.players):
            return {}
        return {
            "opened": place,
            "deal": html.deal(series, place, self.game.title),
            "deals": html.deals(series, self.game.title, place),
        }

    def export(self, window: Window[Any], chosen: ManyFields, series: Series | None) -> Updates:
        """The episodes that have ended, as the JSON lines that every part of labkit reads."""
        if series is None:
            return {"carrier": ""}
        episodes = [series.of(player)[place] for player in series.players for place in sorted(series.of(player))]
        return {"carrier": "".join(f"{episode.to_json()}\n" for episode in episodes)}
