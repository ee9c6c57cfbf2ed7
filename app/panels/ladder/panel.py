"""The checkpoint slider: its parts, and which event calls which handler."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.panels.ladder.handlers import LadderHandlers
from app.panels.panel import Panel
from app.shared.html import note
from app.shared.tab import Tab, html

SHOWN = ("stops", "curve", "status", "turns", "play", "note")
"""The parts that a stop changes."""
NONE = "There is no run of this game with checkpoints on this machine."
FIRST = "Press Play, or drag: every checkpoint of the run plays the deal on the table, once."


class LadderPanel(Panel[LadderHandlers]):
    """One deal along the checkpoints of a run."""

    TITLE = "Checkpoints"

    def __init__(self, tab: Tab[Any]) -> None:
        super().__init__(tab, LadderHandlers(tab.handlers))

    def build(self) -> None:
        parts, runs = self.parts, self.handlers.runs
        first = next(iter(runs), "")
        with gr.Row(elem_classes="app-fields"):
            parts["ladder"] = gr.Dropdown(
                self.handlers.choices, value=first or None, label="Run", min_width=220, scale=3
            )
            parts["play"] = gr.Button("Play", variant="primary", size="md", min_width=90, elem_classes="app-play")
        last = max(1, len(runs.get(first, ())) - 1)
        parts["stop"] = gr.Slider(0, last, value=0, step=1, label="Checkpoint", elem_classes="app-slider")
        parts["stops"] = html()
        parts["curve"] = html()
        parts["note"] = html(live=True, value=note(FIRST if runs else NONE, "plain"))
        parts["status"] = html(live=True)
        parts["turns"] = html(script="labkit.turns(element, watch);")
        parts["memory"] = gr.State(None)
        self.foot()

    def wire(self) -> None:
        parts, handlers = self.parts, self.handlers
        self.on(parts["ladder"].input, handlers.choose, (*SHOWN, "memory", "stop"), needs=["memory"])
        shown, needs = (*SHOWN, "memory"), ["memory"]
        dragged = self.on(parts["stop"].input, handlers.slide, shown, needs, trigger_mode="always_last")
        clicked = self.on(parts["play"].click, handlers.press, shown, needs)
        for started in (dragged, clicked, self.begins(handlers.press, shown, needs)):
            self.plays(started, handlers.run, SHOWN, needs=needs)
        self.carried.wire(
            lambda event: self.on(event, handlers.link, ["carrier", "note"]),
            lambda event: self.on(event, handlers.export, ["carrier", "note"], needs=["memory"]),
        )
