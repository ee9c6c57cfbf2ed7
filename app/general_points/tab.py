"""The GeneralPoints tab: its parts, and which event calls which handler."""

from __future__ import annotations

from functools import partial

import gradio as gr

from app.general_points.handlers import CHIPS, GeneralPointsHandlers
from app.general_points.presets import PRESETS
from app.general_points.settings import CELLS, CUSTOM, NUMBERS
from app.panels.tab import GameTab
from app.shared.catalogue import Catalogue
from app.shared.handlers import Part
from app.shared.stopping import Line
from app.shared.tab import html

RULES = [
    ("J, Q, K = 10 (trained)", "ten"),
    ("J, Q, K = 11, 12, 13", "eleven-twelve-thirteen"),
    ("my own numbers", CUSTOM),
]


SHOWN = [("in words", CELLS[0]), ("in a picture", CELLS[1])]
SUITS = [("black (trained)", "black"), ("red", "red")]


class GeneralPointsTab(GameTab[GeneralPointsHandlers]):
    """Builds the tab where it is made; :meth:`wire` connects it once the whole page stands."""

    DEAL = ("hand", "keys")
    OWN = (*GameTab.OWN, "hint")

    def __init__(self, catalogue: Catalogue, line: Line) -> None:
        super().__init__(GeneralPointsHandlers(catalogue, line))
        self.changes["cell"] = self.handlers.switch
        self.parts["own"] = gr.State(None)
        self.parts["notice"] = html(live=True)
        with gr.Row(elem_classes="app-columns"):
            with gr.Column(min_width=300, elem_classes="app-deal"):
                self._deal()
            with gr.Column(min_width=300, elem_classes="app-you"):
                self._you()
            with gr.Column(min_width=300, elem_classes="app-play-area"):
                self._play()
        self.foot()

    def _deal(self) -> None:
        parts = self.parts
        with gr.Row(elem_classes="app-chips app-presets"):
            for chip, preset in zip(CHIPS, PRESETS, strict=True):
                parts[chip] = gr.Button(preset.label, size="sm", min_width=0)
        with gr.Row(elem_classes="app-fields app-nowrap"):
            self.field("cards", min_width=100, scale=3, max_length=40)
            self.field("target", min_width=64)
            self.field("seed", min_width=64)
            parts["new deal"] = gr.Button("New deal", size="md", min_width=90)
        with gr.Row(elem_classes="app-fields app-nowrap"):
            self.field("cell", choices=SHOWN, min_width=110, scale=3)
            self.field("suits", choices=SUITS, min_width=110, scale=3, visible=False)
            self.field("rule", choices=RULES, min_width=170, scale=4)
            for name in NUMBERS:
                self.field(name, min_width=50, visible=False)
        parts["rule note"] = html(live=True)
        parts["cards note"] = html(live=True)
        parts["hand"] = html()

    def _you(self) -> None:
        parts = self.parts
        with gr.Row(elem_classes="app-fields app-nowrap"):
            parts["typed"] = gr.Textbox(
                label="Your turn: a formula", max_lines=1, max_length=1000, min_width=160, scale=3,
            )  # fmt: skip
            parts["check"] = gr.Button("Check", size="md", min_width=84)
        parts["keys"] = html(script="labkit.keypad(element);")
        parts["own note"] = html(live=True)
        parts["hint"] = gr.Button("Show a solution", size="sm", visible=False, elem_classes="app-small")
        parts["own turns"] = html(script="labkit.turns(element, watch);")

    def _play(self) -> None:
        self.views()
        with gr.Row(elem_classes="app-fields app-settings"):
            self.table()
            for name in ("attempts", "temperature"):
                self.field(name, min_width=100, scale=0)
        self.parts["play note"] = html(live=True)
        self.seats()

    def wire(self, page: gr.Blocks) -> None:
        super().wire(page)
        parts, handlers = self.parts, self.handlers
        dealt: list[Part] = [*self.DEAL, *self.controls, *self.of_seats(), *self.OWN, "typed"]
        for chip, preset in zip(CHIPS, PRESETS, strict=True):
            self.on(parts[chip].click, partial(handlers.preset, preset=preset), dealt)
        self.on(parts["new deal"].click, partial(handlers.deal_next, step=1), dealt)
        self.on(parts["seed"].submit, partial(handlers.deal_next, step=0), dealt)
        for event in (parts["check"].click, parts["typed"].submit):
            self.counts(self.on(event, handlers.check, [*self.OWN, *self.controls]))
        self.on(parts["hint"].click, handlers.show_solution, ["own note"])
