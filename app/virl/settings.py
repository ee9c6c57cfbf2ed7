"""The settings of the V-IRL tab."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from app.shared.settings import MOST_ATTEMPTS, FieldError, Parsed, Settings, Whole, Word, setting
from app.virl.presets import PICKED
from labkit.envs import game
from labkit.envs.virl.city.cities import CITIES, TRAINING_CITY, city
from labkit.envs.virl.city.routes import routes
from labkit.envs.virl.game import WALKS
from labkit.envs.virl.headings import ACTIONS
from labkit.envs.virl.records import Route
from labkit.envs.virl.sources import HELD_OUT
from labkit.episode import Task
from labkit.errors import UsageError

OFFERED = 20
"""Routes of each city on the list; none of them is trained on."""
EVALUATED = 5 * HELD_OUT // 2
"""Routes of the training city among which are those of ``dev`` and ``test``."""
RAIL = "0"
"""The rail's key unless a link names another one."""
LONGEST_KEY = 40
"""Characters of a rail's key."""
CELLS = ("virl-l", "virl-vl")
SUITES = {"absolute": "id", "relative": "rule-ood"}
"""The suite that asks a rule in the training city."""
PACES: Mapping[str, float] = {"slow": 1.2, "normal": 0.4, "at once": 0.0}
"""Seconds between two answers that are watched."""


@cache
def routes_of(name: str) -> Mapping[str, Route]:
    """The routes of a city by their ids."""
    return {route.id: route for route in routes(city(name), OFFERED, split="eval")}


@cache
def held_out_of(name: str) -> Mapping[str, Route]:
    """The routes of a city that a tab can show, by their ids: those on the list, and what a suite evaluates on."""
    many = routes(city(name), EVALUATED, split="eval") if name == TRAINING_CITY else ()
    return {**routes_of(name), **{route.id: route for route in many}}


def city_of(route: str) -> str:
    """The city of a route's id.

    Raises:
        UsageError: the app does not offer this route.
    """
    name = route.partition("-")[0]
    if name not in CITIES or route not in held_out_of(name):
        raise UsageError(f"no route {route[:60]!r}; choose one from the list")
    return name


def _offered(route: str) -> str:
    city_of(route)
    return route


def _key(text: str) -> str:
    """A rail's key, which names its random choices."""
    key = text.strip()
    if not key or len(key) > LONGEST_KEY or not key.isprintable():
        raise UsageError(f"Rail must have 1 to {LONGEST_KEY} characters, such as {RAIL}")
    return key


@dataclass(frozen=True, slots=True)
class VIRLSettings(Settings):
    """City, route and rules."""

    attempts: float | None = setting(Whole(1, MOST_ATTEMPTS), "Attempts", 2)
    city: str = setting(Word(tuple(CITIES)), "City", default_factory=lambda: PICKED.route.partition("-")[0])
    route: str = setting(Parsed(_offered), "Route", default_factory=lambda: PICKED.route)
    actions: str = setting(Word(tuple(ACTIONS)), "Rule for turns", "absolute")
    walk: str = setting(Word(tuple(WALKS)), "Walk", "rail")
    cell: str = setting(Word(CELLS), "Observations", CELLS[0])
    rail: str = setting(Parsed(_key), "Rail", RAIL)
    pace: str = setting(Word(tuple(PACES)), "Speed", "normal")

    @property
    def task(self) -> Task:
        """The task that the settings describe.

        Raises:
            FieldError: a field is invalid.
        """
        name = self.value("route")
        route = held_out_of(city_of(name))[name]
        rules = {key: self.value(key) for key in ("actions", "walk", "attempts")}
        return game(self.value("cell")).task(route=route, key=self.value("rail"), **rules)

    def deals(self, split: str) -> Iterator[Task]:
        """The routes of a split in the training city; of another city those on offer, none of which is trained on.

        Raises:
            FieldError: there is no such route, or a field is invalid.
        """
        playing, name = game(self.value("cell")), self.value("city")
        rules = {key: self.value(key) for key in ("actions", "walk", "attempts")}
        if name != TRAINING_CITY:
            yield from (playing.task(route=route, **rules) for route in routes_of(name).values())
            return
        try:
            yield from playing.tasks(SUITES[rules["actions"]], split, seed=self.value("seed"), **rules)
        except UsageError as error:
            raise FieldError("city", str(error)) from None

    def in_city(self) -> VIRLSettings:
        """The same settings with a route of the chosen city.

        Raises:
            FieldError: there is no such city.
        """
        name = self.value("city")
        return self if self.route in held_out_of(name) else replace(self, route=next(iter(routes_of(name))))

    def on_route(self) -> VIRLSettings:
        """The same settings with the city of the chosen route."""
        try:
            return replace(self, city=city_of(self.value("route")))
        except FieldError:
            return self
