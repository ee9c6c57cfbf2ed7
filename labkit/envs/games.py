"""The table of games: one row a game, read wherever one game differs from another.

A row names its parts as ``"module:name"``. They are imported when they are first asked for, so looking up a cell
is cheap, and the environments import neither measures nor views. ``docs/extending.md`` adds a game of one's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

from labkit.envs.protocol import Game
from labkit.errors import UsageError
from labkit.extensions import MODULES, import_modules

if TYPE_CHECKING:
    from labkit.episode import Task


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
    """Values that the app offers in a list and the help names (where :attr:`help` does not); others may be typed."""
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
    ladder: Any = None
    """A function of a cell: its rungs; see :mod:`labkit.envs.ladder`."""
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
        ladder="labkit.envs.general_points.ladder:rungs",
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
        ladder="labkit.envs.virl.ladder:rungs",
        deal="route",
        every="every route once",
        headline="right answers",
        rereading=5.1,
    ),
]


def rows() -> tuple[Row, ...]:
    """All rows, those of the modules in ``LABKIT_MODULES`` included.

    Raises:
        UsageError: one of these modules cannot be imported.
    """
    import_modules()
    return tuple(_ROWS)


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
    near = get_close_matches(cell, cells(), 1)
    if near:
        raise UsageError(f"no cell {cell!r}; did you mean {near[0]}?")
    raise UsageError(
        f"no cell {cell!r}; the cells are {', '.join(cells())}; {MODULES} has to name the module of a game of your own"
    )


def title_of(cell: str) -> str:
    """The title of a cell."""
    return row_of(cell).cells[cell]


def register(row: Row) -> None:
    """Add a game to the table: its cells can then be played, measured, shown and trained on like the others.

    Each cell's game is made, and deals a task, to see that it is complete.

    Raises:
        UsageError: the game's name, or the name of a cell, is taken; the game lacks a name of
            :class:`labkit.envs.Game`; or its reward table lacks ``exhausted``.
    """
    for other in _ROWS:
        if row.name == other.name:
            raise UsageError(f"there is a game {row.name!r} already; choose another name")
        for cell in row.cells:
            if cell in other.cells:
                raise UsageError(f"there is a cell {cell!r} already; choose another name")
    for cell in row.cells:
        _check(row.load("game")(cell), cell)
    _ROWS.append(row)


def _check(game: Game, cell: str) -> None:
    needed = [*Game.__annotations__, *(name for name in vars(Game) if not name.startswith("_"))]
    lacking = [name for name in needed if not hasattr(game, name)]
    if "pictured" not in lacking and not game.pictured:
        lacking = [name for name in lacking if name != "draw"]
    if lacking:
        raise UsageError(
            f"the game of cell {cell!r}, {type(game).__name__}, has no {', no '.join(lacking)}; "
            "labkit.envs.Game says what each is"
        )
    if "exhausted" not in next(game.tasks(game.suites[0])).reward:
        raise UsageError(
            f"the reward table of cell {cell!r} has no 'exhausted', which is added when the attempts run out"
        )
