"""The authors' layout, in folders written here by hand; faults are named; a pickle cannot run."""

import io
import json
import math
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from labkit.envs.virl.cities import city
from labkit.envs.virl.export import write_folder
from labkit.envs.virl.files import read_folder
from labkit.envs.virl.routes import routes
from labkit.envs.virl.world import LatLng, Sighting
from labkit.errors import UsageError

# A route of two legs, as the authors' file has it: 0.001 degrees of latitude are 111.2 m.
START, CORNER, END = [40.7000, -74.0000], [40.7010, -74.0000], [40.7010, -73.9990]


def block(number=1, landmarks="No landmark nearby", heading="0 (north)", distance="111 meters", human=0):
    return (
        "{\n"
        f'"intersection_idx": "{number}",\n'
        f'"landmarks": "{landmarks}",\n'
        f'"distance": "{distance}",\n'
        f'"human_heading": "{human}",\n'
        f'"to_next_intersection_heading": "{heading}",\n'
        "}\n"
    )


def info(
    first="Blue Door Cafe is on your left front", goal="The destination Old Bank is on your right behind"
):
    return "\n" + block(1, first) + "\n\n" + block(2, goal, "90 (east)", "84 meters", 0)


def a_route(**changes):
    route = {
        "start_place": {"name": "Corner Books", "geocode": [40.69995, -74.0001], "relocated_geocode": START},
        "dest_place": {
            "name": "Old Bank",
            "geocode": [40.7011, -73.9989],
            "relocated_geocode": END,
            "place_types": ["bank"],
        },
        "route_results": {
            "geocode_list": [CORNER, END],
            "landmark_list": [{"name": "Blue Door Cafe"}],
            "distance_list": [111, 84],
        },
        "init_heading": 0,
        "milestone_info": info(),
    }
    return {**route, **changes}


def folder(tmp_path, *given, mapping=None, content=None):
    """Write a folder in the authors' layout, without any code of the library's."""
    path = tmp_path / "nyc_1k_routes"
    path.mkdir(exist_ok=True)
    text = content if content is not None else json.dumps([list(given) or [a_route()], 1])
    (path / "route_infos.json").write_text(text, "utf-8")
    if mapping is not None:
        (path / "gps_pano_mapping.pkl").write_bytes(mapping)
    return path


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
        route = a_route(
            milestone_info=info(f"{name} is on your {side}", f"The destination {name} is on your {side}")
        )
        _, corner, end = read_folder(folder(tmp_path, route)).routes[0].milestones
        assert corner.sightings == end.sightings == (Sighting(name, side),)


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"), min_size=1).filter(str.strip)
)
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


def a_view(path, name, metadata='{"rotation": 370.5}'):
    views = path / "street_views"
    views.mkdir(exist_ok=True)
    Image.new("RGB", (64, 32), "#123456").save(views / f"{name}.jpg")
    if metadata is not None:
        (views / f"{name}.metadata.json").write_text(metadata)
    return views / f"{name}.jpg"


def test_a_place_gets_the_nearest_panorama_within_20_metres(tmp_path):
    # 0.00017 degrees of latitude are 18.9 m, 0.00019 are 21.1 m; of longitude, at 40.7 degrees, 16.0 m.
    mapping = {tuple(START): "here", (START[0] + 0.0003, START[1]): "there"}
    path = folder(tmp_path, mapping=pickle.dumps(mapping))
    picture = a_view(path, "here")
    a_view(path, "there")
    data = read_folder(path)
    found = data.panorama(LatLng(START[0] - 0.00017, START[1]))
    assert (found.name, found.path, found.place) == ("here", picture, LatLng(*START))
    assert found.rotation == 10.5 and found.load().size == (64, 32)
    assert data.panorama(LatLng(START[0] - 0.00019, START[1])) is None
    assert data.panorama(LatLng(START[0], START[1] + 0.00019)).name == "here"
    assert data.panorama(LatLng(START[0] + 0.00016, START[1])).name == "there"
    with pytest.raises(
        UsageError, match=r"gps_pano_mapping\.pkl: route 0, milestone 0: no panorama within 20 m of 40\.701"
    ):
        data.check_panoramas()


def test_panoramas_are_found_across_the_date_line(tmp_path):
    path = folder(tmp_path, mapping=pickle.dumps({(10.0, 179.99995): "edge"}))
    a_view(path, "edge")
    assert read_folder(path).panorama(LatLng(10.0, -179.99995)).name == "edge"


def test_broken_views_are_named(tmp_path):
    path = folder(tmp_path, mapping=pickle.dumps({tuple(START): "here"}))
    data = read_folder(path)
    with pytest.raises(
        UsageError, match=r"street_views/here\.jpg: missing, though gps_pano_mapping\.pkl lists it"
    ):
        data.panorama(LatLng(*START))
    picture = a_view(path, "here", None)
    with pytest.raises(UsageError, match=r"street_views/here\.metadata\.json: missing"):
        data.panorama(LatLng(*START))
    for metadata in ("{", "[]", "{}", '{"rotation": "left"}', '{"rotation": NaN}'):
        a_view(path, "here", metadata)
        with pytest.raises(UsageError, match=r"street_views/here\.metadata\.json: "):
            data.panorama(LatLng(*START))
    a_view(path, "here")
    picture.write_bytes(picture.read_bytes()[:-200])
    with pytest.raises(UsageError, match=r"street_views/here\.jpg: cannot be read as a picture"):
        data.panorama(LatLng(*START)).load()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_numbers_and_numpys_are_read_in_every_protocol(tmp_path, protocol):
    mapping = {(1.5, -2.25): "a", (np.float64(3.125), np.float32(4.5)): "b-_9", (np.int64(5), 6): "c"}
    data = read_folder(folder(tmp_path, mapping=pickle.dumps(mapping, protocol)))
    for place, name in mapping.items():
        a_view(data.path, name)
        assert data.panorama(LatLng(*map(float, place))).name == name


