"""Judging JSON lines: one object a line in, one verdict a line out.

``labkit verify``, the benchmark of the verifier and interop with other trainers share this. What an entry holds
beside ``answer`` is the game's own; see ``line`` of :class:`labkit.envs.games.Row`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from labkit.envs import game, start
from labkit.envs.games import row_of
from labkit.episode import Verdict
from labkit.errors import UsageError

MAX_LINE = 1 << 24
"""Longest line that is read, in bytes; of a longer one only the length is kept."""
CHUNK = 1 << 16
MAX_ERROR = 300
"""Longest error message, in characters."""

Judge = Callable[[Mapping[str, Any]], Verdict]
"""From an entry, whose ``answer`` is text, to its verdict; raises UsageError if the entry is wrong."""


def judge_of(cell: str) -> Judge:
    """The judge of a cell's entries.

    Raises:
        UsageError: there is no such cell.
    """
    return row_of(cell).load("line")(cell)


def by_task(cell: str) -> Judge:
    """A judge for any game: what an entry holds beside ``answer`` are the settings of the game's ``task``."""
    playing = game(cell)

    def judge(entry: Mapping[str, Any]) -> Verdict:
        required(entry, "answer")
        settings = {key: value for key, value in entry.items() if key != "answer"}
        try:
            task = playing.task(**settings)
        except TypeError as error:
            raise UsageError(f"{cell} cannot make a task of this line: {error}") from None
        return playing.judge(start(task), entry["answer"]).verdict

    return judge


def required(entry: Mapping[str, Any], *names: str) -> None:
    """Check that an entry has all keys and that its answer is text.

    Raises:
        UsageError: it has not, or it is not.
    """
    for name in names:
        if name not in entry:
            raise UsageError(f'the key "{name}" is missing')
    if not isinstance(entry["answer"], str):
        raise UsageError('"answer" is text: what the model wrote')


def verdict(line: bytes | UsageError, judge: Judge) -> dict[str, Any]:
    """What is written for a line, ``{"error": ...}`` if it cannot be judged. Never raises, whatever the line."""
    try:
        if isinstance(line, UsageError):
            raise line
        found = judge(_entry(line))
    except UsageError as error:
        # What is wrong may be megabytes long, and the message quotes it.
        return {"error": str(error)[:MAX_ERROR]}
    return {
        "success": found.success,
        "category": found.category,
        "reward": found.reward,
        "feedback": found.feedback,
    }


def lines(source: BinaryIO) -> Iterator[bytes | UsageError | None]:
    """The lines of a stream without their ends, and None each time before more is waited for.

    A line over :data:`MAX_LINE` comes as an error, and takes no more memory than a chunk.
    """
    held: list[bytes] = []
    length = 0
    while True:
        yield None
        # Not readline: it waits for a whole line, so lines that are ready could not be answered first.
        chunk = source.read1(CHUNK)  # type: ignore[attr-defined]  # a pipe or a file has it
        if not chunk:
            break
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            yield _line([*held, end], length + len(end))
            held, length = [], 0
        length += len(rest)
        if length <= MAX_LINE:
            held.append(rest)
        else:
            held.clear()
    if length:
        yield _line(held, length)


def _line(parts: list[bytes], length: int) -> bytes | UsageError:
    if length > MAX_LINE:
        return UsageError(f"the line has {length:,} bytes; the most is {MAX_LINE:,}")
    return b"".join(parts)


def _entry(line: bytes) -> Mapping[str, Any]:
    try:
        entry = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UsageError(f"the line is not UTF-8 text (byte {error.start + 1})") from None
    except json.JSONDecodeError as error:
        raise UsageError(f"the line is not JSON: {error.msg} (character {error.pos + 1})") from None
    except (ValueError, RecursionError):
        raise UsageError("the line is not JSON that can be read: its numbers or its nesting are too large") from None
    if not isinstance(entry, dict):
        raise UsageError("the line is not a JSON object")
    return entry
