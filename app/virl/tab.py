"""The V-IRL tab: its parts, and which event calls which handler."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from app.panels.tab import GameTab
from app.shared.catalogue import Catalogue
from app.shared.handlers import SEATS, Part
from app.shared.html import note
from app.shared.stopping import Line
from app.shared.tab import html
from app.virl.handlers import BEGIN, VIRLHandlers
from app.virl.presets import PICKED
from app.virl.settings import LONGEST_KEY
from labkit.envs.virl.city.cities import CITIES, TRAINING_CITY

RULES = [("absolute: north … (trained)", "absolute"), ("relative: left, right …", "relative")]
CELLS = [("in words", "virl-l"), ("in pictures", "virl-vl")]


class VIRLTab(GameTab[VIRLHandlers]):
    """Builds the tab where it is made; :meth:`wire` connects it once the whole page stands."""

    SEAT = (*GameTab.SEAT, "one", "stage", "step")
    HELD = ("player", "shown", "step")
    PERSON = ("own", "step", "score")
    DEAL = ()
    OWN = ("own", "step", "own walk", "own place", "players", "own status", "pad", "own stage", "own turns")

    def __init__(self, catalogue: Catalogue, line: Line) -> None:
        super().__init__(VIRLHandlers(catalogue, line))
        parts = self.parts
        self.changes |= {"city": self.handlers.move, "route": self.handlers.take, "cell": self.handlers.switch}
        parts |= {"own": gr.State(None), "step": gr.State(None)}
        parts["notice"] = html(live=True)
        with gr.Row(elem_classes="app-picked"):
            parts["picked"] = gr.Button("The paper in one route", size="sm", min_width=0, elem_classes="app-small")
            gr.HTML(note(PICKED.note, "plain"), apply_default_css=False)
        self._way()
        self._play()
        parts["note"] = html(live=True)
        with gr.Column(visible=False, elem_classes="app-seat") as parts["own place"]:
            parts["own status"] = html(live=True, script=self.listens("look"))
            parts["pad"] = html(script=self.listens("act"))
            parts["own stage"] = html(script=self.listens("look"))
            parts["own turns"] = html(script="labkit.turns(element, watch);")
        self.seats()
        self.foot()

    def _way(self) -> None:
        cities = [(f"{c.title()} (trained)" if c == TRAINING_CITY else c.title(), c) for c in CITIES]
        with gr.Row(elem_classes="app-fields"):
            self.field("city", choices=cities, min_width=150, scale=2)
            self.field("route", min_width=200, scale=4)
            self.field("actions", choices=RULES, min_width=180, scale=3)
            self.field("walk", min_width=80)
            self.field("cell", choices=CELLS, min_width=140)
            self.field("rail", min_width=90, max_length=LONGEST_KEY, visible=False)

    def field(self, name: str, **options: Any) -> None:
        if name != "route":
            super().field(name, **options)
            return
        # A list that changes with the city; gradio would refuse a value that is not in the list it began with.
        self.parts[name] = gr.Dropdown([], label="Route", **options)

    def _play(self) -> None:
        parts = self.parts
        with gr.Row(elem_classes="app-fields app-settings"):
            self.table()
            for name in ("attempts", "temperature", "seed"):
                self.field(name, min_width=90, scale=0)
            self.field("pace", min_width=110, scale=0)
            parts["own walk"] = gr.Button(BEGIN, size="md", min_width=150)
            self.views()

    def seats(self) -> None:
        with gr.Column(elem_classes="app-players") as self.parts["players"]:
            super().seats()

    def extra(self, index: int) -> None:
        self.parts[index, "one"] = gr.Button("Step", size="md", min_width=60)

    def stage(self, index: int) -> None:
        self.parts[index, "stage"] = html(script=self.listens("look"))
        self.parts[index, "step"] = gr.State(None)

    def listens(self, event: str) -> str:
        return f"labkit.walk(element, trigger, watch, '{event}');"

    def wire(self, page: gr.Blocks) -> None:
        super().wire(page)
        parts, handlers = self.parts, self.handlers
        places: list[Part] = [(i, "place") for i in range(SEATS)]
        picked = [*self.controls, *places, *self.of_seats(), *self.OWN]
        self.on(parts["picked"].click, handlers.pick, picked)
        self.counts(self.on(parts["own walk"].click, handlers.walk_yourself, [*self.OWN, "note"]))
        for index in range(SEATS):
            seat = [*self.of_seat(index), "note"]
            for name in ("status", "stage"):
                self.sends(parts[index, name].look, partial(handlers.look, index=index), "step", seat)
            pressed = partial(handlers.press, index=index)
            started = self.on(parts[index, "one"].click, pressed, [*self.of_seat(index), *self.controls])
            self.counts(self.plays(started, index, handlers.one_step))
        for name in ("own status", "own stage"):
            self.sends(parts[name].look, handlers.look_back, "step", [*self.OWN, "note"])
        self.counts(self.sends(parts["pad"].act, handlers.act, "action", [*self.OWN, "note"]))
