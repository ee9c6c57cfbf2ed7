"""The V-IRL tab: its parts and which event calls which handler of :class:`app.virl_table.WalkTable`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import gradio as gr

from app.players import Catalogue
from app.playing import Updates
from app.state import MOST_ATTEMPTS
from app.tab import QUICK, Tab, html, number, temperature
from app.virl_state import PACES, Gaze, Settings, Window
from app.virl_table import BEGIN, WalkTable
from labkit.envs.virl.city.cities import CITIES, TRAINING_CITY
from labkit.envs.virl.game import WALKS

RULES = [("absolute: north … (trained)", "absolute"), ("relative: left, right …", "relative")]
CELLS = [("words", "virl-l"), ("pictures", "virl-vl")]
SETTINGS = tuple(f.name for f in fields(Settings))


class WalkTab(Tab):
    """Builds the tab where it is made; :meth:`wire` connects it once the whole page stands."""

    # Walks are watched, which takes time but no model: several at once, each answer of a model in its turn.
    PLAYERS = {"concurrency_id": "walk", "concurrency_limit": 8}

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__(WalkTable(catalogue))
        self.parts |= {"shown": gr.State(None), "own": gr.State(None), "gaze": gr.State(Gaze())}
        first = Settings(player=catalogue.walker())
        self.parts["notice"] = html(live=True)
        self._way(first)
        self._player(first, catalogue)
        parts = self.parts
        parts["note"] = html(live=True)
        parts["trouble"] = html(live=True)
        with gr.Row(elem_classes="app-chips app-top"):
            parts["status"] = self._walk("walk-status", "look", live=True)
            self.copied = html(live=True)
            self.copy = gr.Button("Copy link", size="sm", min_width=0)
            self.export = gr.Button("Export JSON", size="sm", min_width=0)
        parts["pad"] = self._walk("walk-pad", "act")
        parts["stage"] = self._walk("walk-stage", "look")
        parts["turns"] = gr.HTML(
            elem_id="walk-turns", apply_default_css=False, js_on_load="labkit.turns(element, watch)"
        )
        parts["carrier"] = gr.Textbox(visible="hidden")

    def _way(self, first: Settings) -> None:
        parts = self.parts
        cities = [(f"{c.title()} (trained)" if c == TRAINING_CITY else c.title(), c) for c in CITIES]
        with gr.Row(elem_classes="app-fields"):
            parts["city"] = gr.Dropdown(cities, value=first.city, label="City", min_width=170, scale=2)
            parts["route"] = gr.Dropdown([], label="Route", min_width=220, scale=4)
            parts["actions"] = gr.Dropdown(
                RULES, value=first.actions, label="Rule: turns are told as", min_width=200, scale=3
            )
            parts["walk"] = gr.Dropdown(list(WALKS), value=first.walk, label="Walk", min_width=100)
            parts["cell"] = gr.Dropdown(CELLS, value=first.cell, label="Told in", min_width=120)

    def _player(self, first: Settings, catalogue: Catalogue) -> None:
        parts = self.parts
        with gr.Row(elem_classes="app-fields"):
            parts["player"] = gr.Dropdown(
                list(catalogue.specs), value=first.player, label="Player", min_width=170, scale=3
            )
            parts["attempts"] = number("Attempts", 2, 1, MOST_ATTEMPTS)
            parts["temperature"] = temperature()
            parts["pace"] = gr.Dropdown(list(PACES), value=first.pace, label="Speed", min_width=120)
            parts["step"] = gr.Button("Step", size="md", min_width=72)
            parts["play"] = gr.Button("Play", variant="primary", size="md", min_width=84)
            parts["stop"] = gr.Button("Stop", size="md", min_width=72, interactive=False)
            parts["own walk"] = gr.Button(BEGIN, size="md", min_width=150)
            with gr.Column(scale=4, min_width=200):
                parts["badge"] = html()

    @staticmethod
    def _walk(elem_id: str, event: str, live: bool = False) -> gr.HTML:
        """A place whose steps or actions can be clicked; the event of that name carries which."""
        announce = "element.setAttribute('aria-live', 'polite');" if live else ""
        script = f"{announce}labkit.walk(element, trigger, watch, '{event}')"
        return gr.HTML(elem_id=elem_id, apply_default_css=False, js_on_load=script)

    def wire(self, page: gr.Blocks) -> None:
        """Connect the events; all are private."""
        parts, table = self.parts, self.table
        self.opens(page)
        self.plays(play=table.run, step=table.one_step)
        self.on(parts["city"].input, table.move)
        for name in ("route", "actions", "walk", "cell", "attempts", "player"):
            self.on(parts[name].input, table.lay, trigger_mode="always_last")
        self.on(parts["own walk"].click, table.walk_yourself)
        outputs = list(parts.values())

        def look(event: gr.EventData, request: gr.Request, *values: Any) -> Updates:
            asked = event._data or {}
            seen = table.look(self.window(values), request.session_hash, asked.get("whose"), asked.get("step"))
            return self.named(seen)

        def act(event: gr.EventData, *values: Any) -> Updates:
            return self.named(table.act(self.window(values), (event._data or {}).get("action")))

        for name in ("status", "stage"):
            parts[name].look(look, self.inputs, outputs, trigger_mode="always_last", **QUICK)
        parts["pad"].act(act, self.inputs, outputs, **QUICK)
        self.carries(self.copy, self.copied, self.export)

    @property
    def inputs(self) -> list[Any]:
        return [self.parts[name] for name in (*SETTINGS, "shown", "own", "gaze")]

    def window(self, values: Sequence[Any]) -> Window:
        count = len(SETTINGS)
        return Window(Settings(*values[:count]), *values[count:])
