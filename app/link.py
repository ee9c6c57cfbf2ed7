"""A tab's settings and players as a query string and back. The keys are the names of the settings' fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlencode

from app.shared.settings import Fields, names, values, with_text
from labkit.errors import UsageError

_S = TypeVar("_S", bound=Fields)


def write(tab: str, settings: Fields, players: Sequence[str | None] = (), panel: Fields | None = None) -> str:
    """The query string that brings the same settings and players back.

    Args:
        panel: the fields of the panel that is open in the tab.

    Raises:
        FieldError: a field is invalid.
    """
    seated = {"players": ",".join(name for name in players if name)} if players else {}
    opened = values(panel) if panel else {}
    return "?" + urlencode({"tab": tab} | values(settings) | opened | seated, safe=",=:/@")


def read(query: Mapping[str, str], settings: _S) -> tuple[_S, list[str]]:
    """The settings with what the link says, and the keys with invalid values; their fields stay as they are.

    Each value is checked by itself. Keys that are no field are left alone.
    """
    refused = []
    for name in names(type(settings)):
        if name not in query:
            continue
        try:
            settings = with_text(settings, name, query[name])
        except UsageError:
            refused.append(name)
    return settings, refused
