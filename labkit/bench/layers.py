"""What each layer of sampling buys: ``python -m labkit.bench.layers`` prints tokens a second with each layer added.

The same episodes of GeneralPoints are played with the bundled SFT-init at each level of
:class:`labkit.models.sampling.levels.Level`, then with the fused forward pass, then with weights in bf16. Rounds
alternate. Time is CPU time of one thread, so other work on the machine counts little.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from statistics import median
from typing import Any

import torch
import transformers

from labkit.envs import game
from labkit.models.loader import load
from labkit.models.sampling.levels import Level
from labkit.play import Played, play_many
from labkit.players.checkpoint import Checkpoint
from labkit.players.registry import resolve_checkpoint

LAYERS = ("plain", "cached", "prefixes", "drafts", "fused", "bf16")


class Unfused(transformers.LlamaForCausalLM):
    """The same model under another name: only a plain ``LlamaForCausalLM`` is fused."""


def player(layer: str, max_new_tokens: int = 40) -> Checkpoint:
    """A player that samples with the layers up to this one."""
    loaded = load(resolve_checkpoint("tiny:gp-l/init"))
    settings: dict[str, Any] = {"name": layer, "temperature": 1.0, "max_new_tokens": max_new_tokens}
    if layer in ("fused", "bf16"):
        return Checkpoint(loaded, sampler="bfloat16" if layer == "bf16" else None, **settings)
    loaded.model.__class__ = Unfused
    found = Checkpoint(loaded, **settings)
    found.level = Level[layer.upper()]
    return found


def play(who: Checkpoint, number: int, episodes: int) -> list[Played]:
    """The episodes of a round, each of up to three attempts."""
    tasks = islice(game("gp-l").tasks("id", seed=number, attempts=3), episodes)
    return sorted(play_many(tasks, who, batch=episodes, key=(number,)), key=lambda played: played.index)


def rates(rounds: int, episodes: int) -> Iterator[tuple[str, float, float]]:
    """Of each layer: tokens a CPU second, and how many times those of the layer before; medians over rounds."""
    torch.set_num_threads(1)
    players = {layer: player(layer) for layer in LAYERS}
    found: dict[str, list[float]] = {layer: [] for layer in LAYERS}
    for number in range(rounds):
        for layer, who in players.items():
            began = time.process_time()
            tokens = sum(a.sample.tokens for played in play(who, number, episodes) for a in played.answers)
            found[layer].append(tokens / (time.process_time() - began))
    before = found[LAYERS[0]]
    for layer, its in found.items():
        yield layer, median(its), median(a / b for a, b in zip(its, before, strict=True))
        before = its


if __name__ == "__main__":
    for layer, rate, gain in rates(rounds=2, episodes=16):
        print(f"{layer:<10}{rate:>8,.0f} tokens/s  x {gain:.2f}", flush=True)
