"""Open the app in the browser.

examples:
  labkit app
  labkit app --player runs/mine/checkpoints/step-400 --player expert
  labkit app --host 0.0.0.0 --auth me:secret
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
        help="offer this player too; any that `labkit play` takes",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=7860, help="port (default: 7860, or a free one)")
    parser.add_argument("--auth", metavar="USER:PASSWORD", help="ask for these; needed on an address others can reach")


def run(args: argparse.Namespace) -> int:
    if not 1 <= args.port <= 65535:
        raise UsageError(f"--port is a number from 1 to 65535, not {args.port}")
    make_importable()
    from app.main import run as run_app

    run_app(args.players, host=args.host, auth=args.auth, port=args.port)
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
