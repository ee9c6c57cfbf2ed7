"""The pieces of HTML of the Inspect tab: bars, the table of episodes, an opened episode."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from app.inspect.settings import FLAGS, InspectSettings, split
from labkit import envs
from labkit.envs.games import row_of, rows
from labkit.episode import Episode, Verdict
from labkit.errors import UsageError
from labkit.runs.index import Facet, Row
from labkit.views.markup import Mark, mark_of, text
from labkit.views.tokens import Token
from labkit.views.turns import episode_html

SHOWN = 12
"""Bars of a facet that are seen at once; the others are in a part that opens."""
TITLES = {"face_cards": "Face cards", "solutions": "Number of solutions", "steps": "Steps of the route"}
"""What the page calls a trait; others go by their name."""
OPEN = Mark("▶", "not over", "plain")
COLUMNS = {"run": "Run", "cell": "Cell", "suite": "Suite", "split": "Split", "player": "Player"}
"""Columns that are left out where all rows have the same value."""


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

    def html(self) -> str:
        """Empty where there is nothing to choose."""
        there = {_value(self.field, facet.value) for facet in self.facets}
        gone = [value for value in self.chosen if value not in there]
        if len(self.facets) + len(gone) < 2 and not self.chosen:
            return ""
        counts = [(_value(self.field, f.value), _count(f, self.unit)) for f in self.facets]
        if self.field != "trait":
            counts.sort(key=lambda counted: -counted[1])
        most = max((count for _, count in counts), default=1)
        items = [self._bar(value, count, most) for value, count in [*counts, *((value, 0) for value in gone)]]
        # What is chosen is never hidden.
        seen = max([SHOWN, *(n + 1 for n, (value, _) in enumerate(counts) if value in self.chosen)])
        rest = "".join(items[seen:])
        more = f"<details><summary>{len(items) - seen} more</summary><ul>{rest}</ul></details>" if rest else ""
        return (
            f'<section class="app-facet" data-facet="{text(self.title)}"><h3>{text(self.title)}</h3>'
            f"<ul>{''.join(items[:seen])}</ul>{more}</section>"
        )

    def _bar(self, value: str, count: int, most: int) -> str:
        share = round(100 * count / most) if most else 0
        pressed = "true" if value in self.chosen else "false"
        shown = value.partition(":")[2] if self.field == "trait" else value
        shown = shown.replace("_", " ") if self.field == "category" else shown
        meaning = f' title="{text(meanings()[value])}"' if self.field == "tag" and value in meanings() else ""
        word = text(shown).replace("_", "_<wbr>")
        return (
            f'<li><button type="button" {pick("toggle", self.field, value)} aria-pressed="{pressed}"{meaning} '
            f'style="--app-share: {share}%"><span>{word}</span> <span>{count:,}</span></button></li>'
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


def _count(facet: Facet, unit: str) -> int:
    return facet.episodes if unit == "episode" else facet.attempts


def found_html(attempts: int, episodes: int, everything: int, running: Collection[str]) -> str:
    """How much was found, and whether more is coming."""
    live = ""
    if running:
        which = next(iter(running)) if len(running) == 1 else f"{len(running)} runs"
        live = f" {Mark('▶', 'live', 'ok').html()} {text(which)} goes on; this page follows it."
    return (
        f'<p class="lk app-found"><strong>{episodes:,}</strong> of {everything:,} episodes, '
        f"{attempts:,} attempts{live}</p>"
    )


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
    columns = [name for name in COLUMNS if len({getattr(row, name) for row in found}) > 1]
    alike = [f"{COLUMNS[name]} {getattr(found[0], name)}" for name in COLUMNS if name not in columns]
    head = ["Episode", "Outcome", "Verdict", "Answer", "Failure tags", "Turns", "Return", *map(COLUMNS.get, columns)]
    cells = "".join(f'<th scope="col">{name}</th>' for name in head)
    body = "".join(_row(row, columns, chosen) for row in found)
    caption = f"<caption>{text(' · '.join(alike))}</caption>" if alike else ""
    return (
        f'<div class="lk app-rows"><table class="app-table app-cards">{caption}<thead><tr>{cells}</tr></thead>'
        f"<tbody>{body}</tbody></table>{_pages(chosen.page, total, size)}</div>"
    )


def place(row: Row) -> str:
    """Where an episode is stored, as the settings name it."""
    return f"{row.run}/{row.name}/{row.episode}"


def _row(row: Row, columns: Sequence[str], chosen: InspectSettings) -> str:
    here = place(row) == chosen.open
    attempt = f"attempt {row.attempt + 1}" if row.position == 0 else f"step {row.position + 1}.{row.attempt + 1}"
    tags = " ".join(f"<code>{text(tag)}</code>" for tag in row.tags)
    cells = {
        "Outcome": outcome(row).html(),
        "Verdict": f'{verdict(row).html()} <span class="lk-soft">{attempt}</span>',
        "Answer": answer_html(row),
        "Failure tags": tags,
        "Turns": str(row.turns),
        "Return": f"{row.total:+g}".replace("-", "−"),
        **{COLUMNS[name]: text(getattr(row, name)) for name in columns},
    }
    shown = "".join(f'<td data-column="{name}">{cell}</td>' for name, cell in cells.items())
    pressed = "true" if here else "false"
    return (
        f'<tr {pick("open", place(row), chosen.page)}><th scope="row"><button type="button" aria-pressed="{pressed}">'
        f"{text(row.name)} {row.episode}</button></th>{shown}</tr>"
    )


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
    """The answer on a line or two, with the decisive field underlined."""
    try:
        span = envs.game(row.cell).decisive_span(row.answer)
    except UsageError:
        span = None
    start, end = span or (len(row.answer), len(row.answer))
    before, decisive, after = (text(part) for part in (row.answer[:start], row.answer[start:end], row.answer[end:]))
    return f'<div class="app-answer">{before}<u>{decisive}</u>{after}</div>'


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
    episode: Episode,
    tokens: Sequence[Sequence[Token]],
    beside: tuple[tuple[str, int] | None, tuple[str, int] | None],
    said: str = "",
) -> str:
    """An episode as the game's tab shows it, with buttons to its neighbours in the table.

    Args:
        beside: place and page of the episode before and of the one after.
        said: HTML above the episode.
    """
    buttons = "".join(
        f'<button type="button" {pick("open", *where)}>{label}</button>'
        if where
        else f'<button type="button" disabled>{label}</button>'
        for label, where in zip(("← Previous", "Next →"), beside, strict=True)
    )
    run, name, number = chosen.open.rsplit("/", 2)
    return (
        f'<div class="lk app-opened" data-opened="{text(chosen.open)}"><div class="app-opened-head">{buttons}'
        f'<button type="button" {pick("close")}>Close</button>'
        f'<span class="lk-soft">{text(name)} {text(number)} of {text(run)}</span></div>'
        f"{said}{episode_html(episode, tokens)}</div>"
    )


def values(chosen: InspectSettings, field: str, trait: str = "") -> list[str]:
    """The chosen values of a field, of a trait's name where it is one."""
    return [v for v in split(getattr(chosen, field)) if not trait or v.startswith(f"{trait}:")]
