"""Notes and tags that people give stored episodes: ``notes.jsonl`` in the run's folder, one line a change.

A line has the episode's file and number, a note, tags and the time. Of an episode the newest line counts; a line with
neither note nor tags takes both away. Lines are only ever appended, so what was written before can be looked up.

Several people may write at once: a line is appended under a lock on the file, and only if the writer has seen the
newest note of the episode (:class:`Changed`). The lock is that of the operating system (``flock``), so it does not hold
between machines that share a folder over a network without locks.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from labkit.errors import UsageError
from labkit.runs.store import CannotWrite, Run

FILE = "notes.jsonl"
LONGEST = 2000
"""Characters of a note."""
MOST_TAGS = 8
LONGEST_TAG = 32
"""Characters of a tag."""
MOST_NAMES = 100
"""Different tags in a run: each is a bar, and costs time whenever they are counted."""
LARGEST = 8 << 20
"""Bytes of a run's file, at most."""


class Changed(UsageError):
    """Somebody else has changed the note of the episode since the writer read it."""


@dataclass(frozen=True, slots=True)
class Note:
    """What is noted of an episode."""

    text: str = ""
    tags: tuple[str, ...] = ()
    """Sorted; without spaces and in small letters."""
    edition: int = 0
    """How often the note was written; 0 where it never was."""

    def __bool__(self) -> bool:
        return bool(self.text or self.tags)


def note_of(text: str, tags: str | Iterable[str] = ()) -> Note:
    """A note as it is stored: without control characters and the marks that turn the direction of writing.

    Args:
        tags: several, or one text with spaces or commas between them.

    Raises:
        UsageError: the text or a tag is too long, there are too many tags, or a tag has other characters than letters,
            digits, ``-``, ``_`` and ``.``.
    """
    if len(text) > LONGEST:
        raise UsageError(f"the note has {len(text):,} characters; write at most {LONGEST:,}")
    if isinstance(tags, str) and len(tags) > MOST_TAGS * (LONGEST_TAG + 2):
        raise UsageError(f"the tags are too long; give at most {MOST_TAGS}, of {LONGEST_TAG} characters each")
    plain = (" " if c.isspace() and c not in "\n\t" else c for c in text.replace("\r\n", "\n"))
    kept = "".join(c for c in plain if c.isprintable() or c in "\n\t").strip()
    named = tags.replace(",", " ").split() if isinstance(tags, str) else tags
    found = tuple(sorted({tag.casefold() for tag in named}))
    if len(found) > MOST_TAGS:
        raise UsageError(f"there are {len(found)} tags; give at most {MOST_TAGS}")
    for tag in found:
        if len(tag) > LONGEST_TAG:
            raise UsageError(f"the tag {tag[:LONGEST_TAG]!r} … is too long; use at most {LONGEST_TAG} characters")
        if not tag or not all(c.isalnum() or c in "-_." for c in tag):
            raise UsageError(f"the tag {tag!r} is invalid; use letters, digits, “-”, “_” and “.”")
    return Note(kept, found)


def read_notes(run: Run) -> dict[tuple[str, int], Note]:
    """The notes of a run's episodes, by file name and number. A last line without its end is left out.

    Raises:
        UsageError: the file cannot be read, is too large, or a line of it is no note.
    """
    try:
        with (run.path / FILE).open("rb") as handle:
            data = handle.read(LARGEST + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"cannot read {run.path / FILE}: {error.strerror}; its notes are left out") from None
    return _notes(run.path / FILE, data)


def write_note(run: Run, name: str, episode: int, note: Note, *, seen: int) -> Note:
    """Append the note of an episode.

    Args:
        name: the episode file's.
        episode: the episode's line in that file, from 0.
        seen: the edition that the writer has read.

    Returns:
        The note with its edition.

    Raises:
        Changed: somebody else has written since.
        UsageError: there is no such run or no such file of episodes, or the run has too many notes or different tags.
        CannotWrite: the disk is full or the folder is read-only; nothing was written.
    """
    # Here, since Windows has no such module, and notes can be read without it.
    import fcntl

    if not (run.path / "config.yaml").is_file() or name not in run.episode_names() or episode < 0:
        raise UsageError(f"no episode {episode} of {name[:80]} in {run.id[:80]}; choose a stored episode")
    path = run.path / FILE
    try:
        # A link in the place of the file would lead out of the run.
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        with open(descriptor, "r+b", buffering=0) as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            data = handle.read(LARGEST + 1)
            there = _notes(path, data)
            if there.get((name, episode), Note()).edition != seen:
                raise Changed("somebody else has changed this note meanwhile; save again to replace it")
            if len({tag for other in (*there.values(), note) for tag in other.tags}) > MOST_NAMES:
                raise UsageError(f"the run has {MOST_NAMES} different tags; use one of them")
            line = {"name": name, "episode": episode, "note": note.text, "tags": [*note.tags], "time": time.time()}
            added = json.dumps(line).encode() + b"\n"
            whole = data.rfind(b"\n") + 1
            if whole + len(added) > LARGEST:
                raise UsageError(f"{path} has {len(data) >> 20} MB of notes; move it away to go on")
            # What a crash has cut short is no line.
            handle.truncate(whole)
            try:
                if handle.write(added) != len(added):
                    raise OSError(28, "No space left on device")
            except OSError:
                handle.truncate(whole)
                raise
    except OSError as error:
        raise CannotWrite(path, error) from error
    return Note(note.text, note.tags, seen + 1)


def _notes(path: Path, data: bytes) -> dict[tuple[str, int], Note]:
    if len(data) > LARGEST:
        raise UsageError(f"{path} has more than {LARGEST >> 20} MB; its notes are left out")
    found: dict[tuple[str, int], Note] = {}
    for place, note in _lines(path, data):
        before = found.get(place, Note()).edition
        found[place] = Note(note.text, note.tags, before + 1)
    return found


def _lines(path: Path, data: bytes) -> Iterator[tuple[tuple[str, int], Note]]:
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            record = json.loads(line)
            name, episode, text, tags = (record[key] for key in ("name", "episode", "note", "tags"))
            if not (isinstance(name, str) and type(episode) is int and isinstance(text, str) and type(tags) is list):
                raise TypeError
            yield (name, episode), note_of(text, map(str, tags))
        except (UsageError, KeyError, RecursionError, TypeError, ValueError):
            raise UsageError(f"{path}, line {number} is no note; delete that line to read the others") from None
