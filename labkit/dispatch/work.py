"""The work of a run before it starts: how many tokens are read, sampled and trained on, and what that costs.

Text and pictures are real: a few dialogues of the config's own tasks. A run's dialogues change while it learns, so
those of stage ``rl`` are the longest: at each position every attempt is used, and the last one is right. Answers are
the expert's, or as long; they hold thoughts where the checkpoint was trained to write some.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from labkit.compute import Meter
from labkit.config import read
from labkit.dispatch.pictures import Sight
from labkit.dispatch.shapes import tokenizer_of
from labkit.envs import game, prompt
from labkit.episode import Episode, Message
from labkit.models import files
from labkit.models.chat import Dialogue, encode
from labkit.models.context import Picture
from labkit.play import play_many
from labkit.players.base import Answer, Request
from labkit.players.registry import resolve_checkpoint
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
    """Of one answer, a thought in it included."""
    trained: float
    """Of one answer, those that carry loss."""
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
    pictures: float = 0.0
    """Pictures in a dialogue; their tokens are counted above."""

    def with_answers(self, answer: float) -> Lengths:
        """These dialogues with answers of ``answer`` tokens each, if theirs are shorter."""
        more = max(0.0, answer - self.answer)
        return self._replace(
            answer=self.answer + more,
            trained=self.trained + more,
            tokens=self.tokens + self.turns * more,
            longest=round(self.longest + self.turns * more),
        )


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


def of_rl(config: RLConfig, runs: Path, sight: Sight | None = None) -> tuple[Work, Lengths, tuple[Picture, ...]]:
    """The work of stage ``rl``, its dialogues, and the pictures of the longest of them.

    Args:
        sight: how the model reads pictures, in a cell that shows some.
    """
    if sight:
        config = config.model_copy(update={"picture": sight.picture})
    episodes = [p.episode for p in play_many(islice(config.tasks(0), SAMPLE), _AllAttempts(), batch=SAMPLE)]
    dialogues = []
    for episode in episodes:
        for number in range(len(episode.positions)):
            dialogues.append(_dialogue(episode, number))
    tokenizer = tokenizer_of(config.model, runs)
    lengths, pictures = _lengths(dialogues, len(dialogues) / len(episodes), tokenizer, sight)
    if hasattr(game(config.cell), "thinking_expert") and thinks(config.model, runs):
        picture = config.picture or None
        thoughts = expert_dialogues(config.cell, 4 * SAMPLE, suite=config.suite, thought=True, picture=picture)
        longer = _lengths(thoughts, 1, tokenizer, sight)[0].answer
        lengths = lengths.with_answers(min(longer, config.max_new_tokens))
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
        pictures,
    )


def of_sft(config: SFTConfig, runs: Path, sight: Sight | None = None) -> tuple[Work, Lengths, tuple[Picture, ...]]:
    """The work of stage ``sft``, as :func:`of_rl`.

    Where answers are sampled first (``samples``), the expert's stand for them.
    """
    if config.data is not None:
        records = read_records(config.data, config.train_on)
        dialogues = [dialogue for _, dialogue in records[: 4 * SAMPLE]]
    else:
        records = []
        names = ("suite", "split", "seed", "solutions", "mistakes", "prompts", "train_on", "thought")
        settings = {name: getattr(config, name) for name in names}
        if config.samples and hasattr(game(config.cell), "thinking_expert"):
            settings["thought"] = thinks(config.model, runs)
        picture = sight.picture if sight else None
        dialogues = expert_dialogues(config.cell, 4 * SAMPLE, picture=picture, **settings)
    lengths, pictures = _lengths(dialogues, 1, tokenizer_of(config.model, runs), sight)
    steps = config.optimisation(len(records)).steps
    trained = round(steps * config.batch_size * lengths.tokens)
    return Work(steps, config.batch_size, trained, trained * int(config.kl > 0), 0, 0), lengths, pictures


def thinks(model: str, runs: Path) -> bool:
    """Whether a checkpoint was trained to write thoughts: by the last SFT in its line, as far as that is known here."""
    place = resolve_checkpoint(model, runs=runs)
    if not isinstance(place, Path):
        return False
    card, run = place / "card.json", place.parents[1] / "config.yaml"
    config = files.read_json(card).get("config", {}) if card.is_file() else read(run) if run.is_file() else {}
    if config.get("stage") == "sft" and config.get("samples") is None:
        return bool(config.get("thought"))
    before = config.get("model")
    return before is not None and thinks(before, runs)


def _dialogue(episode: Episode, position: int) -> Dialogue:
    """What was said at a position of an episode, up to the last answer."""
    here = episode.positions[position]
    asked = replace(episode, positions=(*episode.positions[:position], replace(here, attempts=here.attempts[:-1])))
    messages = (*prompt(asked), Message("assistant", here.attempts[-1].answer))
    return Dialogue(messages, tuple(range(1, len(messages), 2)))


def _lengths(
    dialogues: Sequence[Dialogue],
    in_an_episode: float,
    own: tuple[PreTrainedTokenizerBase, bool] | None,
    sight: Sight | None,
) -> tuple[Lengths, tuple[Picture, ...]]:
    """How long dialogues are, and the pictures of the longest."""
    prompts: Sequence[float]
    totals: Sequence[float]
    if own is None:
        prompts, totals, answers, trained, pictures = _estimated(dialogues, sight)
    else:
        more = {"parts": own[1], "reader": sight.reader, "draw": sight.draw} if sight else {"parts": own[1]}
        examples = encode(own[0], dialogues, **more)
        # Answers as a whole: parts of them may carry no loss.
        whole = encode(own[0], [d._replace(untrained=()) for d in dialogues], **more)
        prompts, totals = [int(e.loss.argmax()) for e in whole], [len(e.ids) for e in examples]
        answers = [float(e.loss.sum()) for e in whole]
        trained = [float(e.loss.sum()) for e in examples]
        pictures = [e.pictures for e in examples]
    turns = sum(len(d.trained_turns) for d in dialogues)
    longest = max(range(len(totals)), key=totals.__getitem__)
    lengths = Lengths(
        prompt=statistics.mean(prompts),
        answer=sum(answers) / turns,
        trained=sum(trained) / turns,
        turns=turns / len(dialogues),
        tokens=statistics.mean(totals),
        longest=round(max(totals)),
        dialogues=in_an_episode,
        exact=own is not None,
        pictures=statistics.mean(map(len, pictures)),
    )
    return lengths, pictures[longest]


def _estimated(
    dialogues: Sequence[Dialogue], sight: Sight | None
) -> tuple[list[float], list[float], list[float], list[float], list[tuple[Picture, ...]]]:
    """Tokens of prompts, dialogues, answers and answers with loss, and the pictures, from the numbers of characters."""
    prompts, totals, answers, pictures = [], [], [], []
    for dialogue in dialogues:
        counts = [MARKS + len(m.text) / CHARACTERS for m in dialogue.messages]
        shown: list[Picture] = []
        for number, message in enumerate(dialogue.messages):
            if sight and message.picture is not None:
                # Messages show their picture first.
                shown.append(sight.look(message.picture, round(sum(counts[:number])) + MARKS))
                counts[number] += shown[-1].span[1] - shown[-1].span[0]
        prompts.append(counts[0])
        totals.append(sum(counts))
        answers.append(sum(counts[i] for i in dialogue.trained_turns))
        pictures.append(tuple(shown))
    return prompts, totals, answers, answers, pictures
