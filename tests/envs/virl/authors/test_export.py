"""Routes written in the authors' layout, and read back."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from labkit.envs.virl.authors.export import write_folder
from labkit.envs.virl.city.cities import city
from labkit.envs.virl.city.routes import routes
from labkit.envs.virl.records import LatLng, Sighting
from labkit.errors import UsageError


def test_what_is_written_is_read_back_as_it_was(tmp_path):
    of = city("oldwick")
    some = routes(of, 6)
    drawn = []

    def draw(place):
        drawn.append(place)
        return Image.new("RGB", (64, 32))

    data = write_folder(of, some, tmp_path / "export", draw)
    assert data.routes == tuple(some)
    for route in data.routes:
        data.check_panoramas(route)
    assert len(drawn) == len(set(drawn)) == len(list((tmp_path / "export" / "street_views").glob("*.jpg")))
    raw, count = json.loads((tmp_path / "export" / "route_infos.json").read_text("utf-8"))
    assert count == len(raw) == 6
    # As the authors' reader has it: a block for each geocode, and a landmark or null for each turning point.
    for route, record in zip(some, raw, strict=True):
        turns = len(route.milestones) - 2
        assert record["milestone_info"].count("intersection_idx") == turns + 1
        assert (
            len(record["route_results"]["geocode_list"]) == len(record["route_results"]["distance_list"]) == turns + 1
        )
        assert len(record["route_results"]["landmark_list"]) == turns
        assert f"The destination {route.destination.name} is on your" in record["milestone_info"]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"), min_size=1).filter(str.strip))
def test_any_name_survives_writing_and_reading(tmp_path_factory, name):
    of = city("favolina")
    (route,) = routes(of, 1)
    last = route.milestones[-1]
    odd = route.__class__(
        route.id,
        route.city,
        route.start,
        route.destination,
        (
            *route.milestones[:-1],
            last.__class__(last.place, (Sighting(name, "left"),), last.arriving, None, 0.0),
        ),
    )
    back = write_folder(of, [odd], tmp_path_factory.mktemp("odd"))
    assert back.routes == (odd,)


def test_between_milestones_a_panorama_is_never_far(tmp_path):
    of = city("longwater")
    some = routes(of, 2)
    data = write_folder(of, some, tmp_path, lambda place: Image.new("RGB", (8, 4)))
    for a, b in zip(some[0].milestones, some[0].milestones[1:], strict=False):
        for t in np.linspace(0, 1, 23):
            place = LatLng(*(x + (y - x) * t for x, y in zip(a.place, b.place, strict=True)))
            found = data.panorama(place)
            # They stand 10 m apart, or a little more where a leg does not divide.
            assert (
                111_195
                * math.hypot(
                    found.place.lat - place.lat,
                    (found.place.lng - place.lng) * math.cos(math.radians(place.lat)),
                )
                < 7.0
            )


def test_what_the_layout_cannot_hold_is_an_error(tmp_path):
    of = city("favolina")
    (route,) = routes(of, 1)
    last = route.milestones[-1]
    for seen in (
        (Sighting("two\nlines", "left"),),
        (Sighting(" ", "left"),),
        (Sighting("a", "left"), Sighting("b", "right")),
    ):
        odd = route.__class__(
            route.id,
            route.city,
            route.start,
            route.destination,
            (*route.milestones[:-1], last.__class__(last.place, seen, last.arriving, None, 0.0)),
        )
        with pytest.raises(UsageError, match="layout holds"):
            write_folder(of, [odd], tmp_path)
