"""Odd and broken folders, played from the route file to the end of an episode: the documented behaviour, or an
error of one line that names the file and what in it is wrong; never a wrong step."""

import json
import pickle
from itertools import islice

import pytest
from PIL import Image

from labkit.cli import main
from labkit.envs import game, judge, start
from labkit.errors import UsageError
from labkit.play import play
from labkit.players.simple import Expert
from tests.envs.virl.data_folder import CORNER, END, START, a_route, block, folder, info

GOAL = "The destination Old Bank is on your left"
SOUTH = [40.6990, -74.0000]  # 111 m south of the start


def legs(*ends):
    """A route of legs, each told as where it ends, its heading, and what is seen there."""
    blocks = [block(n, seen, heading, "9 meters") for n, (_, heading, seen) in enumerate(ends, 1)]
    places = [place for place, _, _ in ends]
    return a_route(route_results={"geocode_list": places}, milestone_info="".join(blocks))


# Of each route the turns, as compass words and as relative ones; the first of these depends on how one is set down.
ODD = {
    "one place": (legs((START, "0 (north)", GOAL)), [], []),
    "first leg of no length": (
        legs((START, "90 (east)", "Kiosk is on your left"), (CORNER, "0 (north)", GOAL)),
        ["north"],
        [],
    ),
    "leg of no length between": (
        legs((CORNER, "0 (north)", "Kiosk is on your left"), (CORNER, "200 (south)", "Cafe is on your right"),
             (END, "90 (east)", GOAL)),
        ["north", "east"],
        ["right"],
    ),
    "last leg of no length": (
        legs((CORNER, "0 (north)", "Kiosk is on your left"), (CORNER, "200 (south)", GOAL)),
        ["north"],
        [],
    ),
    "there and back": (legs((CORNER, "0 (north)", "No landmark nearby"), (SOUTH, "180 (south)", GOAL)),
                       ["north", "south"], ["right"]),
    "across north": (
        legs(([40.7010, -74.0002], "351 (north)", "No landmark nearby"),
             ([40.7020, -74.0000], "9 (north)", "No landmark nearby"),
             ([40.7030, -74.0002], "351 (north)", GOAL)),
        ["north", "north", "north"],
        ["slightly right", "slightly left"],
    ),
    "360 degrees": (legs((CORNER, "360 (north)", GOAL)), ["north"], []),
}  # fmt: skip


def photographed(path, every=0.00009):
    """Panoramas along the legs of the folder's first route, ten metres apart."""
    route = json.loads((path / "route_infos.json").read_text())[0][0]
    places = [START, *route["route_results"]["geocode_list"]]
    mapping = {}
    for (lat, lng), (to_lat, to_lng) in zip(places, places[1:], strict=False):
        parts = 1 + int(max(abs(to_lat - lat), abs(to_lng - lng)) / every)
        for k in range(parts + 1):
            share = k / parts
            mapping[lat + share * (to_lat - lat), lng + share * (to_lng - lng)] = f"p{len(mapping)}"
    (path / "street_views").mkdir()
    for name in mapping.values():
        Image.new("RGB", (64, 32), "#345678").save(path / "street_views" / f"{name}.jpg")
        (path / "street_views" / f"{name}.metadata.json").write_text('{"rotation": 0}')
    (path / "gps_pano_mapping.pkl").write_bytes(pickle.dumps(mapping))
    return str(path)


def task_of(data, cell="virl-vl", **settings):
    picture = {"picture": {"size": 64}} if cell == "virl-vl" else {}
    return next(game(cell).tasks("id", data=str(data), **picture, **settings))


def turns(episode):
    said = (p.state["action"] for p in episode.positions)
    return [action[len("turn_direction(") : -1] for action in said if action.startswith("turn")]


@pytest.mark.parametrize("name", ODD)
def test_an_odd_route_is_walked_as_it_is_meant(tmp_path, name):
    route, compass, relative = ODD[name]
    data = photographed(folder(tmp_path, route))
    for cell in ("virl-l", "virl-vl"):
        for walk in ("rail", "free"):
            episodes = [
                play(task_of(data, cell, actions=rule, walk=walk), Expert()) for rule in ("absolute", "relative")
            ]
            assert all(e.success and not any(a.tags for a in e.attempts) for e in episodes)
            if walk == "rail":
                assert turns(episodes[0]) == compass and turns(episodes[1])[1:] == relative
                assert [e.positions[-1].state["action"] for e in episodes] == ["stop()", "stop()"]


