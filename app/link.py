"""A window's settings as a query string and back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urlencode

from app import virl_state
from app.state import CUSTOM, HOTTEST, LAST_SEED, MOST_ATTEMPTS, Settings
from labkit.envs.general_points.cards import TARGETS, face_values, parse_ranks
from labkit.envs.virl.game import WALKS
from labkit.envs.virl.headings import check_actions
from labkit.errors import UsageError

TABS = ("gp", "virl", "rules", "about")
_LONGEST = 200
_S = TypeVar("_S", Settings, virl_state.Settings)


def _number(kind: type, low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        number = kind(text)
        if not low <= number <= high:
            raise ValueError(text)
        return number

    return read


# Key, the setting it stands for, and how it is read. Besides these only `rule`, `a` and `tab` are looked at.
_KEYS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "cards": ("cards", lambda text: " ".join(parse_ranks(text))),
    "target": ("target", _number(int, TARGETS[0], TARGETS[-1])),
    "seed": ("seed", _number(int, 0, LAST_SEED)),
    "turns": ("attempts", _number(int, 1, MOST_ATTEMPTS)),
    "T": ("temperature", _number(float, 0, HOTTEST)),
}


def write(settings: Settings, tab: str = TABS[0]) -> str:
    """The query string that brings the same controls back.

    Raises:
        FieldError: the controls do not describe a task.
    """
    task, faces = settings.task, settings.faces
    values = {
        "tab": tab,
        "cards": ",".join(rank for rank, _ in task.deal["cards"]),
        "rule": faces if isinstance(faces, str) else ",".join(f"{rank}={n}" for rank, n in faces.items()),
        "target": task.rule["target"],
        "seed": settings.whole_seed(),
        "turns": task.attempts,
        "T": f"{settings.clamped_temperature():g}",
    }
    return _query(values, settings.player)


def write_walk(settings: virl_state.Settings) -> str:
    """The query string that brings the same controls of the V-IRL tab back.

    Raises:
        FieldError: the controls do not describe a task.
    """
    task = settings.task
    values = {
        "tab": "virl",
        "cell": task.cell,
        "route": settings.route,
        "rule": settings.actions,
        "walk": settings.walk,
        "turns": task.attempts,
        "T": f"{settings.clamped_temperature():g}",
    }
    return _query(values, settings.player)


def _query(values: dict[str, Any], player: str | None) -> str:
    return "?" + urlencode(values | ({"a": player} if player else {}), safe=",=:/@")


def read(query: Mapping[str, str], players: Collection[str]) -> tuple[Settings, str, list[str]]:
    """The settings, the tab, and the keys whose values cannot be; their settings are left at the default.

    Each value is checked by itself.
    """
    tab = query.get("tab") if query.get("tab") in TABS else TABS[0]
    first = Settings(player=next(iter(players), None))
    # What a link to the walk says of rules and attempts is not meant for cards.
    settings, refused = (first, []) if tab == "virl" else _read(query, first, players, _with)
    return settings, tab, refused


def read_walk(
    query: Mapping[str, str], first: virl_state.Settings, players: Collection[str]
) -> tuple[virl_state.Settings, list[str]]:
    """The settings of the V-IRL tab, and the keys whose values cannot be; those stay as in ``first``."""
    return _read(query, first, players, _walk_with)


def _read(
    query: Mapping[str, str], settings: _S, players: Collection[str], change: Callable[..., _S]
) -> tuple[_S, list[str]]:
    refused = []
    for key, text in query.items():
        try:
            settings = change(settings, key, text[:_LONGEST], players)
        except (UsageError, ValueError):
            refused.append(key)
    return settings, refused


def _with(settings: Settings, key: str, text: str, players: Collection[str]) -> Settings:
    if key in _KEYS:
        name, parse = _KEYS[key]
        return replace(settings, **{name: parse(text)})
    if key == "rule":
        faces = face_values(text)
        if "=" not in text:
            return replace(settings, rule=text)
        return replace(settings, rule=CUSTOM, jack=faces["J"], queen=faces["Q"], king=faces["K"])
    return _played(settings, text, players) if key == "a" else settings


def _walk_with(settings: virl_state.Settings, key: str, text: str, players: Collection[str]) -> virl_state.Settings:
    if key == "route":
        return replace(settings, city=virl_state.city_of(text), route=text)
    if key == "rule":
        return replace(settings, actions=check_actions(text))
    if key in ("turns", "T"):
        name, parse = _KEYS[key]
        return replace(settings, **{name: parse(text)})
    if key in ("cell", "walk"):
        if text not in (virl_state.CELLS if key == "cell" else WALKS):
            raise UsageError(f"no {key} {text!r}")
        return replace(settings, **{key: text})
    return _played(settings, text, players) if key == "a" else settings


def _played(settings: _S, player: str, players: Collection[str]) -> _S:
    if player not in players:
        raise UsageError(f"no player {player!r}")
    return replace(settings, player=player)
