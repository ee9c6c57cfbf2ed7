"""The GeneralPoints tab: its parts and which event calls which handler of :class:`app.table.Table`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from functools import partial
from typing import Any

import gradio as gr

from app.players import Catalogue
from app.presets import PRESETS
from app.state import CUSTOM, HOTTEST, LAST_SEED, MOST_ATTEMPTS, Settings, Window
from app.table import CHIPS, FACES, KEYS, Table, Updates
from labkit.envs.general_points.cards import TARGETS

RULES = [
    ("J, Q, K = 10 (trained)", "ten"),
    ("J, Q, K = 11, 12, 13", "eleven-twelve-thirteen"),
    ("my own numbers", CUSTOM),
]
SIGNS = {"+": "+", "−": "-", "×": "*", "÷": "/", "(": "(", ")": ")", "⌫": "⌫"}
SETTINGS = tuple(f.name for f in fields(Settings))
QUICK = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""For events that take no time: they never wait behind a player."""


class GeneralPointsTab:
    """Builds the tab where it is made; :meth:`wire` connects it once the whole page stands."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.table = Table(catalogue)
        self.parts: dict[str, Any] = {"shown": gr.State(None), "own": gr.State(None)}
        first = Settings(player=next(iter(catalogue.specs), None))
        self.parts["notice"] = _html(live=True)
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
            parts["cards"] = gr.Textbox(
                first.cards, label="Cards", max_lines=1, max_length=40, min_width=110, scale=3
            )
            parts["target"] = _number("Target", 24, TARGETS[0], TARGETS[-1])
            parts["seed"] = _number("Seed", 0, 0, LAST_SEED)
            parts["new deal"] = gr.Button("New deal", size="md", min_width=96)
        parts["cards note"] = _html(live=True)
        with gr.Row(elem_classes="app-fields"):
            parts["rule"] = gr.Dropdown(RULES, value=first.rule, label="Rule", min_width=200, scale=4)
            for name, label in zip(FACES, "JQK", strict=True):
                parts[name] = _number(label, getattr(first, name), 1, 99, min_width=56, visible=False)
        parts["rule note"] = _html(live=True)
        parts["hand"] = _html(elem_id="hand")

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
        parts["own note"] = _html(elem_id="own-note", live=True)
        parts["hint"] = gr.Button("Show a solution", size="sm", visible=False, elem_classes="app-small")
        parts["own turns"] = _html(elem_id="own-turns")

    def _player(self, first: Settings, catalogue: Catalogue) -> None:
        parts = self.parts
        with gr.Row(elem_classes="app-fields"):
            parts["player"] = gr.Dropdown(
                list(catalogue.specs), value=first.player, label="Player", min_width=190, scale=3
            )
            parts["attempts"] = _number("Attempts", 5, 1, MOST_ATTEMPTS)
            parts["temperature"] = gr.Number(
                0, label="Temp.", minimum=0, maximum=HOTTEST, step=0.1, min_width=84
            )
            parts["play"] = gr.Button("Play", variant="primary", size="md", min_width=84)
            parts["stop"] = gr.Button("Stop", size="md", min_width=72, interactive=False)
        parts["player note"] = _html(live=True)
        with gr.Row(elem_classes="app-chips"):
            parts["badge"] = _html()
            self.copied = _html(live=True)
            self.copy = gr.Button("Copy link", size="sm", min_width=0)
            self.export = gr.Button("Export JSON", size="sm", min_width=0)
        parts["status"] = _html(elem_id="status", live=True)
        parts["turns"] = gr.HTML(
            elem_id="turns", apply_default_css=False, js_on_load="labkit.turns(element, watch)"
        )
        parts["trouble"] = _html(elem_id="trouble", live=True)
        parts["carrier"] = gr.Textbox(visible="hidden")

    def wire(self, page: gr.Blocks, tabs: gr.Tabs) -> None:
        """Connect the events; all are private, and the one that runs a model has a queue of its own."""
        parts, table = self.parts, self.table
        parts["tabs"] = tabs
        outputs = list(parts.values())

        def opened(request: gr.Request) -> Updates:
            return self._named(table.open(dict(request.query_params)))

        def wait(request: gr.Request, *values: Any) -> Updates:
            return self._named(table.wait(_window(values), request.session_hash))

        def run(request: gr.Request, *values: Any) -> Iterator[Updates]:
            yield from map(self._named, table.run(_window(values), request.session_hash))

        def halt(request: gr.Request, *values: Any) -> Updates:
            return self._named(table.halt(_window(values), request.session_hash))

        def closed(request: gr.Request) -> None:
            table.flags.stop(request.session_hash)

        page.load(opened, None, outputs, **QUICK)
        page.unload(closed)
        waiting = parts["play"].click(wait, self._inputs, outputs, **QUICK)
        playing = waiting.then(
            run, self._inputs, outputs, concurrency_id="model", concurrency_limit=1,
            show_progress="hidden", api_visibility="private",
        )  # fmt: skip
        parts["stop"].click(halt, self._inputs, outputs, cancels=[playing], **QUICK)

        for chip, preset in zip(CHIPS, PRESETS, strict=True):
            self._on(parts[chip].click, partial(table.preset, preset=preset))
        self._on(parts["new deal"].click, partial(table.deal, step=1))
        self._on(parts["seed"].submit, partial(table.deal, step=0))
        # A text field's `input` is not fired by a paste with the mouse; its `change` is.
        changes = [
            parts["cards"].change,
            *(parts[name].input for name in ("target", "rule", *FACES, "attempts", "player")),
        ]
        for event in changes:
            self._on(event, table.lay, trigger_mode="always_last")
        for event in (parts["check"].click, parts["formula"].submit):
            self._on(event, table.try_formula)
        self._on(parts["again"].click, table.start_over)
        self._on(parts["hint"].click, table.show_solution)
        self._in_the_browser()

    def _on(self, event: Callable[..., Any], handler: Callable[[Window], Updates], **options: Any) -> Any:
        """Call the handler with the window as it is, and show what it returns."""

        def handle(*values: Any) -> Updates:
            return self._named(handler(_window(values)))

        return event(handle, self._inputs, list(self.parts.values()), **QUICK, **options)

    def _in_the_browser(self) -> None:
        """What page.js does: type into the formula, copy the link, save the file."""
        formula = self.parts["formula"]
        for key in KEYS:
            typed = "(label) => labkit.insert(label.split('=').pop())"
            self.parts[key].click(None, self.parts[key], formula, js=typed, **QUICK)
        for button, sign in zip(self.signs, SIGNS.values(), strict=True):
            button.click(None, None, formula, js=f"() => labkit.insert('{sign}')", **QUICK)
        carrier = self.parts["carrier"]
        ready = self._on(self.copy.click, self.table.link)
        ready.then(None, carrier, self.copied, js="labkit.copyLink", **QUICK)
        ready = self._on(self.export.click, self.table.export)
        ready.then(None, carrier, None, js="labkit.save", **QUICK)

    @property
    def _inputs(self) -> list[Any]:
        return [self.parts[name] for name in (*SETTINGS, "shown", "own", "formula")]

    def _named(self, updates: Updates) -> dict[Any, Any]:
        return {self.parts[name]: value for name, value in updates.items()}


def _window(values: Sequence[Any]) -> Window:
    count = len(SETTINGS)
    return Window(Settings(*values[:count]), *values[count:])


def _number(
    label: str, value: float, low: int, high: int, min_width: int = 78, visible: bool = True
) -> gr.Number:
    return gr.Number(
        value, label=label, precision=0, minimum=low, maximum=high, min_width=min_width, visible=visible
    )


def _html(elem_id: str | None = None, live: bool = False) -> gr.HTML:
    """A place for HTML that the app makes itself; a live one is read aloud when it changes."""
    announce = "element.setAttribute('aria-live', 'polite')" if live else None
    return gr.HTML(elem_id=elem_id, apply_default_css=False, js_on_load=announce)
