"""Environments: deal, prompt and judge, as pure functions over :class:`~labkit.episode.Episode`.

``start(task)`` opens an episode, ``prompt(episode)`` says what the player is sent next, ``judge(episode,
answer)`` returns the episode with its verdict. The gymnasium environments, the batched rollout, a person in the
browser, a fork and a replay are a few lines over these.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from labkit.envs.games import Row, cells, register, row_of
from labkit.envs.protocol import Game
from labkit.episode import Attempt, Episode, Message, Sample, Task

__all__ = ["Game", "cells", "fork", "game", "judge", "prompt", "register", "replay", "start"]


def game(cell: str) -> Game:
    """The game of a cell.

    Raises:
        UsageError: there is no such cell.
    """
    return _game(row_of(cell), cell)


@cache
def _game(row: Row, cell: str) -> Game:
    return row.load("game")(cell)


def start(task: Task, player: str = "") -> Episode:
    """An open episode at the task's first position."""
    return Episode(task, (game(task.cell).first(task),), player=player)


def prompt(episode: Episode) -> tuple[Message, ...]:
    """The chat turns the player is sent next.

    Sequential revision (paper, section 3): the first prompt of this position, then every earlier answer
    followed by its feedback.
    """
    here = episode.position
    turns = [Message("user", here.prompt, here.picture["recipe"] if here.picture else None)]
    for attempt in here.attempts:
        turns += [Message("assistant", attempt.answer), Message("user", attempt.verdict.feedback)]
    return tuple(turns)


def judge(episode: Episode, answer: str, sample: Sample | None = None) -> Episode:
    """The episode with ``answer`` judged and recorded; a new position is opened where the game goes on.

    Raises:
        ValueError: the episode is over.
    """
    if episode.done:
        raise ValueError("the episode is over; start a new one")
    playing = game(episode.task.cell)
    attempt = replace(playing.judge(episode, answer), sample=sample)
    following = playing.advance(_with(episode, attempt))
    if following is None and len(episode.position.attempts) + 1 >= episode.task.attempts:
        following = "exhausted"
    if following == "exhausted":
        attempt = replace(attempt, penalty=float(episode.task.reward["exhausted"]))
    episode = _with(episode, attempt)
    if isinstance(following, str):
        return replace(episode, status=following)
    return replace(episode, positions=(*episode.positions, following)) if following else episode


def _with(episode: Episode, attempt: Attempt) -> Episode:
    """The episode with one more attempt at its position."""
    here = replace(episode.position, attempts=(*episode.position.attempts, attempt))
    return replace(episode, positions=(*episode.positions[:-1], here))


def fork(episode: Episode, attempt: int, position: int = -1) -> Episode:
    """The episode as it stood before the given attempt of a position, open again.

    Raises:
        IndexError: there is no such position, or nothing was or is to be answered there.
    """
    at = range(len(episode.positions))[position]
    here = episode.positions[at]
    ended = episode.done or at < len(episode.positions) - 1
    if not 0 <= attempt < len(here.attempts) + (not ended):
        raise IndexError(f"no attempt {attempt} at a position with {len(here.attempts)}")
    here = replace(here, attempts=here.attempts[:attempt])
    return replace(episode, positions=(*episode.positions[:at], here), status="open")


def replay(episode: Episode) -> Episode:
    """Play the recorded answers again from the task: equal to the record unless the game has changed."""
    again = start(episode.task, episode.player)
    for attempt in episode.attempts:
        again = judge(again, attempt.answer, attempt.sample)
    return again
