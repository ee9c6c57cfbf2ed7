"""What the GeneralPoints tab shows after each thing that can happen, by the names of its parts.

Nothing here knows how the page is built: a handler returns ``{part: value or update}``, and what is not in it
stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

import gradio as gr

from app import flow, link, panels
from app.players import Catalogue
from app.presets import PRESETS, Preset
from app.state import CUSTOM, LAST_SEED, FieldError, Shown, Window, same_deal
from app.stopping import StopFlags
from labkit import envs
from labkit.envs.general_points.cards import numbers_of
from labkit.envs.general_points.game import ranks_of
from labkit.episode import Episode, Task

MOST_CARDS = 6
MISSES_BEFORE_HINT = 2
FACES = ("jack", "queen", "king")
KEYS = tuple(f"key {i}" for i in range(MOST_CARDS))
NOTES = {
    "cards": "cards note",
    "target": "cards note",
    "seed": "cards note",
    "rule": "rule note",
    "formula": "own note",
    "attempts": "player note",
}
"""Where the message about a field stands."""
CHIPS = tuple(f"preset {i}" for i in range(len(PRESETS)))
FROZEN = (
    *CHIPS, "cards", "target", "seed", "new deal", "rule", *FACES,
    "player", "attempts", "temperature", "play",
)  # fmt: skip
"""Controls that wait while a player answers."""
PERSON = ("own note", "own turns", "hint", "check", "again")
"""What belongs to the person, who may go on while a player answers."""

Updates = dict[str, Any]


class Table:
    """The handlers of one page; what a window holds comes in with each call and goes out with its result."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.flags = StopFlags()

    def open(self, query: Mapping[str, str]) -> Updates:
        """A new window, from its link."""
        settings, tab, refused = link.read(query, self.catalogue.specs)
        laid = self._all(Window(settings))
        said = panels.refused(query, refused, recorded=laid["shown"] is not None)
        if not said and not self.catalogue.has_model:
            said = panels.no_checkpoint()
        return {**laid, "notice": said, "tabs": gr.update(selected=tab)}

    def lay(self, window: Window) -> Updates:
        """After a change of a control: the deal as it is now, or a message beside the field at fault."""
        settings, shown = window.settings, window.shown
        faces = {name: gr.update(visible=settings.rule == CUSTOM) for name in FACES}
        clear = {**faces, **dict.fromkeys(("cards note", "rule note", "player note"), "")}
        try:
            task = settings.task
        except FieldError as error:
            return {**clear, **_beside(error)}
        if shown is None or shown.origin == "recorded":
            shown = flow.recorded(task, settings.player)
        return {
            **clear,
            "cards note": panels.lesson(settings),
            **_keys(task),
            "hand": panels.hand(envs.start(task), flow.solvable(task)),
            "badge": panels.player_badge(self.catalogue.infos.get(settings.player or "")),
            **_player_side(shown, task),
            **_own_side(window.own, task),
        }

    def deal(self, window: Window, step: int) -> Updates:
        """Deal the hand of a seed, ``step`` seeds further."""
        try:
            seed = (window.settings.whole_seed() + step) % (LAST_SEED + 1)
            settings = replace(window.settings, seed=seed).dealt()
        except FieldError as error:
            return _beside(error)
        return {**self._all(replace(window, settings=settings)), "formula": ""}

    def preset(self, window: Window, preset: Preset) -> Updates:
        """Put a preset on the table; the other controls stay."""
        settings = replace(window.settings, cards=preset.cards, rule=preset.faces, target=24)
        return {**self._all(replace(window, settings=settings)), "formula": ""}

    def try_formula(self, window: Window) -> Updates:
        """Judge the person's formula."""
        try:
            task = window.settings.task
            own = flow.attempt(window.own, task, window.formula)
        except FieldError as error:
            return _beside(error)
        return {"own": own, **_own_side(own, task)}

    def start_over(self, window: Window) -> Updates:
        """Clear the person's attempts; the formula stays."""
        try:
            return {"own": None, **_own_side(None, window.settings.task)}
        except FieldError as error:
            return _beside(error)

    def show_solution(self, window: Window) -> Updates:
        """Tell the person a solution."""
        try:
            found = flow.solution(window.settings.task)
        except FieldError as error:
            return _beside(error)
        said = f"One solution: {found}" if found else "Nothing reaches the target under this rule."
        return {"own note": panels.note(said, "plain")}

    def wait(self, window: Window, session: str) -> Updates:
        """The Play button: at once, before the player has time for this window."""
        try:
            task, _ = window.settings.task, window.settings.whole_seed()
        except FieldError as error:
            return _beside(error)
        self.flags.start(session)
        place = len(self.flags)
        said = "Starting …" if place == 1 else f"Waiting for the player: number {place} in line …"
        laid = {name: value for name, value in self.lay(window).items() if name not in PERSON}
        return {**laid, **_busy(True), "trouble": "", "status": panels.status(None, task, said), "turns": ""}

    def run(self, window: Window, session: str) -> Iterator[Updates]:
        """Let the player answer the deal, attempt by attempt, until it is over or stopped."""
        settings, shown = window.settings, window.shown
        try:
            task = settings.task
        except FieldError as error:
            yield _beside(error)
            return
        stopped = self.flags.of(session).is_set
        yield {"status": panels.status(None, task, f"Loading {settings.player} …")}
        trouble = ""
        try:
            for shown in flow.live(self.catalogue, settings, task, stopped):
                attempt = len(shown.episode.attempts) + 1
                over = shown.episode.done or shown.origin == "stopped"
                yield _player_side(shown, task, "" if over else f"Attempt {attempt} …")
        except Exception as error:  # whatever a player does, the app goes on and says what happened
            trouble = panels.trouble(error)
        self.flags.stop(session)
        yield {**_player_side(shown, task), **_busy(False), "trouble": trouble}

    def halt(self, window: Window, session: str) -> Updates:
        """The Stop button: keep the attempts made so far."""
        self.flags.stop(session)
        shown = window.shown
        if shown is not None and shown.origin == "live" and not shown.episode.done:
            shown = replace(shown, origin="stopped")
        return {**_player_side(shown, window.settings.task), **_busy(False)}

    def link(self, window: Window) -> Updates:
        """The link to this window's deal."""
        try:
            return {"carrier": link.write(window.settings)}
        except FieldError as error:
            return {"carrier": "", **_beside(error)}

    def export(self, window: Window) -> Updates:
        """The player's episode and the person's, as the JSON lines that every part of labkit reads."""
        episodes = [window.shown.episode if window.shown else None, window.own]
        return {"carrier": "".join(f"{e.to_json()}\n" for e in episodes if e is not None)}

    def _all(self, window: Window) -> Updates:
        """The controls themselves and everything that follows from them."""
        settings = window.settings
        faces = {n: gr.update(value=getattr(settings, n), visible=settings.rule == CUSTOM) for n in FACES}
        return {**asdict(settings), **self.lay(window), **faces}


