"""What one browser window holds of V-IRL: the settings of its controls, the walks on its screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from app.state import MOST_ATTEMPTS, FieldError, Shown, clamped, clamped_temperature
from labkit.envs import game
from labkit.envs.virl.city.cities import CITIES, TRAINING_CITY, city
from labkit.envs.virl.city.routes import routes
from labkit.envs.virl.game import WALKS
from labkit.envs.virl.headings import ACTIONS
from labkit.envs.virl.records import Route
from labkit.episode import Episode, Task
from labkit.errors import UsageError

OFFERED = 20
"""Routes of each city; none of them is trained on."""
CELLS = ("virl-l", "virl-vl")
PACES: Mapping[str, float] = {"slow": 1.2, "normal": 0.4, "at once": 0.0}
"""Seconds between two answers that are watched."""


@cache
def routes_of(name: str) -> Mapping[str, Route]:
    """The routes of a city by their ids."""
    return {route.id: route for route in routes(city(name), OFFERED, split="eval")}


def city_of(route: str) -> str:
    """The city of a route's id.

    Raises:
        UsageError: the app does not offer this route.
    """
    name = str(route).partition("-")[0]
    if name not in CITIES or route not in routes_of(name):
        raise UsageError(f"no route {str(route)[:60]!r}; choose one from the list")
    return name


@dataclass(frozen=True, slots=True)
class Settings:
    """The controls, as their components hand them over: nothing here has been checked."""

    city: str = TRAINING_CITY
    route: str = f"{TRAINING_CITY}-eval-0000"
    actions: str = "absolute"
    walk: str = "rail"
    cell: str = CELLS[0]
    attempts: float | None = 2
    temperature: float | None = 0.0
    player: str | None = None
    pace: str = "normal"

    @property
    def task(self) -> Task:
        """The task that the controls describe.

        Raises:
            FieldError: one of them cannot be.
        """
        try:
            route = routes_of(city_of(self.route))[self.route]
        except UsageError as error:
            raise FieldError("route", str(error)) from None
        for name, words in (("actions", ACTIONS), ("walk", WALKS), ("cell", CELLS)):
            if getattr(self, name) not in words:
                raise FieldError(name, f"{name} is {' or '.join(words)}")
        return game(self.cell).task(route=route, actions=self.actions, walk=self.walk, attempts=self.whole_attempts())

    def whole_attempts(self) -> int:
        return clamped("attempts", self.attempts, 1, MOST_ATTEMPTS)

    def whole_seed(self) -> int:
        """Sampling is seeded alike for every walk: a model at a temperature walks the same way again."""
        return 0

    def clamped_temperature(self) -> float:
        return clamped_temperature(self.temperature)

    def seconds(self) -> float:
        """Between two answers."""
        return PACES.get(self.pace, 0.0)

    def here(self) -> Settings:
        """The same controls with a route of the chosen city.

        Raises:
            FieldError: there is no such city.
        """
        if self.city not in CITIES:
            raise FieldError("route", f"no city {str(self.city)[:60]!r}; choose one from the list")
        known = routes_of(self.city)
        return self if self.route in known else replace(self, route=next(iter(known)))


@dataclass(frozen=True, slots=True)
class Gaze:
    """What is looked at, of the walks in a window."""

    you: bool = False
    """The person's walk, not the player's."""
    step: int | None = None
    """Index of a position; None follows the walk."""


@dataclass(frozen=True, slots=True)
class Window:
    """One browser window: what its controls say and which walks are on its screen."""

    settings: Settings
    shown: Shown | None = None
    """The player's walk."""
    own: Episode | None = None
    """The person's walk."""
    gaze: Gaze = field(default_factory=Gaze)
