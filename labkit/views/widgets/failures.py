"""Stored answers counted by failure tag, verdict, attempt or trait; a bar that is pressed leaves only its episodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labkit.counting import counted
from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.runs.index import Facet, Index, Selection
from labkit.views.markup import text
from labkit.views.widgets.episodes import EpisodeViewer
from labkit.views.widgets.live import ipywidgets, live_cells, show_or_static

if TYPE_CHECKING:
    from IPython.display import HTML

FIELDS = {"tag": "failure tag", "category": "verdict", "attempt": "attempt", "trait": "what the deal is like"}
"""What answers are counted by, and how the page calls it."""
SHOWN = 20
"""Episodes that the viewer holds."""

_CELL = "padding:2px 8px;text-align:left;"


class FailureBrowser:
    """Bars of how often each failure occurs, above the episodes behind them; displayed as the last line of a cell.

    ``FailureBrowser(index, success=False)`` shows wrong answers. With a live kernel a bar that is pressed becomes a
    condition, and pressed again none. Conditions on several fields hold together; the bars of a field are counted
    without its own condition.

    Args:
        index: the stored episodes.
        where: conditions that always hold, as :meth:`labkit.runs.index.Index.select` takes them.

    Raises:
        UsageError: no answer meets the conditions, or there is no such field.
    """

    def __init__(self, index: Index, **where: Any) -> None:
        self._index, self._where = index, where
        if not self._select({}).attempts:
            raise UsageError("no stored answers to count; widen the conditions")

    def counts(self, field: str, chosen: Mapping[str, Any] | None = None) -> list[Facet]:
        """The values of a field with their counts, the most frequent first; attempts in their order.

        Args:
            chosen: conditions by field; the one on this field does not count.
        """
        others = {name: value for name, value in (chosen or {}).items() if name != field}
        found = self._select(others).facet(field)
        return sorted(found, key=lambda facet: facet.value) if field == "attempt" else found

    def episodes(self, chosen: Mapping[str, Any] | None = None) -> list[Episode]:
        """The first episodes with such an answer, :data:`SHOWN` at most."""
        rows = self._select(chosen or {}).rows(limit=SHOWN, unit="episode")
        return [self._index.episode(row.run, row.name, row.episode) for row in rows]

    def static(self, field: str = "tag") -> HTML:
        """The bars of a field and the first episode as an HTML object for IPython, without widgets or scripts."""
        from IPython.display import HTML

        return HTML(self._bars(field, {}, live=False) + EpisodeViewer(self.episodes()).static().data)

    def widget(self) -> Any:
        """The live form.

        Raises:
            UsageError: ipywidgets or anywidget is not installed.
        """
        widgets = ipywidgets("the bars of failures")
        chosen: dict[str, Any] = {}
        field = widgets.Dropdown(options=[(words, name) for name, words in FIELDS.items()], description="Count by")
        bars = live_cells("the bars of failures", self._bars(field.value, chosen, live=True))
        told = widgets.HTML()
        viewer = widgets.VBox(layout={"width": "100%"})

        def draw(*_: Any) -> None:
            bars.html = self._bars(field.value, chosen, live=True)
            selected = self._select(chosen)
            told.value = self._told(selected, chosen)
            viewer.children = (EpisodeViewer(self.episodes(chosen)).widget(),)

        def press(change: dict[str, Any]) -> None:
            # The page sends a number: nothing else is believed.
            place, values = change["new"][0] if change["new"] else -1, self.counts(field.value, chosen)
            if not isinstance(place, int) or not 0 <= place < len(values):
                return
            value = values[place].value
            if chosen.get(field.value) == value:
                del chosen[field.value]
            else:
                chosen[field.value] = value
            draw()

        field.observe(lambda _: setattr(bars, "html", self._bars(field.value, chosen, live=True)), names="value")
        bars.observe(press, names="pressed")
        draw()
        return widgets.VBox([field, bars, told, viewer])

    def _select(self, chosen: Mapping[str, Any]) -> Selection:
        return self._index.select(**{**self._where, **chosen})

    def _told(self, selected: Selection, chosen: Mapping[str, Any]) -> str:
        conditions = ", ".join(f"{FIELDS[field]} {_shown(field, value)}" for field, value in chosen.items())
        shown = f", the first {SHOWN} of them below" if selected.episodes > SHOWN else ""
        counts = f"{counted(selected.attempts, 'answer')} in {counted(selected.episodes, 'episode')}{shown}"
        return f"<p><strong>{text(conditions or 'all')}</strong>: {text(counts)}</p>"

    def _bars(self, field: str, chosen: Mapping[str, Any], live: bool) -> str:
        found = self.counts(field, chosen)
        most = max((facet.attempts for facet in found), default=1)
        rows = ""
        for number, facet in enumerate(found):
            name, pressed = text(_shown(field, facet.value)), chosen.get(field) == facet.value
            if live:
                style = f"all:unset;cursor:pointer;outline:revert;font-weight:{'bold' if pressed else 'normal'}"
                name = (
                    f'<button type="button" data-cell="{number}" aria-pressed="{str(pressed).lower()}" '
                    f'style="{style}">{"☑" if pressed else "☐"} {name}</button>'
                )
            bar = f"width:{max(1, round(240 * facet.attempts / most))}px;height:12px;background:#0072B2"
            rows += (
                f'<tr><th scope="row" style="{_CELL}font-weight:normal">{name}</th>'
                f'<td style="{_CELL}"><div style="{bar}"></div></td>'
                f'<td style="{_CELL}">{facet.attempts:,}</td><td style="{_CELL}">{facet.episodes:,}</td></tr>'
            )
        heads = (FIELDS[field], "", "answers", "episodes")
        head = "".join(f'<th scope="col" style="{_CELL}">{title}</th>' for title in heads)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def _ipython_display_(self) -> None:
        said = f"FailureBrowser: {counted(self._select({}).attempts, 'answer')}"
        show_or_static(self.widget, self.static(), said)


def _shown(field: str, value: Any) -> str:
    """A value in words: attempts are counted from 1."""
    return str(value + 1) if field == "attempt" else str(value).replace("_", " ")
