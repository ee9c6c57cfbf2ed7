"""The story tab: its parts, and which event calls which handler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from app.shared.catalogue import Catalogue
from app.shared.handlers import SEATS
from app.shared.stopping import Line
from app.shared.tab import QUICK, Tab, html
from app.shared.window import Seat
from app.story.chapters import CHAPTERS
from app.story.handlers import StoryHandlers, StoryWindow
from app.story.html import WHO
from app.story.settings import RULE, StorySettings


class StoryTab(Tab[StoryHandlers]):
    """Builds the tab where it is made; :meth:`wire` connects it once the whole page stands."""

    SEAT = ("shown", "status", "turns")
    SEVERAL = ("all",)

    def __init__(self, catalogue: Catalogue, line: Line) -> None:
        super().__init__(StoryHandlers(catalogue, line))
        parts = self.parts
        games = [(chapter.title, cell) for cell, chapter in CHAPTERS.items()]
        with gr.Column(elem_classes="app-story"):
            parts["notice"] = html(live=True)
            parts["step"] = gr.State(RULE)
            parts["steps"] = html(script="labkit.walk(element, trigger, watch, 'go');")
            parts["told"] = html(live=True)
            parts["guess"] = gr.CheckboxGroup(
                list(WHO), label="Who fails now?", visible=False, elem_classes="app-guess"
            )
            with gr.Row(elem_classes="app-chips app-onward"):
                parts["next"] = gr.Button("", variant="primary", size="lg", min_width=200, elem_classes="app-play")
                parts["all"] = gr.Button("", size="lg", min_width=120)
                parts["cell"] = gr.Radio(games, value=games[0][1], show_label=False, container=False, min_width=200)
            parts["deal"] = html()
            with gr.Row(elem_classes="app-seats") as parts["players"]:
                for index in range(SEATS):
                    with gr.Column(min_width=260, elem_classes="app-seat"):
                        parts[index, "player"] = gr.State(None)
                        parts[index, "shown"] = gr.State(None)
                        parts[index, "status"] = html()
                        parts[index, "turns"] = html(script="labkit.turns(element, watch);")
            parts["picked"] = html()
            parts["counts"] = html()

    @property
    def inputs(self) -> list[Any]:
        seats = [self.parts[i, name] for i in range(SEATS) for name in self.HELD]
        return [*(self.parts[name] for name in ("cell", "step", "guess")), *seats]

    def window(self, values: Sequence[Any], request: gr.Request) -> StoryWindow:
        cell, step, guess, *held = values
        seats = tuple(Seat(*held[i : i + len(self.HELD)]) for i in range(0, len(held), len(self.HELD)))
        settings = StorySettings(cell=cell, step=step).mended()
        # What comes from the browser may be anything.
        kept = [name for name in WHO if name in guess] if isinstance(guess, list) else []
        return StoryWindow(settings, seats, SEATS, session=request.session_hash or "", guess=kept)

    def wire(self, page: gr.Blocks) -> None:
        """Connect the events; all are private."""
        parts, handlers = self.parts, self.handlers

        def opened(request: gr.Request) -> dict[Any, Any]:
            return self.named(handlers.open(dict(request.query_params)))

        page.load(opened, None, [parts[name] for name in self.everything], **QUICK)
        self.on(parts["cell"].input, handlers.choose_game, self.everything)
        self.on(parts["next"].click, handlers.forward, self.everything)
        self.sends(parts["steps"].go, handlers.go, "step", self.everything)
        started = self.on(parts["all"].click, handlers.press_all, [*self.of_seats(), "all"])
        for index in range(SEATS):
            self.plays(started, index, handlers.run)
