"""Evaluation inside a run: the same fixed deals at every probe, so that its curves are paired."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import Field

from labkit.config import Config

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from labkit.models.loader import Loaded
    from labkit.runs import Run


class Probe(Config):
    """What is measured while a model trains."""

    every: int = Field(50, ge=1)
    """Steps between probes; the start is always probed."""
    suites: tuple[str, ...] = ("id", "rule-ood")
    split: str = "dev"
    """Choices are made on ``dev``; ``test`` is for the report."""
    episodes: int = Field(200, ge=1)
    attempts: int = Field(1, ge=1)
    seed: int = 0
    """Of the deals."""
    temperature: float = Field(0.0, ge=0)

    def of(self, loaded: Loaded, cell: str, run: Run) -> Callable[[int, PreTrainedModel], dict[str, Any]]:
        """The measuring function that a trainer calls after each step; episodes are stored in the run."""
        from labkit.evaluation import evaluate
        from labkit.players.checkpoint import Checkpoint

        def measure(step: int, model: PreTrainedModel) -> dict[str, Any]:
            if step % self.every:
                return {}
            model.eval()
            player = Checkpoint(loaded, name=f"{run.id}@{step}", temperature=self.temperature)
            found = {}
            for suite in self.suites:
                result = evaluate(
                    player,
                    cell,
                    suite,
                    split=self.split,
                    episodes=self.episodes,
                    attempts=self.attempts,
                    seed=self.seed,
                )
                run.put_episodes(f"{suite}-{step}", result.episodes)
                found |= {
                    f"eval/{suite}/{result.metric}": result.value,
                    f"eval/{suite}/ci95": list(result.ci95),
                    f"eval/{suite}/n": result.n,
                }
            return found

        return measure
