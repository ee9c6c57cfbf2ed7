"""Free navigation: wrong actions are executed, and only where the walker stops decides.

Beyond the paper's rail; the score of 44.0% that its 77.8% is compared with is of this kind. A walker stands
at a point of the street network and faces some heading:

* ``turn_direction(x)`` faces the street, among those that leave here in the sector of x, whose bearing is
  nearest to the middle of the sector (ties: the smaller turn, then clockwise); without one there it cannot be
  carried out;
* ``forward()`` goes on to the next point of the street within 45 degrees of the heading that is nearest to
  it;
* ``stop()`` ends the walk: a success within :data:`NEAR` metres of the destination.

An action that cannot be carried out may be answered again, as often as the task allows attempts at a step.
Verdicts compare with the expert, who keeps to the route and, once off it, goes back to it.

The streets of a folder are those of all its routes. In pictures, a walker who comes to a point of them that has
no panorama within 20 m is an error that names the place: the rail only needs one at each milestone.
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
"""Stopping this close to the destination is a success; metres."""
OFF = 20.0
"""How many times its length a way off the route counts for the expert."""
TURNING = 1.0
"""What a turn counts for the expert; metres."""
PATIENCE = 3
"""A walk may take so many times the expert's actions, and ten more."""

_MIDDLE = {"left": -90.0, "right": 90.0, "slightly left": -22.5, "slightly right": 22.5}


class State(NamedTuple):
    """Where the walker stands."""

    point: int
    """Index into the street network."""
    heading: float


def turned(streets: Streets, at: State, actions: str, said: str) -> State | None:
    """After ``turn_direction(said)``; None where no street leaves in that sector."""
    middle = 45.0 * COMPASS.index(said) if actions == "absolute" else at.heading + _MIDDLE[said]

    def preference(way: float) -> tuple[float, float, bool]:
        angle = turn(at.heading, way)
        return round(abs(turn(middle, way)), 6), round(abs(angle), 6), angle < 0

    ways = [way for way in streets.bearings(at.point) if word(actions, at.heading, way) == said]
    return State(at.point, min(ways, key=preference)) if ways else None


def gone_on(streets: Streets, at: State) -> State | None:
    """After ``forward()``; None where no street leads on."""
    ways = [(abs(turn(at.heading, b)), turn(at.heading, b) < 0, n) for n, b in streets.ways(at.point)]
    angle, _, following = min(ways, default=(math.inf, False, -1))
    if angle > SECTOR:
        return None
    return State(following, bearing(streets.points[at.point], streets.points[following]))


def moves(streets: Streets, at: State, actions: str) -> Iterator[tuple[verifier.Action, State]]:
    """The actions that can be carried out, but for ``stop()``, and where each leads."""
    onward = gone_on(streets, at)
    if onward:
        yield verifier.Action("forward"), onward
    for said in ACTIONS[actions]:
        facing = turned(streets, at, actions, said)
        if facing and facing != at:
            yield verifier.Action("turn_direction", said), facing


class Guide:
    """The expert of one route: from any state, the way back to the route and on to its end.

    Args:
        milestones: points of the network that the route leads through, in order.
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
        return verifier.Action("stop") if at.point == self._goal else self._step(at)[0]

    def count(self, at: State) -> int:
        """How many actions the expert takes from here, ``stop()`` included."""
        taken = 1
        while at.point != self._goal:
            at, taken = self._step(at)[1], taken + 1
        return taken

    def leg(self, at: State) -> int:
        """Which leg of the route the walker is on, or is nearest to."""
        ahead = at.point if at.point == self._goal else self._next_point(at)
        for number, leg in enumerate(self._legs):
            if (at.point, ahead) in pairwise(leg) or (at.point == ahead == leg[-1] == self._goal):
                return number
        here = self._streets.points[at.point]
        spread = [min(math.dist(here, self._streets.points[p]) for p in leg) for leg in self._legs]
        return spread.index(min(spread)) if spread else 0

    def _next_point(self, at: State) -> int:
        """The next other point that the expert comes to."""
        here = at.point
        while at.point == here:
            at = self._step(at)[1]
        return at.point

    def _step(self, at: State) -> tuple[verifier.Action, State]:
        if at not in self._next:
            self._plan(at)
        return self._next[at]

    def _plan(self, start: State) -> None:
        """Dijkstra's algorithm; every state along the way found is remembered."""
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
        raise UsageError("the destination cannot be reached from here by streets")

    def _cost(self, at: State, following: State) -> float:
        if at.point == following.point:
            return TURNING
        length = math.dist(self._streets.points[at.point], self._streets.points[following.point])
        return length * (1.0 if frozenset((at.point, following.point)) in self._route else OFF)


def opening(task: Task) -> State:
    """At the route's start, facing as on the rail."""
    walk, streets = rail_of(task), _streets(task)
    return State(streets.nearest(walk.milestones[0].place), walk.milestones[0].arriving)


def state(task: Task, at: State) -> dict[str, Any]:
    """The truth at a state, as a position holds it."""
    streets, guide, actions = _streets(task), _guide(task), task.rule["actions"]
    action = guide.action(at)
    other = action.text
    if action.name == "turn_direction":
        facing = turned(streets, at, actions, action.word)
        said = word(other_actions(actions), at.heading, facing.heading)
        other = verifier.Action("turn_direction", said).text
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
    """What follows the latest attempt at a position: where it leads, the final status, or None to answer
    again.

    Args:
        taken: positions so far.
    """
    here, action = position.state, verifier.read(position.attempts[-1].answer).action
    if action is None or action.rule not in ("", task.rule["actions"]):
        return None
    if action.name == "stop":
        return "success" if here["near"] else "failed"
    streets, at = _streets(task), _at(here)
    if action.name == "forward":
        following = gone_on(streets, at)
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
