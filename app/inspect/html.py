"""The pieces of HTML of the Inspect tab: bars, the table of episodes, an opened episode."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from app.inspect.pairs import KINDS, Comparison
from app.inspect.settings import FLAGS, InspectSettings, split
from app.shared.paired import sentence_html
from labkit import envs
from labkit.counting import counted
from labkit.envs.games import row_of, rows
from labkit.episode import Verdict
from labkit.errors import UsageError
from labkit.evaluation.metrics import Measured
from labkit.runs.columns import SETS
from labkit.runs.index import Facet, Pair, Row
from labkit.runs.notes import Note
from labkit.views.markup import Mark, mark_of, text

SHOWN = 12
"""Bars of a facet that are seen at once; the others are in a part that opens."""
TITLES = {"face_cards": "Face cards", "solutions": "Number of solutions", "steps": "Steps of the route"}
"""What the page calls a trait; others go by their name."""
OPEN = Mark("▶", "not over", "plain")
SOURCE = ("run", "player", "cell", "suite", "split")
"""Fields that say where an episode is from; what all rows have in common is said once, above them."""


def pick(do: str, *values: Any) -> str:
    """The attribute of what can be clicked, which the page's script sends back."""
    return f'data-pick="{text(json.dumps([do, *values]))}"'


@dataclass(frozen=True)
class Bars:
    """The values of a field, as bars that can be clicked."""

    field: str
    title: str
    facets: Sequence[Facet]
    unit: str
    chosen: Collection[str] = ()
    others: Sequence[Facet] | None = None
    """The counts of a second run."""

    def html(self) -> str:
        """Empty where there is nothing to choose."""
        of_a, of_b = (self._counts(facets or ()) for facets in (self.facets, self.others))
        # What is chosen is there, even if nothing has it.
        there = dict.fromkeys((*of_a, *of_b, *self.chosen))
        # Of a field with several values a row may have none, so that a single one is a choice.
        if len(there) < (1 if self.field in SETS and self.field != "trait" else 2) and not self.chosen:
            return ""
        counts = [(value, (of_a.get(value, 0), of_b.get(value, 0))) for value in there]
        if self.field != "trait":
            counts.sort(key=lambda counted: -sum(counted[1]))
        most = max(max(both) for _, both in counts) or 1
        items = [self._bar(value, both, most) for value, both in counts]
        # What is chosen is never hidden.
        seen = max([SHOWN, *(n + 1 for n, (value, _) in enumerate(counts) if value in self.chosen)])
        rest = "".join(items[seen:])
        more = f"<details><summary>{len(items) - seen} more</summary><ul>{rest}</ul></details>" if rest else ""
        return (
            f'<section class="app-facet" data-facet="{text(self.title)}"><h3>{text(self.title)}</h3>'
            f"<ul>{''.join(items[:seen])}</ul>{more}</section>"
        )

    def _counts(self, facets: Iterable[Facet]) -> dict[str, int]:
        unit = "episodes" if self.unit == "episode" else "attempts"
        return {_value(self.field, facet.value): getattr(facet, unit) for facet in facets}

    def _bar(self, value: str, counts: tuple[int, int], most: int) -> str:
        pressed = "true" if value in self.chosen else "false"
        shown = value.partition(":")[2] if self.field == "trait" else value
        shown = shown.replace("_", " ") if self.field == "category" else shown
        meaning = f' title="{text(meanings()[value])}"' if self.field == "tag" and value in meanings() else ""
        word = text(shown).replace("_", "_<wbr>")
        told = counts[:1] if self.others is None else counts
        shares = "; ".join(f"--app-{side}: {round(100 * n / most)}%" for side, n in zip("ab", told, strict=False))
        number = " / ".join(f"{n:,}" for n in told)
        return (
            f'<li><button type="button" {pick("toggle", self.field, value)} aria-pressed="{pressed}"{meaning} '
            f'style="{shares}"{" data-two" if len(told) > 1 else ""}><span>{word}</span> '
            f"<span>{number}</span></button></li>"
        )


