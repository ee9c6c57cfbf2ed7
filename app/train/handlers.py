"""What the Train tab shows after each thing that can happen. Nothing here knows how the page is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from app import link
from app.inspect.handlers import FILLED
from app.inspect.stores import Store
from app.shared import settings
from app.shared.catalogue import public
from app.shared.html import busy, note
from app.shared.settings import FieldError
from app.train import html
from app.train.recipes import recipes
from app.train.settings import TrainSettings
from app.train.trainer import Followed, Trainer
from labkit.dispatch import host as hosts
from labkit.dispatch import remote
from labkit.errors import UsageError
from labkit.runs import Run, listing
from labkit.views.widgets import curves

Updates = dict[str, Any]
STAGES = ("pretrain", "sft", "rl")
"""The stages that have curves."""
HERE = "this machine"


class TrainHandlers:
    """The handlers of the tab.

    Args:
        stores: the folders of runs on offer.
        trainer: trains the runs that the tab starts.
        followed: follows the runs of hosts.
    """

    TAB = "train"

    def __init__(self, stores: Sequence[Store], trainer: Trainer, followed: Followed) -> None:
        self.stores = {store.name: store for store in stores}
        # A new run may make the first folder of runs.
        self.stores.setdefault(trainer.out.name, Store(trainer.out))
        self.trainer, self.followed = trainer, followed

    def hosts(self) -> list[str]:
        """The names of the hosts in ``configs/hosts``."""
        return sorted(path.stem for path in hosts.HOSTS.glob("*.yaml"))

    def open(self, query: Mapping[str, str]) -> Updates:
        """A new window, from its link if that is one to this tab."""
        if query.get("tab") != self.TAB:
            return {"filled": FILLED}
        chosen, wrong = link.read(query, TrainSettings())
        for name, known in (("store", self.stores), ("host", self.hosts())):
            if getattr(chosen, name) and getattr(chosen, name) not in known:
                empty: dict[str, Any] = {name: ""}
                chosen, wrong = replace(chosen, **empty), [*wrong, name]
        message = ""
        if wrong:
            message = note(f"Ignored an invalid link parameter ({', '.join(wrong)}); using the default.", "void")
        fields = {name: getattr(chosen, name) for name in settings.names(TrainSettings) if name != "run"}
        fields["store"] = self.store(chosen).name
        return {**fields, **self.choose(chosen), "notice": message, "filled": FILLED}

    def store(self, chosen: TrainSettings) -> Store:
        """The folder of runs that is shown: that of new and fetched runs if it has any, unless another is chosen."""
        own = self.stores[self.trainer.out.name]
        filled = (store for store in (own, *self.stores.values()) if self._here(store))
        return self.stores.get(chosen.store) or next(filled, own)

    def choose(self, chosen: TrainSettings) -> Updates:
        """The list of runs of the place that is chosen, and the run that is: the newest, unless one is named."""
        try:
            listed = self._of_host(chosen.host) if chosen.host else self._here(self.store(chosen))
        except UsageError as error:
            return {"run": gr.update(choices=[("no run", "")], value=""), "problem": note(public(str(error)))}
        there = [value for _, value in listed]
        run = chosen.run if chosen.run in there else ""
        if not run and not chosen.host:
            run = self.trainer.run if self.trainer.run in there else next(iter(there), "")
        choices = [("choose a run" if listed else "no run yet", ""), *listed]
        return {"run": gr.update(choices=choices, value=run), "problem": "", **self.show(replace(chosen, run=run))}

    def _here(self, store: Store) -> list[tuple[str, str]]:
        found = []
        for run in listing(store.root):
            if run.config.get("stage") in STAGES:
                found.append((f"{run.id} ({run.status['status']})", run.id))
        return found[::-1] if found and found[0][1] < found[-1][1] else found

    def _of_host(self, name: str) -> list[tuple[str, str]]:
        if name not in self.hosts():
            raise FieldError("host", f"no host {name[:60]!r}; choose one of the list")
        return [(f"{state['run']} ({state['status']})", state["run"]) for state in remote.listing(hosts.load(name))]

    def show(self, chosen: TrainSettings) -> Updates:
        """The chosen run, as the settings say."""
        blank: Updates = {"standing": self._waiting(), "lamps": "", "newest": "", "curves": gr.update(visible=False)}
        blank |= {"stop": gr.update(interactive=self.trainer.busy), "timer": gr.Timer(active=self.trainer.busy)}
        if not chosen.run:
            return blank
        store = self.store(chosen)
        status: Mapping[str, Any] = {}
        if chosen.host:
            if chosen.host not in self.hosts():
                return {**blank, "problem": note("no such host; choose one of the list")}
            self.followed.look(chosen.host, chosen.run)
            store, status = self.stores[self.trainer.out.name], self.followed.said.get((chosen.host, chosen.run), {})
            blank["timer"] = gr.Timer(active=True)
        # Only the name of a folder in the store is taken, never a path.
        there = {run.id: run for run in listing(store.root)}
        if chosen.run not in there:
            told = note(public(status["error"])) if "error" in status else busy(f"Waiting for {chosen.run[:80]} …")
            return {**blank, "standing": told}
        return {**blank, **self._drawn(chosen, there[chosen.run], store, status)}

    def _drawn(self, chosen: TrainSettings, run: Run, store: Store, status: Mapping[str, Any]) -> Updates:
        metrics = run.metrics()
        told = status if "status" in status else run.status
        lost = note(public(status["error"])) if "error" in status else ""
        goes_on = told["status"] in ("running", "queued")
        drawn: Any = gr.update(visible=False)
        if metrics:
            drawn = gr.update(value=curves.figure(curves.sources([run]), x=chosen.value("x")), visible=True)
        return {
            "standing": lost + html.standing(run, metrics, told),
            "lamps": html.lamps(run, metrics),
            "newest": html.newest(run, store.name),
            "curves": drawn,
            "stop": gr.update(interactive=bool(goes_on and (chosen.host or run.id == self.trainer.run))),
            "timer": gr.Timer(active=goes_on or self.trainer.busy),
        }

    def _waiting(self) -> str:
        if self.trainer.problem:
            return note(public(self.trainer.problem))
        return busy("Starting …") if self.trainer.starting else html.nothing()

    def tick(self, chosen: TrainSettings, seen: Any) -> Updates:
        """While a run goes on: what has changed. ``seen`` is what the last look saw."""
        if self.trainer.run and chosen.run == "" and not chosen.host and not self.trainer.starting:
            # The run that was asked for has begun.
            return {**self.choose(replace(chosen, run=self.trainer.run)), "seen": None}
        updates = self.show(chosen)
        now = [updates[name] for name in ("standing", "lamps", "newest")]
        return {"timer": updates["timer"]} if now == seen else {**updates, "seen": now}

    def start(self, chosen: TrainSettings) -> Updates:
        """Start the chosen recipe on this machine."""
        try:
            recipe, overrides = chosen.chosen
            self.trainer.start(recipe.path, overrides)
        except UsageError as error:
            return {"problem": note(public(str(error)))}
        chosen = replace(chosen, host="", store=self.trainer.out.name, run="")
        return {
            **self.show(chosen), "problem": "", "host": "", "store": chosen.store, "run": gr.update(value=""),
            "seen": None,
        }  # fmt: skip

    def stop(self, chosen: TrainSettings) -> Updates:
        """Stop the run that is shown: the one that was started here, or a host's."""
        try:
            if chosen.host:
                if chosen.host not in self.hosts():
                    raise FieldError("host", "no such host; choose one of the list")
                remote.SentRun(hosts.load(chosen.host), chosen.run, self.trainer.out).stop()
            else:
                self.trainer.stop()
        except UsageError as error:
            return {"problem": note(public(str(error)))}
        return {"problem": "", **self.show(chosen)}

    def link(self, chosen: TrainSettings) -> Updates:
        """The query string that brings this view back."""
        try:
            return {"carrier": link.write(self.TAB, chosen), "problem": ""}
        except FieldError as error:
            return {"carrier": "", "problem": note(str(error))}

    def bound(self, chosen: TrainSettings) -> Updates:
        """After another recipe was chosen: its own length, at most as long as fits a lesson."""
        try:
            recipe = recipes()[chosen.value("recipe")]
        except (FieldError, KeyError):
            return {}
        label = f"{recipe.unit.capitalize()} (at most {recipe.most})"
        return {"length": gr.update(label=label, value=min(recipe.most, int(chosen.length or 1)))}
