"""The panel of many deals: its parts, and which event calls which handler."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.panels.many.handlers import FIRST, ManyHandlers
from app.panels.many.html import nothing
from app.panels.panel import Panel
from app.shared.tab import Tab, html

RUN = ("status", "board", "deals", "series", "play")
"""The parts that a run changes."""
PICKS = "labkit.picks(element, trigger, watch, 'pick');"


class ManyPanel(Panel[ManyHandlers]):
    """Many deals for the players at the table."""

    TITLE = "Many deals"
    STYLE = "app-wide app-with-players"

    def __init__(self, tab: Tab[Any]) -> None:
        super().__init__(tab, ManyHandlers(tab.handlers))

    def build(self) -> None:
        parts, held_out = self.parts, self.handlers.held_out
        with gr.Row(elem_classes="app-fields app-settings"):
            parts["many"] = gr.Number(FIRST, label="Deals", precision=0, min_width=78, scale=0)
            parts["split"] = gr.Dropdown(
                [("held-out deals" if s == held_out else s, s) for s in ("all", *self.handlers.splits)],
                value=held_out, label="Split", min_width=140, scale=0,
            )  # fmt: skip
            parts["play"] = gr.Button("Play", variant="primary", size="md", min_width=90, elem_classes="app-play")
        parts["note"] = html(live=True)
        parts["status"] = html(live=True)
        parts["board"] = html(value=nothing())
        parts["deals"] = html(script=PICKS)
        parts["deal"] = html(script=f"labkit.turns(element, watch); {PICKS}")
        parts |= {"series": gr.State(None), "opened": gr.State(None)}
        self.foot()

    def wire(self) -> None:
        parts, handlers = self.parts, self.handlers
        shown, needs = (*RUN, "note", "opened", "deal"), ("series", "opened")
        clicked = self.on(parts["play"].click, handlers.press, shown, needs)
        for started in (clicked, self.begins(handlers.press, shown, needs)):
            self.plays(started, handlers.run, RUN, needs=["series"])
        for name in ("deal", "deals"):
            self.sends(parts[name].pick, handlers.open, "pick", ("opened", "deal", "deals"), needs=["series"])
        self.carried.wire(
            lambda event: self.on(event, handlers.link, ["carrier", "note"]),
            lambda event: self.on(event, handlers.export, ["carrier"], needs=["series"]),
        )
