"""The FLOP meter (paper, appendix C.3): training costs 6ND, inference 2ND.

N counts parameters, D real tokens: prompts, answers and image tokens, padding left out. Training and inference
are kept apart, so that both the paper's estimate and the real sum can be drawn.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(slots=True)
class Meter:
    """Tokens seen so far by a model of ``parameters`` parameters."""

    parameters: int
    trained_tokens: int = 0
    """Tokens that went through forward and backward."""
    sampled_tokens: int = 0
    """Tokens that went through forward only: prompts read and answers sampled."""

    @property
    def training_flops(self) -> float:
        return 6.0 * self.parameters * self.trained_tokens

    @property
    def inference_flops(self) -> float:
        return 2.0 * self.parameters * self.sampled_tokens

    @property
    def flops(self) -> float:
        return self.training_flops + self.inference_flops

    def state(self) -> dict[str, Any]:
        """Plain data, for saving; ``Meter(**state)`` brings it back."""
        return asdict(self)
