"""A window's settings as a query string and back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from app.state import CUSTOM, HOTTEST, LAST_SEED, MOST_ATTEMPTS, Settings
from labkit.envs.general_points.cards import TARGETS, face_values, parse_ranks
from labkit.errors import UsageError

TABS = ("gp", "rules", "about")
_LONGEST = 200


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
    if settings.player:
        values["a"] = settings.player
    return "?" + urlencode(values, safe=",=:/@")


def read(query: Mapping[str, str], players: Collection[str]) -> tuple[Settings, str, list[str]]:
    """The settings, the tab, and the keys whose values cannot be; their settings are left at the default.

    Each value is checked by itself.
    """
    settings, refused = Settings(player=next(iter(players), None)), []
    for key, text in query.items():
        try:
            settings = _with(settings, key, text[:_LONGEST], players)
        except (UsageError, ValueError):
            refused.append(key)
    tab = query.get("tab")
    return settings, tab if tab in TABS else TABS[0], refused


def _with(settings: Settings, key: str, text: str, players: Collection[str]) -> Settings:
    if key in _KEYS:
        name, parse = _KEYS[key]
        return replace(settings, **{name: parse(text)})
    if key == "rule":
        faces = face_values(text)
        if "=" not in text:
            return replace(settings, rule=text)
        return replace(settings, rule=CUSTOM, jack=faces["J"], queen=faces["Q"], king=faces["K"])
    if key == "a":
        if text not in players:
            raise UsageError(f"no player {text!r}")
        return replace(settings, player=text)
    return settings
