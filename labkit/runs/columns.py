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
import json
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from labkit.envs.games import row_of
from labkit.errors import UsageError
from labkit.runs.store import Run, listing

VERSION = 1
"""Of the index file; counted up whenever a column or a table changes."""

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

ATTEMPTS = 50_000
"""Of a block, about: what one transaction adds."""
BLOCK = 1 << 20
"""Answers of block B are numbered from B * BLOCK."""
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


class Block(NamedTuple):
    """The rows of a batch of episodes, and how many answers they have between them."""

    rows: np.ndarray
    answers: int


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
    def state(self) -> tuple[int, int]:
        """Changes whenever this or another process has changed the index."""
        connection = self._connection
        return connection.execute("pragma data_version").fetchone()[0], connection.total_changes

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
        text = _stored(text)
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
        there = {(run.id, name): run.episodes_path(name) for run in listing(self.root) for name in run.episode_names()}
        gone = known.keys() - there.keys()
        if gone:
            with self._transaction():
                for run, name in gone:
                    self._forget(run, name)
        new = {key: path for key, path in there.items() if (seen := _seen(path)) and known.get(key) != seen}
        total, done = sum(path.stat().st_size for path in new.values()), 0
        for (run, name), path in sorted(new.items()):
            for read in self._read(run, name, path):
                if progress:
                    progress(done + read, total)
            done += path.stat().st_size

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
                seen = _seen(path)
                row = self._connection.execute(
                    "select id, size, mtime, inode, read, episodes, tail from file where run = ? and name = ?",
                    (run, name),
                ).fetchone()
                if row and list(row[1:4]) == seen:
                    return  # another process has read it
                with _opened(path) as handle:
                    if row is None or path.suffix == ".gz" or not _has_grown(handle, row, seen):
                        self._forget(run, name)
                        row = self._connection.execute(
                            "insert into file (run, name, read, episodes, problem) values (?, ?, 0, 0, '') returning "
                            "id, size, mtime, inode, read, episodes, tail",
                            (run, name),
                        ).fetchone()
                    number, *_, read, episodes, _ = row
                    handle.seek(read)
                    reader = _Reader(self._word, run, name, handle, read, episodes, path)
                    more = reader.read(whole=path.suffix == ".gz")
                    if reader.rows:
                        self._add(number, reader)
                    # While there is more, the file counts as not read: the next batch finds it changed.
                    size, mtime, inode = (-1, -1, seen[2]) if more else seen
                    self._connection.execute(
                        "update file set size = ?, mtime = ?, inode = ?, read = ?, episodes = ?, tail = ?, "
                        "problem = case when problem = '' then ? else problem end where id = ?",
                        (
                            size,
                            mtime,
                            inode,
                            reader.at,
                            reader.episode,
                            _tail(handle, reader.at),
                            reader.problem,
                            number,
                        ),
                    )
            yield reader.at

    def _add(self, file: int, reader: _Reader) -> None:
        values = (file, bytes(reader.rows), len(reader.answers))
        block = self._connection.execute("insert into block (file, rows, answers) values (?, ?, ?)", values).lastrowid
        first, _ = _numbers(block)
        texts = ((first + number, text) for text, number in reader.answers.items())
        self._connection.executemany("insert into answer (rowid, text) values (?, ?)", texts)

    def _word(self, text: str) -> int:
        """The number of a word, a new one if it was not seen before."""
        found = self._connection.execute("select id from word where text = ?", (text,)).fetchone()
        if found:
            return found[0]
        # From 0 and without gaps, so that they are places in a list.
        ask = "insert into word (id, text) values ((select count(*) from word), ?)"
        return self._connection.execute(ask, (text,)).lastrowid


class _Reader:
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
            self._words[text] = self._ask(_stored(text))
        return self._words[text]

    def read(self, *, whole: bool) -> bool:
        """Read a batch, or the whole file; whether there is more."""
        for line in self._handle:
            if not line.endswith(b"\n"):
                return False  # still being written
            try:
                self._take(json.loads(line), len(line))
            except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
                self.problem = (
                    self.problem or f"{self._path}, line {self.episode + 1} is not an episode; it is left out"
                )
            self.at += len(line)
            self.episode += 1
            if len(self.rows) >= ATTEMPTS * ROW.itemsize and not whole:
                return True
        return False

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
                answer = self.answers.setdefault(_stored(attempt["answer"]), len(self.answers))
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
    """A line of an episode file by its offset."""
    with _opened(run.episodes_path(name)) as handle:
        handle.seek(offset)
        return handle.read(length)


def _opened(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _seen(path: Path) -> list[int] | None:
    """Size, time of the last change and inode, by which a change is noticed; None if the file is gone."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
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


def _deal(task: Mapping[str, Any]) -> int:
    """A number for the deal under its rule, the same in every run: of :attr:`labkit.episode.Task.id`."""
    place = [task[key] for key in ("cell", "suite", "split", "seed", "index")]
    asked = json.dumps([place, task["deal"], task["rule"]], sort_keys=True).encode()
    return int.from_bytes(hashlib.sha256(asked).digest()[:8], "big")


def _stored(text: str) -> str:
    """Text that SQLite can carry: a lone surrogate becomes its escape, and so does a zero, at which it would end."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
