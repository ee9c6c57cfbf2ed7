"""Write data, stored episodes and results to files that other programs read.

examples:
  labkit export data gp-l --episodes 5000 --out gp-l.jsonl            the expert's dialogues, one record a line
  labkit export data virl-l --format llava --out virl-l.json          the same in the authors' layout
  labkit export data gp-l --mistakes 4 --out revised.parquet          wrong answers and feedback first
  labkit export deals gp-vl --suite rule-ood --split dev --out dev.parquet    prompts, pictures, answers
  labkit export episodes eval-gp-l --out played.parquet               stored episodes, one a row
  labkit export episode eval-gp-l/id/17 --out wrong.md                one episode: .md, .html, .png or .json
  labkit export eval eval-gp-l --out measures.csv                     every number of an evaluation with its interval
  labkit export inspect eval-gp-l --out logs                          a log of inspect_ai for each file of episodes
  labkit export site eval-gp-l --out played                           pages to browse, which need no server

data and deals take a CELL, the others a RUN: the beginning or the end of an id is enough. An episode is
RUN/NAME/NUMBER, as `labkit runs query` shows them; NAME is a suite's, as a rule. A table's kind is the file's ending:
.jsonl, .parquet and, where there are no lists, .csv. docs/interop.md has the columns. `data:` of a fine-tuning config
reads data back.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.commands import common
from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.runs import Run

FORMATS = ("messages", "llava")
_DEALT = ("episodes", "suite", "split", "seed")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", metavar="KIND", help="; ".join(f"{name}: {kind.help}" for name, kind in KINDS.items()))
    parser.add_argument("what", metavar="CELL|RUN", help="a cell, a run, or RUN/NAME/NUMBER")
    parser.add_argument(
        "--out", metavar="FILE", required=True, help="the file to write; of inspect and site, the folder"
    )
    parser.add_argument("--runs", metavar="DIR", default="runs", help="folder of the runs (default: runs)")
    dealt = parser.add_argument_group("what is dealt, of data and deals")
    dealt.add_argument("--episodes", type=common.count, metavar="N", help="how many (default: 1000)")
    dealt.add_argument("--suite", help="whose rule is asked (default: id)")
    dealt.add_argument("--split", help="what is dealt (default: train)")
    dealt.add_argument("--seed", type=int, help="of the deals (default: 0)")
    data = parser.add_argument_group("the expert's dialogues, of data")
    data.add_argument("--format", metavar="F", help=f"{' or '.join(FORMATS)} (default: messages)")
    data.add_argument(
        "--solutions", type=common.count, metavar="N", help="each answer is one of this many simplest (default: 2)"
    )
    data.add_argument(
        "--mistakes",
        type=_whole,
        metavar="N",
        help="up to this many wrong answers, with feedback, come before the right one (default: 0)",
    )
    data.add_argument(
        "--prompts", type=common.count, metavar="N", help="how many variants of the prompt there are (default: 1)"
    )
    stored = parser.add_argument_group("which stored episodes, of episodes, inspect and site")
    stored.add_argument("--name", metavar="NAME,NAME", help="of a run's episode files, such as id (default: all)")
    stored.add_argument("--limit", type=common.count, metavar="N", help="episodes of each file, at most (default: all)")
    common.add_json(parser)


def _whole(text: str) -> int:
    """A whole number from 0, as an option's type."""
    return 0 if text == "0" else common.count(text)


def run(args: argparse.Namespace) -> int:
    kind = KINDS[common.known("kind of export", args.kind, KINDS)]
    for option in sorted({option for other in KINDS.values() for option in other.options}):
        if option not in kind.options and getattr(args, option) is not None:
            takes = ", ".join(f"--{name}" for name in kind.options) or "none of them"
            raise UsageError(f"--{option} is not an option of {args.kind}; it takes {takes}")
    counts = kind.write(args)
    if args.json:
        common.emit({"file": args.out, **counts})
    else:
        print(args.out)
    return 0


def _data(args: argparse.Namespace) -> dict[str, Any]:
    from labkit.interop import rows, tables
    from labkit.training.sft.data import expert_dialogues, message_record, write

    layout = common.known("format", args.format or FORMATS[0], FORMATS)
    table = Path(args.out).suffix == ".parquet"
    if table and layout != FORMATS[0]:
        raise UsageError(f"a .parquet file is in the format {FORMATS[0]}; leave --format out")
    dealt = _dealt(args)
    dialogues = expert_dialogues(
        args.what,
        dealt.pop("episodes"),
        **dealt,
        solutions=args.solutions or 2,
        mistakes=args.mistakes or 0,
        prompts=args.prompts or 1,
    )
    if table:
        tables.write(args.out, map(message_record, dialogues), rows.DIALOGUES)
    else:
        write(args.out, dialogues, layout)
    answers = sum(len(dialogue.trained_turns) for dialogue in dialogues)
    return {"format": layout, "dialogues": len(dialogues), "answers": answers}


