"""Batched play beside a simple loop: one episode at a time, ``generate`` of transformers.

Both answer greedily, with the same weights and the same limit of tokens. They differ in batching, in the cache kept
over a dialogue's turns, and in the decoding loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from labkit.bench.timing import Row, Work, compare
from labkit.envs import game, judge, prompt, start
from labkit.episode import Task
from labkit.models.tiny import Shape, build_model, build_tokenizer
from labkit.play import play_many
from labkit.players import registry

BUNDLED = "tiny:gp-l/init"
EPISODES = {1: 4, 8: 16, 64: 64, 256: 256}
"""Episodes of a round by batch size; the plain way plays :data:`PLAIN_EPISODES`."""
PLAIN_EPISODES = 4
ATTEMPTS = 2
NEW_TOKENS = 48
_PLAIN = "one episode at a time, generate of transformers"


def figures() -> int:
    """How many rows there will be."""
    return len(EPISODES)


def rows(rounds: int = 3) -> Iterator[Row]:
    """Time episodes a second by batch size, on the CPU."""
    transformers.logging.disable_progress_bar()
    with TemporaryDirectory() as folder:
        path, whose = checkpoint(Path(folder))
        player = registry.load(str(path), device="cpu", dtype="float32", max_new_tokens=NEW_TOKENS, batch=max(EPISODES))
        plain = PlainLoop(path)

        def ours(batch: int) -> Work:
            return lambda n: len(list(play_many(deals(n, EPISODES[batch]), player, batch=batch)))

        def theirs(number: int) -> int:
            return len([plain.play(task) for task in deals(number, PLAIN_EPISODES)])

        for batch in EPISODES:
            yield compare("play", f"{whose}, batch {batch}", "episodes/s", ours(batch), theirs, _PLAIN, rounds)


def deals(number: int, count: int) -> Iterator[Task]:
    """The tasks of a round, other ones each round."""
    return islice(game("gp-l").tasks("id", seed=number, attempts=ATTEMPTS), count)


class PlainLoop:
    """The whole dialogue is encoded and read again for each answer."""

    def __init__(self, path: Path) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(path)
        self._model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()

    def play(self, task: Task) -> str:
        """Play an episode; returns how it ended."""
        episode = start(task)
        while not episode.done:
            chat = [{"role": m.role, "content": m.text} for m in prompt(episode)]
            encoded = self._tokenizer.apply_chat_template(
                chat, add_generation_prompt=True, return_dict=True, return_tensors="pt"
            )
            with torch.inference_mode():
                ids = self._model.generate(**encoded, max_new_tokens=NEW_TOKENS, do_sample=False)
            said = self._tokenizer.decode(ids[0, encoded["input_ids"].shape[1] :], skip_special_tokens=True)
            episode = judge(episode, said)
        return episode.status


def checkpoint(folder: Path) -> tuple[Path, str]:
    """The bundled checkpoint, or a model of the same kind with random weights made on the spot."""
    for info in registry.players():
        if info.spec == BUNDLED and info.path:
            return Path(info.path), BUNDLED
    texts = [start(task).position.prompt for task in deals(0, 200)]
    tokenizer = build_tokenizer(texts, Shape().vocabulary)
    build_model(Shape(), tokenizer, seed=0).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder, "random weights"
