"""Turn the lines of an episode file into rows of columns, one row an attempt."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from labkit.envs.games import row_of
from labkit.errors import UsageError
from labkit.runs.columns import ROW

ATTEMPTS = 50_000
"""Of a batch, about."""


class Reader:
    """Turns the lines of an episode file into rows."""

    def __init__(
        self, word: Callable[[str], int], run: str, name: str, handle: BinaryIO, at: int, episode: int, path: Path
    ) -> None:
        self._ask = word
        self._words: dict[str, int] = {}
        self._handle, self._path = handle, path
        self._place = (self.word(run), self.word(name))
        self.at, self.episode = at, episode
        self.rows = bytearray()
        """Of type :data:`ROW`."""
        self.answers: dict[str, int] = {}
        self.problem = ""

    def word(self, text: str) -> int:
        if text not in self._words:
            self._words[text] = self._ask(stored(text))
        return self._words[text]

    def read(self, *, whole: bool) -> bool:
        """Read a batch, or the whole file; returns whether there is more.

        What is wrong with the file is left in ``problem``, and its other episodes are read.
        """
        try:
            for line in self._handle:
                if not line.endswith(b"\n"):
                    return False  # still being written
                self._read_line(line)
                if len(self.rows) >= ATTEMPTS * ROW.itemsize and not whole:
                    return True
        except (EOFError, OSError, zlib.error):
            # A compressed file that is still being written or copied ends too early.
            self.problem = f"{self._path} is cut short or damaged; what comes after episode {self.episode} is left out"
        return False

    def _read_line(self, line: bytes) -> None:
        try:
            self._take(json.loads(line), len(line))
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
            problem = f"{self._path}, line {self.episode + 1} is not an episode; it is left out"
            self.problem = self.problem or problem
        self.at += len(line)
        self.episode += 1

    def _take(self, record: Mapping[str, Any], length: int) -> None:
        word, task = self.word, record["task"]
        positions = record["positions"]
        attempts = [attempt for position in positions for attempt in position["attempts"]]
        rewards = [attempt["verdict"]["reward"] + attempt["penalty"] for attempt in attempts]
        dealt = tuple(word(task[key]) for key in ("cell", "suite", "split"))
        head = (*self._place, *dealt, word(record["player"]), word(record["status"]))
        traits, deal = word(" ".join(traits_of(task, positions[0]["state"]))), _deal(task)
        total, turns, number, rows = sum(rewards), len(attempts), 0, []
        for here, position in enumerate(positions):
            wrong = False
            for this, attempt in enumerate(position["attempts"]):
                verdict, other = attempt["verdict"], attempt.get("other_rule")
                right = verdict["success"]
                answer = self.answers.setdefault(stored(attempt["answer"]), len(self.answers))
                rows.append(
                    (
                        *head,
                        word(verdict["category"]),
                        word(" ".join(attempt["tags"])),
                        traits,
                        self.at,
                        length,
                        self.episode,
                        here,
                        this,
                        turns,
                        (attempt.get("sample") or {}).get("tokens", -1),
                        rewards[number],
                        total,
                        right,
                        right and wrong,
                        not right and bool(other) and other["success"],
                        deal,
                        answer,
                    )
                )
                wrong, number = wrong or not right, number + 1
        # Here, so that a value that does not fit its column counts against its record.
        self.rows += np.array(rows, ROW).tobytes()


def traits_of(task: Mapping[str, Any], state: Mapping[str, Any]) -> list[str]:
    """A deal's traits, as ``name:value``; none if its game has none or cannot read the deal."""
    try:
        traits = row_of(task["cell"]).load("traits")
        return [f"{name}:{value}" for name, value in traits(task, state).items()] if traits else []
    except (UsageError, KeyError, TypeError, ValueError):
        # A game that is not registered here, or a deal that an earlier version of it wrote.
        return []


def stored(text: str) -> str:
    """Text that SQLite can carry: a lone surrogate becomes its escape, and so does a zero, at which it would end."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _deal(task: Mapping[str, Any]) -> int:
    """A number for the deal under its rule, the same in every run: of :attr:`labkit.episode.Task.id`."""
    place = [task[key] for key in ("cell", "suite", "split", "seed", "index")]
    asked = json.dumps([place, task["deal"], task["rule"]], sort_keys=True).encode()
    return int.from_bytes(hashlib.sha256(asked).digest()[:8], "big")
