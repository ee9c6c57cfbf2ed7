"""The parts of a game's tab and which event calls which handler; the seats are built in a loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

import gradio as gr

from app.shared import settings
from app.shared.handlers import SEATS, Handlers, Part, Updates
from app.shared.score import Score
from app.shared.settings import Word
from app.shared.stopping import AT_ONCE
from app.shared.window import Seat, Window

H = TypeVar("H", bound=Handlers[Any])

QUICK: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""For events that take no time: they never wait behind a player."""
PLAYERS: dict[str, Any] = {
    "concurrency_id": "play", "concurrency_limit": AT_ONCE, "show_progress": "hidden", "api_visibility": "private",
}  # fmt: skip
"""For events that let players answer, in all tabs together."""


class Tab(Generic[H]):
    """A tab's parts, by name. A game's tab makes its own parts, calls :meth:`seats` where the seats belong, and adds
    its own events to :meth:`wire`.

    Args:
        handlers: what the events call.
    """

    SEAT: tuple[str, ...] = ("player", "play", "badge", "status", "turns", "shown")
    """The parts of a seat that its own events change."""
    OWN: tuple[str, ...] = ("own", "own note", "own turns", "check")
    """The person's parts."""
    HELD: tuple[str, ...] = ("player", "shown")
    """The parts of a seat that make a :class:`Seat`."""
    PERSON: tuple[str, ...] = ("own", "typed", "score")
    """The parts that fill a :class:`Window` besides the settings and the seats."""
    DEAL: tuple[str, ...]
    """The parts that show the task."""
    SEVERAL: tuple[str, ...] = ("all", "part", "parting")
    """The parts that are for several players."""
    SCORE: tuple[Part, ...] = ("score", "score table", "score reset")
    """The parts that tell how the person and the players compare."""

    def __init__(self, handlers: H) -> None:
        self.handlers = handlers
        self.parts: dict[Part, Any] = {}
        self.fields = settings.names(handlers.SETTINGS)
        self.changes: dict[str, Callable[..., Updates]] = {}
        """What a change of a field calls, where it is more than to lay the deal anew."""

    # Parts

    def field(self, name: str, **options: Any) -> None:
        """The component of a field of the settings: a list for words, a box for a number."""
        own = self.handlers.SETTINGS
        kind, label, value = settings.kind(own, name), settings.label(own, name), settings.default(own, name)
        if isinstance(kind, Word):
            choices = options.pop("choices", list(kind.words))
            self.parts[name] = gr.Dropdown(choices, value=value, label=label, **options)
        elif isinstance(kind, settings.Parsed):
            self.parts[name] = gr.Textbox(value, label=label, max_lines=1, **options)
        else:
            # Without limits of gradio's own, which would refuse every event of the tab without a word.
            whole = {"precision": 0} if isinstance(kind, settings.Whole) else {"step": 0.1}
            self.parts[name] = gr.Number(value, label=label, **({"min_width": 78} | options), **whole)

    def table(self) -> None:
        """How many seats there are, and the button for all of them."""
        self.parts["count"] = gr.Radio(
            list(range(1, SEATS + 1)),
            value=1,
            label="Players side by side",
            elem_classes="app-count",
            min_width=215,
            scale=0,
        )
        self.parts["all"] = gr.Button(
            "Play all", variant="primary", size="md", min_width=90, visible=False, elem_classes="app-play app-play-all"
        )

        self.parts["part"] = gr.Button(
            "Where do they part?", size="md", min_width=90, visible=False, elem_classes="app-part"
        )

    def seats(self) -> None:
        """The seats, side by side, and the score above them."""
        self.parts["score"] = gr.State(Score())
        with gr.Column(elem_classes="app-score"):
            self.parts["score table"] = html(live=True)
            self.parts["score reset"] = gr.Button("Reset the score", size="sm", visible=False, elem_classes="app-small")
        self.parts["parting"] = html(live=True)
        with gr.Row(elem_classes="app-seats"):
            for index in range(SEATS):
                with gr.Column(min_width=260, visible=index == 0, elem_classes="app-seat") as place:
                    self.parts[index, "place"] = place
                    self._seat(index)

    def _seat(self, index: int) -> None:
        parts, names = self.parts, list(self.handlers.catalogue.names)
        with gr.Row(elem_classes="app-fields app-who"):
            parts[index, "player"] = gr.Dropdown(names, label=f"Player {index + 1}", min_width=120, scale=3)
            self.extra(index)
            parts[index, "play"] = gr.Button(
                "Play", variant="primary", size="md", min_width=72, elem_classes="app-play"
            )
            parts[index, "badge"] = html()
        parts[index, "status"] = html(live=True, script=self.listens("look"))
        self.stage(index)
        parts[index, "turns"] = html(script="labkit.turns(element, watch, trigger, 'ask', 'fork');")
        parts[index, "shown"] = gr.State(None)

    def extra(self, index: int) -> None:
        """Further buttons of a seat."""

    def stage(self, index: int) -> None:
        """Further parts of a seat, between its status and its turn cards."""

    def listens(self, event: str) -> str:
        """The script of a part with something to click; none unless a game has it."""
        return ""

    def foot(self) -> None:
        """The link and the file."""
        self.carried = Foot()
        self.parts["carrier"] = self.carried.carrier

    # Events

    @property
    def inputs(self) -> list[Any]:
        """The components whose values make a window."""
        seats = [self.parts[i, name] for i in range(SEATS) for name in self.HELD]
        return [*(self.parts[name] for name in (*self.fields, "count", *self.PERSON)), *seats]

    def window(self, values: Sequence[Any], request: gr.Request) -> Window[Any]:
        """A window from the values of :attr:`inputs`."""
        taken = iter(values)
        own = self.handlers.SETTINGS(**{name: next(taken) for name in self.fields})
        count = next(taken)
        person = {name: next(taken) for name in self.PERSON}
        seats = tuple(Seat(**{name: next(taken) for name in self.HELD}) for _ in range(SEATS))
        # What comes from the browser may be anything.
        count = count if isinstance(count, int) and 1 <= count <= SEATS else 1
        return Window(own, seats, count, session=request.session_hash or "", **person)

    def of_seat(self, index: int) -> list[Part]:
        return [(index, name) for name in self.SEAT]

    def of_seats(self) -> list[Part]:
        return [part for index in range(SEATS) for part in self.of_seat(index)]

    @property
    def controls(self) -> list[Part]:
        """The fields, and what is written beside them."""
        return [*dict.fromkeys((*self.fields, *self.handlers.NOTES.values(), *self.handlers.FROZEN, *self.SEVERAL))]

    @property
    def everything(self) -> list[Part]:
        return [part for part in self.parts if part not in ("carrier",)]

    def on(
        self, event: Callable[..., Any], handler: Callable[..., Updates], outputs: Iterable[Part], **options: Any
    ) -> Any:
        """Call the handler with the window as it is, and show what it returns in the outputs."""

        def handle(request: gr.Request, *values: Any) -> dict[Any, Any]:
            return self.named(handler(self.window(values, request)))

        names = dict.fromkeys(outputs)
        return event(handle, self.inputs, [self.parts[name] for name in names], **(QUICK | options))

    def sends(self, event: Any, handler: Any, name: str, outputs: list[Part], how: Mapping[str, Any] = QUICK) -> Any:
        """Call the handler with the window and with what the page's script sends under a name.

        Args:
            how: :data:`QUICK`, or :data:`PLAYERS` where a model is asked.
        """

        def handle(data: gr.EventData, request: gr.Request, *values: Any) -> dict[Any, Any]:
            return self.named(handler(self.window(values, request), **{name: sent(data, name)}))

        return event(handle, self.inputs, [self.parts[part] for part in outputs], trigger_mode="always_last", **how)

    def named(self, updates: Updates) -> dict[Any, Any]:
        # Gradio takes an empty dictionary for a value.
        return {self.parts[name]: value for name, value in updates.items()} or gr.skip()

    def wire(self, page: gr.Blocks) -> None:
        """Connect the events that all games have; all are private."""
        handlers, parts = self.handlers, self.parts

        def opened(request: gr.Request) -> dict[Any, Any]:
            return self.named(handlers.open(dict(request.query_params)))

        self.opened = page.load(opened, None, [parts[name] for name in self.everything], **QUICK)
        laid = [*self.DEAL, *self.controls, *self.of_seats(), *self.OWN]
        for name in self.fields:
            # A text field's `input` is not fired by a paste with the mouse; its `change` is.
            changed = parts[name].change if isinstance(parts[name], gr.Textbox) else parts[name].input
            self.on(changed, self.changes.get(name, handlers.lay), laid, trigger_mode="always_last")
        places: list[Part] = [(i, "place") for i in range(SEATS)]
        self.counts(self.on(parts["count"].input, handlers.sit, [*places, *self.controls, *self.of_seats()]))
        self.on(parts["score reset"].click, handlers.reset_score, self.SCORE)
        for index in range(SEATS):
            seat = self.of_seat(index)
            chosen = partial(handlers.choose, index=index)
            self.counts(self.on(parts[index, "player"].input, chosen, [*seat, *self.controls]))
            pressed = partial(handlers.press, index=index)
            started = self.on(parts[index, "play"].click, pressed, [*seat, *self.controls])
            self.counts(self.plays(started, index, handlers.run))
            answers: list[Part] = [(index, "turns"), (index, "status"), *self.controls]
            self.sends(parts[index, "turns"].ask, partial(handlers.ask, index=index), "ask", answers, PLAYERS)
        self.on(parts["part"].click, handlers.part, ["parting"], queue=True, **PLAYERS)
        started = self.on(parts["all"].click, handlers.press_all, [*self.of_seats(), *self.controls])
        for index in range(SEATS):
            self.counts(self.plays(started, index, handlers.run))
        self.carried.wire(
            lambda event: self.on(event, handlers.link, ["carrier", *self.controls]),
            lambda event: self.on(event, handlers.export, ["carrier"]),
        )

    def counts(self, event: Any) -> None:
        """After an event that may have ended an episode, count it."""
        self.on(event.then, self.handlers.count, self.SCORE)

    def plays(self, started: Any, index: int, handler: Callable[..., Iterator[Updates]]) -> Any:
        """After an event, let a seat's player answer in its turn, and free the controls when it is done."""
        outputs = [self.parts[name] for name in self.of_seat(index)]

        def run(request: gr.Request, *values: Any) -> Iterator[dict[Any, Any]]:
            # Gradio clears the outputs of a run that ends before it has shown anything.
            yield gr.skip()
            yield from map(self.named, handler(self.window(values, request), index))

        def done(request: gr.Request) -> dict[Any, Any]:
            return self.named(self.handlers.freeze(request.session_hash or ""))

        frozen = [self.parts[name] for name in (*self.handlers.FROZEN, *self.SEVERAL)]
        return started.then(run, self.inputs, outputs, **PLAYERS).then(done, None, frozen, **QUICK)


