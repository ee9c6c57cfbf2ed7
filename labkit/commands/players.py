"""List who can play: bundled models, runs, and the players that are not models.

examples:
  labkit players
  labkit players --json
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from labkit.commands import common


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_out(parser)
    common.add_json(parser)


def run(args: argparse.Namespace) -> int:
    from labkit.players import registry

    found = registry.players(runs=args.out)
    rows = [{name: _plain(value) for name, value in asdict(info).items()} for info in found]
    if args.json:
        common.emit(rows)
        return 0
    print(common.table(rows, ("spec", "kind", "summary")))
    common.say(f"a player is {registry.forms()}")
    return 0


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float | dict | list | None) else str(value)
