"""The blind duel: its parts, and which event calls which handler."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from app.panels.duel.handlers import DuelHandlers
from app.panels.duel.round import SIDES
from app.panels.panel import Panel
from app.shared.html import note
from app.shared.tab import Tab, html

COLUMNS = tuple(side.lower() for side in SIDES)
GUESSES = tuple(f"guess {column}" for column in COLUMNS)
SHOWN = ("round", "note", "deal", *COLUMNS, "play", *GUESSES)
"""The parts that a round changes."""
FIRST = (
    "Press Play: two checkpoints without names play the same held-out deal. Then guess which was trained with RL. "
    "Their names are told after the guess."
)


class DuelPanel(Panel[DuelHandlers]):
    """Two players without names."""

    TITLE = "Blind duel"
    STYLE = "app-wide"

    def __init__(self, tab: Tab[Any]) -> None:
        super().__init__(tab, DuelHandlers(tab.handlers))

    def build(self) -> None:
        parts = self.parts
        with gr.Row(elem_classes="app-fields app-settings"):
            parts["duel"] = gr.Number(0, label="Deal no.", precision=0, min_width=78, scale=0)
            parts["play"] = gr.Button("Play", variant="primary", size="md", min_width=90, elem_classes="app-play")
        parts["note"] = html(live=True, value=note(FIRST, "plain"))
        with gr.Row(elem_classes="app-chips"):
            for name, side in zip(GUESSES, SIDES, strict=True):
                parts[name] = gr.Button(f"{side} was trained with RL", size="sm", min_width=0, interactive=False)
        parts["deal"] = html()
        with gr.Row(elem_classes="app-duel"):
            for name in COLUMNS:
                with gr.Column(min_width=260):
                    parts[name] = html(script="labkit.turns(element, watch);")
        parts |= {"round": gr.State(None), "score": gr.State(None)}
        self.foot()

    def wire(self) -> None:
        parts, handlers = self.parts, self.handlers
        clicked = self.on(parts["play"].click, handlers.press, SHOWN, needs=["round"])
        for started in (clicked, self.begins(handlers.press, SHOWN, ["round"])):
            self.plays(started, handlers.run, SHOWN, needs=["round"])
        for side, name in enumerate(GUESSES):
            guessed = partial(handlers.guess, side=side)
            self.on(parts[name].click, guessed, (*SHOWN, "score", "duel"), needs=["round", "score"])
        self.carried.wire(
            lambda event: self.on(event, handlers.link, ["carrier", "note"]),
            lambda event: self.on(event, handlers.export, ["carrier"], needs=["round"]),
        )
