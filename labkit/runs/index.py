"""Query stored episodes, one row an attempt: filter, sort, count, facets, full text, pages.

::

    with Index("runs") as index:
        wrong = index.select(cell="gp-l", category="wrong_value", text="(3-1)")
        print(wrong.attempts, wrong.episodes)
        for facet in wrong.facet("tag"):
            print(facet.value, facet.attempts)
        for row in wrong.rows(sort="tokens", descending=True, limit=20):
            print(row.answer, index.episode(row.run, row.name, row.episode).player)

The index is built when it is opened and extended by :meth:`Index.refresh`, which costs little where nothing is new: so
it follows a live run. Where it lies, what it costs and what was compared: :mod:`labkit.runs.index_file`.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple

import numpy as np

from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.runs.columns import FLAGS, NUMBERS, SETS, WORDS, known_field
from labkit.runs.index_file import IndexFile, read_record
from labkit.runs.noted import NoteFiles
from labkit.runs.notes import Note
from labkit.runs.store import ROOT, Run
from labkit.runs.table import Table, smallest

Unit = Literal["attempt", "episode"]


@dataclass(frozen=True, slots=True)
class Row:
    """One attempt of a stored episode; as a row of episodes, the first attempt that was selected."""

    run: str
    name: str
    """Of the episode file in the run: a suite's, as a rule."""
    episode: int
    """The episode's line in that file, from 0."""
    position: int
    """From 0."""
    attempt: int
    """At its position, from 0."""
    cell: str
    suite: str
    split: str
    player: str
    status: str
    """Of the episode: ``success``, ``exhausted``, ``failed`` or ``open``."""
    category: str
    """The verdict's."""
    tags: tuple[str, ...]
    traits: tuple[str, ...]
    """What the deal is like, as ``name:value``."""
    success: bool
    """The answer is right."""
    recovered: bool
    """The answer is right after a wrong one at the same position."""
    old_rule: bool
    """The answer is wrong, and would be right under the other rule."""
    reward: float
    """Of the attempt, the penalty included."""
    total: float
    """Of the episode."""
    turns: int
    """Answers in the episode."""
    tokens: int
    """Sampled tokens of the answer; -1 if no model gave it."""
    note: str
    """What somebody noted of the episode."""
    note_tags: tuple[str, ...]
    """The tags that somebody gave the episode."""
    answer: str


class Facet(NamedTuple):
    """A value of a field, and how often it occurs in a selection."""

    value: Any
    attempts: int
    episodes: int
    """With at least one selected attempt that has the value."""


class Pair(NamedTuple):
    """The same deal in two selections."""

    first: Row
    second: Row
    deal: int
    """A number that no other deal has."""


