"""List the runs, show one, query their episodes, or look after runs on a host.

examples:
  labkit runs list
  labkit runs show 20261121-101502-eval-gp-l     the beginning or the end of an id is enough
  labkit runs query --by category                how often each verdict occurs, over all runs
  labkit runs query eval-gp-l --category wrong_value --tag arith_error --limit 5
  labkit runs query --cell gp-l --text "(3-1)*6" --sort tokens --descending
  labkit runs query --suite rule-ood --old-rule --count
  labkit runs query eval-gp-l --recovered --csv recovered.csv
  labkit runs list --to h800                     the runs that were sent there
  labkit runs follow gp-l-rl --to h800           its metrics as they come, through lost connections
  labkit runs stop gp-l-rl --to h800             as Ctrl-C does; resume continues it
  labkit runs fetch gp-l-rl --to h800            the run's folder, checkpoints included

Name runs before options. A query has a row for each stored answer (attempt); --episodes shows one for each episode.
The first query reads all episodes, which takes a while; later ones read what is new. Fields: run, name, cell, suite,
split, player, status, category, tag, trait, note_tag, success, recovered, old_rule, episode, position, attempt,
reward, total, turns, tokens.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from labkit.commands import common, runs_query, runs_sent
from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.runs import Run

ACTIONS = ("list", "show", "query", *runs_sent.ACTIONS)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", choices=ACTIONS, default="list")
    parser.add_argument("ids", nargs="*", metavar="RUN", help="the run, or those to query (default: all)")
    runs_sent.configure(parser)
    runs_query.configure(parser)
    common.add_out(parser)
    common.add_json(parser)


def run(args: argparse.Namespace) -> int:
    if args.to and args.action in ("show", "query"):
        raise UsageError(f"{args.action} reads runs that are here; fetch them first: `labkit runs fetch RUN --to HOST`")
    if args.action == "query":
        return runs_query.run(args)
    given = runs_query.given(args)
    if given:
        raise UsageError(f"{given[0]} is an option of a query: `labkit runs query`")
    if args.action in runs_sent.ACTIONS or (args.action == "list" and args.to):
        return runs_sent.run(args)
    return _show(args) if args.action == "show" else _list(args)


def _show(args: argparse.Namespace) -> int:
    from labkit.runs import find

    if not args.ids:
        raise UsageError("name the run to show; `labkit runs list` shows what is there")
    if len(args.ids) > 1:
        raise UsageError(f"show takes one run, not {len(args.ids)}")
    shown = _details(find(args.ids[0], args.out))
    if args.json:
        common.emit(shown)
    else:
        print(_text(shown))
    return 0


def _list(args: argparse.Namespace) -> int:
    from labkit.runs import listing

    if args.ids:
        raise UsageError(f"list takes no run; to see one, `labkit runs show {args.ids[0]}`")
    rows = [_line(found) for found in listing(args.out)]
    if args.json:
        common.emit(rows)
    elif rows:
        # Of a run that did not end well, why; else how far it came.
        shown = [{**row, "last": row["why"] or row["last"]} for row in rows]
        print(common.table(shown, ("id", "status", "player", "last")))
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
    reason = status.get("reason") or status.get("error")
    good = status.get("last_good")
    return f"{reason} (last good checkpoint: {good})" if good else reason


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
