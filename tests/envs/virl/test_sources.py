"""Playing from a folder in the authors' layout, written here by our own exporter."""

import json
import shutil
from itertools import islice

import pytest

from labkit.envs import game, start
from labkit.envs.virl import sources
from labkit.envs.virl.authors.export import write_folder
from labkit.envs.virl.authors.mapping import read_mapping, write_mapping
from labkit.envs.virl.authors.panorama import equirectangular
from labkit.envs.virl.city.cities import TRAINING_CITY, city
from labkit.envs.virl.rail import metres
from labkit.envs.virl.records import LatLng, to_point
from labkit.errors import UsageError
from labkit.play import play
from labkit.players.simple import Expert


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two routes with their panoramas."""
    path = tmp_path_factory.mktemp("data")
    there = city(TRAINING_CITY)
    routes = sources.routes("id", "test")[:2]
    write_folder(there, routes, path, lambda p: equirectangular(there, to_point(p, there.origin), 64))
    return str(path)


@pytest.mark.parametrize("cell", ["virl-l", "virl-vl"])
@pytest.mark.parametrize("suite", ["id", "rule-ood"])
@pytest.mark.parametrize("walk", ["rail", "free"])
def test_the_expert_walks_a_folders_routes(folder, cell, suite, walk):
    settings = {"picture": {"size": 64}} if cell == "virl-vl" else {}
    tasks = list(islice(game(cell).tasks(suite, data=folder, walk=walk, **settings), 2))
    assert {t.deal["route"]["id"] for t in tasks} == {r.id for r in sources.routes("id", "test")[:2]}
    for task in tasks:
        episode = play(task, Expert())
        assert episode.success and all(a.verdict.success for a in episode.attempts)
        assert episode.task.deal["data"] == folder


def test_a_folder_says_what_the_embedded_city_says(folder):
    from_folder = start(next(game("virl-l").tasks("id", data=folder, seed=4)))
    number = [r.id for r in sources.routes("id", "test")].index(from_folder.task.deal["route"]["id"])
    route, key = sources.routes("id", "test")[number], from_folder.task.deal["key"]
    embedded = start(game("virl-l").task(route=route, key=key))
    assert embedded.position.prompt == from_folder.position.prompt


def test_splits_of_a_folder_are_by_the_routes_ids(folder):
    everything = sources.routes("id", "all", folder)
    parts = [r for split in sources.SPLITS for r in sources.by_split(False, folder).get(split, ())]
    assert everything == tuple(parts) and len(everything) == 2
    for split, group in sources.by_split(False, folder).items():
        assert all(sources.split_of("id", route.id, folder) == split for route in group)


def test_no_panorama_is_an_error_that_names_the_place(folder):
    recipe = {"city": "x", "place": [0.0, 0.0], "heading": 0.0, "size": 64, "data": folder}
    with pytest.raises(UsageError, match=r"no panorama within 20 m of 0\.000000, 0\.000000"):
        game("virl-vl").draw(recipe)


def test_points_between_milestones_without_a_panorama_are_left_out(folder, tmp_path):
    # Only the milestones themselves are photographed: points 20 m and more from both ends have no picture.
    route = sources.folder(folder).routes[0]
    copied = tmp_path / "few"
    shutil.copytree(folder, copied)
    near = {m.place for m in route.milestones}
    everything = read_mapping(copied / "gps_pano_mapping.pkl")
    kept = {p: n for p, n in everything.items() if any(metres(LatLng(*p), m) < 1 for m in near)}
    write_mapping(copied / "gps_pano_mapping.pkl", kept)
    words, pictures = (
        play(game(cell).task(route=route, data=str(copied), key="1", **more), Expert())
        for cell, more in (("virl-l", {}), ("virl-vl", {"picture": {"size": 64}}))
    )
    assert words.success and pictures.success and len(pictures.positions) < len(words.positions)
    for position in pictures.positions:
        assert any(metres(LatLng(*position.state["place"]), m) <= 20 for m in near)

    write_mapping(copied / "gps_pano_mapping.pkl", dict(list(kept.items())[1:]))
    sources.folder.cache_clear()
    with pytest.raises(UsageError, match=f"gps_pano_mapping.pkl: route {route.id}, its start: no panorama"):
        game("virl-vl").task(route=route, data=str(copied))


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        next(game("virl-l").tasks("id", data=str(tmp_path / "nowhere")))
    (tmp_path / "route_infos.json").write_text(json.dumps([[], 0]))
    with pytest.raises(UsageError, match="no route"):
        next(game("virl-l").tasks("id", data=str(tmp_path)))


def test_a_landmark_is_seen_alike_on_the_rail_and_in_free_navigation():
    there = city(TRAINING_CITY)
    for route in sources.routes("id", "test")[:50]:
        for milestone in route.milestones[1:]:
            seen = sources.sightings(LatLng(*milestone.place), milestone.arriving, there.name)
            if milestone.sightings and milestone is not route.milestones[-1]:
                assert seen == milestone.sightings


def test_test_routes_share_most_junctions_with_training_and_unseen_routes_none():
    """The shares that docs/game.md gives: a junction is a place, the way in and the way out."""

    def junctions(split):
        return [(m.place, m.arriving, m.leaving) for r in sources.routes("id", split) for m in r.milestones[1:-1]]

    known = set(junctions("train"))
    shares = {split: [junction in known for junction in junctions(split)] for split in ("test", "unseen")}
    assert len(shares["test"]) == 511 and round(sum(shares["test"]) / 511, 2) == 0.92
    assert len(shares["unseen"]) > 400 and not any(shares["unseen"])
