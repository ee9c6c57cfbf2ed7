"""The table of games: one row a game, read wherever one game differs from another.

A row names its parts as ``"module:name"``. They are imported when they are first asked for, so looking up a cell
is cheap, and the environments import neither measures nor views. ``docs/extending.md`` adds a game of one's own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.episode import Task

MODULES = "LABKIT_GAMES"
"""Environment variable: modules, separated by commas, that register games when they are imported. With it a game of
one's own is known to the command line and to every process that it starts."""


@dataclass(frozen=True, slots=True)
class Option:
    """A setting of a game's tasks that the command line takes as ``--name`` and the app as a field."""

    name: str
    """The keyword of the game's ``task`` and ``tasks``, unless the option names a task."""
    help: str
    """One line, without a full stop."""
    metavar: str | None = None
    type: Callable[[str], Any] = str
    suggested: tuple[str, ...] = ()
    """Values to offer in a list; others may be given too."""
    task: Callable[..., Task] | None = None
    """Makes the option name one task instead of setting something. Called with the game and the option's value, and
    with ``suite``, ``split`` (None where not given), ``seed`` and the other settings as keywords."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """What a game is made of. A part is ``"module:name"``, ``"module"``, or the thing itself."""

    name: str
    """Of the game, in links and file names: short, lower case."""
    title: str
    cells: Mapping[str, str]
    """The title of each cell that the game has. The first is the one to begin with."""
    game: Any
    """The class, called with a cell's name; see :class:`labkit.envs.Game`."""
    measures: Any = "labkit.evaluation.default"
    """The module of what is measured; see :mod:`labkit.evaluation.default`."""
    view: Any = "labkit.views.default"
    """The module with the game's part of the HTML views; see :class:`labkit.views.base.View`."""
    options: Any = field(default=())
    """A sequence of :class:`Option`."""
    line: Any = "labkit.envs.lines:by_task"
    """Makes the judge of JSON lines, called with a cell's name; see :mod:`labkit.envs.lines`."""
    traits: Any = None
    """A function of a stored task and its first position's state, both as plain data: names and values of what the
    deal is like, by which stored episodes are filtered and counted; see :mod:`labkit.runs.index`."""
    deal: str = "deal"
    """What one task of the game is called."""
    every: str = "every deal once"
    """What ``--episodes all`` plays."""
    headline: str = "success"
    """The headline measure of the text cell, in words."""
    rereading: float | None = None
    """The paper's lambda (appendix C.3): tokens read while playing, over tokens trained on. None: not in the paper."""

    def load(self, part: str) -> Any:
        """A part of the row, imported if it is given by name."""
        return load(getattr(self, part))


def load(reference: Any) -> Any:
    """The object of ``"module:name"``, the module of ``"module"``; anything but text as it is."""
    if not isinstance(reference, str):
        return reference
    module, _, name = reference.partition(":")
    found = import_module(module)
    return getattr(found, name) if name else found


_ROWS = [
    Row(
        name="gp",
        title="GeneralPoints",
        cells={"gp-l": "GeneralPoints", "gp-vl": "GeneralPoints in pictures"},
        game="labkit.envs.general_points.game:GeneralPoints",
        measures="labkit.evaluation.general_points",
        view="labkit.views.general_points",
        options="labkit.envs.general_points.options:OPTIONS",
        line="labkit.envs.general_points.options:line",
        traits="labkit.envs.general_points.traits:traits",
        deal="hand",
        every="every hand once, weighted by the deck",
        rereading=6.0,
    ),
    Row(
        name="virl",
        title="V-IRL",
        cells={"virl-l": "V-IRL", "virl-vl": "V-IRL in pictures"},
        game="labkit.envs.virl.game:VIRL",
        measures="labkit.evaluation.virl",
        view="labkit.views.virl",
        options="labkit.envs.virl.options:OPTIONS",
        line="labkit.envs.virl.options:line",
        traits="labkit.envs.virl.traits:traits",
        deal="route",
        every="every route once",
        headline="right answers",
        rereading=5.1,
    ),
]


def rows() -> tuple[Row, ...]:
    """All rows, those of the modules in ``LABKIT_GAMES`` included.

    Raises:
        UsageError: one of these modules cannot be imported.
    """
    _imported(os.environ.get(MODULES, ""))
    return tuple(_ROWS)


@cache
def _imported(modules: str) -> None:
    for module in filter(None, (part.strip() for part in modules.split(","))):
        try:
            import_module(module)
        except ImportError as error:
            raise UsageError(f"{MODULES} names {module!r}, which cannot be imported: {error}") from None


def cells() -> tuple[str, ...]:
    """The cells of all games."""
    return tuple(cell for row in rows() for cell in row.cells)


def row_of(cell: str) -> Row:
    """The row of a cell.

    Raises:
        UsageError: there is no such cell.
    """
    for row in rows():
        if cell in row.cells:
            return row
    raise UsageError(f"no cell {cell!r}; the cells are {', '.join(cells())}")


def title_of(cell: str) -> str:
    """The title of a cell."""
    return row_of(cell).cells[cell]


def register(row: Row) -> None:
    """Add a game to the table: its cells can then be played, measured, shown and trained on like the others.

    Raises:
        UsageError: the game's name, or the name of a cell, is taken.
    """
    for other in _ROWS:
        if row.name == other.name:
            raise UsageError(f"there is a game {row.name!r} already")
        for cell in row.cells:
            if cell in other.cells:
                raise UsageError(f"there is a cell {cell!r} already")
    _ROWS.append(row)
