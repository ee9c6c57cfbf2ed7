"""The pieces of HTML of many deals: the bars, the comparison, the list of deals, an opened deal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.deals import table_link
from app.panels.many.series import Series
from app.shared.bars import Bar, figure
from app.shared.html import note, spinner, trouble
from app.shared.paired import sentence_html
from labkit import envs
from labkit.counting import counted
from labkit.episode import Episode, Task
from labkit.views.markup import Mark, details, text
from labkit.views.turns import ended_html, hand_html, summary_html, turns_html

CLOSE = "close"
Title = Callable[[Task], str]
"""What a deal is called in a list."""


def status(series: Series | None, playing: bool, left: float | None) -> str:
    """How far the players are.

    Args:
        left: seconds that are left, as it seems.
    """
    if series is None:
        return ""
    count = f"{series.ended} of {counted(series.total, 'episode')}"
    if playing:
        time = "" if left is None else f", about {_seconds(left)} left"
        return f'<div class="lk app-status">{spinner(f"{count} ended{time}")}</div>'
    if series.ended < series.total and not series.failures:
        return f'<div class="lk app-status">{Mark("■", "stopped by you", "void").html()} {count} ended.</div>'
    return f'<div class="lk app-status">{Mark("✓", "played", "plain").html()} {count} ended.</div>'


def _seconds(left: float) -> str:
    return f"{max(1, round(left))} s" if left < 90 else f"{round(left / 60)} min"


def board(series: Series) -> str:
    """A bar for each player, and how each two compare."""
    bars = [Bar(player, series.rate(player), _tally(series, player)) for player in series.players]
    failed = "".join(trouble(player, error) for player, error in series.failures.items())
    pairs = "".join(sentence_html(first, second, found) for first, second, found in series.pairs())
    unseen = ". ".join(f"{player}: {_tally(series, player)}" for player in series.players)
    return (
        f'<div class="lk app-board"><div class="app-figures" role="img" aria-label="{text(unseen)}">'
        f"{figure('Solved deals, with 95% intervals', bars)}</div>{failed}"
        f'<div class="app-pairs">{pairs}</div>{_caption(series)}</div>'
    )


def _tally(series: Series, player: str) -> str:
    return f"{series.solved(player)} of {len(series.of(player))}"


def _caption(series: Series) -> str:
    first = series.tasks[0]
    where = f"split {series.split}" if first.suite != "custom" else "deals of the list"
    return (
        f'<p class="lk-soft">{text(first.cell)}, suite {text(first.suite)}, {text(where)}: '
        f"{counted(len(series.tasks), 'deal')}, "
        f"{counted(first.attempts, 'attempt')}, temperature {series.temperature:g}, seed {series.seed}. The intervals "
        "are those of other deals of this kind, not of other trainings.</p>"
    )


def deals(series: Series, title: Title, opened: int | None) -> str:
    """The deals that differ, and the others in a part that opens.

    Args:
        opened: the deal that is open.
    """
    all_played, differing = series.shared(series.players), series.differing
    if not all_played or len(series.players) < 2:
        alike = _table(series, all_played, title, opened) if all_played else ""
        return f'<div class="lk app-board"><h3>Deals</h3>{alike}</div>' if alike else ""
    rest = [n for n in all_played if n not in differing]
    word = "deal differs" if len(differing) == 1 else "deals differ"
    head = f"<h3>{len(differing)} {word}, of {len(all_played)} that all have played</h3>"
    table = _table(series, differing, title, opened) if differing else "<p>All end alike so far.</p>"
    alike = details(f"The {counted(len(rest), 'deal')} that end alike", _table(series, rest, title, opened))
    return f'<div class="lk app-board">{head}{table}{alike if rest else ""}</div>'


def _table(series: Series, places: Sequence[int], title: Title, opened: int | None) -> str:
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in ("Deal", *series.players))
    rows = "".join(_row(series, n, title, n == opened) for n in places)
    return (
        f'<div class="app-rows"><table class="app-table app-cards"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(series: Series, place: int, title: Title, opened: bool) -> str:
    cells = "".join(
        f'<td data-column="{text(player)}">{_outcome(series.of(player)[place])}</td>' for player in series.players
    )
    return (
        f'<tr {_opens(place)}><th scope="row"><button type="button" aria-pressed="{str(opened).lower()}">'
        f"{text(title(series.tasks[place]))}</button></th>{cells}</tr>"
    )


def _outcome(episode: Episode) -> str:
    count = counted(len(episode.attempts), "answer")
    return f'{ended_html(episode)} <span class="lk-soft">{count}</span>'


def deal(series: Series, place: int, title: Title) -> str:
    """An opened deal: the task, and what every player did, side by side."""
    task = series.tasks[place]
    columns = "".join(
        f'<div class="app-side"><h3>{text(player)}</h3>{summary_html(episode)}{turns_html(episode)}</div>'
        for player in series.players
        if (episode := series.of(player).get(place)) is not None
    )
    order = [*series.differing] if place in series.differing else series.shared(series.players)
    return (
        f'<div class="lk app-opened" data-opened="{place}">{_neighbours(order, place)}'
        f"<h3>{text(title(task))}</h3>{table_link(task, series.players, series.temperature)}"
        f"{hand_html(envs.start(task))}"
        f'<div class="app-sides">{columns}</div></div>'
    )


def _neighbours(order: Sequence[int], place: int) -> str:
    """Buttons to the deals before and after in the list."""
    at = order.index(place) if place in order else None
    before = order[at - 1] if at else None
    after = order[at + 1] if at is not None and at + 1 < len(order) else None
    buttons = "".join(
        f'<button type="button" {"disabled" if to is None else _opens(to)}>{label}</button>'
        for label, to in (("← Previous", before), ("Next →", after))
    )
    return f'<div class="app-opened-head">{buttons}<button type="button" {_opens(CLOSE)}>Close</button></div>'


def _opens(what: object) -> str:
    """The attribute of what can be clicked, which the page's script sends back."""
    return f'data-pick="{what}"'


def nothing() -> str:
    """What is said before anything is played."""
    return note(
        "Press Play: every player at the table plays the same deals, and each bar grows as its episodes end.", "plain"
    )
