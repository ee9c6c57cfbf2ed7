"""The tab of a game that has no tab of its own, built from the same parts as the others."""

from __future__ import annotations

import gradio as gr

from app.default.handlers import DefaultHandlers
from app.panels.tab import GameTab
from app.shared import settings
from app.shared.catalogue import Catalogue
from app.shared.html import listed
from app.shared.stopping import Line
from app.shared.tab import html
from labkit.envs import game
from labkit.envs.games import Option, Row


class DefaultTab(GameTab[DefaultHandlers]):
    """Deal, play with one to three players, answer by hand.

    Args:
        row: the game, in the table of games.
    """

    DEAL = ("hand",)

    def __init__(self, catalogue: Catalogue, line: Line, row: Row) -> None:
        handlers = DefaultHandlers(catalogue, line, row)
        super().__init__(handlers)
        parts = self.parts
        parts["own"] = gr.State(None)
        parts["notice"] = html(live=True)
        with gr.Row(elem_classes="app-columns"):
            with gr.Column(min_width=300, elem_classes="app-deal"):
                with gr.Row(elem_classes="app-fields"):
                    self.field("cell", choices=[(title, cell) for cell, title in row.cells.items()], min_width=160)
                    self.field("suite", min_width=110)
                    self.field("number", min_width=90)
                    self.field("seed", min_width=70)
                    for option in handlers.options:
                        self._option(option)
                    parts["new deal"] = gr.Button(f"New {row.deal}", size="md", min_width=90)
                parts["note"] = html(live=True)
                parts["hand"] = html()
            with gr.Column(min_width=300, elem_classes="app-you"):
                with gr.Row(elem_classes="app-fields"):
                    parts["typed"] = gr.Textbox(label=f"Your turn: {_typed(row)}", lines=2, max_length=4000)
                parts["check"] = gr.Button("Check", size="sm", min_width=84, elem_classes="app-small")
                parts["own note"] = html(live=True)
                parts["own turns"] = html(script="labkit.turns(element, watch);")
            with gr.Column(min_width=300, elem_classes="app-play-area"):
                self.views()
                with gr.Row(elem_classes="app-fields app-settings"):
                    self.table()
                    for name in ("attempts", "temperature"):
                        self.field(name, min_width=100, scale=0)
                self.seats()
        self.foot()

    def _option(self, option: Option) -> None:
        """An option of the game: a list where it suggests values (others may be typed), else a text."""
        if not option.suggested:
            self.field(option.name, min_width=120)
            return
        self.parts[option.name] = gr.Dropdown(
            [("as in the suite", ""), *((value, value) for value in option.suggested)],
            value="",
            label=settings.label(self.handlers.SETTINGS, option.name),
            allow_custom_value=True,
            min_width=140,
        )

    def wire(self, page: gr.Blocks) -> None:
        super().wire(page)
        parts, handlers = self.parts, self.handlers
        laid = [*self.DEAL, *self.controls, *self.of_seats(), *self.OWN, "typed"]
        self.on(parts["new deal"].click, handlers.deal_next, laid)
        self.counts(self.on(parts["check"].click, handlers.check, [*self.OWN, *self.controls]))


def _typed(row: Row) -> str:
    """What a person types: the fields of a game whose cells all have the same ones, or the whole answer."""
    fields = {game(cell).typed for cell in row.cells}
    if len(fields) > 1:
        return "an answer, in JSON"
    [names] = fields
    return f"{listed(names, 'and')}{', one a line' if len(names) > 1 else ''}, or JSON"
