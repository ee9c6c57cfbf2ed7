"""The players that the app offers: chosen by name, never by a path typed into the page."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from labkit.errors import UsageError
from labkit.players import Player, registry
from labkit.players.base import Answer, Request
from labkit.players.checkpoint import Checkpoint
from labkit.players.registry import PlayerInfo

CONSOLE = logging.getLogger("app")
T = TypeVar("T")
STAGES = ("init", "sft", "rl")
"""The bundled checkpoints of a cell that are compared, in this order."""


class Catalogue:
    """The players on offer.

    Args:
        infos: what is known of each; its ``spec`` is what :mod:`labkit.players.registry` loads.
        load: makes a player from its spec and ``temperature``; the registry's own by default.
        named: the names that some specs go by; these players were asked for on the command line and come first.
            Others go by their spec.
    """

    def __init__(
        self,
        infos: Sequence[PlayerInfo],
        load: Callable[..., Player] = registry.load,
        named: Mapping[str, str] | None = None,
    ) -> None:
        self.named = tuple((named or {}).values())
        by_name = {(named or {}).get(info.spec, info.spec): info for info in infos}
        self.infos: Mapping[str, PlayerInfo] = {
            name: replace(info, summary=_summary(info)) for name, info in by_name.items()
        }
        self._load = load
        self._model = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.infos)

    @property
    def has_model(self) -> bool:
        return any(info.is_model for info in self.infos.values())

    def seated(self, cell: str, seats: int) -> list[str | None]:
        """Who sits where when a window opens: the players asked for by name, then the cell's Init, SFT and RL, then
        the expert and the others. Where there are fewer players than seats, the last one sits in the rest.
        """
        bundled = [f"tiny:{cell}/{stage}" for stage in STAGES]
        simple = [name for name, info in self.infos.items() if not info.is_model]
        order = dict.fromkeys(name for name in (*self.named, *bundled, *simple, *self.names) if name in self.infos)
        found: list[str | None] = [*order] or [None]
        return [*found, *[found[-1]] * seats][:seats]

    def player(self, name: str, temperature: float, stopped: Callable[[], bool]) -> Seated:
        """A player for one episode.

        Args:
            stopped: handed to a player that can be stopped inside an answer (one with a ``should_stop``).

        Raises:
            UsageError: the app does not offer this player, or it cannot be loaded.
        """
        if name not in self.infos:
            raise UsageError(f"no player {name[:80]!r}; choose one from the list")
        info = self.infos[name]
        try:
            player = self._load(info.spec, temperature=temperature)
        except UsageError as error:
            raise UsageError(f"cannot load {name}: {public(str(error))}") from error
        if hasattr(player, "should_stop"):
            player.should_stop = stopped
        return Seated(player, name, self._model if info.is_model else None)

    def try_named(self) -> None:
        """Load the players asked for by name and say on the console which cannot be loaded."""
        for name in self.named:
            self._try(name)

    def warm_up(self, cell: str) -> None:
        """Load the first player of a cell if it is a model, so that its first Play need not wait."""
        for name in self.seated(cell, 1):
            if name and self.infos[name].is_model:
                self._try(name)

    def _try(self, name: str) -> None:
        try:
            self._load(self.infos[name].spec, temperature=0.0)
        except Exception as error:  # the app is served all the same, and the page says it again
            CONSOLE.warning("Player %s cannot be loaded: %s", name, " ".join(str(error).split()))
            CONSOLE.debug("", exc_info=True)


class Seated:
    """A player under the name that visitors know; a model waits, before each answer, until no other one is busy."""

    def __init__(self, player: Player, name: str, lock: threading.Lock | None) -> None:
        self.name = name
        self.picture: Mapping[str, int] = getattr(player, "picture", {})
        """How pictures are to be drawn for the player; empty if any size will do."""
        self._player, self._lock = player, lock

    def answer(self, turns: Sequence[Request]) -> list[Answer]:
        if self._lock is None:
            return self._player.answer(turns)
        with self._lock:
            return self._player.answer(turns)

    def ask(self, question: Callable[[Checkpoint], T]) -> T:
        """Ask the model itself something, in its turn.

        Raises:
            UsageError: the player is not a model that was loaded here.
        """
        if not isinstance(self._player, Checkpoint):
            raise UsageError(f"{self.name} is no model of this machine, so its tokens cannot be computed")
        with self._lock or nullcontext():
            return question(self._player)


def _summary(info: PlayerInfo) -> str:
    """What is said of a player, without the folder that it lies in."""
    return info.kind if info.path is not None and str(info.path) in info.summary else public(info.summary)


def public(message: str) -> str:
    """A message without the server's folders: of each absolute path only its last part is left."""
    return re.sub(r"(?<![\w.~/:-])(?:/[\w.@+~-]+)+/([\w.@+~-]+)", r"\1", message)


def catalogue_of(named: Sequence[str] = ()) -> Catalogue:
    """The players named, which may be any that the registry can load, then the registry's own, models first.

    Args:
        named: specs, or ``NAME=SPEC``. Without a name, a folder goes by its last part, a run's step by its last two.

    Raises:
        UsageError: a named player does not exist, or two have the same name.
    """
    names: dict[str, str] = {}
    first = []
    for word in named:
        name, equals, spec = word.partition("=")
        # A path may hold the sign; a name holds no slash.
        if not equals or "/" in name:
            name, spec = "", word
        info = registry.info(spec)
        name = name or _name_of(info)
        if "," in name:
            raise UsageError(
                f"the name {name!r} has a comma, which separates players in links; give --player NAME=SPEC"
            )
        if name in names.values() and names.get(spec) != name:
            raise UsageError(f"two players are called {name!r}; give each a name with --player NAME=SPEC")
        names[spec] = name
        first.append(info)
    rest = sorted(registry.players(), key=lambda info: not info.is_model)
    # A player that is named stays in front; a later one of the same spec changes nothing.
    offered: dict[str, PlayerInfo] = {}
    for info in (*first, *rest):
        offered.setdefault(info.spec, info)
    return Catalogue(list(offered.values()), named=names)


def _name_of(info: PlayerInfo) -> str:
    """What visitors read: the spec, or the name of the folder, with its run's where it is a step of one."""
    if info.kind in ("checkpoint", "adapter") and info.path is not None:
        parts = [part for part in Path(info.path).resolve().parts if part != "checkpoints"]
        # Of a run's checkpoint the step alone would not say which run.
        return "/".join(parts[-2:] if parts[-1].startswith("step-") else parts[-1:])
    if info.kind == "script":
        return f"script:{Path(info.spec.removeprefix('script:')).name}"
    return info.spec