def short(text):
    return b"\x8c" + struct.pack("<B", len(text)) + text


# A pickle is a program: here are some, spelled by hand, that would make a file when loaded trustingly.
CALLS = {
    "global and reduce": b"cos\nsystem\n(S'touch %s'\ntR.",
    "inst": b"(S'touch %s'\nios\nsystem\n.",
    "obj": b"(cos\nsystem\nS'touch %s'\no.",
    "stack global": b"\x80\x04" + short(b"os") + short(b"system") + b"\x93(S'touch %s'\ntR.",
    "eval": b'cbuiltins\neval\n(S\'open("%s", "w")\'\ntR.',
    "dotted": b"\x80\x04" + short(b"numpy") + short(b"os.system") + b"\x93(S'touch %s'\ntR.",
    "newobj": b"\x80\x02csubprocess\nPopen\n(](S'touch'\nS'%s'\nete\x81.",
    "inside a mapping": b"(dp0\n(F1.5\nF2.5\ntcos\nsystem\n(S'touch %s'\ntRs.",
    "import alone": b"cthis\ns\n.",
    "numpy load": b"cnumpy\nload\n(S'%s'\ntR.",
    "persistent": b"P%s\n.",
    "extension": b"\x80\x02\x82\x01.",
}


@pytest.mark.parametrize("name", CALLS)
def test_a_pickle_that_would_run_something_is_refused_before_it_does(tmp_path, name):
    witness = tmp_path / "witness"
    program = CALLS[name].replace(b"%s", str(witness).encode())
    data = read_folder(folder(tmp_path, mapping=program))
    with pytest.raises(UsageError, match=r"^gps_pano_mapping\.pkl: ") as caught:
        data.panorama(LatLng(*START))
    assert not witness.exists() and "\n" not in str(caught.value)


def test_the_witness_would_be_there_had_the_pickle_run(tmp_path):
    """The payloads are real: the library's own unpickler, unrestricted, runs the first of them."""
    witness = tmp_path / "witness"
    pickle.load(io.BytesIO(CALLS["global and reduce"].replace(b"%s", str(witness).encode())))
    assert witness.exists()


def test_a_pickle_cannot_change_the_reader(tmp_path):
    # BUILD (b) with a pair sets attributes: here read and __new__ of the classes that stand for numpy's.
    for target in (b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\nscalar\n", b"c_codecs\nencode\n"):
        program = target + b"(N(dS'read'\nI1\nsS'__new__'\nI1\nstb."
        with pytest.raises(UsageError):
            read_folder(folder(tmp_path, mapping=program)).panorama(LatLng(*START))
    data = read_folder(folder(tmp_path, mapping=pickle.dumps({(np.float64(1.0), 2.0): "a"}, 2)))
    a_view(data.path, "a")
    assert data.panorama(LatLng(1.0, 2.0)).name == "a"


@pytest.mark.parametrize(
    "program",
    [
        b"",
        b".",
        b"garbage",
        pickle.dumps({(1.0, 2.0): "x" * 99})[:-9],
        pickle.dumps([1]),
        pickle.dumps({1: "a"}),
        pickle.dumps({(1.0, 2.0, 3.0): "a"}),
        pickle.dumps({(math.nan, 2.0): "a"}),
        pickle.dumps({(95.0, 2.0): "a"}),
        pickle.dumps({(1.0, 2.0): 7}),
        pickle.dumps({(1.0, 2.0): "../../secret"}),
        pickle.dumps({(1.0, 2.0): ".."}),
        pickle.dumps({(1.0, 2.0): "a/b"}),
        pickle.dumps({(1.0, 2.0): "a\0"}),
        pickle.dumps({(1.0, 2.0): ""}),
        pickle.dumps({(1.0, 2.0): "a"})[:-1] + b"r\xff\xff\xff\x7f.",
        b"\x80\x04\x8a\x08" + b"\xff" * 3,
        pickle.dumps({(np.array([1.0]).tobytes(), 2): "a"}),
        pickle.dumps(np.zeros(3)),
    ],
)
def test_a_mapping_of_another_shape_is_named(tmp_path, program):
    with pytest.raises(UsageError, match=r"^gps_pano_mapping\.pkl: ") as caught:
        read_folder(folder(tmp_path, mapping=program)).panorama(LatLng(1.0, 2.0))
    assert "\n" not in str(caught.value)


def test_what_is_written_is_read_back_as_it_was(tmp_path):
    of = city("oldwick")
    some = routes(of, 6)
    drawn = []

    def draw(place):
        drawn.append(place)
        return Image.new("RGB", (64, 32))

    data = write_folder(of, some, tmp_path / "export", draw)
    assert data.routes == tuple(some)
    data.check_panoramas()
    assert len(drawn) == len(set(drawn)) == len(list((tmp_path / "export" / "street_views").glob("*.jpg")))
    raw, count = json.loads((tmp_path / "export" / "route_infos.json").read_text("utf-8"))
    assert count == len(raw) == 6
    # As the authors' reader has it: a block for each geocode, and a landmark or null for each turning point.
    for route, record in zip(some, raw, strict=True):
        turns = len(route.milestones) - 2
        assert record["milestone_info"].count("intersection_idx") == turns + 1
        assert (
            len(record["route_results"]["geocode_list"])
            == len(record["route_results"]["distance_list"])
            == turns + 1
        )
        assert len(record["route_results"]["landmark_list"]) == turns
        assert f"The destination {route.destination.name} is on your" in record["milestone_info"]


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
