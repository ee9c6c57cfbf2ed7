"""The parts of the Train tab, and which event calls which handler."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import gradio as gr

from app.inspect.handlers import FILLED
from app.inspect.stores import Store
from app.shared import settings
from app.shared.tab import QUICK, html
from app.train.handlers import HERE, TrainHandlers, Updates
from app.train.recipes import recipes
from app.train.settings import TrainSettings
from app.train.trainer import Followed, Trainer
from labkit.views.widgets.curves import AXES

SECONDS = 2.0
"""Between two looks at a run that goes on."""


class TrainTab:
    """Start a small run, or follow any.

    Args:
        stores: the folders of runs on offer.
    """

    def __init__(self, stores: Sequence[Store], trainer: Trainer | None = None) -> None:
        trainer = trainer or Trainer()
        self.handlers = TrainHandlers(stores, trainer, Followed(trainer.out))
        self.fields = settings.names(TrainSettings)
        parts: dict[str, Any] = {}
        self.parts = parts
        parts["notice"] = html(live=True)
        with gr.Row(elem_classes="app-fields"):
            names = list(recipes())
            first = settings.default(TrainSettings, "recipe")
            parts["recipe"] = gr.Dropdown(
                names, value=first if first in names else None, label=self.label("recipe"), min_width=180, scale=2
            )
            parts["seed"] = gr.Number(0, label=self.label("seed"), precision=0, min_width=90)
            parts["length"] = gr.Number(10, label=self.label("length"), precision=0, min_width=150)
            self.start = gr.Button("Start", variant="primary", min_width=100, interactive=bool(names))
            parts["stop"] = gr.Button("Stop", min_width=100, interactive=False)
        with gr.Row(elem_classes="app-fields"):
            places = [(HERE, ""), *((name, name) for name in self.handlers.hosts())]
            parts["host"] = gr.Dropdown(places, value="", label=self.label("host"), min_width=140)
            kept = list(self.handlers.stores)
            parts["store"] = gr.Dropdown(
                kept, value=self.handlers.store(TrainSettings()).name, label=self.label("store"), min_width=110
            )
            parts["run"] = gr.Dropdown(
                [("choose a run", "")], value="", label=self.label("run"), min_width=260, scale=4
            )
            axes = [(words, axis) for axis, words in AXES.items()]
            parts["x"] = gr.Dropdown(axes, value="step", label=self.label("x"), min_width=180, scale=2)
        parts["problem"] = html(live=True)
        with gr.Row(elem_classes="app-chips"):
            self.copy = gr.Button("Copy link", size="sm", min_width=0)
            self.copied = html(live=True)
        parts["standing"] = html(live=True)
        parts["lamps"] = html(live=True)
        parts["curves"] = gr.Plot(show_label=False, visible=False, elem_classes="app-curves")
        parts["newest"] = html()
        parts["carrier"] = gr.Textbox(visible="hidden")
        parts["filled"] = gr.Textbox(visible="hidden")
        parts["seen"] = gr.State(None)
        parts["timer"] = gr.Timer(SECONDS, active=False)

    def label(self, name: str) -> str:
        return settings.label(TrainSettings, name)

    def chosen(self, values: Iterable[Any]) -> TrainSettings:
        """The settings from the components' values; an empty list counts as nothing chosen."""
        given: dict[str, Any] = dict(zip(self.fields, values, strict=False))
        return TrainSettings(**given | {name: given[name] or "" for name in ("host", "store", "run")})

    def on(
        self, event: Callable[..., Any], handler: Callable[..., Updates], outputs: Iterable[str], **more: Any
    ) -> Any:
        """Call the handler with the settings as they are, and show what it returns."""

        def handle(request: gr.Request, filled: str, *values: Any) -> dict[Any, Any]:
            # While gradio builds the page it fires events of its own, before the fields are those of the link.
            early = filled != FILLED and request.query_params.get("tab") == self.handlers.TAB
            return self.named({} if early else handler(self.chosen(values)))

        inputs = [self.parts[name] for name in ("filled", *self.fields)]
        return event(handle, inputs, [self.parts[name] for name in outputs], **QUICK, **more)

    def named(self, updates: Updates) -> dict[Any, Any]:
        # Gradio takes an empty dictionary for a value.
        return {self.parts[name]: value for name, value in updates.items()} or gr.skip()

    def wire(self, page: gr.Blocks, tab: gr.Tab) -> None:
        """Connect the events; all are private.

        Args:
            tab: the tab that holds the parts; its opening reads the list of runs.
        """
        parts, handlers = self.parts, self.handlers
        shown = [name for name in parts if name != "carrier"]

        def opened(request: gr.Request) -> dict[Any, Any]:
            return self.named(handlers.open(dict(request.query_params)))

        def ticked(seen: Any, *values: Any) -> dict[Any, Any]:
            return self.named(handlers.tick(self.chosen(values), seen))

        page.load(opened, None, [parts[name] for name in shown], **QUICK)
        for event in (tab.select, parts["host"].input, parts["store"].input):
            self.on(event, handlers.choose, shown)
        for name in ("run", "x"):
            self.on(parts[name].input, handlers.show, shown, trigger_mode="always_last")
        self.on(parts["recipe"].input, handlers.bound, shown)
        self.on(self.start.click, handlers.start, shown)
        self.on(parts["stop"].click, handlers.stop, shown)
        fields = [parts[name] for name in self.fields]
        parts["timer"].tick(
            ticked, [parts["seen"], *fields], [parts[name] for name in shown], trigger_mode="once", **QUICK
        )
        ready = self.on(self.copy.click, handlers.link, ["carrier", "problem"])
        ready.then(None, parts["carrier"], self.copied, js="labkit.copyLink", **QUICK)
