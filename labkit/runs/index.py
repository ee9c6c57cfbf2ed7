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
it follows a live run. Where it lies, what it costs and what was compared: :mod:`labkit.runs.columns`.
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from numbers import Real
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple

import numpy as np

from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.runs.columns import BLOCK, ROW, Block, IndexFile, read_record
from labkit.runs.store import ROOT, Run

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


WORDS = ("run", "name", "cell", "suite", "split", "player", "status", "category")
SETS = {"tag": "tags", "trait": "traits"}
"""Fields of which an attempt has any number of values, and their columns."""
FLAGS = ("success", "recovered", "old_rule")
NUMBERS = ("episode", "position", "attempt", "reward", "total", "turns", "tokens")
FIELDS = (*WORDS, *SETS, *FLAGS, *NUMBERS)
"""What a selection can be filtered by, sorted by and counted by."""


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
        self._table = _Table.empty()
        self._state: tuple[int, int] | None = None
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
            if self._file.state != self._state:
                self._table = self._table.updated(self._file)
                self._state = self._file.state
            return self._file.problems()

    def select(self, *, text: str | None = None, **where: Any) -> Selection:
        """The attempts that meet all conditions.

        Args:
            text: what the answer contains; case is ignored.
            where: conditions by field (see :data:`FIELDS`). For words, tags and traits one value or several, of which
                one has to fit; for flags true or false; for numbers one, or (least, most) with None for no limit.
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
                fits &= table.giving(self._file.find(text))
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
        except (OSError, ValueError):
            raise UsageError(f"{name} of {run} was rewritten or removed; refresh, and look for it again") from None

    def texts(self, table: _Table, rows: np.ndarray) -> list[str]:
        """The answers of rows of a table."""
        with self._lock:
            return self._file.answers(table.answer_numbers(rows))


class Selection:
    """Attempts that fit a query, as the index knew them at that time."""

    def __init__(self, index: Index, table: _Table, rows: np.ndarray) -> None:
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
            found = self._facet_of_sets(self._table.columns[SETS[field]][self._rows])
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
        order = _smallest(-key if descending or sort is None else key, stop)
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
        return [Pair(*pair) for pair in zip(first, second, strict=True)]

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

    def _facet_of_sets(self, codes: np.ndarray) -> list[Facet]:
        table = self._table
        values = sorted({value for code in np.unique(codes).tolist() for value in table.words[code].split()})
        has = np.array([[value in word.split() for value in values] for word in table.words], bool)[codes]
        attempts = has.sum(0).tolist()
        episodes = np.logical_or.reduceat(has, self._starts).sum(0).tolist()
        return [Facet(*facet) for facet in zip(values, attempts, episodes, strict=True)]

    def _shown(self, rows: np.ndarray) -> list[Row]:
        columns, words = self._table.columns, self._table.words
        values_of = {name: columns[name][rows].tolist() for name in (*WORDS, *SETS.values(), *FLAGS, *NUMBERS)}
        for name in WORDS:
            values_of[name] = [words[code] for code in values_of[name]]
        for name in SETS.values():
            values_of[name] = [tuple(words[code].split()) for code in values_of[name]]
        values_of["answer"] = self._index.texts(self._table, rows)
        names = [field.name for field in fields(Row)]
        return [Row(*values) for values in zip(*(values_of[name] for name in names), strict=True)]


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


def as_dict(row: Row) -> dict[str, Any]:
    """A row as plain data, tags and traits as lists."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(row).items()}


