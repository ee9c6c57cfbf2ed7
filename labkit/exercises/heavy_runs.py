"""Checks of the exercises in notebooks/13_heavy_runs."""

from __future__ import annotations

from typing import Any

from labkit.exercises import exercise, expect


@exercise(
    "A number in fp32 takes 4 bytes. Every parameter has a weight.",
    "A parameter that a gradient reaches has three numbers more: its gradient and Adam's two moments.",
    "With FSDP each GPU keeps an equal share of all of them.",
)
def state_bytes(learner: Any) -> str:
    """Bytes of weights, gradients and moments in fp32 on each GPU."""
    expect(learner, (1, 1, 1), 16)
    expect(learner, (1000, 0, 1), 4000)
    expect(learner, (1000, 0, 8), 500)
    expect(learner, (10_000, 7_000, 4), 31_000)
    return "16 bytes for a parameter that is trained, 4 for one that is not, shared by the GPUs"


@exercise(
    "Look at each line's step: is it in the set?",
    "The number of lines says nothing: a file may have become shorter and grown again.",
)
def unseen(learner: Any) -> str:
    """The lines whose step was not shown yet, in their order."""
    first, second, third = ({"step": step, "rollout/return": step / 10} for step in (1, 2, 3))
    expect(learner, ([first, second], set()), [first, second])
    expect(learner, ([first, second, third], {1, 2}), [third])
    expect(learner, ([first, second], {1, 2, 3}), [])
    expect(learner, ([], {1}), [])
    expect(learner, ([{"step": 0}, first, third], {1, 3}), [{"step": 0}])
    return "each step once, also after a file became shorter"