def filters_html(bars: Sequence[Bars]) -> str:
    """All bars, in a part that the page's script closes on a narrow screen."""
    return (
        '<details class="lk app-filters" data-fold open><summary>Filters</summary>'
        f'<div class="app-facets">{"".join(field.html() for field in bars)}</div></details>'
    )


def meanings() -> Mapping[str, str]:
    """What the failure tags of all games mean."""
    return {tag: meaning for row in rows() for tag, meaning in row.load("view").TAGS.items()}


def by_trait(found: Sequence[Facet]) -> dict[str, list[Facet]]:
    """The traits' counts by the trait's name, the smallest value first."""
    named = sorted(found, key=lambda facet: (facet.value.partition(":")[0], _number(facet.value)))
    return {name: list(values) for name, values in groupby(named, key=lambda facet: facet.value.partition(":")[0])}


def title_of(trait: str) -> str:
    return TITLES.get(trait, trait.replace("_", " ").capitalize())


def _number(value: str) -> tuple[int, str]:
    digits = re.search(r"\d+", value)
    return (int(digits[0]) if digits else 0, value)


def _value(field: str, value: Any) -> str:
    return ("yes" if value else "no") if field in FLAGS else str(value)


def found_html(attempts: int, episodes: int, everything: int, running: Collection[str]) -> str:
    """How much was found, and whether more is coming."""
    live = ""
    if running:
        which = f"{next(iter(running))} goes" if len(running) == 1 else f"{counted(len(running), 'run')} go"
        live = f" {Mark('▶', 'live', 'ok').html()} {text(which)} on, and this page follows."
    return (
        f'<p class="lk app-found"><strong>{episodes:,}</strong> of {counted(everything, "episode")}, '
        f"{counted(attempts, 'attempt')}{live}</p>"
    )


def pairs_found_html(listed: int, both: int) -> str:
    """How many deals the table lists, of those that both runs have played."""
    return f'<p class="lk app-found"><strong>{listed:,}</strong> of {both:,} deals that both have played</p>'


def conditions_html(chosen: InspectSettings) -> str:
    """The conditions that are set, each with a button that lifts it."""
    shown = [
        f'<button type="button" {pick("toggle", name, value)}>{text(value.replace("_", " "))} '
        '<span aria-hidden="true">×</span><span class="lk-unseen">remove</span></button>'
        for name, value in chosen.conditions
    ]
    if chosen.filtered:
        shown.append(f'<button type="button" {pick("clear")}>Clear all</button>')
    return f'<div class="lk app-conditions">{"".join(shown)}</div>' if shown else ""


def table_html(found: Sequence[Row], chosen: InspectSettings, total: int, size: int) -> str:
    """A page of the rows; a click opens an episode."""
    if not found:
        return '<p class="lk lk-empty app-empty">No episode meets these conditions. Remove one of them.</p>'
    differ = [name for name in SOURCE if len({getattr(row, name) for row in found}) > 1]
    alike = [f"{name.capitalize()} {getattr(found[0], name)}" for name in SOURCE if name not in differ]
    noted = any(row.note or row.note_tags for row in found)
    head = ["Episode", "Outcome", "Verdict", "Answer", "Failure tags", "Turns", "Return"]
    head += [*(["Note"] if noted else []), *(["From"] if differ else [])]
    cells = "".join(f'<th scope="col">{name}</th>' for name in head)
    body = "".join(_row(row, differ, chosen, noted) for row in found)
    caption = f"<caption>{text(' · '.join(alike))}</caption>" if alike else ""
    return (
        f'<div class="lk app-rows"><table class="app-table app-cards">{caption}<thead><tr>{cells}</tr></thead>'
        f"<tbody>{body}</tbody></table>{_pages(chosen.page, total, size)}</div>"
    )


