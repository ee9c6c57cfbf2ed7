"""A route as plain data, and back: what a task holds, so that it can be dealt again without the files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from labkit.envs.virl.geometry import RELATIONS
from labkit.envs.virl.records import LatLng, Milestone, Place, Route, Sighting
from labkit.errors import UsageError


def to_plain(route: Route) -> dict[str, Any]:
    """The route as JSON has it."""
    return {
        "id": route.id,
        "city": route.city,
        "start": _of_place(route.start),
        "destination": _of_place(route.destination),
        "milestones": [
            {
                "place": list(m.place),
                "sightings": [list(s) for s in m.sightings],
                "arriving": m.arriving,
                "leaving": m.leaving,
                "distance": m.distance,
            }
            for m in route.milestones
        ],
    }


def from_plain(data: Mapping[str, Any]) -> Route:
    """What :func:`to_plain` wrote.

    Raises:
        UsageError: the data is of another shape; the message names the route and what is wrong.
    """
    name = data.get("id", "without an id") if isinstance(data, Mapping) else "of the wrong shape"
    try:
        return Route(
            id=str(data["id"]),
            city=str(data["city"]),
            start=_to_place(data["start"]),
            destination=_to_place(data["destination"]),
            milestones=tuple(_to_milestone(m) for m in data["milestones"]),
        )
    except KeyError as error:
        raise UsageError(f"route {name}: {error} is missing") from None
    except (TypeError, ValueError) as error:
        raise UsageError(f"route {name}: {error}") from None


def _of_place(place: Place) -> dict[str, Any]:
    return {"name": place.name, "place": list(place.place)}


def _to_place(data: Mapping[str, Any]) -> Place:
    return Place(str(data["name"]), _latlng(data["place"]))


def _to_milestone(data: Mapping[str, Any]) -> Milestone:
    leaving = data["leaving"]
    return Milestone(
        place=_latlng(data["place"]),
        sightings=tuple(_sighting(*s) for s in data["sightings"]),
        arriving=float(data["arriving"]),
        leaving=None if leaving is None else float(leaving),
        distance=float(data["distance"]),
    )


def _sighting(name: str, relation: str) -> Sighting:
    if relation not in RELATIONS:
        raise ValueError(f"{relation!r} is not a relation; they are {', '.join(RELATIONS)}")
    return Sighting(str(name), relation)


def _latlng(pair: Any) -> LatLng:
    lat, lng = map(float, pair)
    if not (math.isfinite(lat) and math.isfinite(lng)):
        raise ValueError(f"{pair!r} is not a place")
    return LatLng(lat, lng)
