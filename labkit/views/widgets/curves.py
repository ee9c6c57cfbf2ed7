"""Learning curves of runs: from ``metrics.jsonl`` to a figure; no widgets here.

A *panel* shows one metric, a *curve* one run in it. Probes (``eval/...``) come with 95% intervals and are drawn as
they are, with a band; what is logged at every update is noisy, so a smoothed line is drawn over its points, which stay
visible.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.errors import UsageError
from labkit.runs import Run, find
from labkit.runs.store import ROOT
from labkit.views.markup import text
from labkit.views.palette import color_of, method_of, rgba

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

AXES = {
    "step": "updates (RL) or steps (SFT)",
    "flops": "FLOPs",
    "tokens": "tokens read",
    "seconds": "seconds of training",
}
"""The x axes. Tokens are those trained on, in every pass, and those read without training."""

METRICS = {
    "rollout/success": "success while playing",
    "rollout/return": "return of an episode",
    "loss": "loss, nats a token",
    "objective/kl": "KL to the initial policy, nats a token",
    "kl": "KL to the initial policy, nats a token",
    "policy/approxkl_avg": "KL of an update, nats a token",
    "policy/entropy_avg": "entropy, nats a token",
    "val/explained_variance": "critic: explained variance",
}
"""The metrics that are shown besides probes, if a run logged them."""

RATES = frozenset({"rollout/success"})
_DASHES = ("solid", "dash", "dot", "dashdot")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up")


class Source(NamedTuple):
    """A run and the look of its curves."""

    run: Run
    label: str
    color: str
    variant: int
    """Counts the runs of one colour; each has its own dashes and markers."""


class Point(NamedTuple):
    """One measurement."""

    step: int
    x: float
    y: float
    ci95: tuple[float, float] | None
    n: int | None


def is_glob(chosen: Any) -> bool:
    """Whether it is a glob, which later runs may match too."""
    return isinstance(chosen, str | Path) and bool(set("*?[") & set(str(chosen)))


def runs_of(chosen: Sequence[Any], root: str | Path = ROOT) -> list[Run]:
    """The chosen runs: each is a Run, an object with a ``run`` (a background run), an id, a folder, or a glob of these.

    Raises:
        UsageError: none is named, or a name matches none or several.
    """
    found: dict[Path, Run] = {}
    for one in chosen:
        if isinstance(one, str | Path):
            runs = _named(str(one), root)
        else:
            runs = [one if isinstance(one, Run) else one.run]
        found |= {run.path.resolve(): run for run in runs}
    if not found:
        raise UsageError("no run to show; name one, as in RunDashboard('runs/*-rl')")
    return list(found.values())


def _named(name: str, root: str | Path) -> list[Run]:
    if not is_glob(name):
        return [find(name, root)]
    places = glob(name) or glob(str(Path(root, name)))
    runs = [Run(place) for place in sorted(places) if Path(place, "config.yaml").is_file()]
    if not runs:
        raise UsageError(f"no run matches {name}; `labkit runs list` names the runs")
    return runs


def sources(runs: Sequence[Run]) -> list[Source]:
    """Give each run a label, its method's colour and, among those of one colour, its own dashes."""
    configs = [run.config for run in runs]
    names = [str(config.get("name") or run.id) for run, config in zip(runs, configs, strict=True)]
    out: list[Source] = []
    others = 0
    for run, config, name in zip(runs, configs, names, strict=True):
        words = (name, run.id, str(config.get("stage", "")))
        color = color_of(*words, other=others)
        others += method_of(*words) is None
        label = name if names.count(name) == 1 else run.id
        out.append(Source(run, label, color, sum(s.color == color for s in out)))
    return out


def panels_of(records: Sequence[Sequence[dict[str, Any]]], metrics: Sequence[str] | None = None) -> list[str]:
    """The metrics that some run logged, probes first; or those of ``metrics`` that it did, in their order."""
    logged = {name: None for lines in records for line in lines for name in line}
    if metrics is not None:
        return [name for name in metrics if name in logged]
    probes = [name for name in logged if _is_probe(name) and f"{_probe(name)}/ci95" in logged]
    return [*probes, *(name for name in METRICS if name in logged)]


def _is_probe(name: str) -> bool:
    """``eval/SUITE/METRIC``, the headline number of a probe."""
    parts = name.split("/")
    return len(parts) == 3 and parts[0] == "eval" and parts[2] not in ("ci95", "n")


def _probe(name: str) -> str:
    return name.rpartition("/")[0]


def episodes_of(metric: str, step: int) -> str:
    """The name of a point's stored episodes: those of a probe, or those of a training update."""
    return f"{metric.split('/')[1] if _is_probe(metric) else 'train'}-{step}"


def points_of(lines: Sequence[dict[str, Any]], metric: str, axis: str = "step") -> list[Point]:
    """A metric over an axis, in order; lines without either are left out.

    Args:
        axis: a key of :data:`AXES`.
    """
    out, seconds = [], 0.0
    for line in lines:
        seconds += line.get("seconds", 0.0)
        x = {"step": line["step"], "flops": line.get("flops"), "tokens": _tokens(line), "seconds": seconds}[axis]
        y = line.get(metric)
        if x is None or not isinstance(y, int | float) or not math.isfinite(y):
            continue
        ci95 = line.get(f"{_probe(metric)}/ci95") if _is_probe(metric) else None
        n = line.get(f"{_probe(metric)}/n") if _is_probe(metric) else None
        out.append(Point(line["step"], x, y, tuple(ci95) if ci95 else None, n))
    return out


def _tokens(line: dict[str, Any]) -> int | None:
    if "trained_tokens" in line:
        return line["trained_tokens"] + line.get("sampled_tokens", 0)
    return None if line["step"] else 0


