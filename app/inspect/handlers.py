"""What the Inspect tab shows after each thing that can happen. Nothing here knows how the page is built."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import gradio as gr

from app import link
from app.inspect import html, noting, opened
from app.inspect.deals import saved
from app.inspect.html import Bars
from app.inspect.opened import Asked
from app.inspect.pairs import compared, kind_of
from app.inspect.settings import DEAL, FACETS, SORTS, TITLES, TOGGLED, InspectSettings, split
from app.inspect.stores import Store
from app.shared import settings
from app.shared.catalogue import Catalogue, public
from app.shared.html import busy, note
from app.shared.settings import FieldError
from app.shared.tokens import place_of, tokens_of
from labkit.counting import counted
from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.runs.index import Facet, Index, Pair, Unit
from labkit.views.parting import parting_html

Updates = dict[str, Any]
PAGE = 20
"""Rows of a page."""
PATIENCE = 2.0
"""Seconds that opening the tab waits for the index, before the page says that it is being read."""
MOST_DEALS = 2000
"""Deals of a saved file, at most."""
FILLED = "filled"
"""What a window holds once its fields are those of its link."""
LISTS = {"run": "all runs", "other": "no other run"}
"""The lists of runs, and what an empty choice is called."""


class InspectHandlers:
    """The handlers of the tab.

    Args:
        stores: the folders of runs on offer.
        catalogue: the players that can be asked for the tokens of a stored answer.
    """

    TAB = "inspect"

    def __init__(self, stores: Sequence[Store], catalogue: Catalogue | None = None) -> None:
        self.stores = {store.name: store for store in stores}
        self.catalogue = catalogue or Catalogue(())
        self.asked = Asked()

    def open(self, query: Mapping[str, str]) -> Updates:
        """A new window, from its link if that is one to this tab; nothing is read for another tab."""
        if query.get("tab") != self.TAB:
            return {"filled": FILLED}
        chosen, wrong = link.read(query, InspectSettings())
        if chosen.store and chosen.store not in self.stores:
            chosen, wrong = replace(chosen, store=""), [*wrong, "store"]
        message = ""
        if wrong:
            message = note(f"Ignored an invalid link parameter ({', '.join(wrong)}); using the default.", "void")
        return {**self._fields(chosen), **self.show(chosen), **self.form(chosen), "notice": message, "filled": FILLED}

    def store(self, chosen: InspectSettings) -> Store | None:
        """The folder of runs that is shown: the one chosen, else the first."""
        return self.stores.get(chosen.store) or next(iter(self.stores.values()), None)

    def filter(self, chosen: InspectSettings) -> Updates:
        """After a change of a field: from the first page."""
        return self.show(replace(chosen, page=0))

    def compare(self, chosen: InspectSettings) -> Updates:
        """With another run: the choices that belong to the one before are lifted."""
        return self.filter(replace(chosen, other_player="", solved="", open="", beside="")) | noting.closed()

    def move(self, chosen: InspectSettings) -> Updates:
        """To another folder of runs."""
        chosen = InspectSettings(store=chosen.store)
        return {**self._fields(chosen), **self.show(chosen), **noting.closed()}

    def show(self, chosen: InspectSettings) -> Updates:
        """Everything, as the settings say."""
        store = self.store(chosen)
        if store is None:
            message = note(
                "There is no stored run yet. Run “labkit eval” or notebook 04, then reload this page.", "void"
            )
            return {**self._blank(chosen), "found": message}
        index = store.index(PATIENCE)
        if index is None:
            message = note(store.message) if store.failed else busy(store.message)
            return {**self._blank(chosen), "found": message, "timer": gr.Timer(active=not store.failed)}
        try:
            return {"problem": "", **self._drawn(chosen, store, index)}
        except FieldError as error:
            return {"problem": note(str(error))}

    @staticmethod
    def _blank(chosen: InspectSettings) -> Updates:
        places = ("conditions", "compared", "bars", "table", "opened", "problem")
        return {**_kept(chosen), **dict.fromkeys(places, ""), "seen": []}

    def _fields(self, chosen: InspectSettings) -> Updates:
        """The fields of the page. Other updates leave them alone, since somebody may be typing there."""
        store = self.store(chosen)
        fields = {name: getattr(chosen, name) for name in settings.names(InspectSettings)}
        # The page keeps only a value that is in its list, and the runs are listed once the index has been read.
        lists = {
            name: gr.update(choices=[(none, ""), getattr(chosen, name)], value=getattr(chosen, name))
            for name, none in LISTS.items()
        }
        return fields | lists | {"store": store.name if store else None}

    def _drawn(self, chosen: InspectSettings, store: Store, index: Index) -> Updates:
        running = store.running()
        index.refresh()
        shown = {chosen.run, chosen.other} - {""}
        here = running & shown if chosen.run else running
        body = self._paired(chosen, store, index) if chosen.other else self._listed(chosen, store, index, here)
        return {
            **_kept(chosen),
            **{name: self._runs(index, getattr(chosen, name), running, none) for name, none in LISTS.items()},
            "conditions": html.conditions_html(chosen),
            "seen": [index.select().attempts, sorted(running)],
            "timer": gr.Timer(active=bool(here)),
            **body,
        }

    def _listed(self, chosen: InspectSettings, store: Store, index: Index, here: set[str]) -> Updates:
        """The episodes that meet the conditions."""
        where = chosen.where
        everything, found = index.select(run=where["run"]), index.select(**where)
        sort, unit = SORTS[chosen.value("sort")], cast(Unit, chosen.value("unit"))
        total = found.episodes if unit == "episode" else found.attempts
        chosen = _within(chosen, total)
        before = 1 if chosen.page else 0
        rows = found.rows(
            sort=sort.field,
            descending=sort.descending,
            start=chosen.page * PAGE - before,
            limit=PAGE + 1 + before,
            unit=unit,
        )
        # As a row of attempts an episode may be there several times.
        places = dict.fromkeys((html.place(row), chosen.page + (n - before) // PAGE) for n, row in enumerate(rows))
        return {
            "page": chosen.page,
            "found": html.found_html(found.attempts, found.episodes, everything.episodes, here),
            "compared": "",
            "bars": self._bars(chosen, index, unit),
            "table": html.table_html(rows[before : before + PAGE], chosen, total, PAGE),
            "opened": self._opened(chosen, store, index, list(places)),
        }

    def _paired(self, chosen: InspectSettings, store: Store, index: Index) -> Updates:
        """The deals that both runs have played. How the episodes went narrows the table, never the comparison."""
        nothing = {"bars": "", "table": "", "opened": "", "compared": ""}
        if not chosen.run:
            return {**nothing, "found": note("Choose a run as well: the first of the two.", "void")}
        sides = []
        for where in (chosen.where, chosen.other_where):
            sides.append(index.select(**{name: where[name] for name in ("run", "player", *DEAL)}))
        players = [side.facet("player") for side in sides]
        bars = self._bars(chosen, index, "episode")
        if max(map(len, players)) > 1:
            several = [
                html.choose_html(*which, found)
                for which, found in zip((("A", "player"), ("B", "other_player")), players, strict=True)
                if len(found) > 1
            ]
            message = note("Several players played in a run. Choose the ones to compare.", "void")
            return {**nothing, "found": message, "compared": "".join(several), "bars": bars}
        comparison = compared(*sides)
        if comparison is None:
            return {**nothing, "found": note("The two have no deal in common under these conditions."), "bars": bars}
        pairs = self._met(chosen, index, comparison.pairs)
        chosen = _within(chosen, len(pairs))
        first = chosen.page * PAGE
        places = [
            (html.place(pair.first), n // PAGE, html.place(pair.second))
            for n, pair in enumerate(pairs[max(0, first - 1) : first + PAGE + 1], max(0, first - 1))
        ]
        return {
            "page": chosen.page,
            "found": html.pairs_found_html(len(pairs), len(comparison.pairs)),
            "compared": html.compared_html(comparison, chosen),
            "bars": bars,
            "table": html.pairs_html(pairs[first : first + PAGE], chosen, len(pairs), PAGE),
            "opened": self._opened(chosen, store, index, places),
        }

    @staticmethod
    def _met(chosen: InspectSettings, index: Index, pairs: Sequence[Pair]) -> Sequence[Pair]:
        """The pairs that the table lists: one of the two episodes meets the conditions on how it went."""
        solved = split(chosen.solved)
        if solved:
            pairs = [pair for pair in pairs if kind_of(pair) in solved]
        if not any(getattr(chosen, name) for name in (*FACETS, "text", "turns") if name not in (*DEAL, "player")):
            return pairs
        sides = (index.select(**where) for where in (chosen.where, chosen.other_where))
        met = {html.place(row) for side in sides for row in side.rows(unit="episode", limit=None)}
        return [pair for pair in pairs if {html.place(pair.first), html.place(pair.second)} & met]

    @staticmethod
    def _runs(index: Index, chosen: str, running: set[str], none: str) -> dict[str, Any]:
        """The runs with stored episodes, the newest first."""
        there = sorted(index.select().facet("run"), key=lambda facet: facet.value, reverse=True)
        choices = [(none, "")] + [
            (f"{f.value} · {f.episodes:,}{' · running' if f.value in running else ''}", f.value) for f in there
        ]
        if chosen and chosen not in {facet.value for facet in there}:
            choices.append((f"{chosen} · no episodes here", chosen))
        return gr.update(choices=choices, value=chosen)

    @staticmethod
    def _bars(chosen: InspectSettings, index: Index, unit: Unit) -> str:
        """The bars of each field: counted without the field's own condition, so that other values can be chosen."""

        def facets_of(field: str, without: InspectSettings) -> tuple[list[Facet], list[Facet] | None]:
            other = index.select(**without.other_where).facet(field) if chosen.other else None
            return index.select(**without.where).facet(field), other

        shown = []
        for field, title in TITLES.items():
            # Of two runs each has players of its own.
            if field != "player" or not chosen.other:
                found, others = facets_of(field, chosen.without(field))
                shown.append(Bars(field, title, found, unit, html.values(chosen, field), others))
        for name in sorted(html.by_trait(index.select(run=chosen.run or None).facet("trait"))):
            found, others = facets_of("trait", chosen.without("trait", name))
            of_name = None if others is None else html.by_trait(others).get(name, [])
            named = html.by_trait(found).get(name, [])
            shown.append(Bars("trait", html.title_of(name), named, unit, html.values(chosen, "trait", name), of_name))
        return html.filters_html(shown)

    def stored(self, store: str, place: str) -> tuple[Episode, str]:
        """A stored episode, and the name of the folder of runs that it is in.

        Args:
            store: the folder's name; of another one, the first is taken.

        Raises:
            UsageError: there is no such episode.
        """
        found = self.store(InspectSettings(store=store))
        index = found.index(PATIENCE) if found else None
        if found is None or index is None:
            raise UsageError("the stored episodes have not been read yet; try again in a minute")
        return opened.episode_of(place, index), found.name

    def ask(self, chosen: InspectSettings, of: object, ask: object) -> Updates:
        """The tokens of the answers of one position, when a card of an open episode asks for them."""
        asked = str(of)
        if asked not in (chosen.open, chosen.beside):
            return {}
        try:
            episode, _ = self.stored(chosen.store, asked)
            place = place_of(episode, ask)
            if place is None:
                return {}
            self.asked.keep(chosen.store, asked, tokens_of(self.catalogue, episode, place[0]))
        except UsageError as error:
            return {"problem": note(public(str(error)))}
        return {"opened": self.show(chosen).get("opened", "")}

    def _opened(self, chosen: InspectSettings, store: Store, index: Index, places: Sequence[tuple[Any, ...]]) -> str:
        """The episodes that are open.

        Args:
            places: of the rows around, what a click on each opens.
        """
        if not chosen.open:
            return ""
        wanted = [chosen.open, *([chosen.beside] if chosen.beside and chosen.other else [])]
        try:
            episodes = [self.asked.beside(chosen.store, opened.stored(place, store, index)) for place in wanted]
        except UsageError as error:
            return note(public(str(error)))
        between = ""
        if len(episodes) == 2:
            first, second = episodes
            between = parting_html((first.episode, second.episode), (first.tokens, second.tokens))
        at = next((n for n, place in enumerate(places) if place[0] == chosen.open), None)
        before = places[at - 1] if at else None
        after = places[at + 1] if at is not None and at + 1 < len(places) else None
        return html.opened_html(chosen, [one.html() for one in episodes], before, after, between)

    def pick(self, chosen: InspectSettings, picked: object) -> Updates:
        """A click on a bar, a row, a page or a condition."""
        try:
            after = _after(chosen, json.loads(str(picked)))
        except (ValueError, TypeError, RecursionError, UsageError):
            return {}
        lifted = {"text": "", "turns": ""} if chosen.filtered and not after.filtered else {}
        form = {} if after.open == chosen.open else self.form(after)
        return {**lifted, **self.show(after), **form}

    def form(self, chosen: InspectSettings) -> Updates:
        """The form for the note of the open episode. Other updates leave it alone, since somebody may be typing."""
        store = self.store(chosen)
        index = store.index(PATIENCE) if store and store.writable and chosen.open else None
        return noting.form(chosen.open, index) if index else noting.closed()

    def save_note(self, chosen: InspectSettings, text: object, tags: object, seen: object) -> Updates:
        """Write the note of the open episode.

        Args:
            text, tags: as they were typed.
            seen: the edition that the form shows.
        """
        store = self.store(chosen)
        index = store.index() if store else None
        if store is None or index is None or not store.writable:
            return {"note told": note(noting.READ_ONLY)}
        told = noting.save(chosen.open, store, index, str(text or ""), str(tags or ""), seen)
        return {**self.show(chosen), **told}

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
        lines, message = saved(rows, store.root)
        if len(rows) == MOST_DEALS:
            message += f" It is of the first {counted(MOST_DEALS, 'episode')}."
        return {"carrier": lines, "problem": note(message, "plain" if lines else "bad")}


