"""A way to play besides a single deal: its parts, and how its events reach its handlers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import gradio as gr

from app import link
from app.shared import settings
from app.shared.handlers import Handlers
from app.shared.html import note, refused
from app.shared.settings import FieldError, Fields
from app.shared.stopping import Key
from app.shared.tab import PLAYERS, QUICK, Foot, Tab, sent
from app.shared.window import Window
from labkit import envs

Updates = dict[str, Any]
HELD_OUT = "test"


class PanelHandlers:
    """What the events of a panel call. Nothing here knows how the page is built.

    Args:
        game: the handlers of the game's tab.
    """

    NAME: ClassVar[str]
    """The field that every link to the panel has."""
    FIELDS: ClassVar[type[Fields]]

    def __init__(self, game: Handlers[Any]) -> None:
        self.game = game

    def key(self, window: Window[Any]) -> Key:
        """The panel's place in the line of those that play."""
        return Key(window.session, f"{self.game.TAB} {self.NAME}", 0)

    def wait(self, window: Window[Any]) -> str:
        """Draw a ticket; says how many others play first, or that there is no room."""
        line, key = self.game.line, self.key(window)
        if line.full:
            return note(f"{len(line)} players are waiting already, and there is no more room. Try again in a minute.")
        line.draw(key)
        place = line.waiting(key)
        return f"Waiting: number {place} in line …" if place else "Starting …"

    def playing(self, window: Window[Any]) -> bool:
        """Whether the panel plays, or waits to."""
        return bool(self.game.line.running(window.session, self.key(window).tab))

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits of the game, as its tab opens."""
        return envs.game(self.game.cell(self.game.SETTINGS())).splits

    @property
    def held_out(self) -> str:
        """The split that players are compared on: ``test``, or the last one of a game without it."""
        return HELD_OUT if HELD_OUT in self.splits else self.splits[-1]

    def fields(self) -> Fields:
        """The fields as the panel opens."""
        return self.FIELDS()

    def read(self, query: Mapping[str, str]) -> tuple[Any, list[str]]:
        """The fields as a link has them, and the keys with invalid values; their fields stay as the panel opens."""
        return link.read(query, self.fields())

    def restored(self, query: Mapping[str, str]) -> Updates:
        """The fields as a link has them, and whether the link presses Play."""
        chosen, wrong = self.read(query)
        fields = {name: getattr(chosen, name) for name in settings.names(self.FIELDS)}
        return {**fields, "note": refused(query, wrong, None), "begun": query.get("play") == "1"}

    def link(self, window: Window[Any], chosen: Fields) -> Updates:
        """The link to the panel as it is."""
        try:
            return {"carrier": link.write(self.game.TAB, window.settings, self.seated(window), chosen), "note": ""}
        except FieldError as error:
            return {"carrier": "", "note": note(str(error))}

    def seated(self, window: Window[Any]) -> list[str]:
        """The players that a link names."""
        return [seat.player for seat in window.seats[: window.count] if seat.player]


P = TypeVar("P", bound=PanelHandlers)


class Panel(Generic[P]):
    """Builds the panel where it is made; :meth:`wire` connects it once the whole page stands.

    Args:
        tab: the game's tab.
    """

    TITLE: ClassVar[str]
    STYLE: ClassVar[str] = ""
    """Classes of the style sheet that say what of the tab stays in sight beside the panel."""

    def __init__(self, tab: Tab[Any], handlers: P) -> None:
        self.tab, self.handlers = tab, handlers
        self.parts: dict[str, Any] = {}
        self.fields = settings.names(handlers.FIELDS)
        with gr.Column(visible=False, elem_classes=f"app-panel {self.STYLE}") as self.place:
            self.parts["begun"] = gr.State(False)
            self.build()

    def build(self) -> None:
        """Make the parts."""
        raise NotImplementedError

    def wire(self) -> None:
        """Connect the events."""
        raise NotImplementedError

    @property
    def restored(self) -> list[Any]:
        """The components that a link fills."""
        return self._outputs((*self.fields, "note", "begun"))

    def foot(self) -> None:
        """The link and the file."""
        self.carried = Foot()
        self.parts["carrier"] = self.carried.carrier

    def on(
        self,
        event: Callable[..., Any],
        handler: Callable[..., Updates],
        outputs: Iterable[str],
        needs: Sequence[str] = (),
        **options: Any,
    ) -> Any:
        """Call the handler with the window, the panel's fields and further parts, and show what it returns.

        Args:
            needs: the further parts.
        """

        def handle(request: gr.Request, *values: Any) -> dict[Any, Any]:
            return self.named(handler(*self._taken(values, request)))

        return event(handle, self._inputs(needs), self._outputs(outputs), **(QUICK | options))

    def begins(self, handler: Callable[..., Updates], outputs: Iterable[str], needs: Sequence[str]) -> Any:
        """As :meth:`on`, once a link has asked to press Play."""

        def pressed(*taken: Any) -> Updates:
            *values, begun = taken
            # Gradio tells of a change whenever the page is opened, whatever the value.
            return handler(*values) if begun is True else {}

        return self.on(self.parts["begun"].change, pressed, outputs, [*needs, "begun"])

    def sends(
        self, event: Any, handler: Callable[..., Updates], name: str, outputs: Iterable[str], needs: Sequence[str]
    ) -> Any:
        """As :meth:`on`, with what the page's script sends under a name in front."""

        def handle(data: gr.EventData, request: gr.Request, *values: Any) -> dict[Any, Any]:
            return self.named(handler(sent(data, name), *self._taken(values, request)))

        return event(handle, self._inputs(needs), self._outputs(outputs), trigger_mode="always_last", **QUICK)

    def plays(
        self, started: Any, handler: Callable[..., Iterator[Updates]], outputs: Iterable[str], needs: Sequence[str] = ()
    ) -> Any:
        """After an event, let players answer in their turn."""

        def run(request: gr.Request, *values: Any) -> Iterator[dict[Any, Any]]:
            # Gradio clears the outputs of a run that ends before it has shown anything.
            yield gr.skip()
            yield from map(self.named, handler(*self._taken(values, request)))

        return started.then(run, self._inputs(needs), self._outputs(outputs), **PLAYERS)

    def named(self, updates: Updates) -> dict[Any, Any]:
        """The updates by component."""
        # Gradio takes an empty dictionary for a value.
        return {self.parts[name]: value for name, value in updates.items()} or gr.skip()

    def _inputs(self, needs: Sequence[str]) -> list[Any]:
        return [*self.tab.inputs, *(self.parts[name] for name in (*self.fields, *needs))]

    def _outputs(self, names: Iterable[str]) -> list[Any]:
        return [self.parts[name] for name in names]

    def _taken(self, values: Sequence[Any], request: gr.Request) -> tuple[Any, ...]:
        """The window, the panel's fields, and the values of further parts."""
        of_tab, of_fields = len(self.tab.inputs), len(self.fields)
        own = values[of_tab:]
        chosen = self.handlers.FIELDS(**dict(zip(self.fields, own, strict=False)))
        return (self.tab.window(values[:of_tab], request), chosen, *own[of_fields:])