def smoothed(values: Sequence[float], weight: float) -> list[float]:
    """Exponential moving average: each value weighs ``weight`` times the one after it; the weights sum to one.

    Args:
        weight: from 0 (the values themselves) to below 1.
    """
    out, total, mass = [], 0.0, 0.0
    for value in values:
        total, mass = weight * total + value, weight * mass + 1
        out.append(total / mass)
    return out


def title_of(metric: str) -> str:
    """A metric in words."""
    if _is_probe(metric):
        _, suite, name = metric.split("/")
        return f"{suite}: {name.replace('_', ' ')}"
    return METRICS.get(metric, metric)


def figure(
    shown: Sequence[Source],
    *,
    x: str = "step",
    smooth: float = 0.6,
    metrics: Sequence[str] | None = None,
    columns: int = 3,
) -> Figure:
    """A panel for each metric, a curve in it for each run.

    Args:
        x: a key of :data:`AXES`.
        smooth: as in :func:`smoothed`; probes are not smoothed.
        metrics: names of metrics to show in place of the usual ones.

    Raises:
        UsageError: the axis is unknown, ``smooth`` is out of range, or plotly is not installed.
    """
    if x not in AXES:
        raise UsageError(f"no axis {x!r}; use {', '.join(AXES)}")
    if not 0 <= smooth < 1:
        raise UsageError(f"smooth is from 0 to below 1, not {smooth}")
    records = [source.run.metrics() for source in shown]
    panels = panels_of(records, metrics)
    rows = max(1, -(-len(panels) // columns))
    out = _empty(panels, rows, min(columns, max(1, len(panels))))
    named: set[str] = set()
    for number, metric in enumerate(panels):
        place = {"row": number // columns + 1, "col": number % columns + 1}
        rate = _is_probe(metric) or metric in RATES
        for source, lines in zip(shown, records, strict=True):
            points = points_of(lines, metric, x)
            if not points:
                continue
            *behind, line = _traces(source, metric, points, smooth, rate)
            # One entry of the legend for a run; a click on it switches the run off in every panel.
            out.add_traces([*behind, line.update(showlegend=source.run.id not in named)], place["row"], place["col"])
            named.add(source.run.id)
        if number + columns >= len(panels):
            out.update_xaxes(title_text=AXES[x], title_font_size=11, title_standoff=4, **place)
        out.update_yaxes(tickformat=".0%" if rate else None, rangemode="tozero" if rate else "normal", **place)
    if not panels:
        out.add_annotation(text="nothing logged yet", showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper")
    return out


def _traces(source: Source, metric: str, points: list[Point], smooth: float, rate: bool) -> list[Any]:
    """The traces of one curve, the line last; those with ``customdata`` (the step) can be clicked."""
    from plotly import graph_objects as go

    color, label = source.color, text(source.label)
    steps, xs, ys = ([getattr(p, field) for p in points] for field in ("step", "x", "y"))
    line = {"color": color, "dash": _DASHES[source.variant % len(_DASHES)], "width": 2}
    marker = {"color": color, "symbol": _SYMBOLS[source.variant % len(_SYMBOLS)], "size": 6}
    common = {"name": label, "legendgroup": source.run.id, "meta": [source.run.id, metric]}
    hovers = [_words(p, rate) for p in points]
    hover = f"{label}<br>after %{{customdata}}: %{{text}}<extra></extra>"
    clickable = {"x": xs, "y": ys, "customdata": steps, "text": hovers, "hovertemplate": hover}
    if not _is_probe(metric):
        return [
            go.Scatter(
                mode="markers", marker={**marker, "size": 4}, opacity=0.45, showlegend=False, **clickable, **common
            ),
            go.Scatter(x=xs, y=smoothed(ys, smooth), mode="lines", line=line, hoverinfo="skip", **common),
        ]
    band = [(p.x, *p.ci95) for p in points if p.ci95]
    band_x = [x for x, _, _ in band]
    edge = [high for _, _, high in band] + [low for _, low, _ in reversed(band)]
    return [
        go.Scatter(
            x=band_x + band_x[::-1], y=edge, mode="lines", line={"width": 0}, fill="toself",
            fillcolor=rgba(color, 0.18), hoverinfo="skip", showlegend=False, **common,
        ),
        go.Scatter(mode="lines+markers", line=line, marker=marker, **clickable, **common),
    ]  # fmt: skip


def _words(point: Point, rate: bool) -> str:
    """A measurement as text, with its interval and n if it has them."""
    show = (lambda value: f"{value:.1%}") if rate else (lambda value: f"{value:.4g}")
    shown = show(point.y)
    if point.ci95:
        shown += f" [{show(point.ci95[0])}, {show(point.ci95[1])}]"
    return f"{shown}, n = {point.n}" if point.n else shown


def _empty(panels: Sequence[str], rows: int, columns: int) -> Figure:
    """The empty panels, in colours for light and dark pages."""
    try:
        from plotly.subplots import make_subplots
    except ImportError:
        raise UsageError("curves need plotly (pip install plotly)") from None
    out = make_subplots(rows, columns, subplot_titles=[title_of(p) for p in panels], vertical_spacing=0.2 / rows)
    grid = {"gridcolor": "rgba(128,128,128,0.25)", "zerolinecolor": "rgba(128,128,128,0.6)"}
    out.update_xaxes(**grid)
    out.update_yaxes(**grid)
    out.update_annotations(font_size=13)
    out.update_layout(
        template="none",
        autosize=True,
        height=90 + 250 * rows,
        margin={"l": 55, "r": 15, "t": 70, "b": 50},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12, "color": "#757575"},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "top", "yref": "container"},
        hovermode="closest",
        uirevision="same",
    )
    return out
