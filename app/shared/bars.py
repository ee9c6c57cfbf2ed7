"""Rates as bars with their 95% intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from labkit.evaluation.metrics import Measured
from labkit.views.markup import text
from labkit.views.palette import color_of


class Bar(NamedTuple):
    """A player's rate."""

    label: str
    rate: Measured | None
    """None while there is nothing to measure."""
    tally: str
    """The counts behind the rate."""


def figure(title: str, bars: Sequence[Bar]) -> str:
    """A titled group of bars."""
    items = "".join(_bar(bar, color_of(bar.label, other=number)) for number, bar in enumerate(bars))
    return f"<figure><figcaption>{text(title)}</figcaption><ul>{items}</ul></figure>"


def _bar(bar: Bar, color: str) -> str:
    share, low, high = (bar.rate.value, *bar.rate.ci95) if bar.rate else (0.0, 0.0, 0.0)
    return (
        f'<li style="--app-method: {color}; --app-p: {share:.1%}; --app-low: {low:.1%}; --app-high: {high:.1%}">'
        f'<span>{text(bar.label)}</span><i aria-hidden="true"></i><b>{f"{share:.0%}" if bar.rate else "–"}</b> '
        f"<small>{text(bar.tally)}</small></li>"
    )