def compared_html(found: Comparison, chosen: InspectSettings) -> str:
    """How two runs compare on the deals that both have played."""
    counts, difference = found.counts, found.difference
    labels = {"B": "only B solves", "A": "only A solves", "both": "both solve", "neither": "neither solves"}
    solved = split(chosen.solved)
    buttons = "".join(
        f'<button type="button" {pick("toggle", "solved", kind)} aria-pressed="{str(kind in solved).lower()}">'
        f"{labels[kind]} <strong>{counts[kind]:,}</strong></button>"
        for kind in KINDS
    )
    return (
        '<section class="lk app-compare" aria-label="Two runs on the same deals">'
        f"<p>{_rate('A', found.pairs[0].first, difference.before)}</p>"
        f"<p>{_rate('B', found.pairs[0].second, difference.after)}</p>"
        f"{sentence_html('A', 'B', difference)}"
        f'<div class="app-conditions">{buttons}</div></section>'
    )


def _rate(side: str, row: Row, rate: Measured) -> str:
    low, high = (f"{100 * end:.1f}" for end in rate.ci95)
    return (
        f'<strong class="app-side-{side.lower()}">{side}</strong> {text(row.player)}, {text(row.run)}: solves '
        f"<strong>{100 * rate.value:.1f}%</strong> [{low}, {high}]"
    )


def choose_html(side: str, field: str, players: Sequence[Facet]) -> str:
    """A button for each player of a run that has several: two of them are compared, not all."""
    buttons = "".join(
        f'<button type="button" {pick("toggle", field, facet.value)}>{text(facet.value)}</button>' for facet in players
    )
    return f'<div class="lk app-conditions"><span>Player of {side}:</span>{buttons}</div>'


def pairs_html(found: Sequence[Pair], chosen: InspectSettings, total: int, size: int) -> str:
    """A page of the deals that both have played; a click opens both episodes."""
    if not found:
        return '<p class="lk lk-empty app-empty">No deal meets these conditions. Remove one of them.</p>'
    head = ("Episode", "A", "Last answer of A", "B", "Last answer of B")
    cells = "".join(f'<th scope="col">{name}</th>' for name in head)
    body = "".join(_pair(pair, head, chosen) for pair in found)
    return (
        f'<div class="lk app-rows"><table class="app-table app-cards"><thead><tr>{cells}</tr></thead>'
        f"<tbody>{body}</tbody></table>{_pages(chosen.page, total, size)}</div>"
    )


def _pair(pair: Pair, head: Sequence[str], chosen: InspectSettings) -> str:
    shown = [cell for row in (pair.first, pair.second) for cell in (_end(row), answer_html(row))]
    cells = "".join(f'<td data-column="{name}">{cell}</td>' for name, cell in zip(head[1:], shown, strict=True))
    pressed = "true" if place(pair.first) == chosen.open else "false"
    return (
        f'<tr {pick("open", place(pair.first), chosen.page, place(pair.second))}><th scope="row">'
        f'<button type="button" aria-pressed="{pressed}">{text(pair.first.name)} {pair.first.episode}</button></th>'
        f"{cells}</tr>"
    )


def _end(row: Row) -> str:
    turns = f"{row.turns} turn{'s' if row.turns != 1 else ''}"
    return f'{outcome(row).html()} <span class="lk-soft">{turns}</span>'


def place(row: Row) -> str:
    """Where an episode is stored, as the settings name it."""
    return f"{row.run}/{row.name}/{row.episode}"


