"""List the runs, or show one.

examples:
  labkit runs list
  labkit runs show 20261121-101502-eval-gp-l     the beginning or the end of an id is enough
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from labkit.commands import common
from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.runs import Run


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", choices=("list", "show"), default="list")
    parser.add_argument("id", nargs="?", metavar="RUN", help="the run to show")
    common.add_out(parser)
    common.add_json(parser)


def run(args: argparse.Namespace) -> int:
    from labkit.runs import find, listing

    if args.action == "show":
        if args.id is None:
            raise UsageError("name the run to show; `labkit runs list` shows what is there")
        shown = _details(find(args.id, args.out))
        if args.json:
            common.emit(shown)
        else:
            print(_text(shown))
        return 0
    if args.id is not None:
        raise UsageError(f"list takes no run; to see one, `labkit runs show {args.id}`")
    rows = [_line(found) for found in listing(args.out)]
    if args.json:
        common.emit(rows)
    elif rows:
        # Of a run that did not end well, why; else how far it came.
        told = [{**row, "last": row["why"] or row["last"]} for row in rows]
        print(common.table(told, ("id", "status", "player", "last")))
    else:
        common.say(f"no runs in {args.out}/")
    return 0


def _line(found: Run) -> dict[str, Any]:
    last = found.metrics()[-1:]
    shown = " ".join(f"{k}={v:.4g}" for k, v in (last[0] if last else {}).items() if isinstance(v, int | float))
    config, status = found.config or {}, found.status
    return {
        "id": found.id,
        "status": status["status"],
        "player": config.get("player"),
        "last": shown,
        "why": _why(status),
    }


def _why(status: dict[str, Any]) -> str | None:
    """Why a run failed or was stopped, and its last good checkpoint; None where its status does not say."""
    said = status.get("reason") or status.get("error")
    good = status.get("last_good")
    return f"{said} (last good checkpoint: {good})" if good else said


def _details(found: Run) -> dict[str, Any]:
    results = found.path / "results.json"
    last = found.metrics()[-1:]
    return {
        "id": found.id,
        "path": str(found.path),
        "status": found.status,
        "config": found.config,
        "checkpoints": list(found.checkpoints()),
        "episodes": found.episode_names(),
        "metrics": last[0] if last else None,
        "results": json.loads(results.read_text(encoding="utf-8")) if results.is_file() else None,
    }


def _text(shown: dict[str, Any]) -> str:
    """The details as YAML, without what is empty."""
    import yaml

    return common.printable(yaml.safe_dump({k: v for k, v in shown.items() if v}, sort_keys=False, allow_unicode=True))
