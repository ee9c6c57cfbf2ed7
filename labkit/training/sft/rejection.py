"""Rejection sampling: fine-tuning on a policy's own right answers (Yuan et al., arXiv 2308.01825).

It sees what RL sees, outcomes of its own samples, but its wrong answers teach it nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from labkit.counting import counted
from labkit.envs import fork, game, prompt
from labkit.episode import Episode, Message
from labkit.errors import UsageError
from labkit.models.bundle import ModelBundle
from labkit.models.chat import Dialogue
from labkit.play import play_many
from labkit.players.checkpoint import Checkpoint
from labkit.rollout import gather
from labkit.training.sft.data import dialogue


class Sampled(NamedTuple):
    """What a policy answered rightly, and what finding it took."""

    dialogues: list[Dialogue]
    lengths: list[int]
    """Tokens of every dialogue that was played, for the FLOP meter."""


def right_answers(
    bundle: ModelBundle,
    cell: str,
    episodes: int,
    *,
    suite: str,
    split: str,
    seed: int,
    max_new_tokens: int,
    picture: Mapping[str, Any],
) -> Sampled:
    """Play deals at temperature 1, with feedback, and keep the right answers; only they carry loss.

    Args:
        picture: how the deals' pictures are drawn, in a cell that shows some.

    Raises:
        UsageError: no answer was right.
    """
    player = Checkpoint(bundle, name="start", temperature=1.0, max_new_tokens=max_new_tokens)
    shown: dict[str, Any] = {"picture": picture} if picture else {}
    tasks = islice(game(cell).tasks(suite, split, seed=seed, **shown), episodes)
    played = sorted(play_many(tasks, player, batch=192, key=(seed,)), key=lambda p: p.index)
    kept = [right for one in played for right in _right(one.episode)]
    if not kept:
        deals = counted(episodes, "deal")
        raise UsageError(f"no answer to {deals} was right; start from a model that plays {cell}, or take more")
    return Sampled(kept, [len(row.ids) for row in gather(played).rows])


def _right(episode: Episode) -> Iterator[Dialogue]:
    """The dialogue of each position that ends in a right answer, up to that answer."""
    for at, position in enumerate(episode.positions):
        if position.attempts and position.attempts[-1].verdict.success:
            before = prompt(fork(episode, len(position.attempts) - 1, at))
            yield dialogue((*before, Message("assistant", position.attempts[-1].answer)), "last")