def _row(row: Row, differ: Sequence[str], chosen: InspectSettings, noted: bool) -> str:
    here = place(row) == chosen.open
    attempt = f"attempt {row.attempt + 1}" if row.position == 0 else f"step {row.position + 1}.{row.attempt + 1}"
    cells = {
        "Outcome": outcome(row).html(),
        "Verdict": f'{verdict(row).html()} <span class="lk-soft">{attempt}</span>',
        "Answer": answer_html(row),
        "Failure tags": _codes(row.tags),
        "Turns": str(row.turns),
        "Return": f"{row.total:+g}".replace("-", "−"),
    }
    if noted:
        cells["Note"] = f'<div class="app-answer">{_codes(row.note_tags)} {text(row.note)}</div>'
    if differ:
        cells["From"] = f'<span class="lk-soft">{text(" · ".join(getattr(row, name) for name in differ))}</span>'
    shown = "".join(f'<td data-column="{name}">{cell}</td>' for name, cell in cells.items())
    pressed = "true" if here else "false"
    return (
        f'<tr {pick("open", place(row), chosen.page)}><th scope="row"><button type="button" aria-pressed="{pressed}">'
        f"{text(row.name)} {row.episode}</button></th>{shown}</tr>"
    )


def _codes(tags: Sequence[str]) -> str:
    return " ".join(f"<code>{text(tag)}</code>" for tag in tags)


def note_html(noted: Note) -> str:
    """What somebody noted of an episode; empty where nobody did."""
    return f'<p class="app-noted">{_codes(noted.tags)} {text(noted.text)}</p>' if noted else ""


def outcome(row: Row) -> Mark:
    """How the episode ended."""
    return _ended(row.cell).get(row.status, OPEN)


def _ended(cell: str) -> Mapping[str, Mark]:
    try:
        return row_of(cell).load("view").ENDED
    except UsageError:
        return {}


def verdict(row: Row) -> Mark:
    """The verdict on the row's attempt."""
    return mark_of(Verdict(row.category, row.success, row.reward, ""))


def answer_html(row: Row) -> str:
    """The answer on two lines, its decisive field first."""
    try:
        span = envs.game(row.cell).decisive_span(row.answer)
    except UsageError:
        span = None
    decisive = f"<u>{text(row.answer[slice(*span)])}</u> " if span else ""
    return f'<div class="app-answer">{decisive}<span class="lk-soft">{text(row.answer)}</span></div>'


def _pages(page: int, total: int, size: int) -> str:
    last = max(0, (total - 1) // size)
    if not last:
        return ""
    buttons = [("Previous page", page - 1), ("Next page", page + 1)]
    shown = "".join(
        f'<button type="button" {pick("page", number)}{"" if 0 <= number <= last else " disabled"}>{label}</button>'
        for label, number in buttons
    )
    first = page * size
    return (
        f'<nav class="app-pages" aria-label="Pages">{shown} <span>{first + 1:,} to {min(first + size, total):,} of '
        f"{total:,}</span></nav>"
    )


def opened_html(
    chosen: InspectSettings,
    episodes: Sequence[str],
    before: Sequence[Any] | None,
    after: Sequence[Any] | None,
    between: str = "",
) -> str:
    """What is open: an episode, or two side by side, with buttons to their neighbours in the table.

    Args:
        episodes: HTML of each.
        before, after: what a click opens: place, page and, of two, the place of the second; None for nothing.
        between: HTML above two episodes.
    """
    buttons = "".join(
        f'<button type="button" {pick("open", *where)}>{label}</button>'
        if where
        else f'<button type="button" disabled>{label}</button>'
        for label, where in (("← Previous", before), ("Next →", after))
    )
    two = " data-two" if len(episodes) > 1 else ""
    return (
        f'<div class="lk app-opened" data-opened="{text(chosen.open)}"{two}><div class="app-opened-head">{buttons}'
        f'<button type="button" {pick("close")}>Close</button></div>{between}'
        f'<div class="app-episodes">{"".join(f"<div>{one}</div>" for one in episodes)}</div></div>'
    )


def values(chosen: InspectSettings, field: str, trait: str = "") -> list[str]:
    """The chosen values of a field, of a trait's name where it is one."""
    return [v for v in split(getattr(chosen, field)) if not trait or v.startswith(f"{trait}:")]
