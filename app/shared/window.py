"""What one browser window holds of a tab: its settings, its seats, the person's episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.shared.score import Score
from app.shared.settings import Settings
from labkit.episode import Episode, Task
from labkit.evaluation.tokens import Token

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True, slots=True)
class Shown:
    """An episode as it stands on the screen, and how it was played."""

    episode: Episode
    origin: str
    """``recorded``, ``live`` or ``stopped``."""
    temperature: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Seat:
    """A place at the table: who plays there, and what is shown of it."""

    player: str | None
    shown: Shown | None = None
    step: int | None = None
    """Index of the position that is looked at; None follows the episode."""
    tokens: Sequence[Sequence[Token]] = ()
    """Those of each attempt, where they were asked for."""

    @property
    def episode(self) -> Episode | None:
        return self.shown.episode if self.shown else None


@dataclass(frozen=True, slots=True)
class Window(Generic[S]):
    """One browser window."""

    settings: S
    seats: tuple[Seat, ...] = ()
    """All seats that the tab has; ``count`` of them are on the screen."""
    count: int = 1
    own: Episode | None = None
    """The person's episode."""
    typed: str = ""
    """What the person has typed."""
    step: int | None = None
    """Index of the position of the person's episode that is looked at; None follows it."""
    score: Score = Score()
    """The person against the players, as it was counted last."""
    session: str = ""
    """Tells this window from others, in the line of those that play."""


def same_deal(one: Task, other: Task) -> bool:
    """Whether two tasks ask the same under the same rule."""
    return (one.cell, one.deal, one.rule) == (other.cell, other.deal, other.rule)


def changed(seat: Seat, settings: Settings, task: Task) -> list[str]:
    """What differs between the settings and how the seat's episode was played; empty if nothing does."""
    shown = seat.shown
    if shown is None:
        return []
    played = shown.episode.task
    temperature, seed = settings.value("temperature"), settings.value("seed")
    differs = {
        "deal or rule": not same_deal(played, task),
        "player": shown.episode.player != seat.player,
        "number of attempts": played.attempts != task.attempts,
        "temperature": shown.temperature != temperature,
        # Greedy answers do not depend on a seed.
        "seed": temperature > 0 and shown.seed != seed,
    }
    return [name for name, yes in differs.items() if yes]
