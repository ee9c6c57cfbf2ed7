"""The settings of a game that has no tab of its own: which deal of which suite, and the game's own options."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from app.shared.settings import LAST_SEED, MOST_ATTEMPTS, FieldError, Parsed, Settings, Whole, Word, setting
from labkit.envs import game
from labkit.envs.games import Option, Row
from labkit.episode import Task
from labkit.errors import UsageError


def options_of(row: Row) -> list[Option]:
    """The options that set something; those that name a single task are left to the command line."""
    return [option for option in row.load("options") if option.task is None]


def settings_of(row: Row) -> type[Settings]:
    """The settings of a game in the table."""
    cells = tuple(row.cells)
    suites = tuple(game(cells[0]).suites)
    options = options_of(row)
    own = {
        option.name: setting(Parsed(partial(_option, option)), option.name.replace("_", " ").capitalize(), "")
        for option in options
    }
    attempts = next(game(cells[0]).tasks(suites[0])).attempts
    fields: dict[str, Any] = {
        "attempts": setting(Whole(1, max(MOST_ATTEMPTS, attempts)), "Attempts", attempts),
        "cell": setting(Word(cells), "Cell", cells[0]),
        "suite": setting(Word(suites), "Suite", suites[0]),
        "number": setting(Whole(0, LAST_SEED), f"{row.deal.capitalize()} no.", 0),
        **own,
    }

    def task(self: Any) -> Task:
        """The task that the settings describe.

        Raises:
            FieldError: a field is invalid.
        """
        return next(dealt(self, first=self.value("number")))

    def deals(self: Any, split: str) -> Iterator[Task]:
        """The deals of a split, in the order that their seed gives.

        Raises:
            FieldError: there is none, or a field is invalid.
        """
        return dealt(self, split=split)

    def dealt(self: Any, **where: Any) -> Iterator[Task]:
        chosen = {name: _typed(option, self.value(name)) for name, option in zip(own, options, strict=True)}
        given = {name: value for name, value in chosen.items() if value is not None}
        attempts = self.value("attempts")
        try:
            found = game(self.value("cell")).tasks(self.value("suite"), seed=self.value("seed"), **where, **given)
            yield from (replace(task, attempts=attempts) for task in found)
        except UsageError as error:
            raise FieldError("number", str(error)) from None

    number = float | None
    annotations = {"attempts": number, "cell": str, "suite": str, "number": number, **dict.fromkeys(own, str)}
    body = {"__annotations__": annotations, "__module__": __name__, **fields, "task": property(task), "deals": deals}
    return dataclass(frozen=True)(type("GameSettings", (Settings,), body))


def _option(option: Option, text: str) -> str:
    """The text of an option, once the game can read it.

    Raises:
        UsageError: the game cannot.
    """
    _typed(option, text)
    return text


def _typed(option: Option, text: str) -> Any:
    if not text:
        return None
    try:
        return option.type(text)
    except ValueError as error:
        raise UsageError(f"{option.name}: {error}") from None
