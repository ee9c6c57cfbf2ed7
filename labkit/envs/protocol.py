"""What a game has to supply: the protocol :class:`Game`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from random import Random

    from PIL.Image import Image

    from labkit.episode import Attempt, Episode, Position, Task


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
    placeholders: Mapping[str, tuple[str, ...]]
    """The placeholders that a template may hold, by template; none where a template is not named."""
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