def _beside(error: FieldError) -> Updates:
    return {NOTES[error.field]: panels.note(str(error))}


def _keys(task: Task) -> Updates:
    """The card buttons: what each card counts as."""
    ranks = ranks_of(task.deal)
    numbers = numbers_of(ranks, task.rule["faces"])
    labels = [rank if rank == str(n) else f"{rank}={n}" for rank, n in zip(ranks, numbers, strict=True)]
    shown = {key: gr.update(value=label, visible=True) for key, label in zip(KEYS, labels, strict=False)}
    return {**shown, **{key: gr.update(visible=False) for key in KEYS[len(labels) :]}}


def _player_side(shown: Shown | None, task: Task, running: str = "") -> Updates:
    status, turns = panels.status(shown, task, running), panels.turns(shown, task, running)
    return {"shown": shown, "status": status, "turns": turns}


def _own_side(own: Episode | None, task: Task) -> Updates:
    here = own if own is not None and same_deal(own.task, task) else None
    misses = sum(not a.verdict.success for a in here.attempts) if here else 0
    return {
        "own note": panels.own_verdict(here),
        "own turns": panels.own_turns(own, task),
        "hint": gr.update(visible=misses >= MISSES_BEFORE_HINT and not here.success),
        "check": gr.update(visible=not (here and here.done)),
        "again": gr.update(visible=bool(here and here.done)),
    }


def _busy(running: bool) -> Updates:
    """Controls wait, and Stop can be pressed, while a player answers."""
    return {
        **{name: gr.update(interactive=not running) for name in FROZEN},
        "stop": gr.update(interactive=running),
    }
