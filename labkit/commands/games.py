"""The options that belong to one game, and the tasks that they name."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from labkit.commands import common
from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.episode import Task

OWN = {"gp": ("cards", "faces", "target"), "virl": ("route", "actions", "walk", "data")}
"""The options of each game, by the first part of its cells' names."""
NAMING = ("cards", "route")
"""Those that name a task, rather than where one is dealt from."""


def add_options(parser: argparse.ArgumentParser, *, naming: bool) -> None:
    """Add the options of every game; with ``naming``, those that name a task too."""
    cards = parser.add_argument_group("GeneralPoints")
    streets = parser.add_argument_group("V-IRL")
    if naming:
        cards.add_argument("--cards", metavar='"3 3 8 8"', help="three to six ranks, in the order they are shown")
        streets.add_argument("--route", metavar="N", help="number (from 0) or id of a route in the suite and the split")
    cards.add_argument("--faces", metavar="RULE", help=f"{common.FACES_HELP} (default: the suite's)")
    cards.add_argument("--target", type=int, help="the number to make (default: 24)")
    streets.add_argument(
        "--actions",
        metavar="RULE",
        help="absolute or relative: what turn_direction takes (default: the suite's)",
    )
    streets.add_argument(
        "--walk",
        metavar="W",
        help="rail (default): wrong actions are not executed; free: they are, and where one stops counts",
    )
    streets.add_argument("--data", metavar="DIR", help="routes in the authors' layout (default: the embedded cities)")


def settings(args: argparse.Namespace, cell: str) -> dict[str, Any]:
    """What was given of the game's own options, and of those that every game has.

    Raises:
        UsageError: an option of another game was given, or the prompts cannot be read.
    """
    mine = cell.partition("-")[0]
    for game, names in OWN.items():
        for name in names:
            if game != mine and getattr(args, name, None) is not None:
                own = ", ".join(f"--{n}" for n in OWN[mine] if n in args)
                raise UsageError(f"--{name} is an option of another game; {cell} has {own}")
    names = (*(n for n in OWN[mine] if n not in NAMING), "attempts")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return given | {"prompts": common.read_prompts(args.prompts, cell)}


def task(args: argparse.Namespace) -> Task:
    """The task to play: the one that the arguments name, or the first of their suite, split and seed.

    Raises:
        UsageError: an argument cannot be.
    """
    from labkit.envs import game

    cell = common.cell_of(args.cell)
    chosen = settings(args, cell)
    if args.cards is not None:
        return _hand(args, cell, chosen)
    if args.route is not None:
        return _route(args, cell, chosen)
    suite, split = common.suite_of(cell, args.suite or "id"), common.split_of(cell, args.split or "all")
    return next(game(cell).tasks(suite, split, seed=args.seed, **chosen))


def _hand(args: argparse.Namespace, cell: str, chosen: dict[str, Any]) -> Task:
    from labkit.envs import game

    if args.suite or args.split:
        raise UsageError("--cards names the cards, so no suite or split deals them; leave one of the two out")
    return game(cell).task(hand=args.cards.replace(",", " ").split(), **chosen)


def _route(args: argparse.Namespace, cell: str, chosen: dict[str, Any]) -> Task:
    from labkit.envs import game

    suite, split = common.suite_of(cell, args.suite or "id"), common.split_of(cell, args.split or "all")
    return game(cell).numbered(suite, split, args.route, seed=args.seed, **chosen)
