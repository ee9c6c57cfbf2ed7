"""Evaluation inside a run: the same deals at every probe, so that each is compared with the first, deal by deal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import Field

from labkit.config import Config

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from labkit.models.bundle import ModelBundle
    from labkit.runs import Run


class Probe(Config):
    """What is measured while a model trains."""

    every: int = Field(50, ge=1)
    """Steps between probes; the start is always probed."""
    suites: tuple[str, ...] = ("id", "rule-ood")
    """``SUITE@SPLIT`` has a split of its own: ``id@train`` are the deals that training practises, the only ones under
    the trained rule that the paper has, which withholds none."""
    split: str = "dev"
    """Of the suites that name none. Choices are made on ``dev``; ``test`` is for the report."""
    episodes: int = Field(200, ge=1)
    attempts: int = Field(1, ge=1)
    seed: int = 0
    """Of the deals."""
    temperature: float = Field(0.0, ge=0)

    def of(self, loaded: ModelBundle, cell: str, run: Run) -> Callable[[int, PreTrainedModel], dict[str, Any]]:
        """The measuring function that a trainer calls after each step.

        Episodes are stored in the run, those of step 0 too, with which all later ones are compared: a run that goes
        on finds them there.
        """
        from labkit.evaluation import evaluate
        from labkit.evaluation.paired import difference
        from labkit.players.checkpoint import Checkpoint

        def measure(step: int, model: PreTrainedModel) -> dict[str, Any]:
            if step % self.every:
                return {}
            model.eval()
            player = Checkpoint(loaded, name=f"{run.id}@{step}", temperature=self.temperature)
            found: dict[str, Any] = {}
            for suite in self.suites:
                dealt, _, split = suite.partition("@")
                result = evaluate(
                    player,
                    cell,
                    dealt,
                    split=split or self.split,
                    episodes=self.episodes,
                    attempts=self.attempts,
                    seed=self.seed,
                )
                run.put_episodes(f"{suite}-{step}", result.episodes)
                name = f"eval/{suite}/{result.metric}"
                found |= {
                    name: result.value,
                    f"eval/{suite}/ci95": list(result.ci95),
                    f"eval/{suite}/n": result.n,
                }
                if step > 0:
                    change = difference(list(run.episodes(f"{suite}-0")), result.episodes)
                    found |= {f"{name}/change": change.value, f"{name}/change_ci95": list(change.ci95)}
            return found

        return measure
