"""The index file: what is known of stored attempts, as columns, kept beside the full text of the answers.

A SQLite file in the user's cache folder, one for each folder of runs. Three things are in it: which episode files have
been read and how far, one block of columns (a NumPy record array) for each batch of episodes read, and the answers
under an FTS5 trigram index. SQLite gives transactions, several readers beside a writer, and full text. NumPy filters,
sorts and counts. Episodes stay where they are: a row has the byte offset of its record.

The index can be rebuilt at any time: a file of another version, or a corrupted one, is deleted and built again.

What was compared, on copies of the stored episodes: 100,000 episodes, 417,209 attempts, 700 MB; the best of five, in
milliseconds of one core of an AMD EPYC (DuckDB: wall clock of two threads).

=============================  ===========  =============  =====
query                          SQLite rows  DuckDB 2.0 on  this
                               and FTS5     Parquet
=============================  ===========  =============  =====
count by two conditions                 21              3      1
count each category                     90              2     13
count each set of tags                 136              3     38
first 50 by tokens                      23              7      3
50 from the 200,000th, sorted          152             25      5
a rare text                            0.1             25      1
a text in two thirds of answers          6             41     57
=============================  ===========  =============  =====

SQLite with a row an attempt misses 100 ms. DuckDB over Parquet is as fast as this, but it is one more dependency, it
reads all texts to find one, and appending while others read would be left to us. Building takes 16 s: 5 for JSON, 6 for
the trigrams, 5 for the rest; the file has 200 MB. With 513,635 episodes and 2.2 million attempts, loading the columns
takes 0.9 s, counts by condition 4 to 9 ms, counts of values 50 to 270, sorted pages 20 to 26. `labkit bench runs` times
the index beside a scan.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from labkit.errors import UsageError
from labkit.runs.columns import BLOCK, ROW, Block
from labkit.runs.reader import Reader, stored
from labkit.runs.store import Run, listing

VERSION = 1
"""Of the index file; counted up whenever a column or a table changes."""
CHECKED = 4096
"""Bytes before the end of what was read, by which a file that has grown is told from one that was rewritten."""

TABLES = """
create table file (
    id integer primary key, run text, name text, size integer, mtime integer, inode integer,
    read integer, episodes integer, tail text, problem text, unique (run, name)
);
create table word (id integer primary key, text text unique);
create table block (id integer primary key autoincrement, file integer, rows blob, answers integer);
create index block_file on block (file);
create virtual table answer using fts5 (text, tokenize = 'trigram', columnsize = 0);
"""


class IndexFile:
    """The index of a folder of runs. Used by one thread at a time; several processes may use it at once."""

    def __init__(self, root: str | Path, cache: str | Path | None = None) -> None:
        self.root = Path(root).resolve()
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        self.path = (Path(cache) if cache else cache_folder()) / f"{name}.sqlite"
        self._open()

    def close(self) -> None:
        self._connection.close()

    def refresh(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Read new episodes, and drop those whose files are gone.

        Args:
            progress: called with (bytes read, bytes to read) after each batch.

        Raises:
            UsageError: the index cannot be written.
        """
        for retry in (True, False):
            try:
                if not self.path.exists():
                    self._open()
                return self._refresh(progress)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error) or not retry:
                    raise UsageError(f"cannot write the index {self.path}: {error}; {_ELSEWHERE}") from error
                self._rebuild()

    @property
    def state(self) -> tuple[int, int, int]:
        """Changes whenever this or another process has changed the index, or has built it anew."""
        connection = self._connection
        (version,) = connection.execute("pragma data_version").fetchone()
        (block,) = connection.execute("select seq from sqlite_sequence where name = 'block'").fetchone() or (0,)
        return version, connection.total_changes, block

    def blocks(self, known: Iterable[int]) -> dict[int, Block | None]:
        """All blocks by number, in order; None for those in ``known``, whose rows never change."""
        known = set(known)
        found: dict[int, Block | None] = {}
        for (number,) in self._connection.execute("select id from block order by id").fetchall():
            if number in known:
                found[number] = None
                continue
            rows, answers = self._connection.execute(
                "select rows, answers from block where id = ?", (number,)
            ).fetchone()
            found[number] = Block(np.frombuffer(rows, ROW), answers)
        return found

    def words(self, first: int = 0) -> list[str]:
        """The words from number ``first`` on."""
        rows = self._connection.execute("select text from word where id >= ? order by id", (first,))
        return [text for (text,) in rows]

    def problems(self) -> list[str]:
        """What could not be read, one line a file."""
        return [text for (text,) in self._connection.execute("select problem from file where problem <> ''")]

    def find(self, text: str) -> np.ndarray:
        """``int64 [N]``: numbers of the answers that contain a text; case is ignored."""
        text = stored(text)
        if len(text) < 3:  # shorter than a trigram
            where = "text like ? escape '\\'"
            text = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        else:
            where = "answer match ?"
            text = '"' + text.replace('"', '""') + '"'
        # One long text: half the time of as many rows.
        (found,) = self._connection.execute(f"select group_concat(rowid) from answer where {where}", (text,)).fetchone()
        return np.fromstring(found or "", np.int64, sep=",")

    def answers(self, numbers: Iterable[int]) -> list[str]:
        """The texts of answers; empty for one that is no longer there."""
        ask = "select text from answer where rowid = ?"
        found = (self._connection.execute(ask, (int(number),)).fetchone() for number in numbers)
        return [row[0] if row else "" for row in found]

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connect()
            if self._connection.execute("pragma user_version").fetchone()[0] != VERSION:
                self._rebuild()
        except sqlite3.OperationalError as error:
            raise UsageError(f"cannot use the index {self.path}: {error}; {_ELSEWHERE}") from error
        except sqlite3.DatabaseError:
            self._rebuild()
        except OSError as error:
            raise UsageError(f"cannot make the index {self.path}: {error.strerror}; {_ELSEWHERE}") from error

    def _connect(self) -> None:
        # Python starts no transactions of its own; a writer waits for another one.
        self._connection = sqlite3.connect(self.path, timeout=60, isolation_level=None, check_same_thread=False)
        self._connection.execute("pragma journal_mode = wal")
        # A crash may lose the last batches, which are then read again; it does not damage the file.
        self._connection.execute("pragma synchronous = normal")
        self._connection.execute("pragma mmap_size = 1073741824")

    def _rebuild(self) -> None:
        self._connection.close()
        for end in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{self.path}{end}").unlink()
        self._connect()
        with self._transaction():
            # Another process may have been first.
            if self._connection.execute("pragma user_version").fetchone()[0] != VERSION:
                for statement in TABLES.split(";\n"):
                    self._connection.execute(statement)
                # Block numbers go on from the time of day in milliseconds, so that no block of this file has the number
                # of one that a reader still knows from the file before it.
                self._connection.execute("insert into sqlite_sequence values ('block', ?)", (time.time_ns() // 10**6,))
                self._connection.execute(f"pragma user_version = {VERSION}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("begin immediate")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("rollback")
            raise
        self._connection.execute("commit")

    def _refresh(self, progress: Callable[[int, int], None] | None) -> None:
        ask = "select run, name, size, mtime, inode from file"
        known = {(run, name): seen for run, name, *seen in self._connection.execute(ask)}
        there: dict[tuple[str, str], tuple[Path, list[int]]] = {}
        for run in listing(self.root):
            for name in run.episode_names():
                path = run.episodes_path(name)
                with suppress(FileNotFoundError):
                    there[run.id, name] = path, _seen(path)
        gone = known.keys() - there.keys()
        if gone:
            with self._transaction():
                for key in gone:
                    self._forget(*key)
        new = {key: (path, seen[0]) for key, (path, seen) in there.items() if known.get(key) != seen}
        total, done = sum(size for _, size in new.values()), 0
        for key, (path, size) in sorted(new.items()):
            for read in self._read(*key, path):
                if progress:
                    progress(done + min(read, size), total)
            done += size

    def _forget(self, run: str, name: str) -> None:
        """Drop a file's rows and answers."""
        connection = self._connection
        found = connection.execute("select id from file where run = ? and name = ?", (run, name)).fetchone()
        if found:
            for (block,) in connection.execute("select id from block where file = ?", found).fetchall():
                connection.execute("delete from answer where rowid between ? and ?", _numbers(block))
            connection.execute("delete from block where file = ?", found)
            connection.execute("delete from file where id = ?", found)

    def _read(self, run: str, name: str, path: Path) -> Iterator[int]:
        """Read a file from where the index stands to its last whole line, a transaction a batch; yields bytes read."""
        more = True
        while more:
            with self._transaction():
                try:
                    read, more = self._read_batch(run, name, path)
                except OSError as error:
                    self._forget(run, name)
                    # A file may be removed, or compressed, after the folder was listed.
                    if not isinstance(error, FileNotFoundError):
                        problem = f"cannot read {path}: {error.strerror}; its episodes are left out"
                        row = self._begin(run, name, problem)
                        # A size that no file has, so that it is tried again at the next refresh.
                        self._connection.execute("update file set size = -1 where id = ?", row[:1])
                    return
            yield read

    def _begin(self, run: str, name: str, problem: str = "") -> tuple[Any, ...]:
        """The new row of a file of which nothing is read yet."""
        return self._connection.execute(
            "insert into file (run, name, read, episodes, problem) values (?, ?, 0, 0, ?) returning "
            "id, size, mtime, inode, read, episodes, tail",
            (run, name, problem),
        ).fetchone()

    def _read_batch(self, run: str, name: str, path: Path) -> tuple[int, bool]:
        """Read a batch of episodes; returns the bytes read of the file so far, and whether there are more.

        A compressed file is read as a whole, from its beginning.

        Raises:
            OSError: the file is gone or cannot be opened.
        """
        seen, packed = _seen(path), path.suffix == ".gz"
        row = self._connection.execute(
            "select id, size, mtime, inode, read, episodes, tail from file where run = ? and name = ?", (run, name)
        ).fetchone()
        if row and list(row[1:4]) == seen:
            return row[4], False  # another process has read it
        with _opened(path) as handle:
            if row is None or packed or not _has_grown(handle, row, seen):
                self._forget(run, name)
                row = self._begin(run, name)
            number, *_, read, episodes, _ = row
            handle.seek(read)
            reader = Reader(self._word, run, name, handle, read, episodes, path)
            more = reader.read(whole=packed)
            tail = "" if packed else _tail(handle, reader.at)
        if reader.rows:
            self._add(number, reader)
        # While there is more, the file counts as not read: the next batch finds it changed.
        size, mtime, inode = (-1, -1, seen[2]) if more else seen
        self._connection.execute(
            "update file set size = ?, mtime = ?, inode = ?, read = ?, episodes = ?, tail = ?, "
            "problem = case when problem = '' then ? else problem end where id = ?",
            (size, mtime, inode, reader.at, reader.episode, tail, reader.problem, number),
        )
        return reader.at, more

    def _add(self, file: int, reader: Reader) -> None:
        values = (file, bytes(reader.rows), len(reader.answers))
        ask = "insert into block (file, rows, answers) values (?, ?, ?) returning id"
        (block,) = self._connection.execute(ask, values).fetchone()
        first, _ = _numbers(block)
        texts = ((first + number, text) for text, number in reader.answers.items())
        self._connection.executemany("insert into answer (rowid, text) values (?, ?)", texts)

    def _word(self, text: str) -> int:
        """The number of a word, a new one if it was not seen before."""
        found = self._connection.execute("select id from word where text = ?", (text,)).fetchone()
        if found:
            return found[0]
        # From 0 and without gaps, so that they are places in a list.
        ask = "insert into word (id, text) values ((select count(*) from word), ?) returning id"
        return self._connection.execute(ask, (text,)).fetchone()[0]


def cache_folder() -> Path:
    """Where indexes lie: the user's cache folder, or a temporary one where that cannot be written."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "labkit" / "index"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    owner = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"labkit-{owner}" / "index"


_ELSEWHERE = "name another cache folder with the environment variable XDG_CACHE_HOME"


def read_record(run: Run, name: str, offset: int, length: int) -> bytes:
    """A line of an episode file by its offset.

    Raises:
        OSError: the file is gone or cannot be read.
        EOFError, zlib.error: it is compressed, and cut short or damaged.
    """
    with _opened(run.episodes_path(name)) as handle:
        handle.seek(offset)
        return handle.read(length)


def _opened(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _seen(path: Path) -> list[int]:
    """Size, time of the last change and inode, by which a change is noticed.

    Raises:
        FileNotFoundError: the file is gone.
    """
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]


def _has_grown(handle: BinaryIO, row: tuple[Any, ...], seen: list[int]) -> bool:
    """Whether a file still begins with what was read of it."""
    _, _, _, inode, read, _, tail = row
    return inode == seen[2] and seen[0] >= read and _tail(handle, read) == tail


def _tail(handle: BinaryIO, end: int) -> str:
    """A digest of the bytes in front of an offset."""
    start = max(0, end - CHECKED)
    handle.seek(start)
    return hashlib.sha256(handle.read(end - start)).hexdigest()


def _numbers(block: int) -> tuple[int, int]:
    """The first and the last number that an answer of a block can have."""
    return block * BLOCK, (block + 1) * BLOCK - 1
