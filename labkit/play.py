"""The drivers: one player on one task, turn by turn, or many tasks at once.

They hold no rule of any game and no model: a driver asks a player for answers, gives them to
:func:`labkit.envs.judge` and goes on until the episode is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count, islice

from labkit.envs import judge, start
from labkit.episode import Episode, Task
from labkit.players.base import Answer, Player, Request, Tokens


@dataclass(frozen=True, slots=True)
class Played:
    """A finished episode with what the player gave for each attempt, tokens included."""

    index: int
    """Place of the task in what was asked for."""
    episode: Episode
    answers: tuple[Answer, ...]
    """One for each attempt of the episode, in order, over all positions."""

    @property
    def tokens(self) -> list[Tokens]:
        """The tokens of each answer.

        Raises:
            ValueError: an answer has no token ids, so no model sampled it.
        """
        found = [answer.tokens for answer in self.answers if answer.tokens is not None]
        if len(found) < len(self.answers):
            raise ValueError("an answer has no token ids; only sampled answers can be trained on")
        return found


@dataclass(slots=True)
class _Live:
    index: int
    episode: Episode
    key: tuple[int, ...]
    answers: list[Answer] = field(default_factory=list)

    def turn(self) -> Request:
        here = len(self.episode.position.attempts)
        # A fork goes on from attempts whose tokens are not at hand: then the history is not given at all.
        whole = 0 < here <= len(self.answers)
        return Request(self.episode, tuple(self.answers[-here:]) if whole else (), self.key)

    def take(self, answer: Answer) -> None:
        self.episode = judge(self.episode, answer.text, answer.sample)
        self.answers.append(answer)


def stream(task: Task | Episode, player: Player, *, key: tuple[int, ...] = (0,)) -> Iterator[Episode]:
    """Play one episode and yield it as it stands: before the first attempt, then after each.

    Args:
        task: a task, or an open episode to go on with (a fork, for instance).
        key: keys the sampling noise together with the attempt's number; the same key replays the episode.
    """
    episode = start(task, player.name) if isinstance(task, Task) else replace(task, player=player.name)
    live = _Live(0, episode, key)
    yield live.episode
    while not live.episode.done:
        live.take(player.answer([live.turn()])[0])
        yield live.episode


def play(task: Task | Episode, player: Player, *, key: tuple[int, ...] = (0,)) -> Episode:
    """The finished episode of :func:`stream`."""
    *_, episode = stream(task, player, key=key)
    return episode


def play_many(
    tasks: Iterable[Task],
    player: Player,
    *,
    batch: int = 64,
    key: tuple[int, ...] = (0,),
    places: Iterable[int] | None = None,
) -> Iterator[Played]:
    """Play many tasks, ``batch`` at a time; all live episodes advance together.

    A finished episode is yielded and its place is taken by the next task at once, so the batch stays full
    until the tasks run out. Sampling noise is keyed by (``key``, place of the task, attempt): what an episode
    becomes does not depend on the batch it was played in.

    Args:
        places: of the tasks in the whole that they are a part of; 0, 1, 2 ... if not given.
    """
    if batch < 1:
        raise ValueError(f"the batch must be a whole number from 1, not {batch}")
    waiting = zip(count() if places is None else places, tasks, strict=False)

    def deal(most: int) -> list[_Live]:
        return [_Live(i, start(task, player.name), (*key, i)) for i, task in islice(waiting, most)]

    live = deal(batch)
    while live:
        for game, answer in zip(live, player.answer([g.turn() for g in live]), strict=True):
            game.take(answer)
        for game in live:
            if game.episode.done:
                yield Played(game.index, game.episode, tuple(game.answers))
        live = [g for g in live if not g.episode.done]
        live += deal(batch - len(live))
