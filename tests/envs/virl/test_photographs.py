"""Which panorama of a folder stands for a place, and what is said of broken ones."""

import pickle

import pytest

from labkit.envs.virl.authors.files import read_folder
from labkit.envs.virl.records import LatLng
from labkit.errors import UsageError
from tests.envs.virl.data_folder import START, a_view, folder


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
        UsageError,
        match=r"gps_pano_mapping\.pkl: route nyc_1k_routes-0000, milestone 0: no panorama within 20 m of 40\.701",
    ):
        data.check_panoramas(data.routes[0])


def test_panoramas_are_found_across_the_date_line(tmp_path):
    path = folder(tmp_path, mapping=pickle.dumps({(10.0, 179.99995): "edge"}))
    a_view(path, "edge")
    assert read_folder(path).panorama(LatLng(10.0, -179.99995)).name == "edge"


def test_broken_views_are_named(tmp_path):
    path = folder(tmp_path, mapping=pickle.dumps({tuple(START): "here"}))
    data = read_folder(path)
    with pytest.raises(UsageError, match=r"street_views/here\.jpg: missing, though gps_pano_mapping\.pkl lists it"):
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
    with pytest.raises(UsageError, match=r"street_views/here\.jpg cannot be read as a picture"):
        data.panorama(LatLng(*START)).load()
