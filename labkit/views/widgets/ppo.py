"""Figures of a PPO update on single tokens and turns, for the notebook that computes one by hand.

Shape suffixes: K turns of an episode, N its sampled tokens in order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from labkit.views.markup import text
from labkit.views.palette import METHODS, OTHERS
from labkit.views.widgets.live import figure_data, ipywidgets, live_figure, show

if TYPE_CHECKING:
    from IPython.display import HTML
    from plotly.graph_objects import Figure

Gae = Callable[[np.ndarray, np.ndarray, float, float], np.ndarray]
"""(reward_K, value_K, gamma, lam) -> advantage_K."""

_GREY, _BLUE, _RED = METHODS["init"], METHODS["rl"], METHODS["sft"]


def token_heat(tokens: Sequence[str], logp_N: np.ndarray, turn_N: np.ndarray) -> HTML:
    """The sampled tokens of an episode, a line a turn, each as dark as it was probable."""
    from IPython.display import HTML

    lines = []
    for turn in np.unique(turn_N):
        spans = []
        for n in np.flatnonzero(turn_N == turn).tolist():
            p = float(np.exp(logp_N[n]))
            # Where the shade is light, the page's own colours show: a page may be dark.
            colours = f"background: rgba(0,114,178,{0.85 * p:.2f}); color: {'white' if p > 0.5 else 'inherit'}"
            shown = text(tokens[n].replace(" ", "·"))
            spans.append(f'<span title="p = {p:.3f}" style="{colours}; padding: 1px 2px">{shown}</span>')
        lines.append(f'<p style="font-family: monospace; line-height: 1.9">turn {turn + 1} {" ".join(spans)}</p>')
    return HTML("".join(lines))


def chance_figure(curves: Mapping[str, np.ndarray], title: str) -> Figure:
    """Mean over runs of a probability, and the range of the middle 80% of the runs.

    Args:
        curves: name and ``[runs, steps]``.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for (name, runs), colour in zip(curves.items(), OTHERS, strict=False):
        low, high = np.quantile(runs, [0.1, 0.9], axis=0)
        x = np.arange(runs.shape[1])
        band = {"x": [*x, *x[::-1]], "y": [*high, *low[::-1]], "fill": "toself", "opacity": 0.2}
        figure.add_scatter(**band, line_width=0, fillcolor=colour, showlegend=False, hoverinfo="skip")
        figure.add_scatter(x=x, y=runs.mean(0), name=name, line_color=colour)
    return figure.update_layout(
        title=f"{title}<br><sup>mean of {len(next(iter(curves.values())))} runs; the band holds 80% of them</sup>",
        template="plotly_white",
        height=340,
        xaxis_title="steps",
        yaxis={"tickformat": ".0%", "range": [0, 1.02]},
    )


def gae_figure(gae: Gae, reward_K: np.ndarray, value_K: np.ndarray) -> Figure:
    """The advantages of an episode's turns under three γ and four λ."""
    from plotly.subplots import make_subplots

    gammas, lams = (0.5, 0.9, 1.0), (0.0, 0.5, 0.95, 1.0)
    turns = [f"turn {k + 1}" for k in range(len(reward_K))]
    figure = make_subplots(rows=1, cols=3, shared_yaxes=True, subplot_titles=[f"γ = {gamma:g}" for gamma in gammas])
    for column, gamma in enumerate(gammas, 1):
        for lam, colour in zip(lams, ("#56B4E9", _BLUE, "#CC79A7", "#000000"), strict=True):
            figure.add_bar(
                x=turns,
                y=gae(reward_K, value_K, gamma, lam),
                name=f"λ = {lam:g}",
                marker_color=colour,
                legendgroup=f"{lam}",
                showlegend=column == 1,
                row=1,
                col=column,
            )
    return figure.update_layout(title="Advantages of the episode's turns", template="plotly_white", height=340)


