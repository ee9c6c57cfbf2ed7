"""The GeneralPoints tab: its parts and which event calls which handler of :class:`app.table.Table`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from typing import Any

import gradio as gr

from app.players import Catalogue
from app.presets import PRESETS
from app.state import CUSTOM, LAST_SEED, MOST_ATTEMPTS, Settings, Window
from app.tab import QUICK, Tab, html, number, temperature
from app.table import CHIPS, FACES, KEYS, Table
from labkit.envs.general_points.cards import TARGETS

RULES = [
    ("J, Q, K = 10 (trained)", "ten"),
    ("J, Q, K = 11, 12, 13", "eleven-twelve-thirteen"),
    ("my own numbers", CUSTOM),
]
SIGNS = {"+": "+", "−": "-", "×": "*", "÷": "/", "(": "(", ")": ")", "⌫": "⌫"}
SETTINGS = tuple(f.name for f in fields(Settings))


class GeneralPointsTab(Tab):
    """Builds the tab where it is made; :meth:`wire` connects it once the whole page stands."""

    PLAYERS = {"concurrency_id": "model", "concurrency_limit": 1}

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__(Table(catalogue))
        self.parts |= {"shown": gr.State(None), "own": gr.State(None)}
        first = Settings(player=next(iter(catalogue.specs), None))
        self.parts["notice"] = html(live=True)
        with gr.Row(elem_classes="app-columns"):
            with gr.Column(scale=2, min_width=330):
                self._deal(first)
                self._you()
            with gr.Column(scale=3, min_width=330):
                self._player(first, catalogue)

    def _deal(self, first: Settings) -> None:
        parts = self.parts
        with gr.Row(elem_classes="app-chips"):
            for chip, preset in zip(CHIPS, PRESETS, strict=True):
                parts[chip] = gr.Button(preset.label, size="sm", min_width=0)
        with gr.Row(elem_classes="app-fields"):
            parts["cards"] = gr.Textbox(first.cards, label="Cards", max_lines=1, max_length=40, min_width=110, scale=3)
            parts["target"] = number("Target", 24, TARGETS[0], TARGETS[-1])
            parts["seed"] = number("Seed", 0, 0, LAST_SEED)
            parts["new deal"] = gr.Button("New deal", size="md", min_width=96)
        parts["cards note"] = html(live=True)
        with gr.Row(elem_classes="app-fields"):
            parts["rule"] = gr.Dropdown(RULES, value=first.rule, label="Rule", min_width=200, scale=4)
            for name, label in zip(FACES, "JQK", strict=True):
                parts[name] = number(label, getattr(first, name), 1, 99, min_width=56, visible=False)
        parts["rule note"] = html(live=True)
        parts["hand"] = html(elem_id="hand")

    def _you(self) -> None:
        parts = self.parts
        with gr.Row(elem_classes="app-fields"):
            parts["formula"] = gr.Textbox(
                label="Your turn: a formula",
                max_lines=1,
                max_length=1000,
                min_width=180,
                scale=3,
                elem_id="formula",
            )
            parts["check"] = gr.Button("Check", variant="primary", size="md", min_width=84)
            parts["again"] = gr.Button("Start over", size="md", min_width=96, visible=False)
        with gr.Row(elem_classes="app-chips app-keys"):
            for key in KEYS:
                parts[key] = gr.Button("", size="sm", min_width=0, visible=False)
            self.signs = [gr.Button(sign, size="sm", min_width=0) for sign in SIGNS]
        parts["own note"] = html(elem_id="own-note", live=True)
        parts["hint"] = gr.Button("Show a solution", size="sm", visible=False, elem_classes="app-small")
        parts["own turns"] = html(elem_id="own-turns")

    def _player(self, first: Settings, catalogue: Catalogue) -> None:
        parts = self.parts
        with gr.Row(elem_classes="app-fields"):
            parts["player"] = gr.Dropdown(
                list(catalogue.specs), value=first.player, label="Player", min_width=190, scale=3
            )
            parts["attempts"] = number("Attempts", 5, 1, MOST_ATTEMPTS)
            parts["temperature"] = temperature()
            parts["play"] = gr.Button("Play", variant="primary", size="md", min_width=84)
            parts["stop"] = gr.Button("Stop", size="md", min_width=72, interactive=False)
        parts["player note"] = html(live=True)
        with gr.Row(elem_classes="app-chips"):
            parts["badge"] = html()
            self.copied = html(live=True)
            self.copy = gr.Button("Copy link", size="sm", min_width=0)
            self.export = gr.Button("Export JSON", size="sm", min_width=0)
        parts["status"] = html(elem_id="status", live=True)
        parts["turns"] = gr.HTML(elem_id="turns", apply_default_css=False, js_on_load="labkit.turns(element, watch)")
        parts["trouble"] = html(elem_id="trouble", live=True)
        parts["carrier"] = gr.Textbox(visible="hidden")

    def wire(self, page: gr.Blocks, tabs: gr.Tabs) -> None:
        """Connect the events; all are private, and the one that runs a model has a queue of its own."""
        parts, table = self.parts, self.table
        parts["tabs"] = tabs
        self.opens(page)
        self.plays(play=table.run)

        for chip, preset in zip(CHIPS, PRESETS, strict=True):
            self.on(parts[chip].click, partial(table.preset, preset=preset))
        self.on(parts["new deal"].click, partial(table.deal, step=1))
        self.on(parts["seed"].submit, partial(table.deal, step=0))
        # A text field's `input` is not fired by a paste with the mouse; its `change` is.
        changes = [
            parts["cards"].change,
            *(parts[name].input for name in ("target", "rule", *FACES, "attempts", "player")),
        ]
        for event in changes:
            self.on(event, table.lay, trigger_mode="always_last")
        for event in (parts["check"].click, parts["formula"].submit):
            self.on(event, table.try_formula)
        self.on(parts["again"].click, table.start_over)
        self.on(parts["hint"].click, table.show_solution)
        self._in_the_browser()

    def _in_the_browser(self) -> None:
        """What page.js does: type into the formula, copy the link, save the file."""
        formula = self.parts["formula"]
        for key in KEYS:
            typed = "(label) => labkit.insert(label.split('=').pop())"
            self.parts[key].click(None, self.parts[key], formula, js=typed, **QUICK)
        for button, sign in zip(self.signs, SIGNS.values(), strict=True):
            button.click(None, None, formula, js=f"() => labkit.insert('{sign}')", **QUICK)
        self.carries(self.copy, self.copied, self.export)

    @property
    def inputs(self) -> list[Any]:
        return [self.parts[name] for name in (*SETTINGS, "shown", "own", "formula")]

    def window(self, values: Sequence[Any]) -> Window:
        count = len(SETTINGS)
        return Window(Settings(*values[:count]), *values[count:])
