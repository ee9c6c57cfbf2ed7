"""One deal of a blind duel: who sits where, what was played, and what the person guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random

from labkit.episode import Episode, Task
from labkit.players.lineage import origin
from labkit.players.registry import PlayerInfo

SIDES = ("Left", "Right")


@dataclass(frozen=True, slots=True)
class Round:
    """A deal, with the two players. It never leaves the server as it is."""

    task: Task
    players: tuple[str, str]
    """Names, left and right."""
    trained: int
    """The side of the player that was trained with RL."""
    episodes: Mapping[int, Episode] = field(default_factory=dict)
    """By side, as they stand."""
    guess: int | None = None
    """The side that the person names; the players' names are told once there is one."""

    @property
    def over(self) -> bool:
        """Whether both players have ended, so that the person can guess."""
        return len(self.episodes) == len(SIDES) and all(episode.done for episode in self.episodes.values())

    @property
    def shown(self) -> dict[int, Episode]:
        """The episodes as the person may see them: under the players' names only after the guess."""
        if self.guess is not None:
            return dict(self.episodes)
        return {side: replace(episode, player=SIDES[side]) for side, episode in self.episodes.items()}

    def with_episode(self, side: int, episode: Episode) -> Round:
        """With an episode as it stands now."""
        return replace(self, episodes={**self.episodes, side: episode})


@dataclass(frozen=True, slots=True)
class Score:
    """The guesses of a window."""

    right: int = 0
    count: int = 0

    def after(self, hit: bool) -> Score:
        """With one guess more."""
        return Score(self.right + hit, self.count + 1)


def sides(players: Mapping[str, PlayerInfo], cell: str) -> tuple[list[str], list[str]]:
    """The checkpoints of a cell that were trained with RL, and those that were not."""
    origins = {name: origin(info) for name, info in players.items()}
    stages = {name: found.stage for name, found in origins.items() if found is not None and found.cell == cell}
    return [n for n, stage in stages.items() if stage == "rl"], [n for n, stage in stages.items() if stage != "rl"]


def drawn(task: Task, trained: list[str], others: list[str], random: Random) -> Round:
    """A round with one player of each kind, on a side by chance."""
    pair = [random.choice(trained), random.choice(others)]
    side = random.randrange(len(SIDES))
    left, right = pair if side == 0 else reversed(pair)
    return Round(task, (left, right), side)
