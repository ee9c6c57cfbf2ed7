"""How the figures look: colours, dashes, names of panels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from labkit.replication.plan import Curve, Method
from labkit.views.palette import METHODS

SUITES = {
    "id": "held-out deals (id)",
    "id@train": "training deals (id@train)",
    "rule-ood": "changed rule (rule-ood)",
    "visual-ood": "changed looks",
}
PAPER = {"symbol": "diamond-open", "size": 11, "color": "black", "line": {"width": 2}}
"""The mark of a number of the paper's."""

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_SYMBOLS = ("circle", "square", "triangle-up", "cross", "star")


def styles(curves: Sequence[Curve]) -> list[dict[str, Any]]:
    """A colour, a dash and a symbol for each curve: the method gives the hue."""
    ramps = {m: ramp(m, sum(c.method == m for c in curves)) for m in {c.method for c in curves}}
    return [ramps[c.method].pop(0) for c in curves]


def ramp(method: Method, count: int) -> list[dict[str, Any]]:
    """Styles for several things of one method: they differ in tint, dash and symbol."""
    colours = _shades(METHODS[method], count)
    return [
        {"colour": colour, "dash": _DASHES[i % len(_DASHES)], "symbol": _SYMBOLS[i % len(_SYMBOLS)]}
        for i, colour in enumerate(colours)
    ]


def _shades(colour: str, count: int) -> list[str]:
    """The colour in ``count`` steps, from a light tint to itself."""
    weights = [0.45 + 0.55 * i / (count - 1) for i in range(count)] if count > 1 else [1.0] * count
    return ["#" + "".join(f"{round(255 - (255 - p) * w):02X}" for p in _parts(colour)) for w in weights]


def _parts(colour: str) -> list[int]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def percent(share: float) -> str:
    """``41.0%``."""
    return f"{share:.1%}"


def panels_of(rows: int, columns: int, titles: Sequence[str]) -> go.Figure:
    """An empty figure with panels."""
    # The same room between rows however many there are: spacing is a share of the whole height.
    room = 0.22 / max(1, rows - 1) ** 0.5
    return make_subplots(rows, columns, subplot_titles=titles, vertical_spacing=room, horizontal_spacing=0.09)


def dress(figure: go.Figure, rows: int) -> go.Figure:
    """What all figures have in common. The legend is below, so that panels keep their width."""
    height = 340 * rows + 130
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 60, "r": 20, "t": 84, "b": 90},
        font={"family": "system-ui, 'DejaVu Sans', sans-serif", "size": 13, "color": "#222"},
        legend={"orientation": "h", "x": 0, "y": -60 / (height - 174), "yanchor": "top"},
        hovermode="closest",
    )
    figure.update_xaxes(title_font_size=13)
    figure.update_yaxes(title_font_size=13)
    figure.update_annotations(font_size=13)
    return figure