def gae_sliders(gae: Gae, reward_K: np.ndarray, value_K: np.ndarray, gamma: float, lam: float) -> None:
    """Show the one-step errors and the advantages of an episode's turns, with sliders for γ and λ."""
    import plotly.graph_objects as go

    widgets: Any = ipywidgets("the sliders")
    sliders = [
        widgets.FloatSlider(value, min=0, max=1, step=0.05, description=name)
        for name, value in (("γ", gamma), ("λ", lam))
    ]
    live = live_figure("the sliders")
    turns = [f"turn {k + 1}" for k in range(len(reward_K))]

    def redraw(_: Any = None) -> None:
        chosen_gamma, chosen_lam = (slider.value for slider in sliders)
        bars = [
            go.Bar(x=turns, y=gae(reward_K, value_K, chosen_gamma, of_lam), name=name, marker_color=colour)
            for name, of_lam, colour in (("δ", 0.0, "#BBBBBB"), ("advantage", chosen_lam, _BLUE))
        ]
        live.figure = figure_data(go.Figure(bars, {"template": "plotly_white", "height": 320, "margin": {"t": 20}}))

    redraw()
    for slider in sliders:
        slider.observe(redraw, "value")
    fallback = "sliders for γ and λ, which need a live kernel; the figure above shows twelve settings"
    static = {"text/plain": fallback, "text/html": f"<p><em>({fallback})</em></p>"}
    show(widgets.VBox([widgets.HBox(sliders), live]), static)


def clip_figure(ratio_N: np.ndarray, advantage_N: np.ndarray, clip: float, tokens: Sequence[str]) -> Figure:
    """PPO's objective over the ratio, for both signs of the advantage, with each token on its curve."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=1, cols=2, subplot_titles=["advantage above 0", "advantage below 0"])
    line, low, high = np.linspace(0.4, 1.6, 121), 1 - clip, 1 + clip
    for column, sign in ((1, 1.0), (2, -1.0)):
        place = {"row": 1, "col": column, "showlegend": column == 1}
        curve = np.minimum(sign * line, sign * line.clip(low, high))
        figure.add_scatter(x=line, y=curve, line_color=_GREY, name="objective / |A|", **place)
        own = sign * advantage_N > 0
        stopped_N = ratio_N > high if sign > 0 else ratio_N < low
        for stopped, colour, symbol in ((False, _BLUE, "circle"), (True, _RED, "x")):
            chosen = own & (stopped_N == stopped)
            shown = ratio_N[chosen].clip(0.4, 1.6)
            figure.add_scatter(
                x=shown,
                y=np.minimum(sign * shown, sign * shown.clip(low, high)),
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 8, "opacity": 0.7},
                text=[tokens[n] for n in np.flatnonzero(chosen).tolist()],
                name="clipped" if stopped else "not clipped",
                **place,
            )
        figure.update_xaxes(title="ratio (beyond the frame: at its edge)", row=1, col=column)
    return figure.update_layout(
        title="The clipped objective, our tokens after one step", template="plotly_white", height=380
    )


def credit_figure(credits: Mapping[str, np.ndarray], tokens: Sequence[str], turn_N: np.ndarray) -> Figure:
    """The advantage of each token of an episode, a line for each kind of credit."""
    import plotly.graph_objects as go

    figure = go.Figure()
    colours, dashes = (_BLUE, "#000000", _GREY, "#009E73", "#CC79A7"), ("solid", "solid", "dot", "dash", "dashdot")
    for (kind, advantage_N), colour, dash in zip(credits.items(), colours, dashes, strict=True):
        line = {"color": colour, "dash": dash, "shape": "hv"}
        figure.add_scatter(y=advantage_N, name=kind, text=list(tokens), line=line, hovertemplate="%{text}: %{y:.3f}")
    for end in np.flatnonzero(np.diff(turn_N)):
        figure.add_vline(x=end + 0.5, line={"color": "#BBBBBB", "width": 1})
    return figure.update_layout(
        title="What the tokens of one episode are credited with",
        template="plotly_white",
        height=400,
        xaxis_title="sampled token; lines where a turn ends",
        yaxis_title="advantage, before normalising",
    )
