"""The work of a run before it starts: how many tokens are read, sampled and trained on, and what that costs.

The text is real: a few dialogues of the config's own tasks. A run's dialogues change while it learns, so those of
stage ``rl`` are the longest: at each position every attempt is used, and the last one is right. Answers are the
expert's, or as long.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from labkit.compute import Meter
from labkit.dispatch.shapes import tokenizer_of
from labkit.envs import prompt
from labkit.episode import Episode, Message
from labkit.models.chat import Dialogue, encode
from labkit.play import play_many
from labkit.players.base import Answer, Request
from labkit.players.simple import Expert, Random
from labkit.training.sft.data import expert_dialogues, read_records

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from labkit.training.rl.config import RLConfig
    from labkit.training.sft.stage import SFTConfig

SAMPLE = 16
"""Tasks whose dialogues are looked at."""
CHARACTERS = 3.3
"""Characters to a token where the tokenizer is not at hand: JSON and plain English in the vocabularies of Llama 3 and
Qwen. An estimate."""
MARKS = 5
"""Tokens that a chat template puts around a message, where it is not at hand."""


class Lengths(NamedTuple):
    """Dialogues of a run in tokens, means over a sample; one dialogue is one row of a batch."""

    prompt: float
    """In front of the first answer."""
    answer: float
    """Of one answer."""
    turns: float
    """Answers in a dialogue."""
    tokens: float
    """The whole dialogue."""
    longest: int
    """Tokens of the longest of the sample."""
    dialogues: float
    """In an episode: its positions."""
    exact: bool
    """Whether the model's own tokenizer counted them."""

    def with_answers(self, answer: int) -> int:
        """Tokens of a dialogue whose answers have ``answer`` tokens each."""
        return round(self.tokens + self.turns * max(0.0, answer - self.answer))


class Work(NamedTuple):
    """The tokens of a whole run."""

    steps: int
    """Updates, or optimizer steps."""
    rows: int
    """Dialogues of a step, on all processes."""
    trained: int
    """Tokens that go through forward and backward passes."""
    scored: int
    """Tokens that go through a forward pass besides: to be scored before an update."""
    read: int
    """Prompts and feedback that are read before sampling."""
    sampled: int

    def meter(self, parameters: int, moving: int, width: int, tokens: float) -> Meter:
        """The FLOP meter as the run will leave it. Dialogues have ``tokens`` tokens each."""
        meter = Meter(parameters, self.trained, self.read + self.sampled + self.scored, moving, width)
        meter.trained_pairs = round(self.trained * (tokens + 1) / 2)
        meter.sampled_pairs = round(meter.sampled_tokens * (tokens + 1) / 2)
        return meter


class _AllAttempts:
    """Answers wrongly until one attempt is left at a position, and then rightly."""

    name = "all-attempts"

    def answer(self, turns: Sequence[Request]) -> list[Answer]:
        wrong, right = Random(), Expert()
        return [
            (right if len(t.episode.position.attempts) + 1 == t.episode.task.attempts else wrong).answer([t])[0]
            for t in turns
        ]


def of_rl(config: RLConfig, runs: Path) -> tuple[Work, Lengths]:
    """The work of stage ``rl``."""
    episodes = [p.episode for p in play_many(islice(config.tasks(0), SAMPLE), _AllAttempts(), batch=SAMPLE)]
    dialogues = []
    for episode in episodes:
        for number in range(len(episode.positions)):
            dialogues.append(_dialogue(episode, number))
    lengths = _lengths(dialogues, len(dialogues) / len(episodes), tokenizer_of(config.model, runs))
    rows = round(config.episodes * lengths.dialogues)
    tokens, answers = round(rows * lengths.tokens), round(rows * lengths.turns * lengths.answer)
    one_step = config.epochs == config.minibatches == 1
    passes = int(config.has_critic or not one_step) + int(config.kl > 0)
    updates = config.updates
    return (
        Work(
            updates,
            rows,
            trained=updates * config.epochs * tokens,
            scored=updates * passes * tokens,
            read=updates * (tokens - answers),
            sampled=updates * answers,
        ),
        lengths,
    )


def of_sft(config: SFTConfig, runs: Path) -> tuple[Work, Lengths]:
    """The work of stage ``sft``. Where answers are sampled first (``samples``), the expert's stand for them."""
    if config.data is not None:
        records = read_records(config.data, config.train_on)
        dialogues = [dialogue for _, dialogue in records[: 4 * SAMPLE]]
    else:
        records = []
        names = ("suite", "split", "seed", "solutions", "mistakes", "prompts", "train_on", "thought")
        dialogues = expert_dialogues(config.cell, 4 * SAMPLE, **{name: getattr(config, name) for name in names})
    lengths = _lengths(dialogues, 1, tokenizer_of(config.model, runs))
    steps = config.optimisation(len(records)).steps
    trained = round(steps * config.batch_size * lengths.tokens)
    return Work(steps, config.batch_size, trained, trained * int(config.kl > 0), 0, 0), lengths


def _dialogue(episode: Episode, position: int) -> Dialogue:
    """What was said at a position of an episode, up to the last answer."""
    here = episode.positions[position]
    asked = replace(episode, positions=(*episode.positions[:position], replace(here, attempts=here.attempts[:-1])))
    messages = (*prompt(asked), Message("assistant", here.attempts[-1].answer))
    return Dialogue(messages, tuple(range(1, len(messages), 2)))


def _lengths(
    dialogues: Sequence[Dialogue], in_an_episode: float, own: tuple[PreTrainedTokenizerBase, bool] | None
) -> Lengths:
    if own is None:
        counts = [[MARKS + len(m.text) / CHARACTERS for m in d.messages] for d in dialogues]
        prompts, totals = [c[0] for c in counts], [sum(c) for c in counts]
        answers = [sum(c[i] for i in d.trained_turns) for c, d in zip(counts, dialogues, strict=True)]
    else:
        examples = encode(own[0], dialogues, parts=own[1])
        prompts, totals = [int(e.loss.argmax()) for e in examples], [len(e.ids) for e in examples]
        answers = [int(e.loss.sum()) for e in examples]
    turns = sum(len(d.trained_turns) for d in dialogues)
    return Lengths(
        prompt=statistics.mean(prompts),
        answer=sum(answers) / turns,
        turns=turns / len(dialogues),
        tokens=statistics.mean(totals),
        longest=round(max(totals)),
        dialogues=in_an_episode,
        exact=own is not None,
    )
