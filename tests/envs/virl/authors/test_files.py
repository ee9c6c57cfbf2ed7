"""The route file in the authors' layout, written here by hand; faults are named."""

import math

import pytest

from labkit.envs.virl.authors.files import read_folder
from labkit.envs.virl.records import LatLng, Sighting
from labkit.errors import UsageError
from tests.envs.virl.data_folder import CORNER, END, START, a_route, block, folder, info


def test_a_folder_is_read_as_its_authors_meant_it(tmp_path):
    (route,) = read_folder(folder(tmp_path)).routes
    assert route.id == "nyc_1k_routes-0000" and route.city == "nyc_1k_routes"
    assert route.start.name == "Corner Books" and route.start.place == LatLng(40.69995, -74.0001)
    assert route.destination.name == "Old Bank" and route.destination.place == LatLng(40.7011, -73.9989)
    start, corner, end = route.milestones
    assert [m.place for m in route.milestones] == [LatLng(*START), LatLng(*CORNER), LatLng(*END)]
    assert (start.sightings, start.arriving, start.leaving, start.distance) == ((), 0.0, 0.0, 111.0)
    assert corner.sightings == (Sighting("Blue Door Cafe", "left front"),)
    assert (corner.arriving, corner.leaving, corner.distance) == (0.0, 90.0, 84.0)
    assert end.sightings == (Sighting("Old Bank", "right behind"),)
    assert (end.arriving, end.leaving, end.distance) == (90.0, None, 0.0)


NAMES = [
    "Bar } and { Grill",
    "}",
    "{",
    'The "Best" Deli',
    '"',
    'Joe\'s, "x": "y",',
    "مقهى القمر",
    "בית קפה",
    "🍜 Ramen 👨‍👩‍👧",
    "is on your left",
    "X is on your right",
    "The destination",
    "No landmark nearby",
    "a\u2028b",
    "tab\there",
    "\\n \\\\",
    "<b>&amp;",
]


@pytest.mark.parametrize("name", NAMES)
def test_odd_names_survive_reading(tmp_path, name):
    for side in ("left", "left front", "behind"):
        route = a_route(milestone_info=info(f"{name} is on your {side}", f"The destination {name} is on your {side}"))
        _, corner, end = read_folder(folder(tmp_path, route)).routes[0].milestones
        assert corner.sightings == end.sightings == (Sighting(name, side),)


def test_headings_across_north_u_turns_and_points_that_coincide_are_kept(tmp_path):
    route = a_route(
        route_results={"geocode_list": [CORNER, CORNER, START]},
        init_heading=359,
        milestone_info=block(1, heading="359 (north)")
        + block(2, heading="0 (north)", distance="0 meters")
        + block(3, "The destination Old Bank is on your left", "180 (south)", "111 m"),
    )
    milestones = read_folder(folder(tmp_path, route)).routes[0].milestones
    assert [m.leaving for m in milestones] == [359.0, 0.0, 180.0, None]
    assert [m.arriving for m in milestones] == [359.0, 359.0, 0.0, 180.0]
    assert milestones[1].place == milestones[2].place and milestones[1].distance == 0.0


def test_a_route_of_one_leg_is_a_route(tmp_path):
    route = a_route(
        route_results={"geocode_list": [END]},
        milestone_info=block(1, "The destination Old Bank is on your left", "45 (northeast)"),
    )
    assert len(read_folder(folder(tmp_path, route)).routes[0].milestones) == 2


def lacking(key):
    return {name: value for name, value in a_route().items() if name != key}


