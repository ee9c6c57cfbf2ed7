"""The parts of the Inspect tab, and which event calls which handler."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import gradio as gr

from app.inspect.handlers import FILLED, InspectHandlers, Updates
from app.inspect.settings import SORTS, InspectSettings
from app.inspect.stores import Store
from app.shared import settings
from app.shared.catalogue import Catalogue
from app.shared.tab import PLAYERS, QUICK, html, sent
from labkit.runs.notes import LONGEST

SECONDS = 2.0
"""Between two looks at a run that goes on."""
CARDS = "labkit.turns(element, watch, trigger, 'ask', 'fork');"
CLICKS = "labkit.picks(element, trigger, watch, 'pick');"


class InspectTab:
    """Filter stored episodes, count them, open them.

    Args:
        stores: the folders of runs on offer.
        catalogue: the players that can be asked for the tokens of a stored answer.
    """

    def __init__(self, stores: Sequence[Store], catalogue: Catalogue) -> None:
        self.handlers = InspectHandlers(stores, catalogue)
        self.fields = settings.names(InspectSettings)
        # A field without a component of its own is kept on the server.
        parts: dict[str, Any] = {name: gr.State(settings.default(InspectSettings, name)) for name in self.fields}
        self.parts = parts
        parts["notice"] = html(live=True)
        with gr.Row(elem_classes="app-fields app-sift"):
            names = list(self.handlers.stores)
            parts["store"] = gr.Dropdown(
                names, value=next(iter(names), None), label=self.label("store"), min_width=100, visible=len(names) > 1
            )
            parts["run"] = gr.Dropdown([("all runs", "")], value="", label=self.label("run"), min_width=220, scale=4)
            parts["other"] = gr.Dropdown(
                [("no other run", "")], value="", label=self.label("other"), min_width=180, scale=3
            )
            parts["text"] = gr.Textbox(label=self.label("text"), max_lines=1, max_length=300, min_width=140, scale=2)
            parts["turns"] = gr.Textbox(
                label=self.label("turns"), placeholder="2..5", max_lines=1, max_length=20, min_width=70
            )
            orders = [(sort.title, name) for name, sort in SORTS.items()]
            parts["sort"] = gr.Dropdown(orders, value="newest", label=self.label("sort"), min_width=190, scale=2)
            parts["unit"] = gr.Dropdown(
                ["episode", "attempt"], value="episode", label=self.label("unit"), min_width=130
            )
        parts["problem"] = html(live=True)
        with gr.Row(elem_classes="app-chips app-foot app-sifted"):
            parts["found"] = html(live=True)
            self.copy = gr.Button("Copy link", size="sm", min_width=0)
            self.save = gr.Button("Save these deals", size="sm", min_width=0)
            self.copied = html(live=True)
        parts["compared"] = html(live=True, script=CLICKS)
        parts["conditions"] = html(script=CLICKS)
        with gr.Row(elem_classes="app-inspect"):
            parts["bars"] = html(script=CLICKS)
            parts["table"] = html(script=CLICKS)
            with gr.Column(elem_classes="app-reading"):
                parts["opened"] = html(script=CLICKS + CARDS)
                self._noting()
        parts["carrier"] = gr.Textbox(visible="hidden")
        parts["filled"] = gr.Textbox(visible="hidden")
        parts["seen"] = gr.State(None)
        parts["timer"] = gr.Timer(SECONDS, active=False)

    def _noting(self) -> None:
        """The form for the note of the open episode."""
        parts = self.parts
        parts["edition"] = gr.State(0)
        with gr.Column(visible=False, elem_classes="app-noting") as parts["noting"]:
            parts["note"] = gr.Textbox(label="Note", lines=2, max_lines=8, max_length=LONGEST)
            with gr.Row(elem_classes="app-fields"):
                parts["note tags"] = gr.Textbox(
                    label="Tags of the note, with spaces between", max_lines=1, max_length=300, min_width=140, scale=3
                )
                self.note = gr.Button("Save note", size="md", min_width=110)
            parts["note told"] = html(live=True)

    def label(self, name: str) -> str:
        return settings.label(InspectSettings, name)

    @property
    def shown(self) -> list[str]:
        return [name for name in self.parts if name != "carrier"]

    def chosen(self, values: Iterable[Any]) -> InspectSettings:
        """The settings from the components' values."""
        return InspectSettings(**dict(zip(self.fields, values, strict=False)))

    def on(self, event: Callable[..., Any], handler: Callable[..., Updates], outputs: Iterable[str]) -> Any:
        """Call the handler with the settings as they are, and show what it returns."""

        def handle(request: gr.Request, filled: str, *values: Any) -> dict[Any, Any]:
            # While gradio builds the page it fires events of its own, before the fields are those of the link.
            early = filled != FILLED and request.query_params.get("tab") == self.handlers.TAB
            return self.named({} if early else handler(self.chosen(values)))

        inputs = [self.parts[name] for name in ("filled", *self.fields)]
        return event(handle, inputs, [self.parts[n] for n in outputs], trigger_mode="always_last", **QUICK)

    def named(self, updates: Updates) -> dict[Any, Any]:
        # Gradio takes an empty dictionary for a value.
        return {self.parts[name]: value for name, value in updates.items()} or gr.skip()

    def wire(self, page: gr.Blocks, tab: gr.Tab) -> None:
        """Connect the events; all are private.

        Args:
            tab: the tab that holds the parts; its first opening reads the index.
        """
        parts, handlers = self.parts, self.handlers
        inputs = [parts[name] for name in self.fields]

        def opened(request: gr.Request) -> dict[Any, Any]:
            return self.named(handlers.open(dict(request.query_params)))

        def picked(data: gr.EventData, *values: Any) -> dict[Any, Any]:
            return self.named(handlers.pick(self.chosen(values), sent(data, "pick")))

        def asked(data: gr.EventData, *values: Any) -> dict[Any, Any]:
            return self.named(handlers.ask(self.chosen(values), sent(data, "of"), sent(data, "ask")))

        def ticked(seen: Any, *values: Any) -> dict[Any, Any]:
            return self.named(handlers.tick(self.chosen(values), seen))

        shown = [parts[name] for name in self.shown]
        page.load(opened, None, shown, **QUICK)
        self.on(tab.select, handlers.show, self.shown)
        self.on(parts["store"].input, handlers.move, self.shown)
        for name in ("run", "sort", "unit"):
            self.on(parts[name].input, handlers.filter, self.shown)
        self.on(parts["other"].input, handlers.compare, self.shown)
        for name in ("text", "turns"):
            self.on(parts[name].change, handlers.filter, self.shown)
        for name in ("bars", "table", "opened", "conditions", "compared"):
            parts[name].pick(picked, inputs, shown, trigger_mode="multiple", **QUICK)

        def noted(text: Any, tags: Any, edition: Any, *values: Any) -> dict[Any, Any]:
            return self.named(handlers.save_note(self.chosen(values), text, tags, edition))

        typed = [parts[name] for name in ("note", "note tags", "edition")]
        self.note.click(noted, [*typed, *inputs], shown, **QUICK)
        outputs = [parts["opened"], parts["problem"]]
        parts["opened"].ask(asked, inputs, outputs, **PLAYERS)
        parts["timer"].tick(ticked, [parts["seen"], *inputs], shown, trigger_mode="once", **QUICK)
        ready = self.on(self.copy.click, handlers.link, ["carrier", "problem"])
        ready.then(None, parts["carrier"], self.copied, js="labkit.copyLink", **QUICK)
        ready = self.on(self.save.click, handlers.deals, ["carrier", "problem"])
        ready.then(None, parts["carrier"], None, js="lines => labkit.save(lines, 'deals.jsonl')", **QUICK)
