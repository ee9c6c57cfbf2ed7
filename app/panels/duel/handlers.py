"""What the blind duel shows after each thing that can happen."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from random import Random, SystemRandom
from typing import Any

import gradio as gr

from app.panels.duel import html
from app.panels.duel.round import SIDES, Round, Score, drawn, sides
from app.panels.panel import PanelHandlers, Updates
from app.shared.handlers import Handlers
from app.shared.html import busy, console_line, note
from app.shared.live import live
from app.shared.settings import FieldError, Fields, Whole, setting
from app.shared.window import Window

CONSOLE = logging.getLogger("app")
LAST_DEAL = 999
NO_PLAYERS = "A duel needs a checkpoint of this cell that was trained with RL, and one that was not."
NO_END = "A player could not play this deal to its end. Play another deal."


@dataclass(frozen=True, slots=True)
class DuelFields(Fields):
    """Which held-out deal is played."""

    duel: float | None = setting(Whole(0, LAST_DEAL), "Deal no.", default_factory=lambda: 0)


class DuelHandlers(PanelHandlers):
    """The handlers of the panel.

    Args:
        random: draws the players and their sides.
    """

    NAME = "duel"
    FIELDS = DuelFields

    def __init__(self, game: Handlers[Any], random: Random | None = None) -> None:
        super().__init__(game)
        self._random = random or SystemRandom()

    def seated(self, window: Window[Any]) -> list[str]:
        # A link names the deal and no player.
        return []

    def press(self, window: Window[Any], fields: DuelFields, played: Round | None) -> Updates:
        """The Play button: the deal, with two players drawn anew. While they play it is the Stop button."""
        if self.playing(window):
            self.game.line.stop(self.key(window))
            return {"note": note("Stopped. Press Play for two players drawn anew.", "plain"), **self._buttons()}
        try:
            number, settings = fields.value("duel"), window.settings
            for name in ("temperature", "seed"):
                settings.value(name)
            task = next(islice(settings.deals(self.held_out), number, None), None)
            if task is None:
                raise FieldError("duel", f"There is no deal no. {number:g} here; choose a smaller number.")
        except FieldError as error:
            return {"note": note(str(error))}
        trained, others = sides(self.game.catalogue.infos, task.cell)
        if not trained or not others:
            return {"note": note(NO_PLAYERS, "void")}
        said = self.wait(window)
        if not self.playing(window):
            return {"note": said}
        begun = drawn(task, trained, others, self._random)
        return {**self.shown(begun, playing=True), "round": begun, "note": busy(said), **self._buttons(playing=True)}

    def run(self, window: Window[Any], fields: DuelFields, played: Round | None) -> Iterator[Updates]:
        """Let the two players play, in turns."""
        line, key = self.game.line, self.key(window)
        ticket = line.take(key)
        if ticket is None or played is None:
            return
        yield {"note": ""}
        try:
            stopped = ticket.stopped.is_set
            waiting = {
                side: live(self.game.catalogue, name, window.settings, played.task, stopped)
                for side, name in enumerate(played.players)
            }
            while waiting:
                for side in tuple(waiting):
                    shown = next(waiting[side], None)
                    if not line.holds(key, ticket):
                        return
                    if shown is None:
                        del waiting[side]
                        continue
                    played = played.with_episode(side, shown.episode)
                    yield {**self.shown(played, playing=True), "round": played}
            yield {**self.shown(played), "round": played, "note": html.asks(played)}
        except Exception as error:  # whatever a player does, the app goes on; its message might tell who it is
            CONSOLE.warning("%s", console_line("of a duel", error))
            yield {"note": note(NO_END)}
        if line.holds(key, ticket):
            line.stop(key)
            yield self._buttons(guess=played.over)

    def guess(
        self, window: Window[Any], fields: DuelFields, played: Round | None, score: Score | None, side: int
    ) -> Updates:
        """The person names a side: the players' names are told, and the score grows."""
        if played is None or not played.over or played.guess is not None or self.playing(window):
            return {}
        played, score = replace(played, guess=side), (score or Score()).after(side == played.trained)
        told = {**self.shown(played), "round": played, "score": score, "note": html.answer(played, score)}
        return {**told, **self._buttons(), "duel": min(LAST_DEAL, int(fields.mended().value("duel")) + 1)}

    @staticmethod
    def shown(played: Round, *, playing: bool = False) -> Updates:
        """The round as the person may see it."""
        columns = {SIDES[side].lower(): html.column(played, side, playing) for side in range(len(SIDES))}
        return {"deal": html.deal(played), **columns}

    @staticmethod
    def _buttons(*, playing: bool = False, guess: bool = False) -> Updates:
        return {
            "play": gr.update(value="Stop" if playing else "Play", variant="stop" if playing else "primary"),
            **{f"guess {side.lower()}": gr.update(interactive=guess) for side in SIDES},
        }

    def export(self, window: Window[Any], fields: DuelFields, played: Round | None) -> Updates:
        """Both episodes, as the JSON lines that every part of labkit reads; without names before the guess."""
        episodes = played.shown.values() if played else ()
        return {"carrier": "".join(f"{episode.to_json()}\n" for episode in episodes)}
