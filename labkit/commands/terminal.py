"""Playing in a terminal: an episode as it goes, and a person as the player."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from labkit.commands.common import printable
from labkit.counting import counted
from labkit.envs import game
from labkit.episode import Attempt, Episode
from labkit.errors import UsageError
from labkit.players import Answer, Request

GREEN, RED, DIM = 32, 31, 2


class Transcript:
    """Writes an episode down as it grows: what is new in each prompt, each answer, each verdict.

    Args:
        echo: whether answers are written; not when the person who gives them sees them already.
    """

    def __init__(self, out: TextIO, *, echo: bool = True) -> None:
        self._out = out
        self._echo = echo
        self._colour = out.isatty() and not os.environ.get("NO_COLOR")
        self._positions = self._attempts = 0

    def show(self, episode: Episode) -> None:
        """Write what is new since the last call."""
        for attempt in episode.attempts[self._attempts :]:
            self._attempts += 1
            self._show_attempt(attempt)
        for position in episode.positions[self._positions :]:
            before = episode.positions[self._positions - 1].prompt.split("\n") if self._positions else ()
            self._positions += 1
            # Of a later prompt only the lines that are new: the rest stands above.
            new = [line for line in position.prompt.split("\n") if line not in before]
            self._write(printable("\n".join(new)) + "\n")
        if episode.done:
            attempts = counted(len(episode.attempts), "attempt")
            result = "solved" if episode.success else "not solved"
            self._write(f"{result}, {attempts}, reward {episode.reward:+g}")

    def _show_attempt(self, attempt: Attempt) -> None:
        verdict = attempt.verdict
        if self._echo:
            self._write(self._paint(f"{self._attempts}> {printable(attempt.answer)}", DIM))
        mark = self._paint(verdict.category, GREEN if verdict.success else RED)
        tags = self._paint(f"  [{', '.join(attempt.tags)}]", DIM) if attempt.tags else ""
        self._write(f"   {mark} {attempt.reward:+g}  {printable(verdict.feedback)}{tags}\n")

    def _paint(self, text: str, code: int) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text

    def _write(self, text: str) -> None:
        print(text, file=self._out, flush=True)


class Person:
    """The person at the terminal. A bare formula or action will do: it is put into the answer format.

    Args:
        out: where the person is asked.
    """

    name = "person"

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def answer(self, turns: Sequence[Request]) -> list[Answer]:
        """Ask for one answer a turn.

        Raises:
            EOFError: the input ended.
            UsageError: the input is not UTF-8 text.
        """
        return [Answer(self._ask(turn.episode)) for turn in turns]

    def _ask(self, episode: Episode) -> str:
        playing = game(episode.task.cell)
        typed: dict[str, str] = {}
        for name in playing.typed:
            typed[name] = self._line(f"{name}> ")
            if typed[name].startswith("{"):
                return typed[name]
        return playing.typed_answer(episode, typed)

    def _line(self, ask: str) -> str:
        while True:
            print(ask, end="", file=self._out, flush=True)
            line = sys.stdin.buffer.readline()
            if not line or not sys.stdin.isatty():
                print(file=self._out)
            if not line:
                raise EOFError
            try:
                text = line.decode("utf-8").strip()
            except UnicodeDecodeError:
                raise UsageError("the answer is not UTF-8 text; encode it so") from None
            if text:
                return text
