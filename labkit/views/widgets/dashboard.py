"""A dashboard of runs for notebooks: learning curves that grow while a run trains, and the episodes behind them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.counting import counted
from labkit.dispatch.host import Host, load
from labkit.dispatch.remote import SentRun
from labkit.errors import UsageError
from labkit.runs.store import ROOT
from labkit.views.markup import text
from labkit.views.widgets import curves
from labkit.views.widgets.episodes import EpisodeViewer
from labkit.views.widgets.live import figure_data, ipywidgets, live_figure, show

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SMOOTH = 0.6
"""The first weight of the moving average."""


class RunDashboard:
    """Curves of one run or several, displayed as the last line of a cell.

    Success on the suites with 95% intervals, return, loss, KL, entropy and the critic's explained variance: of these
    whatever the runs logged. A run that still trains is followed until it ends; a click on a point shows the
    episodes behind it. ``.static()`` is a plain figure that stays in a saved notebook.

    Args:
        runs: each a Run, a background run, an id, a folder or a glob (``"runs/*-rl"``). Runs that come to fit a glob
            later are shown as well, until the dashboard is closed.
        root: the folder of ids.
        metrics: names as in ``metrics.jsonl`` to show in place of the usual ones.
        every: seconds between looks at a run that trains.
        host: the machine that the runs were sent to, by its name in ``configs/hosts`` or as a Host; they are then named
            by their ids. Their copies in ``root`` grow while the dashboard is open. A lost connection is told above the
            curves and tried again.

    Raises:
        UsageError: no run is named, a name fits none, or the host has no such run or has not begun it.
    """

    def __init__(
        self,
        *runs: Any,
        root: str | Path = ROOT,
        metrics: Sequence[str] | None = None,
        every: float = 2.0,
        host: str | Host | None = None,
    ) -> None:
        if host is not None:
            place = load(host) if isinstance(host, str) else host
            runs = tuple(_copied(SentRun(place, run, root)) for run in runs)
        self._sent = [run for run in runs if isinstance(run, SentRun)]
        self._lost = ""
        self._chosen, self._root = runs, root
        self._open_ended = any(map(curves.is_glob, runs))
        self.sources = curves.sources(curves.runs_of(runs, root))
        self._background = [run for run in runs if hasattr(run, "stop") and hasattr(run, "alive")]
        self._metrics = metrics
        self._every = every
        self._closed = threading.Event()
        self._one_at_a_time = threading.RLock()
        self._box: Any = None

    def static(self, x: str = "step", smooth: float = SMOOTH) -> Figure:
        """The current curves as a plain figure.

        Args:
            x: ``step``, ``flops``, ``tokens`` or ``seconds``.
            smooth: weight of the moving average, from 0 (none) to below 1.

        Raises:
            UsageError: the axis is unknown, or ``smooth`` is out of range.
        """
        self._look_for_more()
        return curves.figure(self.sources, x=x, smooth=smooth, metrics=self._metrics)

    @property
    def following(self) -> bool:
        """Whether the dashboard is open and may still change: a run trains, or a glob may match new runs."""
        return not self._closed.is_set() and (self._open_ended or any(map(self._alive, self.sources)))

    def _look_for_more(self) -> None:
        """Add the runs that match a glob now. If none matches any more, keep the shown ones."""
        if not self._open_ended:
            return
        with suppress(UsageError):
            runs = curves.runs_of(self._chosen, self._root)
            if [run.path for run in runs] != [source.run.path for source in self.sources]:
                self.sources = curves.sources(runs)

    def _alive(self, source: curves.Source) -> bool:
        # The object that started a run knows of its end at once; its process id would exist for a while longer.
        started = [b.alive for b in self._background if b.run.path == source.run.path]
        return started[0] if started else source.run.status["status"] == "running"

    def widget(self) -> Any:
        """The live dashboard; the same one each time.

        Raises:
            UsageError: ipywidgets, or what plotly needs for live figures, is not installed.
        """
        if self._box is None:
            self._box = self._build(ipywidgets("the dashboard"))
            self.refresh()
            threading.Thread(target=self._follow, daemon=True).start()
        return self._box

    def _build(self, widgets: Any) -> Any:
        self._x = widgets.Dropdown(
            options=[(words, axis) for axis, words in curves.AXES.items()], value="step", description="x axis"
        )
        self._smooth = widgets.FloatSlider(
            SMOOTH, min=0, max=0.95, step=0.05, description="Smoothing", continuous_update=False, readout_format=".2f"
        )
        self._stop = widgets.Button(description="Stop", icon="stop")
        again = widgets.Button(description="Refresh", icon="refresh")
        self._state = widgets.HTML()
        self._plot = live_figure("the dashboard")
        self._plot.observe(lambda change: self._clicked(change["new"]), names="clicked")
        self._pick = widgets.Dropdown(options=[("choose, or click a point", None)], description="Episodes")
        self._episodes = widgets.VBox(layout={"width": "100%"})
        self._seen: tuple[Any, ...] = ()
        for control in (self._x, self._smooth):
            control.observe(lambda _: self.refresh(), names="value")
        again.on_click(lambda _: self.refresh())
        self._stop.on_click(lambda _: threading.Thread(target=self._end_runs, daemon=True).start())
        self._pick.observe(lambda change: self._open(change["new"]), names="value")
        controls = [self._x, self._smooth, again, *([self._stop] if self._background else [])]
        return widgets.VBox([
            widgets.HBox(controls, layout={"flex_flow": "row wrap"}),
            self._state, self._plot, self._pick, self._episodes,
        ])  # fmt: skip

    def refresh(self) -> None:
        """Read the runs again and redraw."""
        with self._one_at_a_time:
            if self._box is None:
                return
            self._look_for_more()
            self._bring()
            self._state.value = "<br>".join([*filter(None, [text(self._lost)]), *map(self._line, self.sources)])
            self._stop.disabled = not any(run.alive for run in self._background)
            seen = (self._x.value, self._smooth.value, *((s.run.id, _size(s)) for s in self.sources))
            if seen != self._seen:
                drawn = self.static(self._x.value, self._smooth.value)
                self._plot.figure = figure_data(drawn)
                self._offer(drawn)
                self._seen = seen

    def _bring(self) -> None:
        """Bring the copies of the runs on a host up to date."""
        self._lost = ""
        for sent in self._sent:
            try:
                if sent.alive:
                    sent.refresh()
            except UsageError as error:
                self._lost = f"{error}; the run goes on, and is asked for again"

    def _line(self, source: curves.Source) -> str:
        """The progress of a run, as HTML."""
        lines, config = source.run.metrics(), source.run.config
        done = lines[-1]["step"] if lines else 0
        of = config.get("updates") or config.get("steps")
        status = source.run.status
        state = "training" if self._alive(source) else status["status"]
        why = f": {status['reason']}" if status.get("reason") else ""
        swatch = f'<span style="color:{source.color}" aria-hidden="true">■</span>'
        return f"{swatch} <strong>{text(source.label)}</strong>: {state}{text(why)}, {done} of {text(of)}"

    def _offer(self, drawn: Figure) -> None:
        """List the stored episodes of the points, for use with the keyboard."""
        shown = {s.run.id: s for s in self.sources}
        labels: dict[tuple[str, str], str] = {}
        for trace in drawn.data:
            run, metric = trace.meta
            for step in trace.customdata if trace.customdata is not None else ():
                name = curves.episodes_of(metric, step)
                labels[run, name] = f"{shown[run].label}: {name.rpartition('-')[0]} after {step}"
        options: list[tuple[str, tuple[str, str] | None]] = [("choose, or click a point", None)]
        options += [(words, key) for key, words in labels.items() if _stored(shown[key[0]].run, key[1])]
        if list(self._pick.options) != options:
            chosen = self._pick.value
            # Setting options chooses the first: that is no choice of the learner's.
            with self._pick.hold_trait_notifications():
                self._pick.options = options
                self._pick.value = chosen if chosen in labels else None

    def _clicked(self, where: list[Any]) -> None:
        traces = self._plot.figure["data"]
        # The page sends numbers: what they do not point at is not looked up.
        if len(where) != 3 or not all(isinstance(n, int) and n >= 0 for n in where) or where[0] >= len(traces):
            return
        (run, metric), steps = traces[where[0]]["meta"], traces[where[0]].get("customdata", ())
        if where[1] < len(steps):
            self._open((run, curves.episodes_of(metric, steps[where[1]])))

    def _open(self, chosen: tuple[str, str] | None) -> None:
        """Show stored episodes, by the id of a run and a name."""
        if chosen is None:
            self._episodes.children = ()
            return
        widgets = ipywidgets("the dashboard")
        source = next(s for s in self.sources if s.run.id == chosen[0])
        episodes = list(source.run.episodes(chosen[1]))
        suite, _, step = chosen[1].rpartition("-")
        title = f"{source.label}: {suite} after {step}"
        if not episodes:
            self._episodes.children = (widgets.HTML(f"{text(title)}: no episodes were stored."),)
            return
        head = widgets.HTML(f"<strong>{text(title)}</strong>, {counted(len(episodes), 'episode')}")
        self._episodes.children = (head, EpisodeViewer(episodes).widget())

    def _follow(self) -> None:
        while self.following:
            self._closed.wait(self._every)
            self.refresh()
        # A run ends after its last line is written: look once more.
        self.refresh()

    def _end_runs(self) -> None:
        self._stop.disabled = True
        for run in self._background:
            run.stop()
        self.refresh()

    def close(self) -> None:
        """Stop updating and remove the widget. Runs go on."""
        self._closed.set()
        with self._one_at_a_time:
            if self._box is not None:
                self._box.close()
                self._box = None

    def _ipython_display_(self) -> None:
        from IPython.display import display

        figure = self.static()
        try:
            live = self.widget()
        except UsageError:
            display(figure)
            return
        names = ", ".join(s.label for s in self.sources)
        show(live, {
            "application/vnd.plotly.v1+json": figure_data(figure), "text/plain": f"RunDashboard: {names}",
        })  # fmt: skip


def _copied(sent: SentRun) -> SentRun:
    """A run on a host, once there is a copy of it.

    Raises:
        UsageError: the host has not begun it.
    """
    status = sent.refresh()
    if not (sent.run.path / "config.yaml").is_file():
        raise UsageError(f"{sent.run.id} is {status['status']} and has written nothing yet; wait until it has begun")
    return sent


def _size(source: curves.Source) -> int:
    """The size of a run's metrics file in bytes: training only appends lines."""
    metrics = source.run.path / "metrics.jsonl"
    return metrics.stat().st_size if metrics.exists() else 0


def _stored(run: Any, name: str) -> bool:
    return any((run.path / "episodes").glob(f"{name}.jsonl*"))
