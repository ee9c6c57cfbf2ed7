"""The settings of the story tab: which game, and how far it is told."""

from __future__ import annotations

from dataclasses import dataclass

from app.shared.settings import Settings, Whole, Word, setting
from app.story.chapters import CHANGED, CHAPTERS, TRAINED, Chapter
from labkit.episode import Task

RULE, GUESS, REVEAL, COUNT = STEPS = range(1, 5)
"""The trained rule, the visitor's guess, the changed rule, all held-out deals."""


@dataclass(frozen=True, slots=True)
class StorySettings(Settings):
    """The game and the step."""

    cell: str = setting(Word(tuple(CHAPTERS)), "Game", next(iter(CHAPTERS)))
    step: float | None = setting(Whole(RULE, COUNT), "Step", RULE)

    @property
    def chapter(self) -> Chapter:
        return CHAPTERS[self.value("cell")]

    @property
    def suite(self) -> str:
        """The suite whose rule the step plays by."""
        return TRAINED if self.value("step") == RULE else CHANGED

    @property
    def task(self) -> Task:
        """The picked deal under the rule of the step.

        Raises:
            FieldError: a field is invalid.
        """
        return self.chapter.settings[self.suite].task
