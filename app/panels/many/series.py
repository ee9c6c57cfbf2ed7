"""Deals that several players play: who has solved which, and what is known so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from app.shared.catalogue import Catalogue
from app.shared.live import drawn_for
from app.shared.paired import Difference, difference
from labkit.episode import Episode, Task
from labkit.evaluation.metrics import Measured, Trials, share
from labkit.play import play_many

BATCH = 32
"""Episodes of a player that advance together. Other people's players answer between two of its turns."""


@dataclass(frozen=True, slots=True)
class Series:
    """Deals, and the episodes of them that have ended."""

    tasks: tuple[Task, ...]
    split: str
    players: tuple[str, ...]
    temperature: float
    seed: int
    played: Mapping[str, Mapping[int, Episode]] = field(default_factory=dict)
    """By player, by the deal's place in :attr:`tasks`."""
    failures: Mapping[str, Exception] = field(default_factory=dict)
    """Why a player could not play on."""

    def of(self, player: str) -> Mapping[int, Episode]:
        """The player's episodes."""
        return self.played.get(player, {})

    @property
    def ended(self) -> int:
        return sum(len(self.of(player)) for player in self.players)

    @property
    def total(self) -> int:
        return len(self.tasks) * len(self.players)

    def solved(self, player: str) -> int:
        """How many deals the player has solved."""
        return sum(episode.success for episode in self.of(player).values())

    def rate(self, player: str) -> Measured | None:
        """The share of its ended episodes that the player has solved."""
        return share([Trials(episode.success) for episode in self.of(player).values()]).measured

    def shared(self, players: Sequence[str]) -> list[int]:
        """The deals that all these players have played."""
        return [n for n in range(len(self.tasks)) if all(n in self.of(player) for player in players)]

    @property
    def differing(self) -> list[int]:
        """The deals that all have played and only some have solved."""
        return [n for n in self.shared(self.players) if len({self.of(p)[n].success for p in self.players}) > 1]

    def pairs(self) -> list[tuple[str, str, Difference]]:
        """Each two players, and the second's difference from the first on the deals that both have played."""
        found = []
        for first, second in combinations(self.players, 2):
            places = self.shared((first, second))
            old, new = ([Trials(self.of(player)[n].success) for n in places] for player in (first, second))
            compared = difference(old, new)
            if compared is not None:
                found.append((first, second, compared))
        return found

    def with_episode(self, player: str, place: int, episode: Episode) -> Series:
        """With one episode more."""
        return replace(self, played={**self.played, player: {**self.of(player), place: episode}})

    def with_failure(self, player: str, error: Exception) -> Series:
        """With a player that cannot play on."""
        return replace(self, failures={**self.failures, player: error})


def play(series: Series, catalogue: Catalogue, stopped: Callable[[], bool]) -> Iterator[Series]:
    """The series as it grows, the players taking turns; it ends when all is played, or when ``stopped``.

    An answer that was cut off by the stop is no attempt, and its episode is left out.
    """
    running: dict[str, Iterator[tuple[int, Episode]]] = {
        name: _episodes(series, name, catalogue, stopped) for name in series.players
    }
    while running:
        for name in tuple(running):
            try:
                ended = next(running[name], None)
            except Exception as error:  # the other players go on, and the page says what happened
                series, ended = series.with_failure(name, error), None
            if stopped():
                return
            if ended is None:
                del running[name]
            else:
                series = series.with_episode(name, *ended)
            yield series


def _episodes(
    series: Series, name: str, catalogue: Catalogue, stopped: Callable[[], bool]
) -> Iterator[tuple[int, Episode]]:
    player = catalogue.player(name, series.temperature, stopped)
    tasks = (drawn_for(task, player.picture) for task in series.tasks)
    for played in play_many(tasks, player, batch=BATCH, key=(series.seed,)):
        yield played.index, played.episode
