"""A text cell as a dataset in the style of reasoning-gym: questions with a verifier, one answer each.

::

    import reasoning_gym
    from labkit.interop import questions

    questions.register()
    data = reasoning_gym.create_dataset("labkit", cell="gp-l", size=100, seed=42)
    data.score_answer(data[0]["answer"], data[0])     # 1.0

:class:`Deals` has the same interface without the package. The interface: Stojanovski et al. 2025, "Reasoning Gym",
arXiv 2505.24760.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from labkit.envs import game, judge, ladder, start
from labkit.envs.games import cells, row_of
from labkit.episode import Task
from labkit.errors import UsageError

NAME = "labkit"
"""Under which :func:`register` registers the datasets."""


@dataclass
class DealsConfig:
    """What a dataset is dealt from."""

    cell: str = "gp-l"
    suite: str = "id"
    split: str = "all"
    seed: int | None = None
    """None: another one each time."""
    size: int = 500

    def validate(self) -> None:
        """Check the settings.

        Raises:
            UsageError: there is no such cell, suite or split, the cell shows pictures, or the size is below 1.
        """
        row_of(self.cell)
        if game(self.cell).pictured:
            texts = ", ".join(cell for cell in cells() if not game(cell).pictured)
            raise UsageError(f"questions are text, and {self.cell} shows pictures; use {texts}")
        if self.suite not in ladder.suites(self.cell):
            raise UsageError(f"{self.cell} has no suite {self.suite!r}; use {', '.join(ladder.suites(self.cell))}")
        if self.split not in ("all", *game(self.cell).splits):
            raise UsageError(f"{self.cell} has no split {self.split!r}; use all, {', '.join(game(self.cell).splits)}")
        if self.size < 1:
            raise UsageError(f"the size is {self.size}; a dataset has at least one question")


class Deals:
    """A dataset of questions. An entry has ``question`` and ``answer``, texts, and ``metadata``.

    Raises:
        UsageError: a setting cannot be; see :meth:`DealsConfig.validate`.
    """

    def __init__(self, config: DealsConfig) -> None:
        config.validate()
        self.config, self.size = config, config.size
        self.seed = Random().getrandbits(32) if config.seed is None else config.seed

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[number] for number in range(self.size))

    def __getitem__(self, number: int) -> dict[str, Any]:
        if not 0 <= number < self.size:
            raise IndexError(f"no question {number} among {self.size}")
        config, playing = self.config, game(self.config.cell)
        task = next(playing.tasks(config.suite, config.split, seed=self.seed, first=number, attempts=1))
        episode = start(task)
        return {
            "question": episode.position.prompt,
            "answer": playing.expert(episode),
            "metadata": {"source_dataset": NAME, "source_index": number, "task": asdict(task)},
        }

    def score_answer(self, answer: str | None, entry: Mapping[str, Any]) -> float:
        """1 if the verifier accepts the answer to an entry's question, which has many right ones; else 0."""
        if answer is None:
            return 0.0
        episode = start(Task.from_dict(entry["metadata"]["task"]))
        return float(judge(episode, answer).attempts[0].verdict.success)


def register() -> None:
    """Make ``reasoning_gym.create_dataset("labkit", ...)`` known; called again, it does nothing.

    Raises:
        ImportError: the package reasoning-gym is not installed.
    """
    from reasoning_gym.factory import DATASETS, ProceduralDataset, register_dataset

    if NAME not in DATASETS:
        register_dataset(NAME, type("Deals", (Deals, ProceduralDataset), {}), DealsConfig)
