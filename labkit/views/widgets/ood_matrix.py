"""Players by suites: success where a model was trained and where it was not, and the change from the first player."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from labkit.counting import counted
from labkit.errors import UsageError
from labkit.evaluation import Estimate, Measured, SuiteResult, measure
from labkit.evaluation.games import label_of, measures_of
from labkit.evaluation.paired import difference
from labkit.evaluation.seeds import ENOUGH, level, pooled
from labkit.evaluation.suites import ASKED_ONCE, with_asked_once
from labkit.runs import Run, find
from labkit.views.markup import text
from labkit.views.palette import color_of, diverging
from labkit.views.widgets.episodes import EpisodeViewer
from labkit.views.widgets.live import ipywidgets, live_cells, show_or_static

if TYPE_CHECKING:
    from IPython.display import HTML

WIDEST = 0.1
"""The least end of the colour scale, so that a table of small changes does not look dramatic."""

_CELL = "padding:6px 12px;border:1px solid #BBBBBB;text-align:center;"


class OODMatrix:
    """A table of players (rows) and suites (columns); displayed as the last line of a cell.

    A cell has the headline number, its 95% interval and n. Colours show the change from the first row, paired deal by
    deal (blue: better, orange: worse), and ▲ or ▼ stands where its 95% interval leaves out 0. With a live kernel a
    switch puts the change in the place of the number, and a cell opens its episodes, failures first.

    Where a method was trained from several seeds, name the rows: ``{"Init": [...], "RL": [seed_100, seed_101]}``.
    The results of a row on one suite are then its seeds: values and changes are means over them, with intervals that
    speak of other seeds and other deals (:func:`labkit.evaluation.seeds.pooled`).

    Args:
        results: results of suites, or stored evaluations (runs, or their ids), each player a row; or these by the names
            of the rows. The first row has one result a suite, or as many as each other, seed for seed.

    Raises:
        UsageError: there are none; a row without a name of its own has two results on a suite; seeds of a row differ
            in their deals; a stored run is no finished evaluation.
    """

    def __init__(
        self,
        results: Sequence[SuiteResult | Run | str] | Mapping[str, Sequence[SuiteResult | Run | str]],
    ) -> None:
        named = isinstance(results, Mapping)
        rows: Any = results if named else {"": results}
        self._results: dict[tuple[str, str], list[SuiteResult]] = {}
        for name, result in ((name, one) for name, row in rows.items() for given in row for one in _results(given)):
            seeds = self._results.setdefault((name if named else result.player, result.suite), [])
            if seeds and not named:
                raise UsageError(
                    f"two results of {result.player} on {result.suite}; show one of them, or name a row for its seeds: "
                    "{'NAME': [...]}"
                )
            if seeds and not _comparable(seeds[0], result):
                raise UsageError(f"the results of {name} on {result.suite} are not of the same deals; evaluate again")
            seeds.append(result)
        if not self._results:
            raise UsageError("no results to show; evaluate a player first")
        self.players = list(dict.fromkeys(player for player, _ in self._results))
        self.suites = list(dict.fromkeys(suite for _, suite in self._results))
        self._changes = {key: self._change(*key) for key in self._results}

    def value(self, player: str, suite: str) -> Estimate | None:
        """The headline number of a cell, over its seeds; None where there is no result."""
        seeds = self._results.get((player, suite))
        if not seeds:
            return None
        first = seeds[0]
        if len(seeds) == 1:
            return first.estimate
        return level([r.episodes for r in seeds], metric=first.metric, weights=_weights(first))

    def change(self, player: str, suite: str) -> Measured | None:
        """The paired change of a cell from the first row; None in that row, where the deals differ, and where there
        was nothing to measure."""
        return self._changes.get((player, suite))

    def _change(self, player: str, suite: str) -> Measured | None:
        after, before = self._results[player, suite], self._results.get((self.players[0], suite))
        if before is None or before is after or not _comparable(before[0], after[0]):
            return None
        if len(before) not in (1, len(after)):
            return None
        first = before[0]
        weights = _weights(first)
        if len(after) == 1:
            return difference(first.episodes, after[0].episodes, metric=first.metric, weights=weights).measured
        befores = before * (len(after) // len(before))
        pairs = [(b.episodes, a.episodes) for b, a in zip(befores, after, strict=True)]
        return pooled(pairs, metric=first.metric, weights=weights).change

    def episodes(self, player: str, suite: str) -> list[Any]:
        """The episodes of a cell, of all its seeds, failures first."""
        return sorted((e for r in self._results[player, suite] for e in r.episodes), key=lambda e: e.success)

    def static(self, change: bool = False) -> HTML:
        """The table as plain HTML with inline styles, for IPython.

        Args:
            change: print the change from the first row in the place of the number.
        """
        from IPython.display import HTML

        return HTML(self._table(change, live=False))

    def widget(self) -> Any:
        """The live table.

        Raises:
            UsageError: ipywidgets or anywidget is not installed.
        """
        widgets = ipywidgets("the live table")
        table = live_cells("the live table", self._table(False, live=True))
        switch = widgets.ToggleButtons(
            options=[("value", False), ("change from the first row", True)],
            description="Show",
            style={"button_width": "auto"},
        )
        episodes = widgets.VBox(layout={"width": "100%"})
        places = list(self._results)

        def draw(change: dict[str, Any]) -> None:
            table.html = self._table(change["new"], live=True)

        def open_cell(change: dict[str, Any]) -> None:
            # The page sends a number: nothing else is believed.
            place = change["new"][0] if change["new"] else -1
            if not isinstance(place, int) or not 0 <= place < len(places):
                return
            player, suite = places[place]
            head = widgets.HTML(f"<strong>{text(player)}</strong> on {text(suite)}, failures first")
            episodes.children = (head, EpisodeViewer(self.episodes(player, suite)).widget())

        switch.observe(draw, names="value")
        table.observe(open_cell, names="pressed")
        return widgets.VBox([switch, table, episodes])

    def _table(self, change: bool, live: bool) -> str:
        scale = max([WIDEST, *(abs(c.value) for c in self._changes.values() if c)])
        heads = "".join(f'<th scope="col" style="{_CELL}">{self._column(suite)}</th>' for suite in self.suites)
        rows = ""
        for number, player in enumerate(self.players):
            swatch = f'<span style="color:{color_of(player, other=number)}" aria-hidden="true">■</span>'
            cells = "".join(self._cell(player, suite, change, scale, live) for suite in self.suites)
            head = f'<th scope="row" style="{_CELL}text-align:left">{swatch} {text(player)}</th>'
            rows += f"<tr>{head}{cells}</tr>"
        first = text(self.players[0])
        legend = (
            f"Brackets: 95% intervals. Colour: change from {first} on the same deals, blue better, orange worse; "
            "▲ ▼ where its interval leaves out 0."
            + (
                ""
                if self._enough()
                else f" Rows with fewer than {ENOUGH} seeds are about these deals only, not about training."
            )
        )
        note = f'<p style="font-size:85%;max-width:60em">{legend}</p>' if len(self.players) > 1 else ""
        return (
            f'<table style="border-collapse:collapse"><thead><tr><th style="{_CELL}text-align:left" scope="col">'
            f"player</th>{heads}</tr></thead><tbody>{rows}</tbody></table>{note}"
        )

    def _enough(self) -> bool:
        """Whether every row but the first has the seeds that an effect of training needs."""
        return all(len(found) >= ENOUGH for (player, _), found in self._results.items() if player != self.players[0])

    def _column(self, suite: str) -> str:
        results = [seeds[0] for (_, s), seeds in self._results.items() if s == suite]
        metrics = dict.fromkeys(r.metric.replace("_", " ") for r in results)
        return f'{text(suite)}<br><span style="font-weight:normal">{text(", ".join(metrics))}</span>'

    def _cell(self, player: str, suite: str, change: bool, scale: float, live: bool) -> str:
        seeds, value = self._results.get((player, suite)), self.value(player, suite)
        if seeds is None or value is None:
            return f'<td style="{_CELL}">not played</td>'
        moved = self.change(player, suite)
        number = _share(value)
        other = self._other(player, moved)
        main, below = (other, number) if change else (number, other)
        mark = ""
        if moved and not moved.ci95[0] <= 0 <= moved.ci95[1]:
            mark = "▲ " if moved.value > 0 else "▼ "
        n = f"n = {seeds[0].n}" + (f", {len(seeds)} seeds" if len(seeds) > 1 else "")
        shown = f"<strong>{mark}{main}</strong><br>{below}<br>{n}{self._beside(seeds)}"
        ground = diverging(moved.value, scale) if moved else "#FFFFFF"
        style = f"background:{ground};color:#111111;"
        if not live:
            return f'<td style="{_CELL}{style}">{shown}</td>'
        index = list(self._results).index((player, suite))
        button = (
            f'<button type="button" data-cell="{index}" title="Show its episodes" style="all:unset;cursor:pointer;'
            f'box-sizing:border-box;width:100%;padding:6px 12px;outline:revert;text-align:center">{shown}</button>'
        )
        return f'<td style="{_CELL}padding:0;{style}">{button}</td>'

    def _beside(self, seeds: Sequence[SuiteResult]) -> str:
        """Where positions follow each other: the rates that the headline, which is of survivors, needs beside it."""
        own = measures_of(seeds[0].cell)
        lines = []
        for name in own.BESIDE if own.ASKED_ONCE else ():
            played = [r.asked_once if name in own.ASKED_ONCE else r.episodes for r in seeds]
            known = own.ASKED_ONCE.get(name, name)
            found = level(played, metric=known, weights=_weights(seeds[0])) if all(played) else None
            rate = f"{found.value:.1%}" if found else "not measured"
            lines.append(f"{text(label_of(seeds[0].cell, name))}: {rate}")
        return f'<br><span style="font-size:85%">{"<br>".join(lines)}</span>' if lines else ""

    def _other(self, player: str, moved: Measured | None) -> str:
        if moved is not None:
            low, high = moved.ci95
            return f"{_points(moved.value)} [{_points(low)}, {_points(high)}] points"
        return "the reference" if player == self.players[0] else "not paired"

    def _ipython_display_(self) -> None:
        said = f"OODMatrix: {counted(len(self.players), 'player')}, {counted(len(self.suites), 'suite')}"
        show_or_static(self.widget, self.static(), said)


def _results(given: SuiteResult | Run | str) -> list[SuiteResult]:
    """The results of a stored evaluation, measured again from its episodes."""
    if isinstance(given, SuiteResult):
        return [given]
    run = given if isinstance(given, Run) else find(given)
    try:
        suites = json.loads((run.path / "results.json").read_text(encoding="utf-8"))["suites"]
    except (OSError, KeyError):
        raise UsageError(f"{run.id} is no finished evaluation; `labkit eval` makes one") from None
    return [_measured(run, name, stored["every_hand"]) for name, stored in suites.items()]


def _measured(run: Run, suite: str, every_hand: bool) -> SuiteResult:
    result, once = measure(list(run.episodes(suite)), every_hand=every_hand), f"{suite}-{ASKED_ONCE}"
    return with_asked_once(result, run.episodes(once)) if once in run.episode_names() else result


def _weights(result: SuiteResult) -> list[float] | None:
    """The share of the deals that each episode stands for; None where all count alike."""
    return measures_of(result.cell).deal_weights(result.episodes) if result.every_hand else None


def _comparable(one: SuiteResult, other: SuiteResult) -> bool:
    """Whether both are the same measure of the same deals."""
    tasks = [{e.task.id for e in result.episodes} for result in (one, other)]
    return (one.metric, one.cell) == (other.metric, other.cell) and tasks[0] == tasks[1]


def _share(estimate: Estimate) -> str:
    measured = estimate.measured
    if measured is None:
        return "nothing to measure"
    low, high = measured.ci95
    return f"{measured.value:.1%} [{100 * low:.1f}, {100 * high:.1f}]"


def _points(share: float) -> str:
    """A difference of shares in percentage points, with a true minus sign."""
    return f"{100 * share:+.1f}".replace("-", "−")
