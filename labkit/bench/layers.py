"""Each layer of sampling beside the one before it, in tokens a second.

The same episodes of GeneralPoints are played with the bundled SFT-init at each level of
:class:`labkit.models.sampling.levels.Level`, then with the fused forward pass, then with weights in bf16.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any

import transformers

from labkit.bench.timing import Row, Work, compare
from labkit.envs import game
from labkit.models.loader import load
from labkit.models.sampling.levels import Level
from labkit.play import Played, play_many
from labkit.players.checkpoint import Checkpoint
from labkit.players.registry import resolve_checkpoint

LAYERS = ("plain", "cached", "prefixes", "drafts", "fused", "bf16")
EPISODES = 16
"""Of a round."""


class Unfused(transformers.LlamaForCausalLM):
    """The same model under another name: only a plain ``LlamaForCausalLM`` is fused."""


def player(layer: str, max_new_tokens: int = 128) -> Checkpoint:
    """A player that samples with the layers up to this one."""
    bundle = load(resolve_checkpoint("tiny:gp-l/init"))
    settings: dict[str, Any] = {"name": layer, "temperature": 1.0, "max_new_tokens": max_new_tokens}
    if layer in ("fused", "bf16"):
        return Checkpoint(bundle, sampler="bfloat16" if layer == "bf16" else None, **settings)
    bundle.model.__class__ = Unfused
    found = Checkpoint(bundle, **settings)
    found.level = Level[layer.upper()]
    return found


def play(who: Checkpoint, number: int, episodes: int) -> list[Played]:
    """The episodes of a round, each of up to three attempts."""
    tasks = islice(game("gp-l").tasks("id", seed=number, attempts=3), episodes)
    return sorted(play_many(tasks, who, batch=episodes, key=(number,)), key=lambda played: played.index)


def figures() -> int:
    """How many rows there will be."""
    return len(LAYERS) - 1


def rows(rounds: int = 3) -> Iterator[Row]:
    """Time tokens a second on the CPU: a layer, and the layer before it as the plain way."""
    players = {layer: player(layer) for layer in LAYERS}

    def work(layer: str) -> Work:
        return lambda number: sum(
            answer.sample.tokens
            for played in play(players[layer], number, EPISODES)
            for answer in played.answers
            if answer.sample
        )

    for before, layer in pairwise(LAYERS):
        yield compare("layers", layer, "tokens/s", work(layer), work(before), f"{before} only", rounds)
