"""The options that belong to one game, and the tasks that they name."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from labkit.commands import common
from labkit.envs import games
from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.episode import Task


def add_options(parser: argparse.ArgumentParser, *, naming: bool) -> None:
    """Add the options of every game, a group a game; with ``naming``, those that name a task too.

    Games may share an option; it then stands in the group of the first.
    """
    added = set()
    for row in games.rows():
        group = parser.add_argument_group(row.title)
        for option in row.load("options"):
            if option.name not in added and (naming or not option.task):
                added.add(option.name)
                unnamed = [value for value in option.suggested if value not in option.help]
                said = f"{option.help}; such as {', '.join(unnamed)}" if unnamed else option.help
                group.add_argument(f"--{option.name}", metavar=option.metavar, type=option.type, help=said)


def settings(args: argparse.Namespace, cell: str) -> dict[str, Any]:
    """What was given of the game's own options, and of those that every game has.

    Raises:
        UsageError: an option of another game was given, or the prompts cannot be read.
    """
    own = {option.name: option for option in games.row_of(cell).load("options")}
    for row in games.rows():
        for option in row.load("options"):
            if option.name not in own and getattr(args, option.name, None) is not None:
                has = ", ".join(f"--{name}" for name in own if name in args) or "none of its own"
                raise UsageError(f"--{option.name} is an option of another game; {cell} has {has}")
    names = (*(name for name, option in own.items() if not option.task), "attempts")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return given | {"prompts": common.read_prompts(args.prompts, cell)}


def task(args: argparse.Namespace) -> Task:
    """The task to play: the one that the arguments name, or the first of their suite, split and seed.

    Raises:
        UsageError: an argument is invalid.
    """
    from labkit.envs import game, ladder

    cell = common.cell_of(args.cell)
    chosen = settings(args, cell)
    suite = args.suite and common.suite_of(cell, args.suite)
    split = args.split and common.split_of(cell, args.split)
    for option in games.row_of(cell).load("options"):
        if option.task and getattr(args, option.name) is not None:
            place = {"suite": suite, "split": split, "seed": args.seed}
            return option.task(game(cell), getattr(args, option.name), **place, **chosen)
    return next(ladder.tasks(cell, suite or game(cell).suites[0], split or "all", seed=args.seed, **chosen))
