"""Time the lab beside the plain way of doing the same, in the same run.

examples:
  labkit bench
  labkit bench solver verifier runs
  labkit bench play --json

Ours and the plain way take turns. Rates are medians over the rounds, a ratio is the median of the rounds' ratios. Each
figure is printed when it is done; Ctrl-C prints a table of those.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import count
from types import ModuleType
from typing import TYPE_CHECKING, Any

from labkit.commands import common
from labkit.counting import counted
from labkit.progress import Progress

if TYPE_CHECKING:
    from labkit.bench.timing import Row

BENCHES = ("solver", "verifier", "runs", "play", "layers", "rollout", "train", "views")
"""``labkit.bench.NAME`` has ``rows(rounds)``, which yields each row as it is timed, and ``figures()``, their number."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="BENCH", help=f"any of {', '.join(BENCHES)} (default: all)")
    parser.add_argument(
        "--rounds", type=common.count, default=3, metavar="N", help="rounds of each comparison (default: 3)"
    )
    common.add_json(parser)


def run(args: argparse.Namespace) -> int:
    names = [common.known("bench", name, BENCHES) for name in args.names] or BENCHES
    modules = [import_module(f"labkit.bench.{name}") for name in dict.fromkeys(names)]
    total = sum(module.figures() for module in modules)
    rows: list[Row] = []
    try:
        for row in _timed(modules, args.rounds, total):
            rows.append(row)
    except KeyboardInterrupt:
        if rows:
            _show(rows, args)
        raise KeyboardInterrupt(f"stopped; timed {len(rows)} of {counted(total, 'figure')}") from None
    _show(rows, args)
    return 0


def _timed(modules: Sequence[ModuleType], rounds: int, total: int) -> Iterator[Row]:
    """Each row as it is timed, printed with the time left."""
    bar = Progress("figures", total)
    done = count(1)
    try:
        for module in modules:
            for row in module.rows(rounds):
                bar.update(next(done))
                bar.say(f"{row.bench}: {row.what}: {row.rate:,.1f} {row.unit}, {row.ratio:.2f}x of {row.plain}")
                yield row
    finally:
        bar.close()


def _show(rows: Sequence[Row], args: argparse.Namespace) -> None:
    from labkit.bench.timing import machine

    document = {"machine": machine(), "rows": [row.to_dict() for row in rows]}
    if args.json:
        common.emit(document)
    else:
        print(_report(document))


def _report(document: dict[str, Any]) -> str:
    shown = [
        {
            "bench": row["bench"],
            "what": row["what"],
            "rate": f"{row['rate']:,.1f}",
            "unit": row["unit"],
            "plain": f"{row['plain_rate']:,.1f}",
            "ratio": f"{row['ratio']:.2f}x",
            "peak MiB": row["peak_mib"] and round(row["peak_mib"]),
            "the plain way": row["plain"],
        }
        for row in document["rows"]
    ]
    lines = [common.table(shown, shown[0])]
    rounds = document["rows"][0]["rounds"]
    lines.append(f"medians of {rounds} rounds, both ways by turns; peak: all that the process held while ours ran")
    lines.append(", ".join(f"{name} {value}" for name, value in document["machine"].items() if value is not None))
    return "\n".join(lines)
