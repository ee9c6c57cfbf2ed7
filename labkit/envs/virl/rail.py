"""The rail: the expert's path along a route, as a sequence of steps with one right action each.

The player never leaves it: a wrong action is not executed, a right one moves on to the next step (paper,
section 4.2 and appendix B). At each milestone but the last the right action is a turn towards the next one,
at points strewn between them it is ``forward()``, at the last milestone ``stop()``.

What odd routes come to:

* consecutive milestones within :data:`SAME` metres, zero-length legs among them, are one milestone: it is
  arrived at as the first and left as the last of them, and shows the landmarks of all;
* a route with one milestone (or all in one place) is a single step, ``stop()``;
* an about-face is a turn to the ``right``; headings across north are wrapped, see :mod:`headings`;
* a milestone without a heading to the next, or with one that is no number, is an error that names it.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import NamedTuple

from labkit.envs.virl.headings import seen_after, word
from labkit.envs.virl.records import LatLng, Milestone, Route, Sighting, to_point
from labkit.errors import UsageError

SAME = 0.5
"""Milestones closer than this, in metres, are one."""
SPACED = 5.0
"""Legs up to this length, in metres, have no points between."""
BETWEEN = 5
"""Most points between two milestones, evenly spread."""
KEPT = 0.5
"""Probability of each to be kept."""
CLEAR = 8.0
"""A point between stays only when farther than this from both ends, in metres."""


class Step(NamedTuple):
    """One decision on the rail."""

    place: LatLng
    heading: float
    """Facing, on coming here."""
    sightings: tuple[Sighting, ...]
    """Landmarks, as seen when facing ``heading``."""
    intersection: bool
    leaving: float | None
    """Heading to turn to; None where the right action is not a turn."""
    action: str
    """``turn_direction``, ``forward`` or ``stop``."""
    sentence: int
    """Which sentence of the instruction says so, from 0."""


class Rail(NamedTuple):
    """A route as it is walked in one episode."""

    milestones: tuple[Milestone, ...]
    """Tidy, and set down with the first heading: what the instruction is written from."""
    steps: tuple[Step, ...]


def rail(route: Route, key: str) -> Rail:
    """The steps of a route; the same route and key give the same rail.

    The first heading is the route's own, turned by a random multiple of 45 degrees (so that where things
    stand can still be told exactly); an intersection is every milestone that is neither start nor end.

    Args:
        key: names the episode, for the random choices.

    Raises:
        UsageError: a heading of the route is missing or not a number.
    """
    rng = random.Random(f"virl/rail/{route.id}/{key}")
    milestones = faced(tidy(route), rng.randrange(8))
    last = len(milestones) - 1
    steps: list[Step] = []
    for i, here in enumerate(milestones[:-1]):
        steps.append(Step(here.place, here.arriving, here.sightings, i > 0, here.onward, "turn_direction", 2 * i))
        steps += [
            Step(place, here.onward, (), False, None, "forward", 2 * i + 1)
            for place in _between(here.place, milestones[i + 1].place, rng)
        ]
    end = milestones[-1]
    steps.append(Step(end.place, end.arriving, end.sightings, False, None, "stop", max(0, 2 * last - 1)))
    return Rail(milestones, tuple(steps))


def tidy(route: Route) -> tuple[Milestone, ...]:
    """The milestones, checked, with those in one place made one.

    Raises:
        UsageError: there is no milestone, or a heading is missing or not a number.
    """
    if not route.milestones:
        raise UsageError(f"route {route.id} has no milestones; check the file of the routes")
    out: list[Milestone] = []
    for number, milestone in enumerate(route.milestones):
        final = number == len(route.milestones) - 1
        for heading in (milestone.arriving,) if final else (milestone.arriving, milestone.leaving):
            if heading is None or not math.isfinite(heading):
                where = f"route {route.id}, milestone {number}"
                raise UsageError(f"{where}: the heading {heading!r} is no number")
        if out and metres(out[-1].place, milestone.place) < SAME:
            named = {s.name for s in out[-1].sightings}
            both = (*out[-1].sightings, *(s for s in milestone.sightings if s.name not in named))
            out[-1] = replace(out[-1], sightings=both, leaving=milestone.leaving, distance=milestone.distance)
        else:
            out.append(milestone)
    return tuple(out)


def faced(milestones: tuple[Milestone, ...], eighths: int) -> tuple[Milestone, ...]:
    """The milestones with the first heading turned clockwise by so many times 45 degrees."""
    first = milestones[0]
    sightings = tuple(Sighting(s.name, seen_after(s.relation, eighths)) for s in first.sightings)
    turned = replace(first, arriving=(first.arriving + 45 * eighths) % 360, sightings=sightings)
    return (turned, *milestones[1:])


def action(step: Step, actions: str) -> str:
    """The right action of a step under an action rule, as text: ``turn_direction(north)``."""
    if step.leaving is None:
        return f"{step.action}()"
    return f"turn_direction({word(actions, step.heading, step.leaving)})"


def metres(a: LatLng, b: LatLng) -> float:
    """Distance between two places of one city."""
    return math.hypot(*to_point(b, a))


def _between(a: LatLng, b: LatLng, rng: random.Random) -> list[LatLng]:
    # To the millimetre: coarser than what the last bit of a cosine differs by between machines.
    length = round(metres(a, b), 3)
    if length <= SPACED:
        return []
    out = []
    for k in range(1, BETWEEN + 1):
        share = k / (BETWEEN + 1)
        kept = rng.random() < KEPT
        if kept and min(share, 1 - share) * length > CLEAR:
            out.append(LatLng(a.lat + share * (b.lat - a.lat), a.lng + share * (b.lng - a.lng)))
    return out
