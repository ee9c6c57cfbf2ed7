"""The players that the app offers: chosen by id, never by a path typed into the page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from app.flow import recordings
from labkit.errors import UsageError
from labkit.players import Player, registry
from labkit.players.base import Answer, Request
from labkit.players.registry import PlayerInfo

NO_MODEL = ("expert", "random", "script")
"""Kinds of player that are not models; the page says so."""


class Catalogue:
    """The players on offer, the first of which is chosen at the start.

    Args:
        load: makes a player from its spec and ``temperature``; the registry's own by default.
        named: how many of the first players were asked for by name.
    """

    def __init__(
        self, infos: Sequence[PlayerInfo], load: Callable[..., Player] = registry.load, named: int = 0
    ) -> None:
        self.infos: Mapping[str, PlayerInfo] = {info.spec: info for info in infos}
        self._load = load
        self._named = named
        self._model = threading.Lock()

    @property
    def specs(self) -> tuple[str, ...]:
        return tuple(self.infos)

    @property
    def has_model(self) -> bool:
        return any(info.kind not in NO_MODEL for info in self.infos.values())

    def walker(self) -> str | None:
        """Who walks at the start: a player asked for by name, else a bundled one that learned to, else the
        expert."""
        learned = [spec for spec in self.infos if spec.startswith("tiny:virl-l/")]
        preferred = [*self.specs[: self._named], *learned, "expert", *self.specs]
        return next((spec for spec in preferred if spec in self.infos), None)

    def player(self, spec: str, temperature: float, stopped: Callable[[], bool]) -> Player:
        """A player for one episode.

        Args:
            stopped: handed to a player that can be stopped inside an answer (one with a ``should_stop``).

        Raises:
            UsageError: the app does not offer this player, or it cannot be loaded.
        """
        if spec not in self.infos:
            raise UsageError(f"no player {spec!r}; choose one from the list")
        player = self._load(spec, temperature=temperature)
        if hasattr(player, "should_stop"):
            player.should_stop = stopped
        return player if self.infos[spec].kind in NO_MODEL else _InTurn(player, self._model)

    def warm_up(self) -> None:
        """Load the player that is chosen at the start, so that the first Play need not wait for it."""
        first = next(iter(self.specs), None)
        if first is None or self.infos[first].kind in NO_MODEL:
            return
        # What is wrong with a checkpoint is said when it is played, to whoever plays it.
        with suppress(UsageError):
            self._load(first, temperature=0.0)


class _InTurn:
    """A model that waits, before each answer, until no other model of the app is busy."""

    def __init__(self, player: Player, lock: threading.Lock) -> None:
        self.name = player.name
        self._player, self._lock = player, lock

    def answer(self, turns: Sequence[Request]) -> list[Answer]:
        with self._lock:
            return self._player.answer(turns)


def catalogue_of(named: Sequence[str] = ()) -> Catalogue:
    """The players named, which may be any that the registry can load; then models, then those that are not.

    Raises:
        UsageError: a named player does not exist.
    """
    recorded = {episode.player for episode in recordings("gp-l")}
    first = [registry.info(spec) for spec in named]
    rest = sorted(registry.players(), key=lambda info: (info.kind in NO_MODEL, info.spec not in recorded))
    # A player that is named stays in front; a later one of the same spec changes nothing.
    offered = {info.spec: info for info in [*first, *rest]}
    return Catalogue(list(offered.values()), named=len({info.spec for info in first}))
