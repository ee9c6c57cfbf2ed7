"""``labkit runs query``: rows, counts and files from the index of stored episodes."""

from __future__ import annotations

import argparse
import csv
import difflib
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.commands import common
from labkit.counting import counted
from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.runs.index import Index, Row, Selection, Unit

WORDS = ("cell", "suite", "split", "player", "status", "category", "tag", "trait", "note_tag")
SHOWN = ("run", "name", "episode", "position", "attempt", "category", "reward", "turns", "tokens", "answer")
"""Columns of the table; a file has all of them. Where somebody has tagged an episode, the tags are a column as well."""
PAGE = 20
"""Rows of a table, where --limit does not say."""
WIDTH = 60
"""Characters of an answer in a table."""
INDEXING = 2**26
"""Bytes still to be read from which on a bar is shown."""

OPTIONS = (
    *(f"--{name.replace('_', '-')}" for name in WORDS),
    *("--text", "--turns", "--recovered", "--old-rule", "--episodes"),
    *("--sort", "--descending", "--limit", "--count", "--by", "--csv", "--parquet"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    which = parser.add_argument_group("a query's conditions; of several values, one has to fit")
    helps = {
        "cell": "such as gp-l",
        "suite": "such as id or rule-ood",
        "split": "such as train, dev or test",
        "player": "by its full name",
        "status": "how the episode ended: success, exhausted, failed or open",
        "category": "the verdict: correct, or the first check that failed, such as wrong_value",
        "tag": "a failure tag, such as arith_error",
        "trait": "what the deal is like, such as face_cards:2, solutions:1 or steps:11",
        "note_tag": "a tag that somebody gave the episode in the app's Inspect tab",
    }
    for name in WORDS:
        which.add_argument(f"--{name.replace('_', '-')}", metavar="V,V", type=_values, help=helps[name])
    which.add_argument("--text", help="what the answer or the episode's note contains; case is ignored")
    which.add_argument("--turns", type=_range, metavar="MIN..MAX", help="answers in the episode: 2..5, 2.. or 3")
    which.add_argument("--recovered", action="store_true", help="right answers after a wrong one at their position")
    which.add_argument("--old-rule", action="store_true", help="wrong answers that are right under the other rule")
    what = parser.add_argument_group("what a query shows")
    what.add_argument("--episodes", action="store_true", help="one row for each episode: its first attempt that fits")
    what.add_argument("--sort", metavar="FIELD", help="order of the rows (default: the newest run first)")
    what.add_argument("--descending", action="store_true", help="the largest first")
    what.add_argument("--limit", type=common.count, metavar="N", help=f"rows at most (default: {PAGE}, in a file all)")
    what.add_argument("--count", action="store_true", help="the number of attempts and of episodes")
    what.add_argument("--by", metavar="FIELD", help="how many attempts and episodes have each value of a field")
    what.add_argument("--csv", metavar="FILE", help="write the rows to a CSV file")
    what.add_argument("--parquet", metavar="FILE", help="write the rows to a Parquet file (needs pyarrow)")


def given(args: argparse.Namespace) -> list[str]:
    """The options of a query that were given."""
    return [option for option in OPTIONS if getattr(args, option[2:].replace("-", "_"))]


def run(args: argparse.Namespace) -> int:
    from labkit.runs.columns import known_field

    if sum(map(bool, (args.count, args.by, args.csv, args.parquet))) > 1:
        raise UsageError("--count, --by, --csv and --parquet each show something else; give one of them")
    for field in filter(None, (args.by, args.sort)):
        known_field(field)
    if args.parquet:
        _pyarrow()
    runs, root = _runs(args)
    with _index(root) as index:
        words = {name: getattr(args, name) for name in WORDS}
        flags = {name: getattr(args, name) or None for name in ("recovered", "old_rule")}
        found = index.select(run=runs, text=args.text, turns=args.turns, **words, **flags)
        if not found.attempts:
            _hint(index, runs, words)
        _show(args, found)
    return 0


def _runs(args: argparse.Namespace) -> tuple[list[str] | None, Path]:
    """The ids of the runs that were named, and the folder in which they lie."""
    from labkit.runs import find

    if not args.ids:
        return None, Path(args.out)
    runs = [find(name, args.out) for name in args.ids]
    roots = {run.path.parent.resolve() for run in runs}
    if len(roots) > 1:
        raise UsageError(f"the runs lie in {len(roots)} folders; query one folder at a time, with --out DIR")
    return [run.path.resolve().name for run in runs], roots.pop()


def _index(root: Path) -> Index:
    """The index of a folder, brought up to date; a bar where that takes long."""
    from labkit.progress import Progress
    from labkit.runs.index import Index

    bar: Progress | None = None

    def progress(read: int, total: int) -> None:
        nonlocal bar
        if bar is None and total > INDEXING:
            common.say(f"reading the episodes in {root}/, once")
            bar = Progress("MB", total // 10**6)
        if bar:
            bar.update(read // 10**6)

    index = Index(root, progress=progress)
    if bar:
        bar.close()
    for problem in index.refresh():
        common.say(f"labkit: note: {problem}")
    return index


def _hint(index: Index, runs: Sequence[str] | None, words: dict[str, list[str] | None]) -> None:
    """Say which of the asked values do not occur at all, and which come near."""
    everything = index.select(run=runs)
    for name, wanted in words.items():
        stored = [facet.value for facet in everything.facet(name)]
        for value in wanted or ():
            if value not in stored:
                near = difflib.get_close_matches(value, stored, 1) or stored[:8]
                among = counted(everything.episodes, "episode")
                there = f"there is {', '.join(near)}" if near else "there is none"
                common.say(f"no {name} {value!r} among {among}; {there}")


def _show(args: argparse.Namespace, found: Selection) -> None:
    if args.count:
        counts = {"attempts": found.attempts, "episodes": found.episodes}
        if args.json:
            common.emit(counts)
        else:
            print(f"{counted(found.attempts, 'attempt')} of {counted(found.episodes, 'episode')}")
    elif args.by:
        rows = [facet._asdict() for facet in found.facet(args.by)][: args.limit]
        if args.json:
            common.emit({"field": args.by, "values": rows})
        else:
            print(common.table(({args.by: row.pop("value"), **row} for row in rows), (args.by, "attempts", "episodes")))
    else:
        _rows(args, found)


def _rows(args: argparse.Namespace, found: Selection) -> None:
    from labkit.runs.index import as_dict

    file = args.csv or args.parquet
    limit = args.limit or (None if file or args.json else PAGE)
    unit: Unit = "episode" if args.episodes else "attempt"
    rows = found.rows(sort=args.sort, descending=args.descending, limit=limit, unit=unit)
    if args.csv:
        _write_csv(args.csv, rows)
    elif args.parquet:
        _write_parquet(args.parquet, rows)
    if args.json:
        counts = {"attempts": found.attempts, "episodes": found.episodes}
        common.emit({**counts, "file": file} if file else {**counts, "rows": [as_dict(row) for row in rows]})
    elif file:
        print(file)
    else:
        if rows:
            tagged = ("note_tags",) if any(row.note_tags for row in rows) else ()
            print(common.table((_short(row) for row in rows), (*SHOWN[:-1], *tagged, SHOWN[-1])))
        attempts, episodes = counted(found.attempts, "attempt"), counted(found.episodes, "episode")
        common.say(f"{counted(len(rows), 'row')} of {attempts} in {episodes}")


def _short(row: Row) -> dict[str, Any]:
    """A row for a table: the answer on one line, cut."""
    cells = {name: getattr(row, name) for name in SHOWN}
    answer = " ".join(row.answer.split())
    return {
        **cells,
        "note_tags": " ".join(row.note_tags),
        "reward": f"{row.reward:g}",
        "answer": answer if len(answer) <= WIDTH else f"{answer[:WIDTH]}...",
    }


def _plain(row: Row) -> dict[str, Any]:
    """A row for a file: tags and traits as one text each."""
    return {k: " ".join(v) if isinstance(v, tuple) else v for k, v in asdict(row).items()}


def _write_csv(path: str, rows: Sequence[Row]) -> None:
    from labkit.runs.index import Row

    try:
        with Path(path).open("w", encoding="utf-8", newline="") as handle:
            writer = csv.DictWriter(handle, [field.name for field in fields(Row)])
            writer.writeheader()
            writer.writerows(map(_plain, rows))
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; name another file") from None


def _write_parquet(path: str, rows: Sequence[Row]) -> None:
    from labkit.runs.index import Row

    arrow, parquet = _pyarrow()
    plain = [_plain(row) for row in rows]
    types = {"str": arrow.string(), "int": arrow.int64(), "float": arrow.float64(), "bool": arrow.bool_()}
    schema = arrow.schema([(field.name, types.get(str(field.type), arrow.string())) for field in fields(Row)])
    try:
        parquet.write_table(arrow.Table.from_pylist(plain, schema=schema), path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}; name another file") from None


def _pyarrow() -> tuple[Any, Any]:
    """The modules that write Parquet.

    Raises:
        UsageError: they are not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UsageError("--parquet needs pyarrow: `pip install pyarrow`, or write --csv") from None
    return pyarrow, pyarrow.parquet


def _values(text: str) -> list[str]:
    """Values with commas between them."""
    return [value.strip() for value in text.split(",") if value.strip()]


def _range(text: str) -> tuple[int | None, int | None]:
    """A range of numbers, as argparse reads an option."""
    from labkit.runs.columns import range_of

    try:
        return range_of(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
