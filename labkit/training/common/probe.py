"""Probes: evaluations inside a training run. All probes use the same deals, so each is paired with the first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import Field

from labkit.config import Config
from labkit.envs import game

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from labkit.evaluation import Estimate
    from labkit.models.bundle import ModelBundle
    from labkit.runs import Run


class Probe(Config):
    """Settings of the evaluations inside a run."""

    every: int = Field(50, ge=1)
    """Steps between probes; the model before the first step is always probed."""
    suites: tuple[str, ...] = ("id", "rule-ood")
    """``SUITE@SPLIT`` sets a split of its own: ``id@train`` are the training deals. The paper holds none out, so these
    are its only deals under the trained rule."""
    split: str = "dev"
    """Split of the suites that name none. Use ``dev`` for choices and ``test`` for reports."""
    episodes: int = Field(200, ge=1)
    attempts: int = Field(1, ge=1)
    seed: int = 0
    """Of the deals."""
    temperature: float = Field(0.0, ge=0)

    def of(self, loaded: ModelBundle, cell: str, run: Run) -> Callable[[int, PreTrainedModel], dict[str, Any]]:
        """The function that a trainer calls after each step; it returns metrics where a probe is due.

        Episodes are stored in the run. Those of step 0 are read again for the paired change at later steps, so a
        resumed run has them too.
        """
        from labkit.evaluation import evaluate
        from labkit.evaluation.paired import difference
        from labkit.players.checkpoint import Checkpoint

        def measure(step: int, model: PreTrainedModel) -> dict[str, Any]:
            if step % self.every:
                return {}
            model.eval()
            player = Checkpoint(loaded, name=f"{run.id}@{step}", temperature=self.temperature)
            shown: dict[str, Any] = {"picture": player.picture} if game(cell).pictured else {}
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
                    **shown,
                )
                run.put_episodes(f"{suite}-{step}", result.episodes)
                name = f"eval/{suite}/{result.metric}"
                found |= {**_logged(name, f"eval/{suite}/ci95", result.estimate), f"eval/{suite}/n": result.n}
                if step > 0:
                    change = difference(list(run.episodes(f"{suite}-0")), result.episodes)
                    found |= _logged(f"{name}/change", f"{name}/change_ci95", change)
            return found

        return measure


def _logged(name: str, interval: str, estimate: Estimate) -> dict[str, Any]:
    """An estimate as two metrics, its value and its interval; none where there was nothing to measure."""
    measured = estimate.measured
    return {name: measured.value, interval: list(measured.ci95)} if measured else {}
