"""Open the app in the browser.

examples:
  labkit app
  labkit app --player runs/mine/checkpoints/step-400 --player expert
  labkit app --player before=tiny:gp-l/init --player after=run:mine
  labkit app --host 0.0.0.0 --auth-file password.txt
  labkit app --class --host 0.0.0.0 --auth-file password.txt
                                   the Class tab asks, phones vote at /class without the password
  labkit app --notes runs          the Inspect tab may write notes into the runs of this folder
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from labkit.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--player",
        metavar="P",
        dest="players",
        action="extend",
        nargs="+",
        default=[],
        help="offer this player too; any that `labkit play` takes, or NAME=P to show it under a name",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=7860, help="port (default: 7860, or a free one)")
    parser.add_argument(
        "--auth",
        metavar="USER:PASSWORD",
        help="ask for these; other users of this machine can see them in the list of processes",
    )
    parser.add_argument(
        "--auth-file",
        metavar="FILE",
        help="ask for the USER:PASSWORD in the first line of a file; LABKIT_AUTH in the environment does the same",
    )
    parser.add_argument(
        "--notes",
        metavar="DIR",
        action="append",
        default=[],
        help="show the runs of this folder in Inspect, and let visitors write notes and tags beside them",
    )
    parser.add_argument(
        "--class",
        dest="asks",
        action="store_true",
        help="add a Class tab that asks for predictions, and a page /class where phones vote without the password",
    )


def run(args: argparse.Namespace) -> int:
    if not 1 <= args.port <= 65535:
        raise UsageError(f"--port must be a whole number from 1 to 65535, not {args.port}")
    make_importable()
    from app.main import run as run_app

    run_app(
        args.players,
        host=args.host,
        auth=args.auth,
        auth_file=args.auth_file,
        port=args.port,
        notes=args.notes,
        asks=args.asks,
        debug=args.debug,
    )
    return 0


def make_importable() -> None:
    """Put the clone on the path. The app is no part of the wheel, where a package called `app` would meet others.

    Raises:
        UsageError: labkit is installed without its clone.
    """
    clone = Path(__file__).resolve().parents[2]
    if not (clone / "pyproject.toml").is_file():
        raise UsageError("the app is not installed with labkit; clone the repository and run `make app` there")
    if str(clone) not in sys.path:
        sys.path.insert(0, str(clone))
