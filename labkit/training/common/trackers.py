"""Trackers: metrics go to ``metrics.jsonl``, and also to TensorBoard, Weights & Biases or trackio.

``trackers: [tensorboard]`` in a config switches one on. Its files are in the run's folder, under ``trackers/``. Only
Weights & Biases sends data anywhere, unless ``WANDB_MODE=offline``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from labkit.errors import UsageError

if TYPE_CHECKING:
    from accelerate import Accelerator

    from labkit.runs import Run

Tracker = Literal["tensorboard", "wandb", "trackio"]

PROJECT = "labkit"
"""Project name in the trackers."""


def check(trackers: Sequence[Tracker]) -> None:
    """Check that the package of each tracker is installed.

    Raises:
        UsageError: one is missing.
    """
    for name in trackers:
        if find_spec(name) is None:
            raise UsageError(f"trackers: {name} is not installed; `pip install {name}`, or leave it out")


def folder(run: Run) -> Path:
    """The folder that a run's trackers write to."""
    return run.path / "trackers"


@contextmanager
def tracked(accelerator: Accelerator, run: Run, first: int) -> Iterator[None]:
    """Open the trackers of a run, and finish them at the end.

    Args:
        accelerator: made for the trackers of the run.
        first: finished steps of the state that the run resumes from. What trackers have of later steps is replaced.
    """
    if accelerator.is_main_process and accelerator.log_with:
        home = folder(run)
        home.mkdir(exist_ok=True)
        # Read when trackio is imported.
        os.environ["TRACKIO_DIR"] = str(home / "trackio")
        same = {"name": run.id, "config": run.config, "resume": "allow"}
        accelerator.init_trackers(
            PROJECT,
            init_kwargs={
                "tensorboard": {"purge_step": first + 1 if first else 0},
                "wandb": {**same, "id": run.id, "dir": str(home)},
                "trackio": same,
            },
        )
    try:
        yield
    finally:
        for tracker in accelerator.trackers:
            tracker.finish()
