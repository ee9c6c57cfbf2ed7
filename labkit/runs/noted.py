"""The notes of all runs of a folder, as a column beside those of the index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from labkit.errors import UsageError
from labkit.runs.notes import FILE, Note, read_notes
from labkit.runs.store import Run

Place = tuple[str, str]
"""A run, and an episode file in it."""


class Noted:
    """Which row has which note; never changed.

    Args:
        codes: ``int32 [N]``: the place of each row's note in ``notes``.
        notes: the first is that of a row without one.
    """

    def __init__(self, codes: np.ndarray, notes: Sequence[Note] = (Note(),)) -> None:
        self.codes, self.notes = codes, notes
        self.tags = [" ".join(note.tags) for note in notes]

    def containing(self, text: str) -> np.ndarray:
        """``bool [N]``: the rows whose note has a text; case is ignored."""
        wanted = text.casefold()
        return np.array([wanted in note.text.casefold() for note in self.notes], bool)[self.codes]


class NoteFiles:
    """The files of notes below a folder, read again when they have changed.

    Args:
        root: the folder of the runs.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen: dict[str, tuple[int, int, int]] = {}
        self._notes: dict[str, Mapping[tuple[str, int], Note]] = {}
        self._problems: dict[str, str] = {}

    def refresh(self) -> bool:
        """Read what is new; false where nothing is."""
        there: dict[str, tuple[int, int, int]] = {}
        for path in self._root.glob(f"*/{FILE}"):
            with suppress(OSError):
                seen = path.stat()
                there[path.parent.name] = seen.st_size, seen.st_mtime_ns, seen.st_ino
        if there == self._seen:
            return False
        changed = {run for run, seen in there.items() if self._seen.get(run) != seen}
        for run in self._seen.keys() | changed:
            if run in changed or run not in there:
                self._notes.pop(run, None)
                self._problems.pop(run, None)
        for run in changed:
            try:
                self._notes[run] = read_notes(Run(self._root / run))
            except UsageError as error:
                self._problems[run] = str(error)
        self._seen = there
        return True

    def problems(self) -> list[str]:
        """What could not be read, one line a file."""
        return [self._problems[run] for run in sorted(self._problems)]

    def note(self, run: str, name: str, episode: int) -> Note:
        """An episode's note."""
        return self._notes.get(run, {}).get((name, episode), Note())

    def by_file(self) -> dict[Place, dict[int, Note]]:
        """The notes that say something, by episode file and number."""
        found: dict[Place, dict[int, Note]] = {}
        for run, notes in self._notes.items():
            for (name, episode), note in notes.items():
                if note:
                    found.setdefault((run, name), {})[episode] = note
        return found
