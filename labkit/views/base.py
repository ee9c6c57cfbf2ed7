"""What a game adds to the views of its episodes: :mod:`general_points` and :mod:`virl` each supply it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from labkit.episode import Attempt, Episode, Position
from labkit.views.markup import Mark


class Row(NamedTuple):
    """One field of an answer, compared with the truth."""

    name: str
    value: str
    ok: bool | None
    """None where the field is not judged."""
    note: str = ""


class Folded(NamedTuple):
    """A long part of an answer, which is shown behind a line that opens."""

    begin: int
    """Where it begins in the answer, in characters."""
    summary: str
    pieces: tuple[tuple[str, bool], ...]
    """The part, character for character, in pieces of a line each, and whether each is greyed."""

    @property
    def end(self) -> int:
        return self.begin + sum(len(piece) for piece, _ in self.pieces)


class Picture(NamedTuple):
    """How the picture of an image cell is shown in a prompt."""

    alt: str
    side: int
    """Pixels: the longer side, at most."""
    form: str
    """``PNG`` or ``JPEG``."""


class View(Protocol):
    """The parts of a view that differ between games. Functions return escaped HTML unless they say plain text."""

    TAGS: Mapping[str, str]
    """What each failure tag means."""
    ENDED: Mapping[str, Mark]
    """The name and look of each final status of an episode."""
    PICTURE: Picture

    def setting(self, episode: Episode) -> str:
        """Plain text: the task in a few words."""

    def hand(self, episode: Episode, height: int) -> str:
        """The task as a picture with its caption."""

    def step(self, episode: Episode, position: int) -> str:
        """Plain text: the name of a position, ``Step 3 of 9``; empty where a game has only one."""

    def situation(self, episode: Episode, position: int) -> str:
        """Plain text: what distinguishes a position from others; empty where a game has only one."""

    def fields(self, episode: Episode, position: Position, attempt: Attempt) -> list[Row]:
        """Plain text: the fields of the answer format; none where the answer is unreadable."""

    def folded(self, attempt: Attempt) -> Folded | None:
        """Plain text: the part of the answer to fold, before its decisive field; None where nothing is."""

    def other_rule_label(self, position: Position) -> str:
        """Plain text: the rule that :attr:`labkit.episode.Attempt.other_rule` judges by."""
