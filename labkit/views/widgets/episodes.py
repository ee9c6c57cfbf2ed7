"""Episodes in a notebook: the same turn cards as in the app."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from labkit.counting import counted
from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.runs import Run
from labkit.views.markup import standalone
from labkit.views.tokens import StoredTokens
from labkit.views.turns import episode_html
from labkit.views.widgets.live import ipywidgets, show_or_static

if TYPE_CHECKING:
    from IPython.display import HTML

ALL = "all"


class EpisodeViewer:
    """A viewer of episodes, displayed as the last line of a cell.

    ``EpisodeViewer(episodes)`` needs ipywidgets and a live kernel; ``.static(i)`` is plain HTML that stays
    in a saved notebook.

    Args:
        episodes: any finite number of episodes; they are kept in the order given.
        run: where they are stored. If it has their tokens (``--tokens``), the cards show the probability of each.

    Raises:
        UsageError: ``episodes`` is empty.
    """

    def __init__(self, episodes: Iterable[Episode], run: Run | None = None) -> None:
        self.episodes = tuple(episodes)
        if not self.episodes:
            raise UsageError("no episodes to show; play some first, or widen the query")
        self._tokens = StoredTokens(run) if run else None

    def static(self, index: int = 0) -> HTML:
        """One episode as an HTML object for IPython, without widgets or scripts.

        Raises:
            IndexError: no episode has this index.
        """
        from IPython.display import HTML

        return HTML(self._html(self.episodes[index]))

    def _html(self, episode: Episode) -> str:
        return standalone(episode_html(episode, self._tokens.of(episode) if self._tokens else ()))

    def outcomes(self) -> tuple[str, ...]:
        """The filter's options: ``all``, then every status and category of verdict that occurs."""
        status = {e.status for e in self.episodes}
        verdicts = {a.verdict.category for e in self.episodes for a in e.attempts}
        return (ALL, *sorted(status), *sorted(verdicts - status))

    def select(self, outcome: str) -> tuple[int, ...]:
        """Indices of the episodes with this status, or with an answer of this category."""
        return tuple(
            i
            for i, e in enumerate(self.episodes)
            if outcome in (ALL, e.status) or any(a.verdict.category == outcome for a in e.attempts)
        )

    def widget(self) -> Any:
        """The live viewer: a filter, previous and next, and the episode.

        Raises:
            UsageError: ipywidgets is not installed.
        """
        widgets = ipywidgets("the viewer")
        outcome = widgets.Dropdown(options=self.outcomes(), description="Show", layout={"width": "220px"})
        back = widgets.Button(description="Previous", icon="chevron-left", layout={"width": "110px"})
        on = widgets.Button(description="Next", icon="chevron-right", layout={"width": "110px"})
        place = widgets.BoundedIntText(1, 1, len(self.episodes), description="Episode", layout={"width": "150px"})
        of = widgets.Label()
        body = widgets.HTML(layout={"width": "100%"})
        chosen = self.select(ALL)

        def show(*_: Any) -> None:
            body.value = self._html(self.episodes[chosen[place.value - 1]])
            of.value = f"of {len(chosen)}"
            back.disabled, on.disabled = place.value == 1, place.value == len(chosen)

        def choose(*_: Any) -> None:
            nonlocal chosen
            chosen = self.select(outcome.value)
            place.max, place.value = len(chosen), 1
            show()

        def go(step: int) -> None:
            place.value += step

        back.on_click(lambda _: go(-1))
        on.on_click(lambda _: go(1))
        place.observe(show, names="value")
        outcome.observe(choose, names="value")
        show()
        return widgets.VBox([widgets.HBox([outcome, back, place, of, on]), body])

    def _ipython_display_(self) -> None:
        show_or_static(self.widget, self.static(), f"EpisodeViewer: {counted(len(self.episodes), 'episode')}")