@pytest.mark.parametrize(
    "name",
    ["Bar } and { Grill", "}", 'The "Best" Deli', "Joe's", "مقهى القمر", "בית קפה", "🍜 Ramen 👨‍👩‍👧",
     "is on your left", "Junction Cafe", "{name}", "<b>&amp;"],
)  # fmt: skip
def test_an_odd_name_is_told_and_judged_like_any_other(tmp_path, name):
    data = folder(tmp_path, a_route(milestone_info=info(f"{name} is on your left")))
    episode = play(task_of(data, "virl-l"), Expert())
    corner = next(n for n, p in enumerate(episode.positions) if p.state["landmarks"])
    assert f"O{corner + 1}: {name} is on your left. There is an intersection." in episode.positions[corner].prompt
    assert episode.success and not any(a.tags for a in episode.attempts)
    # Blind to it, and wrong: the observation is at fault as well.
    there = start(task_of(data, "virl-l"))
    for _ in range(corner):
        there = judge(there, game("virl-l").expert(there))
    wrong = {"current observation": "There is an intersection.", "action": "stop()"}
    assert judge(there, json.dumps(wrong)).attempts[-1].verdict.category == "wrong_observation"


def test_a_picture_cut_short_stops_the_walk_where_it_is_needed_and_not_before(tmp_path):
    data = photographed(folder(tmp_path))
    last = sorted((tmp_path / "nyc_1k_routes" / "street_views").glob("*.jpg"), key=lambda p: int(p.stem[1:]))[-1]
    last.write_bytes(last.read_bytes()[:-40])
    episode = start(task_of(data))
    with pytest.raises(UsageError, match=rf"^street_views/{last.name} cannot be read as a picture.*fetch it again"):
        while not episode.done:
            episode = judge(episode, game("virl-vl").expert(episode))
    assert len(episode.positions) > 3 and all(a.verdict.success for a in episode.attempts)
    assert play(task_of(data, "virl-l"), Expert()).success


def test_where_no_picture_was_taken_nobody_is_sent(tmp_path):
    """On the rail, points between milestones are left out; a free walk comes to them, and says which."""
    path = folder(tmp_path)
    data = photographed(path)
    kept = {tuple(place): f"p{n}" for n, place in enumerate((START, CORNER, END))}
    (path / "gps_pano_mapping.pkl").write_bytes(pickle.dumps(kept))
    for task in islice(game("virl-vl").tasks("id", data=data, picture={"size": 64}), 5):
        places = [p.state["place"] for p in play(task, Expert()).positions]
        # 0.00018 degrees of latitude are 20.0 m.
        assert all(min(abs(lat - a) + abs(lng - b) for a, b in kept) < 0.00024 for lat, lng in places)
    with pytest.raises(UsageError, match=r"^gps_pano_mapping\.pkl: no panorama within 20 m of 40\.700\d+, -74\.000000"):
        play(task_of(data, walk="free"), Expert())
    del kept[tuple(CORNER)]
    (path / "gps_pano_mapping.pkl").write_bytes(pickle.dumps(kept))
    data = path.rename(path.with_name("again"))
    with pytest.raises(UsageError, match="again-0000, milestone 0: no panorama within 20 m of 40.701000, -74.000000"):
        task_of(data)


@pytest.mark.parametrize("verb", [["play", "--player", "expert"], ["eval", "--player", "expert", "--episodes", "1"]])
def test_a_pickle_that_runs_something_is_refused_in_one_line(tmp_path, verb, capsys):
    witness = tmp_path / "witness"
    program = f"cos\nsystem\n(S'touch {witness}'\ntR.".encode()
    data = folder(tmp_path, mapping=program)
    named = [verb[0], "virl-vl", *verb[1:], "--data", str(data)]
    assert main(named) == 2
    error = capsys.readouterr().err
    assert "gps_pano_mapping.pkl: refused" in error and not witness.exists()
    # Words need no panorama, so the file is not even opened.
    assert main([verb[0], "virl-l", *verb[1:], "--data", str(data)]) == 0 and not witness.exists()


def test_a_route_file_of_another_shape_is_an_error_of_use(tmp_path, capsys):
    data = folder(tmp_path, content=json.dumps([a_route()]))
    assert main(["play", "virl-l", "--player", "expert", "--data", str(data)]) == 2
    assert "route_infos.json: not a list of routes followed by their number" in capsys.readouterr().err
