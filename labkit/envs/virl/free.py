"""Free navigation: wrong actions are executed, and success depends on where the walker stops.

The paper evaluates on the rail only. The 44.0% of earlier work that it compares its 77.8% with is free navigation. A
walker is at a point of the street network and has a heading:

* ``turn_direction(x)`` turns to a street in the sector of x: the one nearest to the sector's middle (ties: the smaller
  turn, then clockwise). Without a street there the action is impossible;
* ``forward()`` goes to the next point, along the street that is nearest to the heading and within 45 degrees of it;
* ``stop()`` ends the walk, with success within :data:`NEAR` metres of the destination.

After an impossible action the player answers again, as often as the task allows attempts at a step. Verdicts compare
with the expert, who follows the route or, once off it, goes back to it.

With a folder of routes, the streets are those along all its routes. The picture cell raises an error that names the
place where a point has no panorama within 20 m; the rail needs panoramas at milestones only.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.envs.virl import rail, sources, verifier
from labkit.envs.virl.city.streets import Streets
from labkit.envs.virl.geometry import bearing, turn
from labkit.envs.virl.headings import ACTIONS, COMPASS, SECTOR, check_actions, other_actions, word
from labkit.envs.virl.walk import rail_of
from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.episode import Position, Task

NEAR = 25.0
"""Metres from the destination within which stopping is a success."""
OFF = 20.0
"""The factor on the length of a street off the route, in the expert's cost."""
TURNING = 1.0
"""Metres: a turn, in the expert's cost."""
PATIENCE = 3
"""A walk may take this many times the expert's actions, and ten more."""

_MIDDLE = {"left": -90.0, "right": 90.0, "slightly left": -22.5, "slightly right": 22.5}


class State(NamedTuple):
    """A walker's point and heading."""

    point: int
    """Index into the street network."""
    heading: float
    """Degrees clockwise from north."""


def turned(streets: Streets, at: State, actions: str, direction: str) -> State | None:
    """The state after ``turn_direction(direction)``; None where no street leaves in that sector."""
    middle = 45.0 * COMPASS.index(direction) if actions == "absolute" else at.heading + _MIDDLE[direction]

    def preference(way: float) -> tuple[float, float, bool]:
        angle = turn(at.heading, way)
        return round(abs(turn(middle, way)), 6), round(abs(angle), 6), angle < 0

    ways = [way for way in streets.bearings(at.point) if word(actions, at.heading, way) == direction]
    return State(at.point, min(ways, key=preference)) if ways else None


def moved_forward(streets: Streets, at: State) -> State | None:
    """The state after ``forward()``; None where no street leads on."""
    ways = [(abs(turn(at.heading, b)), turn(at.heading, b) < 0, n) for n, b in streets.ways(at.point)]
    angle, _, following = min(ways, default=(math.inf, False, -1))
    if angle > SECTOR:
        return None
    return State(following, bearing(streets.points[at.point], streets.points[following]))


def moves(streets: Streets, at: State, actions: str) -> Iterator[tuple[verifier.Action, State]]:
    """The possible actions except ``stop()``, each with the state after it."""
    onward = moved_forward(streets, at)
    if onward:
        yield verifier.Action("forward"), onward
    for direction in ACTIONS[actions]:
        facing = turned(streets, at, actions, direction)
        if facing and facing != at:
            yield verifier.Action("turn_direction", direction), facing


