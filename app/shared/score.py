"""A person against the players at the table, counted over the deals that both have finished."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from labkit.episode import Episode, Task
from labkit.views.markup import Mark, details, text

MOST = 200
"""Deals that are kept; the earliest go first."""
SOLVED, FAILED = Mark("✓", "solved", "ok"), Mark("✗", "not solved", "bad")


@dataclass(frozen=True, slots=True)
class Deal:
    """Who has finished a deal."""

    task: Task
    own: bool | None = None
    """Whether the person solved it; None while they have not finished it."""
    players: Mapping[str, bool] = field(default_factory=dict)
    """Whether each player solved it, of those that have finished it."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Deals that the person and one player have finished, by who solved them."""

    both: int = 0
    person: int = 0
    """Solved by the person only."""
    player: int = 0
    """Solved by the player only."""
    neither: int = 0

    @property
    def deals(self) -> int:
        return self.both + self.person + self.player + self.neither


@dataclass(frozen=True, slots=True)
class Score:
    """What has been finished since the score was reset. Of a deal that is played several times the first end counts."""

    deals: Mapping[str, Deal] = field(default_factory=dict)
    before: Episode | None = None
    """The person's episode that was on the table when the score was reset; it does not count."""

    def after(self, own: Episode | None, players: Iterable[Episode | None]) -> Score:
        """With the episodes that are on the table and over.

        Args:
            own: the person's.
            players: those of the seats.
        """
        before = self.before if own == self.before else None
        deals = dict(self.deals)
        if own is not None and own.done and before is None:
            key = _key(own.task)
            deal = deals.get(key, Deal(own.task))
            deals[key] = replace(deal, own=own.success) if deal.own is None else deal
        for episode in players:
            if episode is not None and episode.done:
                key = _key(episode.task)
                deal = deals.get(key, Deal(episode.task))
                first = deal.players.get(episode.player, episode.success)
                deals[key] = replace(deal, players={**deal.players, episode.player: first})
        return Score(dict([*deals.items()][-MOST:]), before)

    @property
    def shared(self) -> Sequence[Deal]:
        """The deals that the person and at least one player have finished."""
        return [deal for deal in self.deals.values() if deal.own is not None and deal.players]

    def tallies(self) -> dict[str, Tally]:
        """The person against each player."""
        found: dict[str, Tally] = {}
        names = {(True, True): "both", (True, False): "person", (False, True): "player", (False, False): "neither"}
        for deal in self.shared:
            for player, solved in deal.players.items():
                tally, name = found.get(player, Tally()), names[bool(deal.own), solved]
                found[player] = replace(tally, **{name: getattr(tally, name) + 1})
        return found


def _key(task: Task) -> str:
    """The same for tasks that ask the same with as many attempts."""
    asked = json.dumps([task.cell, task.deal, task.rule, task.attempts], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()


def score_html(score: Score, title: Callable[[Task], str]) -> str:
    """A row for each player, and the deals in a part that opens; empty while nothing is counted.

    Args:
        title: what a deal is called.
    """
    tallies = score.tallies()
    if not tallies:
        return ""
    head = ("You against", "Deals", "You solved", "Player solved", "Only you", "Only the player")
    rows = "".join(_row(player, tally, head[1:]) for player, tally in tallies.items())
    listed = details("Deal by deal", _deals(score, [*tallies], title))
    return f'<section class="lk" aria-label="Score">{_table(head, rows)}{listed}</section>'


def _row(player: str, tally: Tally, head: Sequence[str]) -> str:
    numbers = (tally.deals, tally.both + tally.person, tally.both + tally.player, tally.person, tally.player)
    cells = "".join(f'<td data-column="{name}">{n}</td>' for name, n in zip(head, numbers, strict=True))
    return f'<tr><th scope="row">{text(player)}</th>{cells}</tr>'


def _deals(score: Score, players: Sequence[str], title: Callable[[Task], str]) -> str:
    rows = ""
    for deal in reversed(score.shared):
        ends = {"You": deal.own, **{player: deal.players.get(player) for player in players}}
        cells = "".join(f'<td data-column="{text(name)}">{_end(end)}</td>' for name, end in ends.items())
        rows += f'<tr><th scope="row">{text(title(deal.task))}</th>{cells}</tr>'
    return _table(("Deal", "You", *players), rows)


def _end(solved: bool | None) -> str:
    return "–" if solved is None else (SOLVED if solved else FAILED).html()


def _table(head: Sequence[str], rows: str) -> str:
    cells = "".join(f'<th scope="col">{text(name)}</th>' for name in head)
    return f'<table class="app-table app-cards"><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table>'
