"""The vote of a class: one question at a time, one vote a phone."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.classroom.questions import Question

LIMIT = 200
"""Votes on a question, at most: what a flood of made-up phones can fill."""
Phase = Literal["closed", "open", "revealed"]


class VoteRefused(Exception):
    """A vote that does not count; the message says why."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the vote stands."""

    version: int
    """Another number after each step of the teacher's."""
    number: int
    """Index of the question."""
    phase: Phase
    tally: tuple[int, ...]
    """The votes of each choice."""
    peeked: bool
    """Whether the teacher's screen shows the votes before the answer."""

    @property
    def votes(self) -> int:
        return sum(self.tally)


class Poll:
    """The question that the class is at, and its votes. Safe to call from several threads.

    Args:
        questions: what can be asked; at least one.
    """

    def __init__(self, questions: Sequence[Question]) -> None:
        self.questions = tuple(questions)
        self._lock = threading.Lock()
        # Not 0: a phone that was open before a restart must not take the new server's first step for its own.
        self._version = secrets.randbelow(2**31)
        self._number, self._peeked = 0, False
        self._phase: Phase = "closed"
        self._votes: dict[str, int] = {}

    def standing(self) -> Standing:
        with self._lock:
            return self._standing()

    def seen_by(self, voter: str) -> tuple[Standing, int | None]:
        """How the vote stands, and what this phone has chosen."""
        with self._lock:
            return self._standing(), self._votes.get(voter)

    def _standing(self) -> Standing:
        tally = [0] * len(self.questions[self._number].choices)
        for choice in self._votes.values():
            tally[choice] += 1
        return Standing(self._version, self._number, self._phase, tuple(tally), self._peeked)

    def choose(self, number: int) -> None:
        """Turn to a question, which is not open yet and has no votes.

        Raises:
            IndexError: there is no such question.
        """
        if not 0 <= number < len(self.questions):
            raise IndexError(number)
        with self._lock:
            self._turn_to(number)

    def advance(self, version: int) -> None:
        """Open the question; reveal its answer; turn to the next question.

        Args:
            version: the one that the teacher's screen shows; nothing happens if the vote has gone on since, so that a
                second click does not reveal what the first has opened.
        """
        with self._lock:
            if version != self._version:
                return
            if self._phase == "revealed":
                self._turn_to((self._number + 1) % len(self.questions))
            else:
                self._phase = "open" if self._phase == "closed" else "revealed"
                self._version += 1

    def peek(self, peeked: bool) -> None:
        """Show or hide the votes on the teacher's screen before the answer is revealed."""
        with self._lock:
            self._peeked = peeked

    def _turn_to(self, number: int) -> None:
        self._number, self._phase, self._votes = number, "closed", {}
        self._version += 1

    def vote(self, voter: str, version: int, choice: int) -> None:
        """Count a phone's vote; a second one replaces the first.

        Args:
            voter: the phone's token, of a bounded length.
            version: the one that the phone shows.
            choice: index of the choice.

        Raises:
            VoteRefused: the question is not open, there is no such choice, or :data:`LIMIT` phones have voted.
        """
        with self._lock:
            if self._phase != "open" or version != self._version:
                raise VoteRefused("The vote on this question is closed.")
            if not 0 <= choice < len(self.questions[self._number].choices):
                raise VoteRefused("There is no such choice.")
            if voter not in self._votes and len(self._votes) >= LIMIT:
                raise VoteRefused(f"The room is full: {LIMIT} phones have voted.")
            self._votes[voter] = choice
