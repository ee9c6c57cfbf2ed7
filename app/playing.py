"""What the tables of all games share: a player that answers while one watches, Stop, and the file.

Nothing here knows how the page is built: a handler returns ``{part: value or update}``, and what is not in it
stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from app import panels
from app.players import Catalogue
from app.state import FieldError, Shown
from app.stopping import StopFlags
from labkit.episode import Episode, Task

Updates = dict[str, Any]


class Playing:
    """The handlers around a player's episode; a game's table supplies the abstract ones.

    What a window holds comes in with each call and goes out with its result. A window has ``settings`` with a
    ``task`` and a ``player``, ``shown`` and ``own``.
    """

    FROZEN: tuple[str, ...]
    """Controls that wait while a player answers."""
    NOTES: dict[str, str]
    """Where the message about a field stands."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.flags = StopFlags()

    def live(self, window: Any, task: Task, session: str, **how: Any) -> Iterator[Shown]:
        """The player's episode as it grows."""
        raise NotImplementedError

    def waiting(self, window: Any, task: Task, said: str) -> Updates:
        """The player's side before there is anything to show."""
        raise NotImplementedError

    def player_side(self, window: Any, task: Task, running: str = "") -> Updates:
        """The player's episode, and what it is busy with."""
        raise NotImplementedError

    def wait(self, window: Any, session: str) -> Updates:
        """The Play button: at once, before the player has time for this window."""
        try:
            task, _ = window.settings.task, window.settings.whole_seed()
        except FieldError as error:
            return self.beside(error)
        self.flags.start(session)
        place = len(self.flags)
        said = "Starting …" if place == 1 else f"Waiting for the player: number {place} in line …"
        return {**self.waiting(window, task, said), **self.busy(True), "trouble": ""}

    def run(self, window: Any, session: str, **how: Any) -> Iterator[Updates]:
        """Let the player answer, attempt by attempt, until it is over or stopped."""
        try:
            task = window.settings.task
        except FieldError as error:
            yield self.beside(error)
            return
        yield {"status": panels.busy(f"Loading {window.settings.player} …")}
        trouble = ""
        try:
            for shown in self.live(window, task, session, **how):
                window = replace(window, shown=shown)
                attempt = len(shown.episode.position.attempts) + 1
                over = shown.episode.done or shown.origin == "stopped"
                yield self.player_side(window, task, "" if over else f"Attempt {attempt} …")
        except Exception as error:  # whatever a player does, the app goes on and says what happened
            trouble = panels.trouble(error)
        self.flags.stop(session)
        yield {**self.player_side(window, task), **self.busy(False), "trouble": trouble}

    def halt(self, window: Any, session: str) -> Updates:
        """The Stop button: keep the attempts made so far."""
        self.flags.stop(session)
        shown = window.shown
        if shown is not None and shown.origin == "live" and not shown.episode.done:
            window = replace(window, shown=replace(shown, origin="stopped"))
        return {**self.player_side(window, window.settings.task), **self.busy(False)}

    def export(self, window: Any) -> Updates:
        """The player's episode and the person's, as the JSON lines that every part of labkit reads."""
        episodes: list[Episode | None] = [window.shown.episode if window.shown else None, window.own]
        return {"carrier": "".join(f"{e.to_json()}\n" for e in episodes if e is not None)}

    def beside(self, error: FieldError) -> Updates:
        """A message beside the field at fault."""
        return {self.NOTES[error.field]: panels.note(str(error))}

    def busy(self, running: bool) -> Updates:
        """Controls wait, and Stop can be pressed, while a player answers."""
        return {
            **{name: gr.update(interactive=not running) for name in self.FROZEN},
            "stop": gr.update(interactive=running),
        }
