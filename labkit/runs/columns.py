"""What is known of a stored attempt, as columns: their types, and the fields that a query can name."""

from __future__ import annotations

import difflib
from typing import NamedTuple

import numpy as np

from labkit.errors import UsageError

ROW = np.dtype(
    [
        # Numbers of words: see the table `word`.
        *((name, "i4") for name in ("run", "name", "cell", "suite", "split", "player", "status", "category")),
        *((name, "i4") for name in ("tags", "traits")),
        ("offset", "i8"),
        ("length", "i4"),
        ("episode", "i4"),
        ("position", "i4"),
        ("attempt", "i4"),
        ("turns", "i4"),
        ("tokens", "i4"),
        ("reward", "f4"),
        ("total", "f4"),
        ("success", "?"),
        ("recovered", "?"),
        ("old_rule", "?"),
        ("deal", "u8"),
        ("answer", "i4"),
    ]
)
"""One attempt. Offset and length: of the episode's record in its file, in bytes before compression. Episode: the
record's line, from 0. Answer: its number within the block."""

BLOCK = 1 << 20
"""Answers of block B are numbered from B * BLOCK."""

WORDS = ("run", "name", "cell", "suite", "split", "player", "status", "category")
SETS = {"tag": "tags", "trait": "traits", "note_tag": "note_tags"}
"""Fields of which an attempt has any number of values, and their columns. Tags of notes are an episode's, and are kept
beside the index: see :mod:`labkit.runs.noted`."""
FLAGS = ("success", "recovered", "old_rule")
NUMBERS = ("episode", "position", "attempt", "reward", "total", "turns", "tokens")
FIELDS = (*WORDS, *SETS, *FLAGS, *NUMBERS)
"""What a selection can be filtered by, sorted by and counted by."""


class Block(NamedTuple):
    """The rows of a batch of episodes, and how many answers they have between them."""

    rows: np.ndarray
    answers: int


def known_field(name: str) -> str:
    """The name of a field.

    Raises:
        UsageError: there is none of this name; the message has the nearest.
    """
    if name in FIELDS:
        return name
    near = difflib.get_close_matches(name, FIELDS, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(FIELDS)}"
    raise UsageError(f"no field {name!r}; {hint}")


def range_of(text: str) -> tuple[int | None, int | None]:
    """The ends of a range: ``MIN..MAX``, either end of which may be left out, or one number.

    Raises:
        UsageError: the text is no range, or an empty one.
    """
    least, dots, most = text.partition("..")
    ends = (least, most if dots else least)
    if not any(ends) or not all(end.isascii() and (end.isdigit() or not end) for end in ends):
        raise UsageError(f"a range such as 2..5, 2.. or 3 is needed, not {text!r}")
    low, high = (int(end[:9]) if end else None for end in ends)
    if low is not None and high is not None and low > high:
        raise UsageError(f"the range {text} is empty: {low} is more than {high}")
    return low, high
