"""Rollouts: tokens a second, beside two other ways of sampling from the same weights.

One is the loop of the paper's authors: one episode at a time, its whole dialogue encoded and read again for each
answer, ``generate`` of transformers. The other is a ceiling for anything that gives a token a forward pass: the
first prompts are read once and as many tokens are decoded at the same batch size, without a dialogue, a
tokenizer or a verifier. (Guessed tokens can pass it.)

All sample at temperature 1 without filters. Walks are not played, since the bundled checkpoint cannot walk: the
positions are an expert's, in order, and the answers are only timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import cache
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from labkit.bench.play import checkpoint
from labkit.bench.timing import Row, Work, compare_all
from labkit.envs import game, prompt
from labkit.episode import Episode, Sample
from labkit.models.bundle import ModelBundle
from labkit.models.chat import render
from labkit.models.loader import load
from labkit.play import play_many, stream
from labkit.players.base import Answer, Player, Request
from labkit.players.checkpoint import Checkpoint
from labkit.players.simple import Expert

BATCH = {"gp-l": 128, "virl-l": 16}
"""Played side by side; as many walks are gone."""
DTYPES = ("float32", "bfloat16")
EPISODES = 128
"""Of GeneralPoints in a round."""
POSITIONS = 4
"""Of each walk."""
PLAIN = {"gp-l": 4, "virl-l": 2}
"""Episodes that the plain way plays in a round."""
ATTEMPTS = 5
NEW_TOKENS = 48
_PLAIN = "one episode at a time, generate of transformers"
_BARE = "bare decoding: prompts once, as many tokens"


def figures() -> int:
    """How many rows there will be."""
    return len(BATCH) * len(DTYPES) * 2


def rows(rounds: int = 3) -> Iterator[Row]:
    """Time sampling by cell and precision, on the CPU."""
    transformers.logging.disable_progress_bar()
    with TemporaryDirectory() as folder:
        path, whose = checkpoint(Path(folder))
        loaded, plain = load(path), Plain(path)
        for cell, batch in BATCH.items():
            play, count = {"gp-l": (episodes, EPISODES), "virl-l": (walks, batch)}[cell]
            for dtype in DTYPES:
                ours = tokens(play, _player(loaded, dtype, batch), count, batch)
                bare = Bare(loaded, dtype, cell, batch)
                others = {_PLAIN: tokens(play, plain, PLAIN[cell], 1), _BARE: bare.decode}
                what = f"{cell}, {whose}, batch {batch}, {dtype}"
                yield from compare_all("rollout", what, "tokens/s", ours, others, rounds)


def _player(loaded: ModelBundle, dtype: str, batch: int) -> Checkpoint:
    sampler = None if dtype == "float32" else dtype
    return Checkpoint(loaded, name=dtype, sampler=sampler, temperature=1.0, max_new_tokens=NEW_TOKENS, batch=batch)


Play = Callable[[int, Player, int, int], tuple[int, int]]
"""Plays round ``number`` with a player, so many episodes at a batch size; episodes and sampled tokens."""


def tokens(play: Play, player: Player, count: int, batch: int) -> Work:
    """The work of a round, in tokens."""
    return lambda number: play(number, player, count, batch)[1]


def episodes(number: int, player: Player, count: int, batch: int) -> tuple[int, int]:
    """Play GeneralPoints; other deals each round."""
    tasks = islice(game("gp-l").tasks("id", seed=number, attempts=ATTEMPTS), count)
    played = list(play_many(tasks, player, batch=batch, key=(number,)))
    return len(played), sum(a.sample.tokens for p in played for a in p.episode.attempts if a.sample)


def walks(number: int, player: Player, count: int, batch: int) -> tuple[int, int]:
    """Answer at an expert's positions, one after the other, ``batch`` walks side by side."""
    sampled, going = 0, _walks(count)
    for first in range(0, count, batch):
        for at in range(POSITIONS):
            turns = [Request(walk[at], (), (number, first + i)) for i, walk in enumerate(going[first : first + batch])]
            sampled += sum(a.sample.tokens for a in player.answer(turns) if a.sample)
    return count, sampled


@cache
def _walks(count: int) -> list[list[Episode]]:
    """Open episodes at the first positions of an expert's walks."""
    gone = ([e for e in stream(t, Expert()) if not e.done][:POSITIONS] for t in game("virl-l").tasks("id"))
    return list(islice((walk for walk in gone if len(walk) == POSITIONS), count))


class Plain:
    """A player that encodes and reads the whole dialogue again for each answer, one at a time."""

    name = "plain"

    def __init__(self, path: Path) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(path)
        self._model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()

    def answer(self, turns: Sequence[Request]) -> list[Answer]:
        return [self._answer(turn) for turn in turns]

    @torch.inference_mode()
    def _answer(self, turn: Request) -> Answer:
        chat = [{"role": m.role, "content": m.text} for m in prompt(turn.episode)]
        encoded = self._tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        settings = {"max_new_tokens": NEW_TOKENS, "do_sample": True, "temperature": 1.0, "top_k": 0}
        ids = self._model.generate(**encoded, **settings)[0, encoded["input_ids"].shape[1] :]
        sample = Sample(len(ids), encoded["input_ids"].shape[1], 0.0, 1.0, 0.0)
        return Answer(self._tokenizer.decode(ids, skip_special_tokens=True), sample)


class Bare:
    """Decoding alone, with the cache of transformers: the first prompts of a batch, then token after token.

    As many tokens as the answers of an episode (three attempts, or all positions) have at most.
    """

    def __init__(self, loaded: ModelBundle, dtype: str, cell: str, batch: int) -> None:
        self._model = loaded.model if dtype == "float32" else deepcopy(loaded.model).to(torch.bfloat16)
        starts = [next(stream(t, Expert())) for t in islice(game(cell).tasks("id"), batch)]
        prompts = [render(loaded, prompt(start)) for start in starts]
        shortest = min(map(len, prompts))
        self._ids = torch.tensor([ids[-shortest:] for ids in prompts])
        self._steps = NEW_TOKENS * (3 if cell == "gp-l" else POSITIONS)

    @torch.inference_mode()
    def decode(self, number: int) -> int:
        """A round of work, in tokens."""
        cache, ids = DynamicCache(config=self._model.config), self._ids
        for _ in range(self._steps):
            logits_BV = self._model(input_ids=ids, past_key_values=cache, logits_to_keep=1).logits[:, -1]
            ids = torch.multinomial(logits_BV.float().softmax(-1), 1)
        return len(self._ids) * self._steps
