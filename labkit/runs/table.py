"""The columns of an index in memory: which rows fit a condition, and how rows are sorted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np

from labkit.errors import UsageError
from labkit.runs.columns import BLOCK, FLAGS, NUMBERS, ROW, SETS, WORDS, Block
from labkit.runs.index_file import IndexFile
from labkit.runs.noted import Noted, Place
from labkit.runs.notes import Note


@dataclass(frozen=True)
class Table:
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
    noted: Noted

    @classmethod
    def empty(cls) -> Table:
        return cls._of({}, [])

    def updated(self, file: IndexFile) -> Table:
        """The table with the blocks that the file has now; those at hand are not read again."""
        found = file.blocks(self.blocks)
        known = bool(found) and all(found.get(number, 0) is None for number in self.blocks)
        words = [*self.words, *file.words(len(self.words))] if known else file.words()
        return self._of({number: block or self.blocks[number] for number, block in found.items()}, words)

    @classmethod
    def _of(cls, blocks: dict[int, Block], words: list[str]) -> Table:
        rows = [block.rows for block in blocks.values()] or [np.empty(0, ROW)]
        # Column by column: what is filtered by lies together.
        columns = {name: np.concatenate([block[name] for block in rows]) for name in ROW.names or ()}
        base = np.cumsum([0, *(block.answers for block in blocks.values())])
        columns["answer"] = columns["answer"] + np.repeat(base[:-1], [len(b.rows) for b in blocks.values()])
        new = np.ones(len(columns["run"]), bool)
        places = [columns[name] for name in ("run", "name", "offset")]
        new[1:] = np.logical_or.reduce([place[1:] != place[:-1] for place in places])
        first, noted = np.cumsum(new, dtype=np.int32), Noted(np.zeros(len(new), np.int32))
        return cls(blocks, words, columns, first, np.array([*blocks], np.int64), base, noted)

    def with_notes(self, found: Mapping[Place, Mapping[int, Note]]) -> Table:
        """The table with the notes of episodes, by run and episode file, and by number."""
        codes, notes = np.zeros(len(self.first), np.int32), [Note()]
        for (run, name), of_file in found.items():
            rows = np.flatnonzero(self.fits("run", run) & self.fits("name", name))
            numbers = np.array(sorted(of_file))
            episodes = self.columns["episode"][rows]
            at = np.minimum(np.searchsorted(numbers, episodes), len(numbers) - 1)
            codes[rows] = np.where(numbers[at] == episodes, at + len(notes), 0)
            notes += [of_file[number] for number in numbers.tolist()]
        return replace(self, noted=Noted(codes, notes))

    def set_of(self, field: str) -> tuple[np.ndarray, Sequence[str]]:
        """A field of several values: ``int32 [N]`` codes, and the values of each code with spaces between."""
        if field == "note_tag":
            return self.noted.codes, self.noted.tags
        return self.columns[SETS[field]], self.words

    def fits(self, field: str, wanted: Any) -> np.ndarray:
        """``bool [N]``: where a field has one of the wanted values; of traits, one for each name."""
        if field in NUMBERS:
            return self._between(field, wanted)
        if field in FLAGS:
            return self.columns[field] == bool(wanted)
        values = {wanted} if isinstance(wanted, str) else set(wanted)
        if field in SETS:
            column, words = self.set_of(field)
            codes = [code for code, word in enumerate(words) if _has_one_of_each(word.split(), values)]
        else:
            column, words = self.columns[field], self.words
            codes = [code for code, word in enumerate(words) if word in values]
        if len(codes) == 1:
            return column == codes[0]
        among = np.zeros(len(words), bool)
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


def _has_one_of_each(has: Sequence[str], wanted: Collection[str]) -> bool:
    """Whether one of the wanted values is there: of values ``name:value``, one for each name."""
    names: dict[str, set[str]] = {}
    for value in wanted:
        name, colon, _ = value.partition(":")
        names.setdefault(name if colon else "", set()).add(value)
    return bool(names) and not any(values.isdisjoint(has) for values in names.values())


def smallest(key: np.ndarray, count: int) -> np.ndarray:
    """The places of the ``count`` smallest keys, sorted; equal ones in their order."""
    if count >= len(key):
        return np.argsort(key, kind="stable")
    if count == 0:
        return np.empty(0, int)
    last = np.partition(key, count - 1)[count - 1]
    below = np.flatnonzero(key < last)
    equal = np.flatnonzero(key == last)[: count - len(below)]
    return np.concatenate([below[np.argsort(key[below], kind="stable")], equal])
