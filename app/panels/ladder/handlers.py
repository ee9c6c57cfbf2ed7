"""What the checkpoint slider shows after each thing that can happen."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.panels.ladder import html
from app.panels.ladder.memory import Conditions, Memory, conditions
from app.panels.panel import PanelHandlers, Updates
from app.shared.handlers import Handlers
from app.shared.html import console_line, note, trouble
from app.shared.live import live
from app.shared.settings import FieldError, Fields, Parsed, Whole, setting
from app.shared.window import Window
from labkit.envs.games import row_of
from labkit.episode import Task
from labkit.players.lineage import lineages

CONSOLE = logging.getLogger("app")
MOST = 100
"""Stops of a run, at most."""


@dataclass(frozen=True, slots=True)
class LadderFields(Fields):
    """Which run, and which of its checkpoints."""

    ladder: str = setting(Parsed(str.strip), "Run", default_factory=str)
    stop: float | None = setting(Whole(0, MOST - 1), "Checkpoint", 0)


class LadderHandlers(PanelHandlers):
    """The handlers of the panel."""

    NAME = "ladder"
    FIELDS = LadderFields

    def __init__(self, game: Handlers[Any]) -> None:
        super().__init__(game)
        cells = row_of(game.cell(game.SETTINGS())).cells
        names = {info.spec: name for name, info in game.catalogue.infos.items()}
        kinds = {info.spec: info.kind for info in game.catalogue.infos.values()}
        self.runs = {
            found.last.run: tuple(names[spec] for spec in found.specs)[:MOST]
            for found in sorted(lineages(game.catalogue.infos.values()), key=lambda way: kinds[way.specs[-1]] == "run")
            if found.last.cell in cells
        }
        """The checkpoints of each run of the game, in the order of training; the bundled runs come first."""

    @property
    def choices(self) -> list[tuple[str, str]]:
        """The runs, each told by its checkpoints; a run of this machine by its name as well."""
        own = {run for run, names in self.runs.items() if names[-1].startswith("run:")}
        told = {run: " → ".join(map(html.short, names)) for run, names in self.runs.items()}
        return [(f"{run}: {words}" if run in own else words, run) for run, words in told.items()]

    def seated(self, window: Window[Any]) -> list[str]:
        # The run of the link names the players.
        return []

    def chosen(self, window: Window[Any], fields: LadderFields) -> tuple[tuple[str, ...], int, Task, Conditions]:
        """The checkpoints, the stop among them, the deal and the conditions.

        Raises:
            FieldError: a field is invalid, or there is no such run.
        """
        run = fields.value("ladder") or next(iter(self.runs), "")
        if run not in self.runs:
            raise FieldError("ladder", f"There is no run {run[:60]!r} with checkpoints here; choose one from the list.")
        names, settings = self.runs[run], window.settings
        task = self.game.playable(settings)
        where = conditions(task, settings.value("temperature"), settings.value("seed"))
        return names, min(fields.value("stop"), len(names) - 1), task, where

    def restored(self, query: Mapping[str, str]) -> Updates:
        found = super().restored(query)
        if found["ladder"] not in self.runs:
            return {**found, "ladder": next(iter(self.runs), None), "stop": 0}
        return {**found, "stop": self._slider(found["ladder"], found["stop"])}

    def _slider(self, run: str, at: float | None) -> dict[str, Any]:
        """The slider, with as many stops as a run has."""
        last = max(1, len(self.runs.get(run, ())) - 1)
        return gr.update(maximum=last, value=min(int(at or 0), last))

    def choose(self, window: Window[Any], fields: LadderFields, memory: Memory | None) -> Updates:
        """Another run: what has been played of it, at its first checkpoint."""
        self.game.line.stop(self.key(window))
        fields, memory = LadderFields(fields.ladder), memory or Memory()
        memory.stop = 0
        shown = self.redrawn(window, fields, memory)
        return {"note": "", **shown, **self._idle(), "memory": memory, "stop": self._slider(fields.ladder, 0)}

    def slide(self, window: Window[Any], fields: LadderFields, memory: Memory | None) -> Updates:
        """To a stop: its episode, if it has been played; else the checkpoints begin to play, this one first."""
        return self._start(window, fields, memory or Memory(), looked_at=True)

    def press(self, window: Window[Any], fields: LadderFields, memory: Memory | None) -> Updates:
        """The Play button; while checkpoints play it is the Stop button."""
        if not self.playing(window):
            return self._start(window, fields, memory or Memory(), looked_at=False)
        self.game.line.stop(self.key(window))
        return {**self.redrawn(window, fields, memory), **self._idle()}

    def _start(self, window: Window[Any], fields: LadderFields, memory: Memory, *, looked_at: bool) -> Updates:
        """Show a stop, and let the checkpoints play that have not played the deal.

        Args:
            looked_at: only if the one at the stop has not.
        """
        try:
            names, at, task, where = self.chosen(window, fields)
        except FieldError as error:
            return {"note": note(str(error))}
        memory.stop = at
        missing = [name for name in names if memory.get(where, name, task) is None]
        said = ""
        if names[at] in missing or (missing and not looked_at):
            said = self.wait(window)
        playing = self.playing(window)
        shown = self.drawn(names, task, where, memory, missing[0] if playing and missing else "")
        button = gr.update(value="Stop", variant="stop") if playing else self._idle()["play"]
        return {**shown, "memory": memory, "play": button, "note": "" if playing else said}

    def run(self, window: Window[Any], fields: LadderFields, memory: Memory | None) -> Iterator[Updates]:
        """Let the checkpoints play the deal, the one that is looked at first."""
        line, key = self.game.line, self.key(window)
        ticket = line.take(key)
        if ticket is None or memory is None:
            return
        name = None
        try:
            names, at, task, where = self.chosen(window, fields)
            for name in (names[at], *names):
                if memory.get(where, name, task) is not None:
                    continue
                yield self.drawn(names, task, where, memory, name)
                *_, shown = live(self.game.catalogue, name, window.settings, task, ticket.stopped.is_set)
                if not line.holds(key, ticket):
                    return
                memory.keep(where, name, task, shown.episode)
                yield self.drawn(names, task, where, memory, "")
        except Exception as error:  # whatever a player does, the app goes on and says what happened
            CONSOLE.warning("%s", console_line(name, error))
            yield {"note": trouble(name, error)}
        if line.holds(key, ticket):
            line.stop(key)
            yield self._idle()

    @staticmethod
    def _idle() -> Updates:
        return {"play": gr.update(value="Play", variant="primary")}

    def redrawn(self, window: Window[Any], fields: LadderFields, memory: Memory | None) -> Updates:
        """What has been played of the deal on the table."""
        try:
            names, _, task, where = self.chosen(window, fields)
        except FieldError as error:
            return {"note": note(str(error))}
        return self.drawn(names, task, where, memory or Memory(), "")

    def drawn(self, names: Sequence[str], task: Task, where: Conditions, memory: Memory, playing: str) -> Updates:
        """The stop that is looked at, and the line over all stops.

        Args:
            playing: the checkpoint that plays.
        """
        episodes = [memory.get(where, name, task) for name in names]
        at = min(memory.stop, len(names) - 1)
        return {
            "stops": html.stops(names, episodes, at),
            "curve": html.curve(names, [memory.rates(where, name) for name in names]),
            "status": html.status(names[at], episodes[at], playing),
            "turns": html.turns(episodes[at]),
        }

    def export(self, window: Window[Any], fields: LadderFields, memory: Memory | None) -> Updates:
        """The episodes of the deal on the table, as the JSON lines that every part of labkit reads."""
        try:
            names, _, task, where = self.chosen(window, fields)
        except FieldError as error:
            return {"carrier": "", "note": note(str(error))}
        found = [memory.get(where, name, task) for name in names] if memory else []
        return {"carrier": "".join(f"{episode.to_json()}\n" for episode in found if episode is not None)}
