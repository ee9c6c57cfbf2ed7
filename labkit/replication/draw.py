"""The figures as Plotly figures: the same in a notebook, in a page and as a still picture.

Raw numbers stay visible: probes of single seeds are thin lines with small points, their mean is drawn with points,
and only the thick line is smoothed. Bands and bars are 95% intervals. What the paper gives in numbers is a black
diamond.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import plotly.graph_objects as go

from labkit.envs.games import title_of
from labkit.evaluation import Measured
from labkit.replication.bars import add_changes, add_growth, add_values, grid
from labkit.replication.plan import Curve
from labkit.replication.series import mean_line, smooth, value_of
from labkit.replication.stored import Data, Endpoint, SeedRun
from labkit.replication.style import SUITES, dress, panels_of, percent, styles
from labkit.replication.tables import measured
from labkit.views.palette import rgba

Axis = Literal["flops", "paper", "updates", "id"]

AXES: dict[Axis, tuple[str, str]] = {
    "flops": ("FLOPs", "training compute since the start, TFLOP"),
    "paper": ("the paper's FLOPs", "training compute by the paper's account, TFLOP"),
    "updates": ("updates", "steps of SFT, updates of RL"),
    "id": ("ID success", "ID at the same moment"),
}
"""What can lie along the x axis: the button, and the axis' title."""
_TICKS: dict[Axis, str] = {"flops": "", "paper": "", "updates": "", "id": ".0%"}


def draw(data: Data, axis: Axis = "flops") -> go.Figure:
    """The figure of a plan's stored runs.

    Args:
        axis: what lies along the x axis to begin with, for curves over training.

    Raises:
        ValueError: nothing is stored.
    """
    if not data:
        raise ValueError(f"nothing is stored of figure {data.figure.id}")
    kind = data.figure.plan.kind
    if kind == "ends":
        return _ends(data)
    if kind == "grid":
        return grid(data)
    return _curves(data, axis)


def _curves(data: Data, axis: Axis) -> go.Figure:
    """Cells below each other, suites side by side; with ``growth``, the growth at equal compute besides."""
    plan, cells = data.figure.plan, data.cells
    grown = plan.kind == "growth"
    extra = [f"growth at equal compute, {plan.suites[-1]}"] * grown
    titles = [t for cell in cells for t in (*(f"{title_of(cell)}, {SUITES[suite]}" for suite in plan.suites), *extra)]
    figure = panels_of(len(cells), len(plan.suites) + grown, titles)
    named: set[str] = set()
    traces: list[_Trace] = []
    mine: list[int] = []
    for row, cell in enumerate(cells, 1):
        curves = data.drawn(cell)
        # Many bands on each other would hide what is under them.
        shade = 0.15 if len(curves) < 3 else 0.07
        for curve, style in zip(curves, styles(curves), strict=True):
            for column, suite in enumerate(plan.suites, 1):
                place = {"row": row, "col": column}
                if not curve.trained:
                    _level(figure, curve, data.ends[cell, curve.name, suite], style["colour"], place)
                    continue
                lines = data.lines[cell, curve.name]
                for trace in _drawn(curve, lines, suite, plan.suites, style | {"shade": shade}):
                    trace.options["showlegend"] = trace.leads and curve.name not in named
                    named |= {curve.name} if trace.leads else set()
                    figure.add_trace(go.Scatter(x=trace.x[axis], y=trace.y, **trace.options), **place)
                    traces.append(trace)
                    mine.append(len(figure.data) - 1)
        figure.update_yaxes(title_text=measured(data, cell), row=row, col=1)
        if grown:
            add_growth(figure, data, cell, curves, row, len(plan.suites) + 1)
    columns = range(1, len(plan.suites) + 1)
    for column in columns:
        figure.update_yaxes(tickformat=".0%", rangemode="tozero", col=column)
        figure.update_xaxes(tickformat=_TICKS[axis], col=column)
        figure.update_xaxes(title_text=AXES[axis][1], row=len(cells), col=column)
        for row in range(1, len(cells) + 1):
            # Suites of a cell on one scale.
            first = _panel("y", row, 1, len(plan.suites) + grown)
            figure.update_yaxes(matches=first.replace("axis", ""), row=row, col=column)
    # The panels over training; bars of growth beside them stay as they are.
    width = len(plan.suites) + grown
    panels = [_panel("x", row, column, width) for row in range(1, len(cells) + 1) for column in columns]
    _switch(figure, traces, mine, panels, panels[-len(plan.suites) :], axis)
    return dress(figure, rows=len(cells))


@dataclass
class _Trace:
    """A trace with its x values under each axis."""

    x: Mapping[Axis, Sequence[float | None]]
    y: Sequence[float]
    options: dict[str, Any]
    leads: bool = False
    """Whether the legend's entry is this one's."""