class Index:
    """The stored episodes of a folder of runs. Threads may share one.

    Args:
        root: the folder of the runs.
        cache: the folder of the index; the user's cache folder if not given.
        progress: see :meth:`refresh`.

    Raises:
        UsageError: the index cannot be written.
    """

    def __init__(
        self,
        root: str | Path = ROOT,
        *,
        cache: str | Path | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.root = Path(root)
        self._lock = threading.RLock()
        self._file = IndexFile(root, cache)
        self._notes = NoteFiles(self.root)
        self._table = Table.empty()
        self._state: tuple[int, int, int] | None = None
        self.refresh(progress)

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the index file."""
        self._file.close()

    def refresh(self, progress: Callable[[int, int], None] | None = None) -> list[str]:
        """Read what runs have added, changed or deleted since the last refresh. Earlier selections do not change.

        Args:
            progress: called with (bytes read, bytes to read) after each batch.

        Returns:
            What could not be read, one line a file.

        Raises:
            UsageError: the index cannot be written.
        """
        with self._lock:
            self._file.refresh(progress)
            grown, noted = self._file.state != self._state, self._notes.refresh()
            if grown:
                self._table = self._table.updated(self._file)
                self._state = self._file.state
            if grown or noted:
                self._table = self._table.with_notes(self._notes.by_file())
            return [*self._file.problems(), *self._notes.problems()]

    def select(self, *, text: str | None = None, **where: Any) -> Selection:
        """The attempts that meet all conditions.

        Args:
            text: what the answer, or the note of the episode, contains; case is ignored.
            where: conditions by field (see :data:`labkit.runs.columns.FIELDS`). For words, tags and traits one value or
                several, of which one has to fit (of traits, one for each name: ``face_cards:1`` or ``face_cards:2``,
                and ``solutions:1``); for flags true or false; for numbers one, or (least, most) with None for no limit.
                A condition of None is none.

        Raises:
            UsageError: there is no such field, or a number is needed.
        """
        with self._lock:
            table = self._table
            fits = np.ones(len(table.first), bool)
            for field, wanted in where.items():
                if wanted is not None:
                    fits &= table.fits(known_field(field), wanted)
            if text:
                fits &= table.giving(self._file.find(text)) | table.noted.containing(text)
            return Selection(self, table, np.flatnonzero(fits))

    def episode(self, run: str, name: str, number: int) -> Episode:
        """The record of a stored episode, read by its offset.

        Raises:
            UsageError: there is none, or its file was rewritten since the last :meth:`refresh`.
        """
        table = self._table
        fits = table.fits("run", run) & table.fits("name", name) & (table.columns["episode"] == number)
        found = np.flatnonzero(fits)
        if not len(found):
            raise UsageError(f"no episode {number} of {name} in {run}")
        offset, length = (int(table.columns[column][found[0]]) for column in ("offset", "length"))
        try:
            return Episode.from_json(read_record(Run(self.root / run), name, offset, length).decode())
        except (EOFError, OSError, ValueError, zlib.error):
            raise UsageError(f"{name} of {run} was rewritten or removed; refresh, and look for it again") from None

    def note(self, run: str, name: str, number: int) -> Note:
        """What was noted of a stored episode, as of the last :meth:`refresh`."""
        with self._lock:
            return self._notes.note(run, name, number)

    def texts(self, table: Table, rows: np.ndarray) -> list[str]:
        """The answers of rows of a table."""
        with self._lock:
            return self._file.answers(table.answer_numbers(rows))


class Selection:
    """Attempts that fit a query, as the index knew them at that time."""

    def __init__(self, index: Index, table: Table, rows: np.ndarray) -> None:
        self._index, self._table, self._rows = index, table, rows
        ordinal = table.first[rows]
        self._starts = np.flatnonzero(np.diff(ordinal, prepend=-1))
        """Where a new episode begins among the rows."""

    @property
    def attempts(self) -> int:
        return len(self._rows)

    @property
    def episodes(self) -> int:
        """Episodes with at least one selected attempt."""
        return len(self._starts)

    def facet(self, field: str) -> list[Facet]:
        """How often each value of a field occurs, the most frequent first.

        Raises:
            UsageError: there is no such field.
        """
        known_field(field)
        if not len(self._rows):
            return []
        if field in SETS:
            found = self._facet_of_sets(*self._table.set_of(field))
        else:
            found = self._facet_of_values(field)
        return sorted(found, key=lambda facet: (-facet.attempts, facet.value))

    def rows(
        self,
        *,
        sort: str | None = None,
        descending: bool = False,
        start: int = 0,
        limit: int | None = 50,
        unit: Unit = "attempt",
    ) -> list[Row]:
        """A page of the selection.

        Args:
            sort: a field; equal rows stay in the order in which they are stored. By default the newest run is first.
            start: rows that are left out before.
            limit: of rows; None for all.
            unit: a row for each attempt, or for each episode.

        Raises:
            UsageError: there is no such field.
        """
        if sort in SETS:
            raise UsageError(f"an attempt has several {SETS[sort]}; sort by another field, or count by this one")
        rows = self._rows if unit == "attempt" else self._rows[self._starts]
        key = self._table.rank(known_field(sort or "run"), rows)
        stop = len(rows) if limit is None else min(len(rows), start + limit)
        order = smallest(-key if descending or sort is None else key, stop)
        return self._shown(rows[order[start:stop]])

    def pairs(self, other: Selection) -> list[Pair]:
        """The episodes of the deals that both selections have, in the order of this one.

        Each is shown by its last selected attempt. Of a deal that was played several times, the first is paired with
        the first, and so on. Two runs are paired by ``index.select(run=A)`` and ``index.select(run=B)``.
        """
        here, there = (side._last_by_deal() for side in (self, other))
        both = sorted(here.keys() & there.keys(), key=here.__getitem__)
        first = self._shown(np.array([here[key] for key in both], int))
        second = other._shown(np.array([there[key] for key in both], int))
        return [Pair(*pair) for pair in zip(first, second, (deal for deal, _ in both), strict=True)]

    def _last_by_deal(self) -> dict[tuple[int, int], int]:
        """The last row of each episode, by its deal and how often that came before."""
        ends = self._rows[np.append(self._starts[1:], len(self._rows))[: len(self._starts)] - 1]
        seen: dict[int, int] = {}
        found = {}
        for row, deal in zip(ends.tolist(), self._table.columns["deal"][ends].tolist(), strict=True):
            found[deal, seen.setdefault(deal, 0)] = row
            seen[deal] += 1
        return found

    def _facet_of_values(self, field: str) -> list[Facet]:
        column = self._table.columns[field][self._rows]
        if field in WORDS:
            values = np.flatnonzero(np.bincount(column))
            codes = np.searchsorted(values, column)
            shown: list[Any] = [self._table.words[code] for code in values.tolist()]
        else:
            values, codes = np.unique(column, return_inverse=True)
            shown = values.tolist()
        # Each value once for each episode. Numbers may have as many values as there are episodes, so no table of both.
        ordinal = np.repeat(np.arange(self.episodes), np.diff(self._starts, append=len(self._rows)))
        once = np.unique(ordinal * len(values) + codes) % len(values)
        counts = (np.bincount(codes).tolist(), np.bincount(once).tolist())
        return [Facet(*facet) for facet in zip(shown, *counts, strict=True)]

    def _facet_of_sets(self, column: np.ndarray, words: Sequence[str]) -> list[Facet]:
        codes = column[self._rows]
        values = sorted({value for code in np.unique(codes).tolist() for value in words[code].split()})
        has = np.array([[value in word.split() for value in values] for word in words], bool)[codes]
        attempts = has.sum(0).tolist()
        episodes = np.logical_or.reduceat(has, self._starts).sum(0).tolist()
        return [Facet(*facet) for facet in zip(values, attempts, episodes, strict=True)]

    def _shown(self, rows: np.ndarray) -> list[Row]:
        table = self._table
        values_of = {name: table.columns[name][rows].tolist() for name in (*WORDS, *FLAGS, *NUMBERS)}
        for name in WORDS:
            values_of[name] = [table.words[code] for code in values_of[name]]
        for field, name in SETS.items():
            column, words = table.set_of(field)
            values_of[name] = [tuple(words[code].split()) for code in column[rows].tolist()]
        values_of["note"] = [table.noted.notes[code].text for code in table.noted.codes[rows].tolist()]
        values_of["answer"] = self._index.texts(self._table, rows)
        names = [field.name for field in fields(Row)]
        return [Row(*values) for values in zip(*(values_of[name] for name in names), strict=True)]


def as_dict(row: Row) -> dict[str, Any]:
    """A row as plain data, tags and traits as lists."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(row).items()}
