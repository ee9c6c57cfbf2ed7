"""Controls that stand beside a claim about training: other feedback or none, and every position asked once.

* :class:`Independent` answers each attempt as if it were the first: five independent answers beside five with
  feedback. What feedback is worth is the difference.
* :class:`OtherFeedback` reads a bare "wrong", or feedback about another deal, in place of the verifier's feedback. What
  true feedback is worth is the difference.
* :func:`every_position` asks each position of a route once, after the expert's steps. A player who fails at the first
  turn is asked the later ones as well, so no survivors are left out or counted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from random import Random

from labkit.envs import fork, game, judge, start
from labkit.episode import Episode, Task
from labkit.errors import UsageError
from labkit.players.base import Answer, Player, Request

BARE = "This is wrong. Try again."
"""Feedback that tells no more than that."""


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


class OtherFeedback:
    """A player who reads something else than the verifier's feedback to its answers at a position.

    Episodes keep the verifier's own feedback: the verdicts are those of the answers.

    Args:
        feedback: what stands in its place, by the episode and the number of the attempt, counted from 0.
    """

    def __init__(self, player: Player, feedback: Callable[[Episode, int], str]) -> None:
        self._player, self._feedback = player, feedback
        self.name = player.name

    def answer(self, turns: Sequence[Request]) -> list[Answer]:
        return self._player.answer([self._told(turn) for turn in turns])

    def _told(self, turn: Request) -> Request:
        episode, here = turn.episode, turn.episode.position
        if not here.attempts:
            return turn
        attempts = tuple(
            replace(attempt, verdict=replace(attempt.verdict, feedback=self._feedback(episode, number)))
            for number, attempt in enumerate(here.attempts)
        )
        told = replace(episode, positions=(*episode.positions[:-1], replace(here, attempts=attempts)))
        return Request(told, (), turn.key)


def bare(episode: Episode, number: int) -> str:
    """:data:`BARE`, whatever the answer was."""
    return BARE


def of_another_deal(episode: Episode, number: int) -> str:
    """The verifier's feedback to a wrong answer to another deal of the same suite; the same each time."""
    rng, asked = Random(f"{episode.task.id}/{len(episode.positions)}/{number}"), episode.task
    deals = game(asked.cell).tasks(asked.suite, asked.split, seed=rng.randrange(2**31))
    other = start(next(task for task in deals if task.deal != asked.deal))
    return judge(other, game(asked.cell).wrong(other, rng)).positions[0].attempts[0].verdict.feedback


REVISIONS: dict[str, Callable[[Player], Player]] = {
    "dialogue": lambda player: player,
    "independent": Independent,
    "bare": partial(OtherFeedback, feedback=bare),
    "other": partial(OtherFeedback, feedback=of_another_deal),
}
"""What a player reads of its attempts before: the dialogue, nothing, that they were wrong, another deal's feedback."""


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