def _drawn(
    curve: Curve, lines: Sequence[SeedRun], suite: str, suites: Sequence[str], style: dict[str, Any]
) -> list[_Trace]:
    """One curve in one panel: band, seeds, mean and the smoothed mean."""
    colour, group = style["colour"], {"legendgroup": curve.name, "name": curve.name}
    mean = mean_line(lines, suites)
    if not mean.updates:
        return []
    values = mean.values[suite]
    level = [v.value for v in values]
    x: dict[Axis, list[float | None]] = {
        "flops": [f / 1e12 for f in mean.flops],
        "paper": [f / 1e12 for f in mean.estimated_flops],
        "updates": list(mean.updates),
        "id": [v.value for v in mean.values[suites[0]]],
    }
    low, high = [v.ci95[0] for v in values], [v.ci95[1] for v in values]
    around = {name: [*xs, *xs[::-1]] for name, xs in x.items()}
    # Along ID success a curve turns back on itself, and a band would hide it.
    around["id"] = [None] * len(around["id"])
    out = [
        _Trace(around, [*high, *low[::-1]], {
            **group, "fill": "toself", "fillcolor": rgba(colour, style["shade"]), "line": {"width": 0},
            "hoverinfo": "skip", "mode": "lines",
        }),
    ]  # fmt: skip
    for line in lines if len(lines) > 1 else ():
        found = [p for p in line.points if suite in p.values and suites[0] in p.values]
        out.append(
            _Trace(
                {"flops": [p.flops / 1e12 for p in found],
                 "paper": [p.estimated_flops / 1e12 for p in found], "updates": [p.updates for p in found],
                 "id": [p.values[suites[0]].value for p in found]},
                [p.values[suite].value for p in found],
                {**group, "mode": "lines+markers", "line": {"color": rgba(colour, 0.35), "width": 1},
                 "marker": {"size": 3, "color": rgba(colour, 0.5)},
                 "customdata": [[*p.values[suite].ci95, p.values[suite].n] for p in found],
                 "hovertemplate": f"{curve.name}, seed {line.seed}: %{{y:.1%}} [%{{customdata[0]:.1%}}, "
                 f"%{{customdata[1]:.1%}}], n %{{customdata[2]}}<extra>{line.run.id}</extra>"},
            )
        )  # fmt: skip
    told = [[*v.ci95, v.n, len(lines)] for v in values]
    hover = (
        f"{curve.name}: %{{y:.1%}} [%{{customdata[0]:.1%}}, %{{customdata[1]:.1%}}], n %{{customdata[2]}}, "
        "seeds %{customdata[3]}<extra></extra>"
    )
    marker = {"size": 6, "color": colour, "symbol": style["symbol"]}
    out.append(
        _Trace(x, level, {**group, "mode": "markers", "marker": marker, "customdata": told, "hovertemplate": hover})
    )
    line_style = {"color": colour, "width": 2.5, "dash": style["dash"]}
    out.append(
        _Trace(x, smooth(level), {**group, "mode": "lines", "line": line_style, "hoverinfo": "skip"}, leads=True)
    )
    return out


def _level(figure: go.Figure, curve: Curve, ends: Sequence[Endpoint], colour: str, place: dict[str, int]) -> None:
    """A checkpoint that is not trained, as a level line."""
    if ends:
        found = value_of(ends)
        figure.add_hline(
            y=found.value, line={"color": colour, "dash": "dash", "width": 1.5}, exclude_empty_subplots=False,
            annotation={"text": f"{curve.name} {percent(found.value)}", "font": {"size": 11}}, **place,
        )  # fmt: skip


def _panel(letter: str, row: int, column: int, columns: int) -> str:
    """The name of a panel's axis in the layout."""
    index = (row - 1) * columns + column
    return f"{letter}axis" if index == 1 else f"{letter}axis{index}"


def _switch(
    figure: go.Figure, traces: list[_Trace], mine: list[int], panels: list[str], bottom: list[str], axis: Axis
) -> None:
    """Buttons that exchange the x axis.

    Args:
        mine: the traces' indices in the figure.
        panels: the names of their x axes; ``bottom``: of those that have a title.
    """
    buttons = [
        {
            "label": AXES[name][0],
            "method": "update",
            "args": [
                {"x": [t.x[name] for t in traces]},
                {f"{panel}.title.text": AXES[name][1] for panel in bottom}
                | {f"{panel}.tickformat": _TICKS[name] for panel in panels}
                | {f"{panel}.autorange": True for panel in panels},
                mine,
            ],
        }
        for name in AXES
    ]
    figure.update_layout(
        updatemenus=[
            {"type": "buttons", "direction": "right", "buttons": buttons, "active": list(AXES).index(axis), "x": 0,
             "xanchor": "left", "y": 1.0, "yanchor": "bottom", "pad": {"b": 34}, "showactive": True}
        ]
    )  # fmt: skip


def _ends(data: Data) -> go.Figure:
    """Cells below each other; the ends of each curve by suite, and their changes from the first curve."""
    plan, cells = data.figure.plan, data.cells
    first = data.figure.curves[0].name
    titles = [t for cell in cells for t in (title_of(cell), f"{title_of(cell)}, change from {first}")]
    figure = panels_of(len(cells), 2, titles)
    for row, cell in enumerate(cells, 1):
        curves = data.drawn(cell)
        add_values(figure, data, cell, curves, row, plan.suites, legend=row == 1)
        add_changes(figure, data, cell, curves, row, plan.suites, than=first)
    figure.update_layout(barmode="group")
    return dress(figure, rows=len(cells))


def alt_text(data: Data) -> str:
    """What the picture shows, for those who do not see it: every curve's end, with its interval."""
    told = []
    curves = data.figure.plan.kind in ("curves", "growth")
    for cell in data.cells:
        for curve in data.drawn(cell):
            for suite in data.figure.plan.suites:
                key = cell, curve.name, suite
                first, last = data.first[key], data.last[key]
                if curves and last:
                    begin = percent(value_of(first).value)
                    reach = f"from {begin} to {_told(value_of(last))}"
                elif data.ends[key]:
                    reach = _told(value_of(data.ends[key]))
                else:
                    continue
                told.append(f"{curve.name} on {cell} {suite}: {reach}")
    return f"{data.figure.plan.title}. {'; '.join(told)}."


def _told(found: Measured) -> str:
    return f"{percent(found.value)} [{percent(found.ci95[0])}, {percent(found.ci95[1])}]"
