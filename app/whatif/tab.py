"""The parts of the What-if tab, and which event calls which handler."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import gradio as gr

from app.inspect.tab import InspectTab
from app.shared import settings
from app.shared.catalogue import Catalogue
from app.shared.handlers import SEATS
from app.shared.stopping import Line
from app.shared.tab import PLAYERS, QUICK, Tab, html, sent
from app.whatif.forks import Forks
from app.whatif.handlers import Source, Start, Updates, WhatIfHandlers
from app.whatif.html import EMPTY
from app.whatif.settings import LONGEST, WhatIfSettings
from app.whatif.sources import at_seat, at_stored

TOP = "() => scrollTo({ top: 0 })"
CARDS = "labkit.turns(element, watch, trigger, 'ask', 'fork');"


class WhatIfTab:
    """Fork an episode, see the tree of forks, compare two branches.

    Args:
        line: who plays and who waits, in all tabs.
        sources: by tab, what makes the first episode of a link again.
    """

    def __init__(self, catalogue: Catalogue, line: Line, sources: Mapping[str, Source]) -> None:
        self.handlers = WhatIfHandlers(catalogue, line, sources)
        self.fields = settings.names(WhatIfSettings)
        parts: dict[str, Any] = {"forks": gr.State(Forks())}
        self.parts = parts
        parts["notice"] = html(live=True)
        parts["empty"] = html(value=f'<p class="lk lk-empty app-empty">{EMPTY}</p>')
        parts["again"] = gr.Button(
            "Play the forks of this link", variant="primary", visible=False, elem_classes="app-small"
        )
        parts["note"] = html(live=True)
        with gr.Column(visible=False) as parts["area"], gr.Row(elem_classes="app-whatif"):
            with gr.Column(min_width=300, elem_classes="app-forks"):
                parts["tree"] = html(live=True, script="labkit.picks(element, trigger, watch, 'pick');")
                self._form(catalogue)
                with gr.Row(elem_classes="app-chips"):
                    self.copy = gr.Button("Copy link", size="sm", min_width=0)
                    self.save = gr.Button("Export JSON", size="sm", min_width=0)
                    self.copied = html(live=True)
            with gr.Column(min_width=300, elem_classes="app-branches"):
                parts["between"] = html()
                with gr.Row(elem_classes="app-seats"):
                    for name in ("one", "two"):
                        with gr.Column(min_width=260, elem_classes="app-seat") as parts[f"{name} place"]:
                            parts[name] = html(script=CARDS)
        parts["carrier"] = gr.Textbox(visible="hidden")

    def _form(self, catalogue: Catalogue) -> None:
        parts = self.parts
        parts["turn"] = html()
        with gr.Row(elem_classes="app-fields"):
            parts["what"] = gr.Dropdown([("answer anew", "nothing")], value="nothing", label="Change", min_width=140)
        with gr.Row(elem_classes="app-fields"):
            parts["text"] = gr.Textbox(
                label=self.label("text"), lines=3, max_lines=12, max_length=LONGEST, visible=False
            )
            parts["choice"] = gr.Dropdown(
                [""], value="", label=self.label("choice"), allow_custom_value=True, visible=False
            )
        with gr.Row(elem_classes="app-fields"):
            names = list(catalogue.names)
            first = next(iter(names), None)
            parts["player"] = gr.Dropdown(names, value=first, label=self.label("player"), min_width=200)
        with gr.Row(elem_classes="app-fields"):
            parts["temperature"] = gr.Number(0.0, label=self.label("temperature"), step=0.1, min_width=80)
            parts["seed"] = gr.Number(0, label=self.label("seed"), precision=0, min_width=80)
        parts["go"] = gr.Button("Go on from here", variant="primary", elem_classes="app-play")

    @staticmethod
    def label(name: str) -> str:
        return settings.label(WhatIfSettings, name)

    def named(self, updates: Updates) -> dict[Any, Any]:
        # Gradio takes an empty dictionary for a value.
        return {self.parts[name]: value for name, value in updates.items()} or gr.skip()

    @property
    def inputs(self) -> list[Any]:
        return [self.parts[name] for name in ("forks", *self.fields)]

    @property
    def shown(self) -> list[Any]:
        return [part for name, part in self.parts.items() if name != "carrier"]

    def chosen(self, values: Sequence[Any]) -> WhatIfSettings:
        return WhatIfSettings(**dict(zip(self.fields, values, strict=True)))

    def wire(self, page: gr.Blocks) -> None:
        """Connect the events; all are private."""
        parts, handlers = self.parts, self.handlers

        def session(request: gr.Request) -> str:
            return request.session_hash or ""

        def opened(request: gr.Request) -> dict[Any, Any]:
            return self.named(handlers.open(dict(request.query_params)))

        def picked(data: gr.EventData, request: gr.Request, forks: Forks) -> dict[Any, Any]:
            return self.named(handlers.pick(forks, sent(data, "pick"), session(request)))

        def turned(data: gr.EventData, request: gr.Request, forks: Forks) -> dict[Any, Any]:
            return self.named(handlers.turn(forks, sent(data, "of"), sent(data, "fork"), session(request)))

        def asked(part: str) -> Callable[..., dict[Any, Any]]:
            def ask(data: gr.EventData, request: gr.Request, forks: Forks) -> dict[Any, Any]:
                found = handlers.ask(forks, part, sent(data, "of"), sent(data, "ask"), session(request))
                return self.named(found)

            return ask

        def changed(forks: Forks, *values: Any) -> dict[Any, Any]:
            return self.named(handlers.change(forks, self.chosen(values)))

        def pressed(request: gr.Request, forks: Forks, *values: Any) -> dict[Any, Any]:
            return self.named(handlers.press(forks, self.chosen(values), session(request)))

        def again(request: gr.Request, forks: Forks) -> dict[Any, Any]:
            return self.named(handlers.again(forks, session(request)))

        def run(request: gr.Request, forks: Forks, *values: Any) -> Iterator[dict[Any, Any]]:
            # Gradio clears the outputs of a run that ends before it has shown anything.
            yield gr.skip()
            yield from map(self.named, handlers.run(forks, self.chosen(values), session(request)))

        def rebuild(request: gr.Request, forks: Forks) -> Iterator[dict[Any, Any]]:
            yield gr.skip()
            yield from map(self.named, handlers.rebuild(forks, session(request)))

        page.load(opened, None, self.shown, **QUICK)
        parts["tree"].pick(picked, parts["forks"], self.shown, **QUICK)
        for name in ("one", "two"):
            parts[name].fork(turned, parts["forks"], self.shown, **QUICK).then(None, js=TOP, **QUICK)
            parts[name].ask(asked(name), parts["forks"], [parts[name], parts["note"]], **PLAYERS)
        parts["what"].input(changed, self.inputs, self.shown, trigger_mode="always_last", **QUICK)
        parts["go"].click(pressed, self.inputs, self.shown, **QUICK).then(run, self.inputs, self.shown, **PLAYERS)
        parts["again"].click(again, parts["forks"], self.shown, **QUICK).then(
            rebuild, parts["forks"], self.shown, **PLAYERS
        )
        carrier = parts["carrier"]
        ready = self.copy.click(
            lambda forks: self.named(handlers.link(forks)), parts["forks"], [carrier, parts["note"]], **QUICK
        )
        ready.then(None, carrier, self.copied, js="labkit.copyLink", **QUICK)
        ready = self.save.click(lambda forks: self.named(handlers.export(forks)), parts["forks"], carrier, **QUICK)
        ready.then(None, carrier, None, js="lines => labkit.save(lines, 'forks.json')", **QUICK)

    def opened_by_seats(self, tab: Tab[Any], tabs: gr.Tabs) -> None:
        """Let the cards of a game's seats begin a what-if."""
        for index in range(SEATS):

            def start(data: gr.EventData, request: gr.Request, values: Any, index: int = index) -> Start | None:
                return at_seat(tab.handlers, tab.window(values, request), index, sent(data, "fork"))

            self._opened_by(tab.parts[index, "turns"].fork, start, tab.inputs, tabs)

    def opened_by_stored(self, tab: InspectTab, tabs: gr.Tabs) -> None:
        """Let the cards of stored episodes begin a what-if."""

        def start(data: gr.EventData, request: gr.Request, values: Any) -> Start | None:
            return at_stored(tab.handlers, tab.chosen(values).store, sent(data, "of"), sent(data, "fork"))

        self._opened_by(tab.parts["opened"].fork, start, [tab.parts[name] for name in tab.fields], tabs)

    def _opened_by(self, event: Any, start: Callable[..., Start | None], inputs: Sequence[Any], tabs: gr.Tabs) -> None:
        def begin(data: gr.EventData, request: gr.Request, *values: Any) -> dict[Any, Any]:
            found = start(data, request, values)
            if found is None:
                return gr.skip()
            shown = self.handlers.begin(found, request.session_hash or "")
            return {**self.named(shown), tabs: gr.update(selected=self.handlers.TAB)}

        event(begin, list(inputs), [*self.shown, tabs], **QUICK).then(None, js=TOP, **QUICK)