def _deals(args: argparse.Namespace) -> dict[str, Any]:
    from labkit.envs import game
    from labkit.interop import rows, tables

    dealt = _dealt(args)
    count, columns = dealt.pop("episodes"), rows.deal_columns(args.what)
    tasks = game(args.what).tasks(dealt.pop("suite"), dealt.pop("split"), **dealt)
    return {"deals": tables.write(args.out, map(rows.deal_row, islice(tasks, count)), columns)}


def _dealt(args: argparse.Namespace) -> dict[str, Any]:
    """The cell checked, and what is dealt."""
    cell = common.cell_of(args.what)
    return {
        "episodes": args.episodes or 1000,
        "suite": common.suite_of(cell, args.suite or "id"),
        "split": common.split_of(cell, args.split or "train"),
        "seed": args.seed or 0,
    }


def _episodes(args: argparse.Namespace) -> dict[str, Any]:
    from labkit.interop import rows, tables

    run, names = _stored(args)
    found = (row for name in names for row in islice(rows.episode_rows(run, [name]), args.limit))
    return {"episodes": tables.write(args.out, found, rows.EPISODES)}


def _episode(args: argparse.Namespace) -> dict[str, Any]:
    from labkit.interop import documents
    from labkit.views.tokens import StoredTokens

    run, name, number = _place(args)
    episode = next(islice(run.episodes(name), number, None), None)
    if episode is None:
        raise UsageError(f"{name} of {run.id} has no episode {number}; they are counted from 0")
    pages = Path(args.out).suffix in (".html", ".png")
    documents.write(args.out, episode, StoredTokens(run).of(episode) if pages else ())
    return {"run": run.id, "name": name, "number": number, "episode": episode.task.id}


def _eval(args: argparse.Namespace) -> dict[str, Any]:
    from labkit.interop import rows, tables
    from labkit.runs import find

    return {"measures": tables.write(args.out, rows.measure_rows(find(args.what, args.runs)), rows.MEASURES)}


def _inspect(args: argparse.Namespace) -> dict[str, Any]:
    try:
        from labkit.interop import inspect_log
    except ImportError:
        raise UsageError("a log of inspect_ai needs the package: `pip install inspect-ai`") from None

    run, names = _stored(args)
    files = inspect_log.write(args.out, run, names, args.limit)
    return {"files": [str(file) for file in files]}


def _site(args: argparse.Namespace) -> dict[str, Any]:
    from labkit.interop import site

    run, names = _stored(args)
    return {"episodes": site.write(args.out, run, names, args.limit)}


def _stored(args: argparse.Namespace) -> tuple[Run, list[str]]:
    """The run, and the names of its episode files that were asked for."""
    from labkit.runs import find

    run = find(args.what, args.runs)
    there = run.episode_names()
    if not there:
        raise UsageError(f"{run.id} has no stored episodes; name another run")
    asked = [name.strip() for name in args.name.split(",")] if args.name else there
    return run, [common.known(f"episode file of {run.id}", name, there) for name in asked]


def _place(args: argparse.Namespace) -> tuple[Run, str, int]:
    """The run, the name of the episode file and the number of ``RUN/NAME/NUMBER``; NAME may be left out where there is
    one file."""
    from labkit.runs import find

    *before, number = args.what.split("/")
    if not before or not (number.isascii() and number.isdigit()):
        raise UsageError(f"{args.what!r} names no episode; write RUN/NAME/NUMBER, such as eval-gp-l/id/17")
    for run_is, names in _splits(before):
        try:
            run = find(run_is, args.runs)
        except UsageError:
            continue
        there = run.episode_names()
        if not names and len(there) > 1:
            raise UsageError(f"{run.id} has several episode files; write one of {', '.join(there)} before the number")
        (name,) = names or there[:1] or ("",)
        return run, common.known(f"episode file of {run.id}", name, there), int(number[:9])
    raise UsageError(
        f"no run {'/'.join(before[:-1] or before)} in {args.runs}/; `labkit runs list` shows what is there"
    )


def _splits(before: list[str]) -> Iterator[tuple[str, list[str]]]:
    """What may be the run, and the name of the file or nothing."""
    yield "/".join(before), []
    if len(before) > 1:
        yield "/".join(before[:-1]), before[-1:]


@dataclass(frozen=True)
class Kind:
    """A kind of export."""

    help: str
    write: Callable[[argparse.Namespace], Mapping[str, Any]]
    """Writes what the arguments ask for; returns what ``--json`` tells of it."""
    options: tuple[str, ...] = ()


_STORED = ("name", "limit")
KINDS = {
    "data": Kind("the expert's dialogues", _data, (*_DEALT, "format", "solutions", "mistakes", "prompts")),
    "deals": Kind("prompts and an answer to each", _deals, _DEALT),
    "episodes": Kind("a run's episodes as a table", _episodes, _STORED),
    "episode": Kind("one episode as a document", _episode),
    "eval": Kind("an evaluation's measures as a table", _eval),
    "inspect": Kind("a run's episodes as logs of inspect_ai", _inspect, _STORED),
    "site": Kind("a run's episodes as pages", _site, _STORED),
}
