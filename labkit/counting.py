"""Counts in sentences, with the noun in the right number."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun: ``0 runs``, ``1 run``, ``1,200 runs``.

    Args:
        plural: where it is not the noun and an s, such as ``processes``.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