class Foot:
    """The buttons for the link and the file, and the hidden field that carries both to the page's script."""

    def __init__(self) -> None:
        with gr.Row(elem_classes="app-chips app-foot"):
            self._copy = gr.Button("Copy link", size="sm", min_width=0)
            self._save = gr.Button("Export JSON", size="sm", min_width=0)
            self._copied = html(live=True)
        self.carrier = gr.Textbox(visible="hidden")

    def wire(self, link: Callable[[Any], Any], export: Callable[[Any], Any]) -> None:
        """Copy the link and save the file, which page.js does from what the carrier holds.

        Args:
            link, export: connect an event to a handler that fills the carrier, and return what follows it.
        """
        link(self._copy.click).then(None, self.carrier, self._copied, js="labkit.copyLink", **QUICK)
        export(self._save.click).then(None, self.carrier, None, js="labkit.save", **QUICK)


def html(live: bool = False, script: str = "", value: str = "") -> gr.HTML:
    """A place for HTML that the app makes itself.

    Args:
        live: read aloud when it changes.
        script: what runs once, with ``element``, ``trigger`` and ``watch`` at hand.
    """
    announce = "element.setAttribute('aria-live', 'polite');" if live else ""
    return gr.HTML(value, apply_default_css=False, js_on_load=f"{announce}{script}" or None)


def sent(event: gr.EventData, name: str) -> Any:
    """What a page's script sent under a name; None where it sent nothing."""
    try:
        return getattr(event, name)
    except (AttributeError, TypeError):
        return None
