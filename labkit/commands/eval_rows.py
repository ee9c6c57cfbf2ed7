"""What `labkit eval` plays: a row for each player at each temperature, and what a row is compared with."""

from __future__ import annotations

import argparse
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labkit.commands import common
from labkit.errors import UsageError

GRID = (0.0, 0.2, 0.6, 1.0)
"""The temperatures among which ``best`` chooses: greedy, the authors' 0.2, and two more."""
BEST = "best"


@dataclass(frozen=True)
class Row:
    """One player at one temperature."""

    player: str
    temperature: float
    asked: float | str
    """What was asked for: a temperature, or ``best``."""
    dev: Mapping[str, float] = field(default_factory=dict)
    """The headline on held-out dev deals by temperature, where ``best`` was chosen by it."""


def temperatures(text: str) -> float | tuple[float | str, ...]:
    """One temperature as a number, several as a tuple; ``best`` stands for the one that dev chooses."""
    found: tuple[Any, ...] = tuple(
        dict.fromkeys(BEST if word.strip() == BEST else _number(word) for word in text.split(","))
    )
    return found[0] if len(found) == 1 and found[0] != BEST else found


def _number(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"numbers from 0 and best, with commas between them, are needed, not {word!r}")
    return value


def asked(args: argparse.Namespace) -> tuple[float | str, ...]:
    """The temperatures asked for."""
    given = args.temperature
    return tuple(given) if isinstance(given, tuple | list) else (given,)


def laid_out(
    args: argparse.Namespace, cell: str, settings: Mapping[str, Any], names: Sequence[str], models: Collection[str]
) -> list[Row]:
    """A row for each model at each temperature, and one for each other player, which has none.

    Raises:
        UsageError: ``best`` cannot be chosen, since the game has no split dev.
    """
    rows = []
    for name in names:
        for temperature in asked(args) if name in models else asked(args)[:1]:
            if not isinstance(temperature, str):
                rows.append(Row(name, temperature, temperature))
            elif name not in models:
                rows.append(Row(name, 0.0, BEST))
            else:
                rows.append(_best(args, cell, settings, name))
    return rows


def _best(args: argparse.Namespace, cell: str, settings: Mapping[str, Any], name: str) -> Row:
    """The row of a player at the temperature with the highest headline on held-out dev deals of the trained rule."""
    from labkit.envs import game
    from labkit.evaluation import evaluate

    if "dev" not in game(cell).splits:
        raise UsageError(f"{cell} has no split dev to choose a temperature on; name one with --temperature")
    several = args.samples > 1 or args.revision == "independent"
    dev: dict[str, float] = {}
    suite = game(cell).suites[0]
    # No option that changes the rule or the deals: what is chosen on has to be what was trained on.
    dealt = {"attempts": settings.get("attempts"), "prompts": settings["prompts"]}
    dealt = {key: value for key, value in dealt.items() if value is not None}
    for temperature in GRID[several:]:
        player = common.load_player(argparse.Namespace(**vars(args) | {"player": name, "temperature": temperature}))
        found = evaluate(
            player, cell, suite, split="dev", episodes=args.episodes, seed=args.seed, batch=args.batch,
            samples=args.samples, revision=args.revision, **dealt, **common.picture_for(player, cell),
        )  # fmt: skip
        if found.value is None:
            raise UsageError(
                f"{cell} measures no {found.metric} on dev to choose a temperature by; name one with --temperature"
            )
        dev[f"{temperature:g}"] = found.value
    chosen = max(dev, key=dev.__getitem__)
    told = ", ".join(f"{value:.3f} at {temperature}" for temperature, value in dev.items())
    common.say(f"{name}: temperature {chosen} is best on dev of {suite} ({told})")
    return Row(name, float(chosen), BEST, dev)


def compared_with(rows: Sequence[Row], number: int) -> int | None:
    """The row that a row is compared with: the first player's at the same temperature; of the first player's own rows,
    the first. None for that one."""
    row, first = rows[number], rows[0]
    if number == 0:
        return None
    if row.player != first.player:
        alike = (i for i, other in enumerate(rows) if other.player == first.player and other.asked == row.asked)
        return next(alike, 0)
    return 0
