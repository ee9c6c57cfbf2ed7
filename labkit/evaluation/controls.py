"""Controls that stand beside a claim about training: answers without feedback, and every position asked once.

* :class:`Independent` answers each attempt as if it were the first: five independent answers beside five with
  feedback. What feedback is worth is the difference.
* :func:`every_position` asks each position of a route once, after the expert's steps. A player who fails at the first
  turn is asked the later ones as well, so no survivors are left out or counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from labkit.envs import fork, game, judge, start
from labkit.episode import Episode, Task
from labkit.errors import UsageError
from labkit.players.base import Answer, Player, Request

REVISIONS = ("dialogue", "independent")
"""Answers with feedback, or each answer as if it were the first."""


class Independent:
    """A player whose every attempt is a first attempt: it sees neither its earlier answers nor the feedback.

    The first attempt is the same as in a dialogue; each later one has sampling noise of its own.

    Raises:
        UsageError: the player is greedy, so all its answers would be the same.
    """

    def __init__(self, player: Player) -> None:
        if getattr(player, "temperature", None) == 0:
            raise UsageError("at temperature 0 all independent answers are the same; give a temperature, such as 1")
        self._player = player
        self.name = player.name

    def answer(self, turns: Sequence[Request]) -> list[Answer]:
        return self._player.answer([_first(turn) for turn in turns])


def _first(turn: Request) -> Request:
    number = len(turn.episode.position.attempts)
    return Request(fork(turn.episode, 0), (), (*turn.key, number)) if number else turn


def every_position(
    tasks: Iterable[Task], player: Player, *, batch: int = 128, key: tuple[int, ...] = (0,)
) -> Iterator[Episode]:
    """Each task as an episode in which the player has answered every position once, with the expert's history.

    The positions are those of the expert's way, whatever the player answers, so such an episode cannot be replayed.

    Args:
        batch: positions that are asked together.
        key: of the sampling noise, together with the task's place. A player's answer at a position is that of its
            first attempt in :func:`labkit.play.play_many` under the same key, if it got there without a mistake.
    """
    waiting = ((place, asked) for place, task in enumerate(tasks) for asked in _expert_way(task, player.name))
    answered: list[Episode] = []
    while part := list(islice(waiting, batch)):
        requests = [Request(episode, (), (*key, place)) for place, episode in part]
        for (_, episode), answer in zip(part, player.answer(requests), strict=True):
            attempt = judge(episode, answer.text, answer.sample).positions[len(episode.positions) - 1].attempts[0]
            if len(episode.positions) == 1 and answered:
                yield _one(answered)
                answered = []
            answered.append(replace(episode, positions=(replace(episode.position, attempts=(attempt,)),)))
    if answered:
        yield _one(answered)


def _expert_way(task: Task, player: str) -> Iterator[Episode]:
    """The open episode at each position of a task, with the expert's right answers at those before."""
    episode = start(task, player)
    while not episode.done:
        yield episode
        episode = judge(episode, game(task.cell).expert(episode))


def _one(answered: Sequence[Episode]) -> Episode:
    """The positions of one task in one episode."""
    positions = tuple(episode.position for episode in answered)
    right = all(p.attempts[0].verdict.success for p in positions)
    return replace(answered[0], positions=positions, status="success" if right else "exhausted")
