"""Modules of one's own, which add games, kinds of credit and players; ``docs/extending.md`` shows one of each."""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module

from labkit.errors import UsageError

MODULES = "LABKIT_MODULES"
"""Environment variable: the modules' names, separated by commas. Every process of labkit inherits it."""


def import_modules() -> None:
    """Import the modules that ``LABKIT_MODULES`` names; called before a game, a credit or a player is looked up.

    Raises:
        UsageError: one of them cannot be imported.
    """
    _import(os.environ.get(MODULES, ""))


@cache
def _import(modules: str) -> None:
    for module in filter(None, (part.strip() for part in modules.split(","))):
        try:
            import_module(module)
        except ImportError as error:
            raise UsageError(f"{MODULES} names {module!r}, which cannot be imported: {error}") from None
