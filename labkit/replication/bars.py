"""Ends side by side: values, changes, growth at equal compute, and grids of settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from labkit.config import read
from labkit.envs.games import title_of
from labkit.evaluation import Measured
from labkit.replication.plan import Curve
from labkit.replication.series import change, common_compute, growth, pairs_of, value_of
from labkit.replication.stored import Data
from labkit.replication.style import PAPER, SUITES, dress, panels_of, ramp, styles
from labkit.replication.tables import measured

_NAMES = {"id": "ID", "id@train": "ID, training deals", "rule-ood": "rule-OOD", "visual-ood": "visual-OOD"}


def add_values(
    figure: go.Figure, data: Data, cell: str, curves: Sequence[Curve], row: int, suites: Sequence[str], *, legend: bool
) -> None:
    """Bars of the ends with their intervals, points of single seeds, and the paper's numbers."""
    told = False
    for number, (curve, style) in enumerate(zip(curves, styles(curves), strict=True)):
        ends = {s: data.ends[cell, curve.name, s] for s in suites if data.ends[cell, curve.name, s]}
        found = {s: value_of(ends[s]) for s in ends}
        places = [_spot(s, suites, number, len(curves)) for s in found]
        figure.add_trace(
            go.Bar(
                x=places, y=[f.value for f in found.values()], width=0.8 / len(curves), name=curve.name,
                legendgroup=curve.name, showlegend=legend, marker={"color": style["colour"], "opacity": 0.75},
                error_y=_error(list(found.values())),
                customdata=[[*f.ci95, f.n, len(ends[s])] for s, f in found.items()],
                hovertemplate=f"{curve.name}: %{{y:.1%}} [%{{customdata[0]:.1%}}, %{{customdata[1]:.1%}}], "
                "n %{customdata[2]}, seeds %{customdata[3]}<extra></extra>",
            ),
            row=row, col=1,
        )  # fmt: skip
        dots = [(place, e) for place, s in zip(places, found, strict=True) for e in ends[s] if len(ends[s]) > 1]
        _dots(figure, dots, curve.name, row)
        paper = {s: v for s, v in curve.paper.value.items() if s in suites}
        if paper:
            _paper(figure, [_spot(s, suites, number, len(curves)) for s in paper], list(paper.values()), row, 1,
                   legend=legend and not told)  # fmt: skip
            told = True
    figure.update_yaxes(title_text=measured(data, cell), tickformat=".0%", rangemode="tozero", row=row, col=1)
    _by_suite(figure, suites, row, 1)


def add_changes(
    figure: go.Figure, data: Data, cell: str, curves: Sequence[Curve], row: int, suites: Sequence[str], *, than: str
) -> None:
    """Paired changes from one curve, with their intervals."""
    others = [c for c in curves if c.name != than]
    reference = next((c for c in curves if c.name == than), None)
    for number, (curve, style) in enumerate(zip(others, styles(others), strict=True)):
        pairs = {s: change(pairs_of(data.ends[cell, than, s], data.ends[cell, curve.name, s])) for s in suites}
        found = {s: f for s, f in pairs.items() if f}
        figure.add_trace(
            go.Scatter(
                x=[_spot(s, suites, number, len(others)) for s in found], y=[100 * f.value for f in found.values()],
                mode="markers", marker={"color": style["colour"], "size": 11}, name=curve.name, legendgroup=curve.name,
                showlegend=False, error_y=_error(list(found.values()), scale=100),
                customdata=[[100 * b for b in f.ci95] for f in found.values()],
                hovertemplate=f"{curve.name} − {than}: %{{y:+.1f}} points [%{{customdata[0]:+.1f}}, "
                "%{customdata[1]:+.1f}]<extra></extra>",
            ),
            row=row, col=2,
        )  # fmt: skip
        if reference:
            told = {s: 100 * (v - reference.paper.value[s]) for s, v in curve.paper.value.items()
                    if s in suites and s in reference.paper.value}  # fmt: skip
            places = [_spot(s, suites, number, len(others)) for s in told]
            _paper(figure, places, list(told.values()), row, 2, legend=False, unit="points")
    figure.add_hline(y=0, line={"color": "#444", "width": 1}, row=row, col=2)
    figure.update_yaxes(title_text="points", row=row, col=2)
    _by_suite(figure, suites, row, 2)


def add_growth(figure: go.Figure, data: Data, cell: str, curves: Sequence[Curve], row: int, column: int) -> None:
    """The growth of the last suite at the compute that all runs have reached."""
    suite, flops = data.figure.plan.suites[-1], common_compute(data, cell)
    trained = [c for c in curves if c.trained]
    for curve, style in zip(trained, styles(trained), strict=True):
        found = growth(data.lines[cell, curve.name], suite, flops)
        if found is None:
            continue
        figure.add_trace(
            go.Bar(
                x=[curve.name], y=[100 * found.change.value], error_y=_error([found.change], scale=100),
                marker={"color": style["colour"], "opacity": 0.75}, showlegend=False, legendgroup=curve.name,
                hovertemplate=f"{curve.name}: %{{y:+.1f}} points at {found.flops / 1e12:.3g} TFLOP, "
                f"seeds {found.seeds}<extra></extra>",
            ),
            row=row, col=column,
        )  # fmt: skip
        if suite in curve.paper.change:
            first = not any(t.name == "the paper" for t in figure.data)
            _paper(figure, [curve.name], [100 * curve.paper.change[suite]], row, column, legend=first, unit="points")
    figure.add_hline(y=0, line={"color": "#444", "width": 1}, row=row, col=column)
    figure.update_yaxes(title_text=f"points at about {flops / 1e12:.2g} TFLOP", row=row, col=column)


