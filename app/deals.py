"""The link that puts a played deal on the table of its game's tab."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from app import link
from app.general_points.settings import CELLS, CUSTOM, NUMBERS, SUITS, GeneralPointsSettings
from app.shared.settings import Settings
from app.virl.settings import VIRLSettings
from labkit import envs
from labkit.envs.games import row_of
from labkit.envs.general_points.cards import FACES, face_values
from labkit.envs.general_points.game import ranks_of
from labkit.episode import Episode, Task
from labkit.errors import UsageError
from labkit.views.markup import text


def deal_link(task: Task, players: Sequence[str], temperature: float = 0.0) -> str | None:
    """The query string of the tab with this deal and these players; None where the tab cannot show the same deal.

    Args:
        players: who sits at the table.
        temperature: of the players.
    """
    try:
        game = row_of(task.cell).name
    except UsageError:
        return None
    for chosen in SETTINGS[game](task) if game in SETTINGS else ():
        try:
            if _asked(chosen.task) == _asked(task):
                return link.write(game, replace(chosen, temperature=temperature), players)
        except UsageError:
            # More attempts, or a hotter player, than the tab allows, or a route that it does not offer.
            return None
    return None


def table_link(task: Task, players: Sequence[str], temperature: float = 0.0) -> str:
    """HTML of :func:`deal_link`, which opens a window of its own, so that what is seen here stays; else empty."""
    query = deal_link(task, players, temperature)
    if query is None:
        return ""
    return f'<a class="app-to-table" href="{text(query)}" target="_blank" rel="noopener">Put this deal on the table</a>'


def temperature_of(episode: Episode) -> float:
    """The temperature at which a model played; 0 where none did."""
    samples = (attempt.sample for attempt in episode.attempts)
    return next((sample.temperature for sample in samples if sample), 0.0)


def _general_points(task: Task) -> Iterator[GeneralPointsSettings]:
    """Settings of the tab that may be those of the deal."""
    faces = task.rule["faces"]
    numbers: dict[str, Any] = dict(zip(NUMBERS, face_values(faces).values(), strict=True))
    for suits in SUITS:
        yield GeneralPointsSettings(
            cards=" ".join(ranks_of(task.deal)),
            target=task.rule["target"],
            cell=task.cell if task.cell in CELLS else CELLS[0],
            suits=suits,
            attempts=task.attempts,
            rule=faces if isinstance(faces, str) and faces in FACES else CUSTOM,
            **numbers,
        )


def _virl(task: Task) -> Iterator[VIRLSettings]:
    """Settings of the tab that may be those of the route."""
    rules: dict[str, Any] = {"actions": task.rule["actions"], "walk": task.rule.get("walk", "rail")}
    where: dict[str, Any] = {"route": str(task.deal["route"]["id"]), "rail": str(task.deal["key"])}
    yield VIRLSettings(cell=task.cell, attempts=task.attempts, **where, **rules).on_route()


SETTINGS: Mapping[str, Callable[[Task], Iterator[Settings]]] = {"gp": _general_points, "virl": _virl}
"""By game: the settings that may describe a task."""


def _asked(task: Task) -> object:
    """What a player is asked: the first prompt and the picture's pixels; of a route, everything that it is laid by."""
    if "route" in task.deal:
        return json.dumps([task.cell, task.deal, task.rule, task.prompts, task.picture], sort_keys=True)
    here = envs.start(task).position
    return here.prompt, here.picture and here.picture["hash"]
