"""Time the lab beside the plain way of doing the same, in the same run.

examples:
  labkit bench
  labkit bench solver verifier
  labkit bench play --json

Ours and the plain way take turns; rates are medians over the rounds, a ratio the median of the rounds'
ratios.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from labkit.commands import common

BENCHES = ("solver", "verifier", "play", "rollout", "train", "views")
"""``labkit.bench.NAME`` has ``rows(rounds)``."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="BENCH", help=f"any of {', '.join(BENCHES)} (default: all)")
    parser.add_argument(
        "--rounds", type=common.count, default=3, metavar="N", help="rounds of each comparison (default: 3)"
    )
    common.add_json(parser)


def run(args: argparse.Namespace) -> int:
    from labkit.bench.timing import machine

    names = [common.known("bench", name, BENCHES) for name in args.names] or BENCHES
    rows = []
    for name in names:
        common.say(f"timing {name} ...")
        rows += import_module(f"labkit.bench.{name}").rows(args.rounds)
    document = {"machine": machine(), "rows": [row.to_dict() for row in rows]}
    if args.json:
        common.emit(document)
    else:
        print(_report(document))
    return 0


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