def grid(data: Data) -> go.Figure:
    """Ends over the first setting of each grid, a line for each value of the others; the config's own value ringed."""
    plan = data.figure.plan
    rows = list(dict.fromkeys((c.cell, c.family) for c in data.figure.curves if c.point and data.lines[c.cell, c.name]))
    titles = [f"{title_of(cell)}, {family}, {SUITES[suite]}" for cell, family in rows for suite in plan.suites]
    figure = panels_of(len(rows), len(plan.suites), titles)
    ringed = False
    for row, (cell, family) in enumerate(rows, 1):
        members = [c for c in data.figure.of(cell) if c.family == family]
        key, *others = members[0].point
        settings = list(dict.fromkeys(tuple(c.point[k] for k in others) for c in members))
        chosen = _chosen(members[0], (key, *others))
        for number, setting in enumerate(settings):
            mine = [c for c in members if tuple(c.point[k] for k in others) == setting]
            style = ramp(members[0].method, len(settings))[number]
            label = ", ".join([family, *(f"{k} {v:g}" for k, v in zip(others, setting, strict=True))])
            for column, suite in enumerate(plan.suites, 1):
                # Side by side, so that no interval hides another.
                aside = 1.05 ** (number - (len(settings) - 1) / 2)
                found = {c.point[key] * aside: (value_of(ends), len(ends)) for c in mine
                         if (ends := data.ends[cell, c.name, suite])}  # fmt: skip
                _grid_line(figure, found, label, style, row, column, legend=column == 1)
                at = dict(zip((key, *others), (chosen.get(key), *setting), strict=True))
                spot = chosen[key] * aside
                if chosen == at and spot in found:
                    figure.add_trace(
                        go.Scatter(
                            x=[spot], y=[found[spot][0].value], mode="markers", name="chosen",
                            legendgroup="chosen", showlegend=not ringed, hoverinfo="skip", legendrank=2000,
                            marker={"symbol": "circle-open", "size": 20, "color": "#000", "line": {"width": 2}},
                        ),
                        row=row, col=column,
                    )  # fmt: skip
                    ringed = True
        ticks = sorted({c.point[key] for c in members})
        figure.update_xaxes(type="log", title_text=key, tickvals=ticks, ticktext=[f"{t:g}" for t in ticks], row=row)
        figure.update_yaxes(title_text=measured(data, cell), row=row, col=1)
    figure.update_yaxes(tickformat=".0%", range=[0, 1])
    return dress(figure, rows=len(rows))


def _grid_line(
    figure: go.Figure, found: dict[float, tuple[Measured, int]], label: str, style: dict[str, Any], row: int,
    column: int, *, legend: bool,
) -> None:  # fmt: skip
    values = [f for f, _ in found.values()]
    figure.add_trace(
        go.Scatter(
            x=list(found), y=[f.value for f in values], mode="lines+markers", name=label, legendgroup=label,
            showlegend=legend, error_y=_error(values), line={"color": style["colour"], "dash": style["dash"]},
            marker={"symbol": style["symbol"], "size": 7},
            customdata=[[*f.ci95, f.n, seeds] for f, seeds in found.values()],
            hovertemplate=f"{label}, %{{x:.2g}}: %{{y:.1%}} [%{{customdata[0]:.1%}}, %{{customdata[1]:.1%}}], "
            "n %{customdata[2]}, seeds %{customdata[3]}<extra></extra>",
        ),
        row=row, col=column,
    )  # fmt: skip


def _chosen(curve: Curve, keys: Sequence[str]) -> dict[str, float]:
    """The values that the config itself has; a default of 0 where it says nothing."""
    data = read(curve.training_config)
    return {key: float(data.get(key, 0.0)) for key in keys}


def _spot(suite: str, suites: Sequence[str], number: int, count: int) -> float:
    """Where a bar stands: suites at whole numbers, curves side by side around them."""
    return suites.index(suite) + (number - (count - 1) / 2) * 0.8 / count


def _by_suite(figure: go.Figure, suites: Sequence[str], row: int, column: int) -> None:
    names = [_NAMES.get(s, s) for s in suites]
    ticks = list(range(len(suites)))
    edge = len(suites) - 0.5
    figure.update_xaxes(tickvals=ticks, ticktext=names, range=[-0.5, edge], showgrid=False, row=row, col=column)


def _error(found: Sequence[Measured], scale: float = 1.0) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [scale * (f.ci95[1] - f.value) for f in found],
        "arrayminus": [scale * (f.value - f.ci95[0]) for f in found],
        "thickness": 1.5,
        "width": 5,
    }


def _dots(figure: go.Figure, dots: Sequence[tuple[float, Any]], name: str, row: int) -> None:
    figure.add_trace(
        go.Scatter(
            x=[place for place, _ in dots], y=[e.value.value for _, e in dots], mode="markers", showlegend=False,
            legendgroup=name, marker={"color": "#222", "size": 4},
            customdata=[[e.seed, e.value.n, e.run.id] for _, e in dots],
            hovertemplate=f"{name}, seed %{{customdata[0]}}: %{{y:.1%}}, n %{{customdata[1]}}"
            "<extra>%{customdata[2]}</extra>",
        ),
        row=row, col=1,
    )  # fmt: skip


def _paper(
    figure: go.Figure, x: Sequence[Any], y: Sequence[float], row: int, column: int, *, legend: bool, unit: str = ""
) -> None:
    shown = "%{y:+.1f} points" if unit else "%{y:.1%}"
    figure.add_trace(
        go.Scatter(
            x=list(x), y=list(y), mode="markers", marker=PAPER, name="the paper", legendgroup="the paper",
            showlegend=legend, legendrank=2000, hovertemplate=f"the paper: {shown}<extra></extra>",
        ),
        row=row, col=column,
    )  # fmt: skip
