"""What the tabs of all games share: their parts by name, and which event calls which handler."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr

from app.playing import Playing, Updates
from app.state import HOTTEST

QUICK = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""For events that take no time: they never wait behind a player."""


class Tab:
    """A tab's parts and events; a game's tab makes the parts and says what a window is.

    Args:
        table: the handlers.
    """

    PLAYERS: dict[str, Any]
    """The queue in which players answer: gradio's ``concurrency_id`` and ``concurrency_limit``."""

    def __init__(self, table: Playing) -> None:
        self.table = table
        self.parts: dict[str, Any] = {}

    def window(self, values: Sequence[Any]) -> Any:
        """A window from the values of :attr:`inputs`."""
        raise NotImplementedError

    @property
    def inputs(self) -> list[Any]:
        """The components whose values make a window."""
        raise NotImplementedError

    def named(self, updates: Updates) -> dict[Any, Any]:
        return {self.parts[name]: value for name, value in updates.items()}

    def on(self, event: Callable[..., Any], handler: Callable[..., Updates], **options: Any) -> Any:
        """Call the handler with the window as it is, and show what it returns."""

        def handle(*values: Any) -> Updates:
            return self.named(handler(self.window(values)))

        return event(handle, self.inputs, list(self.parts.values()), **QUICK, **options)

    def opens(self, page: gr.Blocks) -> None:
        """Fill the tab when a window opens, from its link, and end its player when it closes."""

        def opened(request: gr.Request) -> Updates:
            return self.named(self.table.open(dict(request.query_params)))

        def closed(request: gr.Request) -> None:
            self.table.flags.stop(request.session_hash)

        page.load(opened, None, list(self.parts.values()), **QUICK)
        page.unload(closed)

    def plays(self, **buttons: Callable[..., Iterator[Updates]]) -> None:
        """Let the player answer when a button is pressed, in its queue, until Stop."""
        table, outputs = self.table, list(self.parts.values())

        def wait(request: gr.Request, *values: Any) -> Updates:
            return self.named(table.wait(self.window(values), request.session_hash))

        def running(handler: Callable[..., Iterator[Updates]]) -> Callable[..., Any]:
            def run(request: gr.Request, *values: Any) -> Iterator[Updates]:
                yield from map(self.named, handler(self.window(values), request.session_hash))

            return run

        def halt(request: gr.Request, *values: Any) -> Updates:
            return self.named(table.halt(self.window(values), request.session_hash))

        playing = [
            self.parts[name]
            .click(wait, self.inputs, outputs, **QUICK)
            .then(
                running(handler), self.inputs, outputs, **self.PLAYERS,
                show_progress="hidden", api_visibility="private",
            )
            for name, handler in buttons.items()
        ]  # fmt: skip
        self.parts["stop"].click(halt, self.inputs, outputs, cancels=playing, **QUICK)

    def carries(self, copy: gr.Button, copied: gr.HTML, export: gr.Button) -> None:
        """Copy the link and save the file, which page.js does from what the carrier holds."""
        carrier = self.parts["carrier"]
        ready = self.on(copy.click, self.table.link)
        ready.then(None, carrier, copied, js="labkit.copyLink", **QUICK)
        ready = self.on(export.click, self.table.export)
        ready.then(None, carrier, None, js="labkit.save", **QUICK)


def number(label: str, value: float, low: int, high: int, min_width: int = 78, visible: bool = True) -> gr.Number:
    """A small field for a whole number."""
    return gr.Number(value, label=label, precision=0, minimum=low, maximum=high, min_width=min_width, visible=visible)


def temperature() -> gr.Number:
    """The field of the sampling temperature."""
    return gr.Number(0, label="Temp.", minimum=0, maximum=HOTTEST, step=0.1, min_width=84)


def html(elem_id: str | None = None, live: bool = False) -> gr.HTML:
    """A place for HTML that the app makes itself; a live one is read aloud when it changes."""
    announce = "element.setAttribute('aria-live', 'polite')" if live else None
    return gr.HTML(elem_id=elem_id, apply_default_css=False, js_on_load=announce)
