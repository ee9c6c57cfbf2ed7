"""What the story tab shows after each thing that can happen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from app import link
from app.shared.handlers import Handlers, Updates
from app.shared.html import refused
from app.shared.live import live
from app.shared.recordings import recorded
from app.shared.settings import names
from app.shared.window import Seat, Shown, Window
from app.story import html
from app.story.chapters import CHANGED, CHAPTERS, Chapter
from app.story.numbers import NUMBERS
from app.story.settings import COUNT, GUESS, REVEAL, RULE, STEPS, StorySettings
from labkit.episode import Episode, Task

PLAY, STOP = "Play it live", "Stop"


@dataclass(frozen=True, slots=True)
class StoryWindow(Window[StorySettings]):
    """A window on the story."""

    guess: Sequence[str] = ()
    """Who fails under the changed rule, by the visitor's guess."""

    @property
    def chapter(self) -> Chapter:
        return self.settings.chapter


class StoryHandlers(Handlers[StorySettings]):
    """The handlers of the tab. The three players sit in the seats, in the order of the story."""

    TAB = "story"
    SETTINGS = StorySettings
    NOTES = dict.fromkeys(names(StorySettings), "notice")
    FROZEN = ()

    def open(self, query: Mapping[str, str]) -> Updates:
        """A new window, from its link if that is one to this tab."""
        asked = query if query.get("tab") == self.TAB else {}
        chosen, wrong = link.read(asked, StorySettings())
        return {**self.tell(StoryWindow(chosen)), "notice": refused(query, wrong, None)}

    def choose_game(self, window: StoryWindow) -> Updates:
        """The story of another game, from its beginning."""
        return self._turn_to(window, RULE, ())

    def go(self, window: StoryWindow, step: object) -> Updates:
        """To a step of the story."""
        return self._turn_to(window, step, window.guess) if step in STEPS else {}

    def forward(self, window: StoryWindow) -> Updates:
        """To the next step; after the last, to the story of the next game."""
        step = window.settings.mended().value("step")
        if step < COUNT:
            return self._turn_to(window, step + 1, window.guess)
        cells = list(CHAPTERS)
        following = cells[(cells.index(window.chapter.cell) + 1) % len(cells)]
        return self._turn_to(replace(window, settings=replace(window.settings, cell=following)), RULE, ())

    def _turn_to(self, window: StoryWindow, step: Any, guess: Sequence[str]) -> Updates:
        """What is played live on the step before ends."""
        for index in self.line.running(window.session, self.TAB):
            self.line.stop(self.key(window, index))
        chosen = replace(window.settings, step=step).mended()
        return self.tell(replace(window, settings=chosen, guess=guess))

    def tell(self, window: StoryWindow) -> Updates:
        """The whole tab."""
        chosen, chapter = window.settings, window.chapter
        numbers, step, task = NUMBERS[chapter.cell], chosen.value("step"), chosen.task
        under_changed = chapter.settings[CHANGED].task
        episodes = {title: recorded(under_changed, spec) for title, spec in chapter.players.items()}
        failed = html.failures(chapter, episodes)
        on_stage = step in (RULE, REVEAL)
        shown: Updates = {
            "cell": chapter.cell,
            "step": step,
            "steps": html.steps(step),
            "told": html.told(chapter, step, window.guess, failed, numbers),
            "deal": html.deal(chapter, step, task),
            "guess": gr.update(value=list(window.guess), visible=step == GUESS),
            "next": self._onward(chapter, step),
            "all": gr.update(
                value=PLAY, visible=on_stage and html.known(chapter, self.catalogue.names), variant="secondary"
            ),
            "players": gr.update(visible=on_stage),
            "picked": html.picked(chapter, chosen.suite, numbers) if on_stage else "",
            "counts": html.counts(chapter, numbers) if step == COUNT else "",
        }
        for index, spec in enumerate(chapter.players.values()):
            seat = Seat(spec, recorded(task, spec)) if on_stage else Seat(spec)
            shown |= {(index, "player"): spec, **self.seat(window, index, seat, task)}
        return shown

    @staticmethod
    def _onward(chapter: Chapter, step: int) -> str:
        return {
            RULE: "Change the rule",
            GUESS: "Reveal",
            REVEAL: f"Count all {chapter.deal}s",
            COUNT: "Now the other game",
        }[step]

    # What the handlers of all tabs call

    def seat(self, window: Window[StorySettings], index: int, seat: Seat, task: Task, running: str = "") -> Updates:
        chapter, suite = window.settings.chapter, window.settings.suite
        title, shown, stored = list(chapter.players)[index], seat.shown, recorded(task, seat.player)
        choices = NUMBERS[chapter.cell].choices[suite].get(title)
        if shown and stored and _decided(chapter, shown.episode) != _decided(chapter, stored.episode):
            choices = None
        return {
            (index, "shown"): shown,
            (index, "status"): html.status(title, shown, running),
            (index, "turns"): html.played(chapter, suite, shown, choices) if shown else "",
        }

    def play(self, window: Window[StorySettings], seat: Seat, task: Task, stopped: Any) -> Iterator[Shown]:
        """With the seed and temperature of the recorded episode."""
        recipe = window.settings.chapter.settings[window.settings.suite]
        return live(self.catalogue, seat.player, recipe, task, stopped)

    def buttons(self, index: int, *, running: bool) -> Updates:
        """One button plays and stops all three."""
        return {}

    def freeze(self, session: str) -> Updates:
        running = bool(self.line.running(session, self.TAB))
        return {"all": gr.update(value=STOP if running else PLAY, variant="stop" if running else "secondary")}


def _decided(chapter: Chapter, episode: Episode) -> str | None:
    """The answer with the decisive field: its probabilities are those of that answer alone."""
    field = chapter.field(episode)
    return episode.positions[field.position].attempts[0].answer if field else None