class Guide:
    """The expert of one route: its action in any state, on the route or off it.

    Args:
        milestones: points of the network along the route, in order.
        actions: the action rule.
    """

    def __init__(self, streets: Streets, milestones: tuple[int, ...], actions: str) -> None:
        self._streets, self._actions = streets, check_actions(actions)
        self._legs = [streets.path(a, b) for a, b in pairwise(milestones)]
        self._route = {frozenset(step) for leg in self._legs for step in pairwise(leg)}
        self._goal = milestones[-1]
        self._next: dict[State, tuple[verifier.Action, State]] = {}

    def action(self, at: State) -> verifier.Action:
        """The expert's action.

        Raises:
            UsageError: the destination cannot be reached.
        """
        return self.step(at)[0]

    def count(self, at: State) -> int:
        """The number of the expert's actions from a state to the end, ``stop()`` included."""
        taken = 1
        while at.point != self._goal:
            at, taken = self.step(at)[1], taken + 1
        return taken

    def leg(self, at: State) -> int:
        """Index of the leg that the walker is on, or is nearest to."""
        ahead = at.point if at.point == self._goal else self._next_point(at)
        for number, leg in enumerate(self._legs):
            if (at.point, ahead) in pairwise(leg) or (at.point == ahead == leg[-1] == self._goal):
                return number
        here = self._streets.points[at.point]
        spread = [min(math.dist(here, self._streets.points[p]) for p in leg) for leg in self._legs]
        return spread.index(min(spread)) if spread else 0

    def _next_point(self, at: State) -> int:
        """The next point on the expert's way."""
        here = at.point
        while at.point == here:
            at = self.step(at)[1]
        return at.point

    def step(self, at: State) -> tuple[verifier.Action, State]:
        """The expert's action, and where it leads.

        Raises:
            UsageError: the destination cannot be reached.
        """
        if at.point == self._goal:
            return verifier.Action("stop"), at
        if at not in self._next:
            self._plan(at)
        return self._next[at]

    def _plan(self, start: State) -> None:
        """Find the cheapest way with Dijkstra's algorithm and keep the action of each state along it."""
        frontier: list[tuple[float, int, State]] = [(0.0, 0, start)]
        came: dict[State, tuple[State, verifier.Action]] = {}
        cost, settled, entered = {start: 0.0}, set(), 0
        while frontier:
            spent, _, at = heapq.heappop(frontier)
            if at.point == self._goal:
                while at != start:
                    before, action = came[at]
                    self._next[before] = (action, at)
                    at = before
                return
            if at in settled:
                continue
            settled.add(at)
            for action, following in moves(self._streets, at, self._actions):
                total = spent + self._cost(at, following)
                if total < cost.get(following, math.inf):
                    cost[following], came[following] = total, (at, action)
                    entered += 1
                    heapq.heappush(frontier, (total, entered, following))
        raise UsageError("no streets lead from here to the destination; check the route's milestones")

    def _cost(self, at: State, following: State) -> float:
        if at.point == following.point:
            return TURNING
        length = math.dist(self._streets.points[at.point], self._streets.points[following.point])
        return length * (1.0 if frozenset((at.point, following.point)) in self._route else OFF)


def opening(task: Task) -> State:
    """The state at the route's start, with the heading of the rail."""
    walk, streets = rail_of(task), _streets(task)
    return State(streets.nearest(walk.milestones[0].place), walk.milestones[0].arriving)


def state(task: Task, at: State) -> dict[str, Any]:
    """The state of a position: the truth at a point and heading, as plain data."""
    streets, guide, actions = _streets(task), _guide(task), task.rule["actions"]
    action, following = guide.step(at)
    other = action.text
    if action.name == "turn_direction":
        direction = word(other_actions(actions), at.heading, following.heading)
        other = verifier.Action("turn_direction", direction).text
    place = streets.place(at.point)
    leg = guide.leg(at)
    last = max(0, 2 * len(rail_of(task).milestones) - 3)
    sentence = last if action.name == "stop" else 2 * leg + (action.name == "forward")
    return {
        "point": at.point,
        "steps": PATIENCE * guide.count(opening(task)) + 10,
        "place": list(place),
        "heading": at.heading,
        "landmarks": [list(s) for s in sources.sightings(place, at.heading, *_where(task))],
        "intersection": len(streets.ways(at.point)) > 2,
        "sentence": sentence,
        "near": rail.metres(place, rail_of(task).milestones[-1].place) <= NEAR,
        "action": action.text,
        "other_action": other,
    }


def follow(task: Task, position: Position, taken: int) -> State | str | None:
    """The next state after the latest attempt at a position, or the final status, or None to answer again.

    Args:
        taken: the number of positions so far.
    """
    here, action = position.state, verifier.read(position.attempts[-1].answer).action
    if action is None or action.rule not in ("", task.rule["actions"]):
        return None
    if action.name == "stop":
        return "success" if here["near"] else "failed"
    streets, at = _streets(task), _at(here)
    if action.name == "forward":
        following = moved_forward(streets, at)
    else:
        following = turned(streets, at, task.rule["actions"], action.word)
    return "exhausted" if following and taken >= here["steps"] else following


def _where(task: Task) -> tuple[str, str | None]:
    return task.deal["route"]["city"], task.deal.get("data")


def _streets(task: Task) -> Streets:
    return sources.streets(*_where(task))


def _at(state: Mapping[str, Any]) -> State:
    return State(state["point"], state["heading"])


def _guide(task: Task) -> Guide:
    return _guide_of(_streets(task), tuple(m.place for m in rail_of(task).milestones), task.rule["actions"])


@lru_cache(maxsize=64)
def _guide_of(streets: Streets, places: tuple[Any, ...], actions: str) -> Guide:
    return Guide(streets, tuple(streets.nearest(p) for p in places), actions)
