"""What the Inspect tab shows after each thing that can happen. Nothing here knows how the page is built."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, cast

import gradio as gr

from app import link
from app.inspect import html
from app.inspect.html import Bars
from app.inspect.settings import FACETS, SORTS, InspectSettings, split
from app.inspect.stores import Store
from app.shared import settings
from app.shared.catalogue import public
from app.shared.html import busy, note
from app.shared.settings import FieldError
from labkit.errors import UsageError
from labkit.runs import Run
from labkit.runs.index import Facet, Index, Row, Selection, Unit
from labkit.views.tokens import StoredTokens, Token

Updates = dict[str, Any]
PAGE = 20
"""Rows of a page."""
PATIENCE = 2.0
"""Seconds that opening the tab waits for the index, before the page says that it is being read."""
MOST_DEALS = 2000
"""Deals of a saved file, at most."""
TITLES = {
    "tag": "Failure tags",
    "category": "Verdict",
    "status": "How the episode ended",
    "recovered": "Right after a wrong attempt",
    "old_rule": "Wrong, but right under the other rule",
    "suite": "Suite",
    "split": "Split",
    "cell": "Cell",
    "player": "Player",
}


class InspectHandlers:
    """The handlers of the tab.

    Args:
        stores: the folders of runs on offer.
    """

    TAB = "inspect"

    def __init__(self, stores: Sequence[Store]) -> None:
        self.stores = {store.name: store for store in stores}

    def open(self, query: Mapping[str, str]) -> Updates:
        """A new window, from its link if that is one to this tab; nothing is read for another tab."""
        if query.get("tab") != self.TAB:
            return {}
        chosen, wrong = link.read(query, InspectSettings())
        if chosen.store and chosen.store not in self.stores:
            chosen, wrong = replace(chosen, store=""), [*wrong, "store"]
        said = ""
        if wrong:
            said = note(f"Ignored an invalid link parameter ({', '.join(wrong)}); using the default.", "void")
        return {**self._fields(chosen), **self.show(chosen), "notice": said}

    def enter(self, query: Mapping[str, str], chosen: InspectSettings, seen: object) -> Updates:
        """The tab is chosen. A window that its link opens with this tab is filled by :meth:`open`."""
        return {} if seen is None and query.get("tab") == self.TAB else self.show(chosen)

    def store(self, chosen: InspectSettings) -> Store | None:
        """The folder of runs that is shown: the one chosen, else the first."""
        return self.stores.get(chosen.store) or next(iter(self.stores.values()), None)

    def filter(self, chosen: InspectSettings) -> Updates:
        """After a change of a field: from the first page."""
        return self.show(replace(chosen, page=0))

    def move(self, chosen: InspectSettings) -> Updates:
        """To another folder of runs."""
        chosen = InspectSettings(store=chosen.store)
        return {**self._fields(chosen), **self.show(chosen)}

    def show(self, chosen: InspectSettings) -> Updates:
        """Everything, as the settings say."""
        store = self.store(chosen)
        if store is None:
            said = note("There is no stored run yet. Run “labkit eval” or notebook 04, then reload this page.", "void")
            return {**self._blank(chosen), "found": said}
        index = store.index(PATIENCE)
        if index is None:
            said = note(store.said) if store.failed else busy(store.said)
            return {**self._blank(chosen), "found": said, "timer": gr.Timer(active=not store.failed)}
        try:
            return {"problem": "", **self._drawn(chosen, store, index)}
        except FieldError as error:
            return {"problem": note(str(error))}

    @staticmethod
    def _blank(chosen: InspectSettings) -> Updates:
        places = ("conditions", "bars", "table", "opened", "problem")
        return {**_kept(chosen), **dict.fromkeys(places, ""), "seen": []}

    def _fields(self, chosen: InspectSettings) -> Updates:
        """The fields of the page. Other updates leave them alone, since somebody may be typing there."""
        store = self.store(chosen)
        fields = {name: getattr(chosen, name) for name in settings.names(InspectSettings)}
        return fields | {"store": store.name if store else None}

    def _drawn(self, chosen: InspectSettings, store: Store, index: Index) -> Updates:
        where, running = chosen.where, store.running()
        index.refresh()
        everything, found = index.select(run=where["run"]), index.select(**where)
        sort, unit = SORTS[chosen.value("sort")], cast(Unit, chosen.value("unit"))
        total = found.episodes if unit == "episode" else found.attempts
        # A link may name a page that is no longer there.
        chosen = replace(chosen, page=min(chosen.page, max(0, (total - 1) // PAGE)))
        before = 1 if chosen.page else 0
        rows = found.rows(
            sort=sort.field,
            descending=sort.descending,
            start=chosen.page * PAGE - before,
            limit=PAGE + 1 + before,
            unit=unit,
        )
        here = running & {chosen.run} if chosen.run else running
        return {
            **_kept(chosen),
            "run": self._runs(index, chosen, running),
            "found": html.found_html(found.attempts, found.episodes, everything.episodes, here),
            "conditions": html.conditions_html(chosen),
            "bars": self._bars(chosen, index, where, found, unit),
            "table": html.table_html(rows[before : before + PAGE], chosen, total, PAGE),
            "opened": self._opened(chosen, store, index, rows, before),
            "seen": [index.select().attempts, sorted(running)],
            "timer": gr.Timer(active=bool(here)),
        }

    @staticmethod
    def _runs(index: Index, chosen: InspectSettings, running: set[str]) -> dict[str, Any]:
        """The runs with stored episodes, the newest first."""
        there = sorted(index.select().facet("run"), key=lambda facet: facet.value, reverse=True)
        choices = [("all runs", "")] + [
            (f"{f.value} · {f.episodes:,}{' · running' if f.value in running else ''}", f.value) for f in there
        ]
        if chosen.run and chosen.run not in {facet.value for facet in there}:
            choices.append((f"{chosen.run} · no episodes here", chosen.run))
        return gr.update(choices=choices, value=chosen.run)

    @staticmethod
    def _bars(chosen: InspectSettings, index: Index, where: Mapping[str, Any], found: Selection, unit: Unit) -> str:
        """The bars of each field: counted without the field's own condition, so that other values can be chosen."""
        shown = []
        for field, title in TITLES.items():
            there = found if where[field] is None else index.select(**{**where, field: None})
            shown.append(Bars(field, title, there.facet(field), unit, html.values(chosen, field)))
        named: dict[str, list[Facet]] = html.by_trait(found.facet("trait"))
        for name in sorted({*named, *(value.partition(":")[0] for value in split(chosen.trait))}):
            picked = html.values(chosen, "trait", name)
            if picked:
                others = index.select(**chosen.without("trait", name).where).facet("trait")
                named[name] = html.by_trait(others).get(name, [])
            shown.append(Bars("trait", html.title_of(name), named.get(name, []), unit, picked))
        return html.filters_html(shown)

    def _opened(self, chosen: InspectSettings, store: Store, index: Index, rows: Sequence[Row], before: int) -> str:
        """The episode that is open, with the rows around it."""
        if not chosen.open:
            return ""
        run, name, number = (chosen.open.rsplit("/", 2) + ["", ""])[:3]
        try:
            if not number.isdecimal():
                raise UsageError(f"{chosen.open[:80]} names no stored episode; open one from the table")
            episode = index.episode(run, name, int(number[:9]))
        except UsageError as error:
            return note(public(str(error)))
        said, tokens = "", list[Sequence[Token]]()
        try:
            tokens += StoredTokens(Run(store.root / run)).of(episode)
        except UsageError as error:
            said = note(f"The stored tokens cannot be shown: {public(str(error))}", "void")
        # As a row of attempts an episode may be there several times.
        places = list(
            dict.fromkeys((html.place(row), chosen.page + (n - before) // PAGE) for n, row in enumerate(rows))
        )
        at = next((n for n, (where, _) in enumerate(places) if where == chosen.open), None)
        beside = (None, None) if at is None else (
            places[at - 1] if at else None,
            places[at + 1] if at + 1 < len(places) else None,
        )  # fmt: skip
        return html.opened_html(chosen, episode, tokens, beside, said)

    def pick(self, chosen: InspectSettings, picked: object) -> Updates:
        """A click on a bar, a row, a page or a condition."""
        try:
            after = _after(chosen, json.loads(str(picked)))
        except (ValueError, TypeError, RecursionError, UsageError):
            return {}
        lifted = {"text": "", "turns": ""} if chosen.filtered and not after.filtered else {}
        return {**lifted, **self.show(after)}

    def tick(self, chosen: InspectSettings, seen: object) -> Updates:
        """While a run goes on, or the index is being read: what is new; nothing where nothing is."""
        store = self.store(chosen)
        index = store.index() if store else None
        if store is None or index is None:
            return self.show(chosen)
        index.refresh()
        now = [index.select().attempts, sorted(store.running())]
        return {} if now == seen else self.show(chosen)

    def link(self, chosen: InspectSettings) -> Updates:
        """The link to this window."""
        try:
            return {"carrier": link.write(self.TAB, chosen), "problem": ""}
        except FieldError as error:
            return {"carrier": "", "problem": note(str(error))}

    def deals(self, chosen: InspectSettings) -> Updates:
        """The deals of the episodes that are found, as a file that ``labkit eval --deals`` plays."""
        store = self.store(chosen)
        index = store.index() if store else None
        if store is None or index is None:
            return {"carrier": ""}
        try:
            rows = index.select(**chosen.where).rows(unit="episode", limit=MOST_DEALS)
        except FieldError as error:
            return {"carrier": "", "problem": note(str(error))}
        wanted: dict[tuple[str, str], set[int]] = {}
        for row in rows:
            wanted.setdefault((row.run, row.name), set()).add(row.episode)
        tasks = [
            json.dumps({"task": json.loads(episode.to_json())["task"]})
            for (run, name), numbers in wanted.items()
            for number, episode in enumerate(islice(Run(store.root / run).episodes(name), max(numbers) + 1))
            if number in numbers
        ]
        lines = list(dict.fromkeys(tasks))
        said = f"{len(lines):,} deals saved; “labkit eval --deals FILE” plays them."
        if len({row.cell for row in rows}) > 1:
            said = "These deals are of several cells; choose a cell first, since “labkit eval” plays one."
            return {"carrier": "", "problem": note(said)}
        return {"carrier": "".join(f"{line}\n" for line in lines), "problem": note(said, "plain")}


def _kept(chosen: InspectSettings) -> Updates:
    """The fields without a component of their own."""
    return {name: getattr(chosen, name) for name in (*FACETS, "page", "open")}


def _after(chosen: InspectSettings, picked: Any) -> InspectSettings:
    """The settings after a click.

    Raises:
        ValueError, TypeError, UsageError: the browser sent something else.
    """
    do, *values = picked
    if do == "toggle":
        field, value = values
        if field not in FACETS or not isinstance(value, str):
            raise ValueError(field)
        return chosen.toggled(field, value[:300])
    if do == "clear":
        return chosen.cleared()
    if do == "close":
        return replace(chosen, open="")
    if do == "page":
        [page] = values
        return settings.with_text(chosen, "page", str(page))
    if do == "open":
        where, page = values
        return settings.with_text(settings.with_text(chosen, "page", str(page)), "open", str(where))
    raise ValueError(do)
