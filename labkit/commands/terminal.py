"""Playing in a terminal: an episode as it goes, and a person as the player."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import TextIO

from labkit.commands.common import printable
from labkit.envs import game
from labkit.envs.general_points import expression
from labkit.episode import Attempt, Episode
from labkit.errors import UsageError
from labkit.players import Answer, Request

GREEN, RED, DIM = 32, 31, 2


class Transcript:
    """Writes an episode down as it grows: each prompt, each answer, each verdict.

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
            self._positions += 1
            self._write(printable(position.prompt) + "\n")
        if episode.done:
            count = len(episode.attempts)
            result = "solved" if episode.success else "not solved"
            self._write(f"{result}, {count} attempt{'s' * (count != 1)}, reward {episode.reward:+g}")

    def _show_attempt(self, attempt: Attempt) -> None:
        said = attempt.verdict
        if self._echo:
            self._write(self._paint(f"{self._attempts}> {printable(attempt.answer)}", DIM))
        mark = self._paint(said.category, GREEN if said.success else RED)
        tags = self._paint(f"  [{', '.join(attempt.tags)}]", DIM) if attempt.tags else ""
        self._write(f"   {mark} {attempt.reward:+g}  {printable(said.feedback)}{tags}\n")

    def _paint(self, text: str, code: int) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text

    def _write(self, text: str) -> None:
        print(text, file=self._out, flush=True)


class Person:
    """Whoever sits at the terminal. A bare formula or action will do: it is put into the answer format.

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
        text = self._line(f"{game(episode.task.cell).decisive_field}> ")
        if text.lstrip().startswith("{"):
            return text
        if game(episode.task.cell).decisive_field == "action":
            return acted(text)
        # Naming the cards is part of the task where they are shown in a picture.
        named = self._line("cards> ").replace(",", " ").split() if episode.task.picture else None
        return wrap(text, episode.position.state["cards"] if named is None else named)

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
                raise UsageError("the answer is not UTF-8 text") from None
            if text:
                return text


def acted(text: str) -> str:
    """A bare action in the format that the prompt asks for; a bare direction is a turn to it."""
    from labkit.envs.virl.verifier import parse_action

    action = parse_action(text) or parse_action(f"turn_direction({text})")
    return json.dumps({"action": action.text if action else text}, ensure_ascii=False)


def wrap(formula: str, ranks: Sequence[str]) -> str:
    """A bare formula in the format that the prompt asks for; its numbers stand in for ``number``."""
    try:
        numbers = expression.numbers(expression.parse(formula.partition("=")[0]))
    except expression.FormulaError:
        numbers = ()
    return json.dumps({"cards": list(ranks), "number": list(numbers), "formula": formula}, ensure_ascii=False)