@dataclass(frozen=True)
class _Table:
    """The columns in memory; never changed, so that a selection goes on with those it was made of."""

    blocks: Mapping[int, Block]
    words: Sequence[str]
    columns: Mapping[str, np.ndarray]
    """``[N]`` each."""
    first: np.ndarray
    """``int32 [N]``: the episode of each row, counted over the table."""
    numbers: np.ndarray
    """``int64 [blocks]``, sorted."""
    base: np.ndarray
    """``int64 [blocks + 1]``: answers in the blocks before."""

    @classmethod
    def empty(cls) -> _Table:
        return cls._of({}, [])

    def updated(self, file: IndexFile) -> _Table:
        """The table with the blocks that the file has now; those at hand are not read again."""
        found = file.blocks(self.blocks)
        known = bool(found) and all(found.get(number, 0) is None for number in self.blocks)
        words = [*self.words, *file.words(len(self.words))] if known else file.words()
        return self._of({number: block or self.blocks[number] for number, block in found.items()}, words)

    @classmethod
    def _of(cls, blocks: dict[int, Block], words: list[str]) -> _Table:
        rows = [block.rows for block in blocks.values()] or [np.empty(0, ROW)]
        # Column by column: what is filtered by lies together.
        columns = {name: np.concatenate([block[name] for block in rows]) for name in ROW.names}
        base = np.cumsum([0, *(block.answers for block in blocks.values())])
        columns["answer"] = columns["answer"] + np.repeat(base[:-1], [len(b.rows) for b in blocks.values()])
        new = np.ones(len(columns["run"]), bool)
        places = [columns[name] for name in ("run", "name", "offset")]
        new[1:] = np.logical_or.reduce([place[1:] != place[:-1] for place in places])
        return cls(blocks, words, columns, np.cumsum(new, dtype=np.int32), np.array([*blocks], np.int64), base)

    def fits(self, field: str, wanted: Any) -> np.ndarray:
        """``bool [N]``: where a field has one of the wanted values."""
        if field in NUMBERS:
            return self._between(field, wanted)
        if field in FLAGS:
            return self.columns[field] == bool(wanted)
        values = {wanted} if isinstance(wanted, str) else set(wanted)
        if field in SETS:
            codes = [code for code, word in enumerate(self.words) if not values.isdisjoint(word.split())]
            column = self.columns[SETS[field]]
        else:
            codes = [code for code, word in enumerate(self.words) if word in values]
            column = self.columns[field]
        if len(codes) == 1:
            return column == codes[0]
        among = np.zeros(len(self.words), bool)
        among[codes] = True
        return among[column]

    def _between(self, field: str, wanted: Any) -> np.ndarray:
        least, most = wanted if isinstance(wanted, tuple | list) and len(wanted) == 2 else (wanted, wanted)
        if not all(limit is None or isinstance(limit, Real) for limit in (least, most)):
            raise UsageError(f"{field} is {wanted!r}; give a number, or (least, most) with None for no limit")
        column = self.columns[field]
        fits = np.ones(len(column), bool)
        if least is not None:
            fits &= column >= least
        if most is not None:
            fits &= column <= most
        return fits

    def giving(self, numbers: np.ndarray) -> np.ndarray:
        """``bool [N]``: which attempts gave one of the answers of these numbers."""
        given = np.zeros(self.base[-1], bool)
        block, within = np.divmod(numbers, BLOCK)
        at = np.searchsorted(self.numbers, block)
        # Another process may have added blocks since.
        known = np.isin(block, self.numbers)
        given[self.base[at[known]] + within[known]] = True
        return given[self.columns["answer"]]

    def answer_numbers(self, rows: np.ndarray) -> np.ndarray:
        """``int64``: the numbers in the index file of the answers of rows."""
        answers = self.columns["answer"][rows]
        at = np.searchsorted(self.base, answers, side="right") - 1
        return self.numbers[at] * BLOCK + answers - self.base[at]

    def rank(self, field: str, rows: np.ndarray) -> np.ndarray:
        """Numbers that sort rows by a field."""
        column = self.columns[field][rows]
        if field not in WORDS:
            return column.astype(np.float32) if field in FLAGS else column
        order = np.empty(len(self.words), np.int32)
        order[np.argsort(np.array(self.words))] = np.arange(len(self.words))
        return order[column]


def _smallest(key: np.ndarray, count: int) -> np.ndarray:
    """The places of the ``count`` smallest keys, sorted; equal ones in their order."""
    if count >= len(key):
        return np.argsort(key, kind="stable")
    if count == 0:
        return np.empty(0, int)
    last = np.partition(key, count - 1)[count - 1]
    below = np.flatnonzero(key < last)
    equal = np.flatnonzero(key == last)[: count - len(below)]
    return np.concatenate([below[np.argsort(key[below], kind="stable")], equal])


__all__ = ["FIELDS", "Facet", "Index", "Pair", "Row", "Selection", "as_dict", "known_field"]
