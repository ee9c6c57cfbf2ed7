"""The same cards under both rules: one line a player, and each player's answers with a switch for the rule.

What is drawn was played by ``scripts/same_cards.py``.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.envs.general_points.cards import FACES
from labkit.errors import UsageError
from labkit.evaluation.metrics import Measured, mean
from labkit.views.markup import text
from labkit.views.palette import METHODS, color_of
from labkit.views.widgets.live import ipywidgets, show_or_static

if TYPE_CHECKING:
    from IPython.display import HTML
    from plotly.graph_objects import Figure

TRAINED, CHANGED = FACES
RULES = {TRAINED: "trained rule: J, Q, K = 10", CHANGED: "changed rule: J, Q, K = 11, 12, 13"}
MAIN = ("Init", "SFT", "RL")
"""The three lines of the figure; the other players are controls."""


class Line(NamedTuple):
    """One player on the same hands under both rules."""

    name: str
    trained: Measured
    changed: Measured
    change: Measured
    """Changed minus trained rule, hand by hand."""


class SameCards:
    """Stored answers of several players to the same hands under both rules.

    Args:
        path: what ``scripts/same_cards.py`` has written.

    Raises:
        UsageError: there is no such file.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            stored = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError:
            here = Path.cwd()
            raise UsageError(f"no {path} seen from {here}; open the notebook where it lies, and run it there") from None
        self._samples: int = stored["samples"]
        self._played: dict[str, dict[str, Any]] = {one["name"]: one for one in stored["played"]}
        self.hands: list[str] = self._played[MAIN[0]]["hands"]

    def lines(self) -> list[Line]:
        """All players that were played, in order; means over hands with 95% intervals."""
        found = []
        for name, one in self._played.items():
            trained, changed = ([n / self._samples for n in one[faces]["solved"]] for faces in RULES)
            change = [new - old for old, new in zip(trained, changed, strict=True)]
            found.append(Line(name, *map(_measured, (trained, changed, change))))
        return found

    def table(self) -> str:
        """A line of text for each player."""

        def shown(estimate: Measured, sign: str = "") -> str:
            low, high = (f"{100 * end:{sign}.1f}" for end in estimate.ci95 or (0.0, 0.0))
            return f"{100 * estimate.value:{sign}.1f} [{low}, {high}]"

        heads = f"{len(self.hands)} hands, {self._samples} episodes each, success within 5 attempts in percent"
        rows = [
            f"{line.name:19} trained {shown(line.trained):18} changed {shown(line.changed):18}"
            f" change {shown(line.change, '+')}"
            for line in self.lines()
        ]
        return "\n".join([heads, *rows])

    def figure(self) -> Figure:
        """A slope for each of the three main players: success under the trained and under the changed rule."""
        import plotly.graph_objects as go

        figure = go.Figure()
        main = [line for line in self.lines() if line.name in MAIN]
        for number, line in enumerate(main):
            both = (line.trained, line.changed)
            up, down = zip(*((e.ci95[1] - e.value, e.value - e.ci95[0]) for e in both), strict=True)
            figure.add_scatter(
                x=[x + 0.015 * (number - 1) for x in (0, 1)],
                y=[e.value for e in both],
                error_y={"array": up, "arrayminus": down, "thickness": 1},
                name=line.name,
                mode="lines+markers+text",
                text=["", f" {line.name} {line.changed.value:.0%}"],
                textposition="middle right",
                line={"color": color_of(line.name), "width": 3},
                marker_size=10,
            )
        return figure.update_layout(
            title=f"The same {len(self.hands)} hands under both rules<br><sup>success within five attempts, "
            "95% intervals over hands</sup>",
            template="plotly_white",
            height=420,
            showlegend=False,
            xaxis={"tickvals": [0, 1], "ticktext": list(RULES.values()), "range": [-0.3, 1.4]},
            yaxis={"tickformat": ".0%", "rangemode": "tozero"},
        )

    def tally(self, name: str) -> Counter[str]:
        """How a player's hands fared from the trained to the changed rule: ``kept``, ``lost``, ``won`` or ``neither``.

        Of the first episode of each hand.
        """
        one = self._played[name]
        words = {(True, True): "kept", (True, False): "lost", (False, True): "won", (False, False): "neither"}
        solved = ([category == "correct" for _, category, _ in one[faces]["shown"]] for faces in RULES)
        return Counter(words[pair] for pair in zip(*solved, strict=True))

    def answers_html(self, hand: int, faces: str) -> str:
        """Each main player's last answer to a hand under a rule, and its tally over all hands."""
        rows = []
        for name in MAIN:
            formula, category, attempts = self._played[name][faces]["shown"][hand]
            mark = "✓" if category == "correct" else "✗"
            tally = self.tally(name)
            told = ", ".join(f"{tally[word]} {word}" for word in ("kept", "lost", "won"))
            cells = (name, f"{mark} {formula or 'no formula'}", f"{category}, answer {attempts} of 5", told)
            colour = METHODS[name.lower()]
            rows.append(
                f"<tr style='border-left: 4px solid {colour}'>"
                + "".join(f"<td style='text-align: left; padding: 2px 10px'>{text(cell)}</td>" for cell in cells)
                + "</tr>"
            )
        return f"<p><b>{text(self.hands[hand])}</b>, {text(RULES[faces])}</p><table>{''.join(rows)}</table>"

    def widget(self) -> Any:
        """The answers with a choice of hand and a switch for the rule."""
        widgets: Any = ipywidgets("the switch")
        rule = widgets.ToggleButtons(options=[(title, faces) for faces, title in RULES.items()])
        rule.style.button_width = "17em"
        hand = widgets.Dropdown(options=[(ranks, i) for i, ranks in enumerate(self.hands)], description="Hand")
        shown = widgets.HTML()

        def redraw(_: Any = None) -> None:
            shown.value = self.answers_html(hand.value, rule.value)

        redraw()
        rule.observe(redraw, "value")
        hand.observe(redraw, "value")
        return widgets.VBox([widgets.HBox([hand, rule]), shown])

    def static(self, hand: int = 0) -> HTML:
        """The answers to one hand under both rules, for a page without a kernel."""
        from IPython.display import HTML

        return HTML("".join(self.answers_html(hand, faces) for faces in RULES))

    def show(self) -> None:
        """Display the widget, with its static form for pages without a kernel."""
        show_or_static(self.widget, self.static(), "three players' answers to the same cards under both rules")


def _measured(rates: list[float]) -> Measured:
    """Their mean over hands."""
    estimate = mean(rates).measured
    assert estimate is not None
    return estimate
