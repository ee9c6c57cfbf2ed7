"""The link that puts a stored deal on the table of its game's tab."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app import link
from app.general_points.handlers import GeneralPointsHandlers
from app.general_points.settings import CELLS, CUSTOM, NUMBERS, SUITS, GeneralPointsSettings
from labkit import envs
from labkit.envs.general_points.cards import FACES, face_values
from labkit.envs.general_points.game import ranks_of
from labkit.episode import Episode
from labkit.errors import UsageError


def deal_link(episode: Episode) -> str | None:
    """The query string of the tab with this deal and this player; None where the tab cannot show the same deal.

    Routes are not linked: a stored one has a rail of its own, and the tab lays another.
    """
    task = episode.task
    if task.cell not in CELLS:
        return None
    faces = task.rule["faces"]
    numbers: dict[str, Any] = dict(zip(NUMBERS, face_values(faces).values(), strict=True))
    samples = (attempt.sample for attempt in episode.attempts)
    chosen = GeneralPointsSettings(
        cards=" ".join(ranks_of(task.deal)),
        target=task.rule["target"],
        cell=task.cell,
        attempts=task.attempts,
        temperature=next((sample.temperature for sample in samples if sample), 0.0),
        rule=faces if isinstance(faces, str) and faces in FACES else CUSTOM,
        **numbers,
    )
    for suits in SUITS:
        dealt = replace(chosen, suits=suits)
        try:
            if _asked(envs.start(dealt.task)) == _asked(envs.start(task)):
                return link.write(GeneralPointsHandlers.TAB, dealt, [episode.player])
        except UsageError:
            # More attempts, or a hotter player, than the tab allows.
            return None
    return None


def _asked(episode: Episode) -> tuple[str, object]:
    """What a player is asked first: the prompt, and the picture's pixels."""
    here = episode.position
    return here.prompt, here.picture and here.picture["hash"]
