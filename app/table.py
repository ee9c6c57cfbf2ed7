"""What the GeneralPoints tab shows after each thing that can happen, by the names of its parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace

import gradio as gr

from app import flow, link, panels
from app.playing import Playing, Updates
from app.presets import PRESETS, Preset
from app.state import CUSTOM, LAST_SEED, FieldError, Shown, Window, same_deal
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


class Table(Playing):
    """The handlers of the tab."""

    FROZEN, NOTES = FROZEN, NOTES

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
            return {**clear, **self.beside(error)}
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
            return self.beside(error)
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
            return self.beside(error)
        return {"own": own, **_own_side(own, task)}

    def start_over(self, window: Window) -> Updates:
        """Clear the person's attempts; the formula stays."""
        try:
            return {"own": None, **_own_side(None, window.settings.task)}
        except FieldError as error:
            return self.beside(error)

    def show_solution(self, window: Window) -> Updates:
        """Tell the person a solution."""
        try:
            found = flow.solution(window.settings.task)
        except FieldError as error:
            return self.beside(error)
        said = f"One solution: {found}" if found else "Nothing reaches the target under this rule."
        return {"own note": panels.note(said, "plain")}

    def live(self, window: Window, task: Task, session: str) -> Iterator[Shown]:
        return flow.live(self.catalogue, window.settings, task, self.flags.of(session).is_set)

    def waiting(self, window: Window, task: Task, said: str) -> Updates:
        laid = {name: value for name, value in self.lay(window).items() if name not in PERSON}
        return {**laid, "status": panels.busy(said), "turns": ""}

    def player_side(self, window: Window, task: Task, running: str = "") -> Updates:
        return _player_side(window.shown, task, running)

    def link(self, window: Window) -> Updates:
        """The link to this window's deal."""
        try:
            return {"carrier": link.write(window.settings)}
        except FieldError as error:
            return {"carrier": "", **self.beside(error)}

    def _all(self, window: Window) -> Updates:
        """The controls themselves and everything that follows from them."""
        settings = window.settings
        faces = {n: gr.update(value=getattr(settings, n), visible=settings.rule == CUSTOM) for n in FACES}
        return {**asdict(settings), **self.lay(window), **faces}


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
