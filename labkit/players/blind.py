"""A control beside players who look: the same player, with noise in place of every picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from labkit.envs import game
from labkit.envs.pictures import noise_recipe
from labkit.players.base import Answer, Player, Request

if TYPE_CHECKING:
    from labkit.episode import Episode

PREFIX = "blind:"
"""In front of a player's name: that player, blind."""


class Blind:
    """A player that is shown noise of a picture's size instead of the picture; its words stay as they are.

    The noise is seeded by the deal and the position, so that an answer can be sampled again and every player sees the
    same noise. Attributes of the player, such as ``temperature`` and ``notes``, are attributes here too.

    Args:
        name: what episodes call it; ``blind:`` and the player's name if not given.
    """

    def __init__(self, player: Player, name: str = "") -> None:
        self._player = player
        self.name = name or f"{PREFIX}{player.name}"

    def answer(self, turns: Sequence[Request]) -> list[Answer]:
        return self._player.answer([turn._replace(episode=_blinded(turn.episode)) for turn in turns])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._player, name)


def _blinded(episode: Episode) -> Episode:
    """The episode with noise for the picture of its open position; of the others, only words are in a prompt."""
    here = episode.position
    if here.picture is None:
        return episode
    seed = json.dumps([episode.task.deal, len(episode.positions)], sort_keys=True)
    recipe = noise_recipe(game(episode.task.cell).draw(here.picture["recipe"]).size, seed)
    return replace(episode, positions=(*episode.positions[:-1], replace(here, picture={"recipe": recipe})))
