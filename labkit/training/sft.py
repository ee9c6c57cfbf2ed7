"""Stage ``sft``: cross-entropy on the expert's answers to a cell's own prompts (paper, section 3).

SFT-init is the same stage run for a few steps: it teaches the answer format, from which both SFT and RL go on.
Data is dealt fresh for every step: each example is a new deal and one of its simplest solutions; of a walk, a new
rail along a route and one of its positions.
"""

from __future__ import annotations

import random
from itertools import islice
from typing import Literal

from pydantic import Field

from labkit.envs import fork, game, judge, prompt, start
from labkit.episode import Message, Task
from labkit.models.loader import load
from labkit.players.registry import locate
from labkit.runs import Run
from labkit.training.examples import Dialogue, encode
from labkit.training.probe import Probe
from labkit.training.supervised import Optimisation, fit


class SFTConfig(Optimisation):
    """Settings of the stage."""

    stage: Literal["sft"]
    name: str = "sft"
    """Last part of the run's id."""
    seed: int = 0
    """Of the deals and of the choice among solutions."""
    model: str
    """Where to start: a bundled checkpoint (``tiny:base``), a directory, a hub id, ``run:ID`` or ``run:ID@STEP``."""
    cell: Literal["gp-l", "virl-l"] = "gp-l"
    suite: str = "id"
    split: str = "train"
    """Hands that are dealt. Post-training deals ``train`` only, so that the other splits measure it."""
    solutions: int = Field(2, ge=1)
    """Each answer is one of this many simplest solutions."""
    probe: Probe | None = None
    """Evaluation inside the run."""


def sft(config: SFTConfig, run: Run, *, resume: bool, device: str = "cpu") -> None:
    """Fine-tune a checkpoint on expert answers."""
    loaded = load(locate(config.model), device=device)

    def batch_of(step: int) -> list[Dialogue]:
        deals = game(config.cell).tasks(config.suite, config.split, seed=config.seed, first=step * config.batch_size)
        return encode(loaded.tokenizer, [expert_dialogue(t, config.solutions) for t in islice(deals, config.batch_size)])

    fit(
        loaded.model,
        loaded.tokenizer,
        batch_of,
        config,
        run,
        resume=resume,
        evaluate=config.probe.of(loaded, config.cell, run) if config.probe else None,
    )


def expert_dialogue(task: Task, solutions: int) -> Dialogue:
    """A prompt of the task and the expert's answer: one of the ``solutions`` simplest ones.

    The choice, and that of a position where the task has several, is made by the deal itself.
    """
    rng, playing = random.Random(f"expert/{task.id}"), game(task.cell)
    episode = start(task)
    while not episode.done:
        episode = judge(episode, playing.expert(episode, rng, solutions))
    at = rng.randrange(len(episode.positions))
    answer = episode.positions[at].attempts[0].answer
    return Dialogue((*prompt(fork(episode, 0, at)), Message("assistant", answer)), (1,))