def _within(chosen: InspectSettings, total: int) -> InspectSettings:
    """On a page that is there; a link may name another."""
    return replace(chosen, page=min(chosen.page, max(0, (total - 1) // PAGE)))


def _kept(chosen: InspectSettings) -> Updates:
    """The fields without a component of their own."""
    return {name: getattr(chosen, name) for name in (*TOGGLED, "page", "open", "beside")}


def _after(chosen: InspectSettings, picked: Any) -> InspectSettings:
    """The settings after a click.

    Raises:
        ValueError, TypeError, UsageError: the browser sent something else.
    """
    do, *values = picked
    if do == "toggle":
        field, value = values
        if field not in TOGGLED or not isinstance(value, str):
            raise ValueError(field)
        return chosen.toggled(field, value[:300])
    if do == "clear":
        return chosen.cleared()
    if do == "close":
        return replace(chosen, open="", beside="")
    if do == "page":
        [page] = values
        return settings.with_text(chosen, "page", str(page))
    if do == "open":
        where, page, *beside = values
        chosen = replace(settings.with_text(chosen, "page", str(page)), beside="")
        for name, place in zip(("open", "beside"), (where, *beside), strict=False):
            chosen = settings.with_text(chosen, name, str(place))
        return chosen
    raise ValueError(do)
