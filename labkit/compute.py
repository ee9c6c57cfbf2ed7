"""The FLOP meter (paper, appendix C.3): training costs 6ND, inference 2ND.

N counts parameters, D real tokens: prompts, answers and image tokens, padding left out. Training and inference
are kept apart, so that both the paper's estimate and the real sum can be drawn.

Of the six, two are the forward pass, two carry the gradient back through the activations, and two make the gradient
of the weights, which only those that move are given. Where M of the N parameters move, a trained token costs

    2N + 2N + 2M,

which is 6N if all do, and little more than 4N under LoRA. It is an upper bound where nothing moves below some layer,
since the gradient stops there. Layers that the backward pass computes again (activation checkpointing) are not
counted: that is the price of memory, not of learning.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from torch import nn


@dataclass(slots=True)
class Meter:
    """Tokens seen so far by a model of ``parameters`` parameters."""

    parameters: int
    """N: all of the model's, an adapter's among them."""
    trained_tokens: int = 0
    """Tokens that went through forward and backward."""
    sampled_tokens: int = 0
    """Tokens that went through forward only: prompts read and answers sampled."""
    moving: int | None = None
    """M: those that training moves; all if not given."""

    @classmethod
    def of(cls, model: nn.Module) -> Self:
        """A meter at zero. What moves is what requires gradients; tied weights count once."""
        sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
        return cls(sum(n for n, _ in sizes), moving=sum(n for n, moves in sizes if moves))

    @property
    def training_flops(self) -> float:
        moving = self.parameters if self.moving is None else self.moving
        return (4.0 * self.parameters + 2.0 * moving) * self.trained_tokens

    @property
    def inference_flops(self) -> float:
        return 2.0 * self.parameters * self.sampled_tokens

    @property
    def flops(self) -> float:
        return self.training_flops + self.inference_flops

    def state(self) -> dict[str, Any]:
        """Plain data, for saving; ``Meter(**state)`` brings it back."""
        return asdict(self)
