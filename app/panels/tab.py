"""A game's tab with its panels: one deal, or one of the other ways to play."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import gradio as gr

from app.panels.duel.panel import DuelPanel
from app.panels.ladder.panel import LadderPanel
from app.panels.many.panel import ManyPanel
from app.panels.panel import Panel
from app.shared.handlers import SEATS, Handlers
from app.shared.tab import QUICK, Tab

H = TypeVar("H", bound=Handlers[Any])
DEAL = "deal"
"""The view of a single deal."""
PANELS: Mapping[str, type[Any]] = {"many": ManyPanel, "ladder": LadderPanel, "duel": DuelPanel}
"""By the field that every link to the panel has."""


class GameTab(Tab[H]):
    """A game's tab calls :meth:`views` above what differs between the views, and :meth:`seats` there."""

    panels: Mapping[str, Panel[Any]]

    def views(self) -> None:
        """The list of the views."""
        choices = [("One deal", DEAL), *((kind.TITLE, name) for name, kind in PANELS.items())]
        self.view = gr.Radio(choices, value=DEAL, show_label=False, container=False, elem_classes="app-views")
        self.begun = gr.State(False)

    def seats(self) -> None:
        super().seats()
        self.panels = {name: kind(self) for name, kind in PANELS.items()}

    def wire(self, page: gr.Blocks) -> None:
        super().wire(page)
        places = [panel.place for panel in self.panels.values()]

        def shown(view: object) -> dict[Any, Any]:
            return {panel.place: gr.update(visible=name == view) for name, panel in self.panels.items()}

        def opened(request: gr.Request) -> dict[Any, Any]:
            query = dict(request.query_params)
            if query.get("tab") != self.handlers.TAB:
                return gr.skip()
            view = next((name for name in self.panels if name in query), DEAL)
            if view == DEAL:
                return {self.begun: query.get("play") == "1"}
            panel = self.panels[view]
            restored = panel.named(panel.handlers.restored(query))
            return {self.view: view, **restored, **shown(view)}

        self.view.input(shown, self.view, places, **QUICK)
        of_panels = [part for panel in self.panels.values() for part in panel.restored]
        # Once the settings and the players are there, with which a link may press Play.
        self.opened.then(opened, None, [self.view, self.begun, *places, *of_panels], **QUICK)

        def pressed(request: gr.Request, begun: object, *values: Any) -> dict[Any, Any]:
            # Gradio tells of a change whenever the page is opened, whatever the value.
            return self.named(self.handlers.press_all(self.window(values, request)) if begun is True else {})

        parts = [self.parts[name] for name in dict.fromkeys((*self.of_seats(), *self.controls))]
        started = self.begun.change(pressed, [self.begun, *self.inputs], parts, **QUICK)
        for index in range(SEATS):
            self.counts(self.plays(started, index, self.handlers.run))
        for panel in self.panels.values():
            panel.wire()
