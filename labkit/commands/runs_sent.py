"""``labkit runs list|follow|stop|fetch|resume --to HOST``: runs that were sent to a host."""

from __future__ import annotations

import argparse
import json
from typing import Any

from labkit.commands import common
from labkit.errors import UsageError

ACTIONS = ("follow", "stop", "fetch", "resume")
"""What needs a host, and one run of it."""


def configure(parser: argparse.ArgumentParser) -> None:
    common.add_host(parser, "the host that the runs were sent to")


def run(args: argparse.Namespace) -> int:
    from labkit.dispatch import host as hosts
    from labkit.dispatch import remote

    if args.to is None:
        raise UsageError(f"name the host with --to, as in `labkit runs {args.action} RUN --to local`")
    host = hosts.load(args.to)
    if args.action == "list":
        return _list(remote.listing(host), args)
    if len(args.ids) != 1:
        raise UsageError(f"name one run; `labkit runs list --to {args.to}` shows those on the host")
    sent = remote.SentRun(host, args.ids[0], args.out)
    if args.action == "follow":
        return _follow(sent, args)
    if args.action == "fetch":
        sent.fetch()
    elif args.action == "stop":
        sent.stop()
    else:
        sent.resume()
    if args.json:
        common.emit({**sent.status, "path": str(sent.run.path)})
    else:
        print(sent.run.path if args.action == "fetch" else _line(sent.status))
    return 0


def _list(states: list[dict[str, Any]], args: argparse.Namespace) -> int:
    if args.json:
        common.emit(states)
    elif states:
        print(common.table(states, ("run", "status", "step", "reason")))
    else:
        common.say(f"no runs were sent to {args.to}")
    return 0


def _follow(sent: Any, args: argparse.Namespace) -> int:
    for metrics in sent.follow(say=common.say):
        if not args.json:
            print(json.dumps(metrics), flush=True)
    if args.json:
        last = sent.run.metrics()[-1:] if sent.run.path.is_dir() else []
        common.emit({**sent.status, "path": str(sent.run.path), "metrics": last[0] if last else None})
    else:
        common.say(_line(sent.status))
    return 0 if sent.status["status"] == "finished" else 1


def _line(status: dict[str, Any]) -> str:
    why = f": {status['reason']}" if status["reason"] else ""
    return f"{status['run']} {status['status']}{why}"
