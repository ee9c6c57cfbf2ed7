"""Environments: deal, prompt and judge, as pure functions over :class:`~labkit.episode.Episode`.

``start(task)`` opens an episode, ``prompt(episode)`` says what the player is sent next, ``judge(episode,
answer)`` returns the episode with its verdict. The gymnasium environments, the batched rollout, a person in the
browser, a fork and a replay are a few lines over these.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from labkit.envs.games import Row, cells, register, row_of
from labkit.episode import Attempt, Episode, Message, Position, Sample, Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from random import Random

    from PIL.Image import Image

__all__ = ["Game", "cells", "fork", "game", "judge", "prompt", "register", "replay", "start"]


class Game(Protocol):
    """What a game supplies for one of its cells; everything else about playing is shared.

    The class is called with the cell's name. Its row in :mod:`labkit.envs.games` names it.
    """

    cell: str
    suites: tuple[str, ...]
    splits: tuple[str, ...]
    """Parts of a suite, besides ``all``."""
    templates: Mapping[str, str]
    """The built-in prompt templates."""
    decisive_field: str
    """The answer's field that decides the verdict."""
    typed: tuple[str, ...]
    """The fields that a person types in a terminal, the decisive one first."""
    pictured: bool
    """Whether prompts hold pictures."""

    def prompt_variant(self, number: int) -> dict[str, str]:
        """Prompt templates that say the same in other words; number 0 are the built-in ones.

        Raises:
            UsageError: there are not so many.
        """

    def task(self, **settings: Any) -> Task:
        """One task from explicit settings (cards, rule, ...).

        Raises:
            UsageError: a setting is invalid.
        """

    def tasks(
        self, suite: str, split: str = "all", *, seed: int = 0, first: int = 0, **settings: Any
    ) -> Iterator[Task]:
        """An endless, seeded stream of tasks from number ``first`` on; the same arguments give the same stream."""

    def enumerate_tasks(
        self, suite: str, split: str = "all", *, seed: int = 0, **settings: Any
    ) -> Iterator[tuple[Task, float]]:
        """Every deal of a suite once, each with its probability in the stream of :meth:`tasks`; these add up to 1."""

    def first(self, task: Task) -> Position:
        """The opening position."""

    def judge(self, episode: Episode, answer: str) -> Attempt:
        """Read and judge one answer at the current position; never raises, whatever the text."""

    def advance(self, episode: Episode) -> Position | str | None:
        """What follows the latest attempt: the next position, the final status, or None to answer again."""

    def expert(self, episode: Episode, rng: Random | None = None, among: int = 1) -> str:
        """A right answer; with ``rng``, one of the ``among`` simplest."""

    def random(self, episode: Episode, rng: Random) -> str:
        """A well-formed answer chosen at random."""

    def wrong(self, episode: Episode, rng: Random) -> str:
        """A wrong answer such as models make, never by the rule that only ``rule-ood`` asks for."""

    def decisive_span(self, answer: str) -> tuple[int, int] | None:
        """Character offsets of the decisive field in an answer; None if it has none."""

    def typed_answer(self, episode: Episode, typed: Mapping[str, str]) -> str:
        """The bare values of :attr:`typed` in the answer format."""

    def draw(self, recipe: Any) -> Image:
        """The picture of a recipe; only where ``pictured``."""


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