WRONG = [
    (lacking("dest_place"), "route 1: dest_place is missing"),
    (lacking("milestone_info"), "route 1: milestone_info is missing"),
    (7, "route 1: 7 is not an object"),
    (
        a_route(start_place={"name": "x"}),
        "route 1: start_place: relocated_geocode None is not a .latitude, longitude",
    ),
    (a_route(start_place={"name": "x", "geocode": [91, 0]}), "relocated_geocode .91, 0. is not"),
    (a_route(dest_place={"geocode": END}), "route 1: dest_place: name is missing"),
    (a_route(dest_place={"name": " ", "geocode": END}), "dest_place: name ' ' is not a text"),
    (
        a_route(route_results={"geocode_list": []}),
        "route 1: route_results: geocode_list .. is not a list of places",
    ),
    (a_route(route_results={"geocode_list": [CORNER, [1]]}), "geocode_list.1. .1. is not a .latitude"),
    (a_route(route_results={"geocode_list": [CORNER, [math.nan, 1.0]]}), "geocode_list.1. .nan, 1.0. is not"),
    (a_route(route_results={"geocode_list": [CORNER, [True, 1.0]]}), "geocode_list.1."),
    (
        a_route(route_results={"geocode_list": [CORNER]}),
        "route 1: milestone_info has 2 milestones, geocode_list 1",
    ),
    (a_route(init_heading="north"), "route 1: init_heading 'north' is not a number"),
    (a_route(init_heading=10**400), "route 1: init_heading"),
    (
        a_route(milestone_info=block(1) + block(2, heading="north-ish")),
        "route 1, milestone 1: to_next_intersection_heading 'north-ish' is not like '298 .northwest.'",
    ),
    (
        a_route(milestone_info=block(1, heading="90 (north)") + block(2)),
        "milestone 0: to_next_intersection_heading",
    ),
    (
        a_route(milestone_info=block(1, heading="400 (north)") + block(2)),
        "milestone 0: to_next_intersection_heading",
    ),
    (a_route(milestone_info=block(1, distance="far") + block(2)), "milestone 0: distance 'far' is not like"),
    (a_route(milestone_info=block(1, distance="-3 meters") + block(2)), "milestone 0: distance"),
    (
        a_route(milestone_info=block(1, "A cafe, somewhere") + block(2)),
        "milestone 0: landmarks 'A cafe, somewhere' is",
    ),
    (a_route(milestone_info=block(1, "Cafe is on your upside") + block(2)), "milestone 0: landmarks"),
    (a_route(milestone_info=block(1) + block(2)[:-3]), "route 1: milestone 1 has no closing brace"),
    (a_route(milestone_info=block(1) + "hello\n" + block(2)), "route 1, milestone 1: 'hello' is not like"),
    (
        a_route(milestone_info=block(1).replace("distance", "length") + block(2)),
        "milestone 0: distance is missing",
    ),
    (a_route(milestone_info='{"landmarks": "x"}'), "milestone 0: .* is not like"),
    (a_route(route_id="nyc_1k_routes-0000"), "route 1: route_id 'nyc_1k_routes-0000' is route 0's too"),
    (a_route(route_id=3), "route 1: route_id 3 is not a text"),
]


@pytest.mark.parametrize(("wrong", "said"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_route_is_named(tmp_path, wrong, said):
    with pytest.raises(UsageError, match=said) as caught:
        read_folder(folder(tmp_path, a_route(), wrong))
    assert "route_infos.json: " in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[",
        "{}",
        "[[]]",
        "[1, 2]",
        "[[], 0, 0]",
        "null",
        "[" * 100_000,
        "[[], 1" + "0" * 5000 + "]",
        "\ud83d".encode("utf-16", "surrogatepass").decode("latin-1"),
    ],
)
def test_a_route_file_of_another_shape_is_named(tmp_path, content):
    with pytest.raises(UsageError, match=r"^route_infos\.json: ") as caught:
        read_folder(folder(tmp_path, content=content))
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"route_infos\.json: missing"):
        read_folder(tmp_path)
    data = read_folder(folder(tmp_path))
    with pytest.raises(UsageError, match=r"gps_pano_mapping\.pkl: missing"):
        data.panorama(LatLng(*START))
