"""Streets under other conditions: what changes, and what must not."""

import numpy as np
import pytest

from labkit.envs import game, start
from labkit.envs.virl.city.cities import CITIES, city
from labkit.envs.virl.records import Point
from labkit.envs.virl.render.conditions import CLEAR, Conditions, city_under
from labkit.envs.virl.render.views import grid_view
from labkit.errors import UsageError
from tests.envs.virl.data_folder import folder
from tests.envs.virl.test_odd_folders import photographed

SIZE = 128
DAY = (0, 0, 0, "")


def seen(heading=0.0, point=None, **conditions):
    asked = Conditions(**conditions)
    there = city_under("latticeport", asked.season, asked.night, asked.rain, asked.look)
    spot = point or there.nodes[20]
    return np.asarray(grid_view(there, spot, heading, SIZE, asked), dtype=float)


def test_nothing_asked_for_changes_nothing():
    there = city("latticeport")
    assert city_under("latticeport", *DAY) is there
    assert np.array_equal(seen(), np.asarray(grid_view(there, there.nodes[20], 0, SIZE)))
    assert CLEAR.to_dict() == {} and Conditions(rain=0.5, look="oldwick").to_dict() == {"rain": 0.5, "look": "oldwick"}


@pytest.mark.parametrize("knob", [{"season": 1}, {"night": 0.7}, {"rain": 0.6}, {"pitch": 12}, {"look": "oldwick"}])
def test_the_same_conditions_give_the_same_pixels(knob):
    picture = game("virl-vl").draw
    task = next(game("virl-vl").tasks("id", "test", picture={"size": 64} | knob))
    assert task.picture == {"size": 64} | knob
    recipe = start(task).position.picture["recipe"]
    assert np.array_equal(np.asarray(picture(recipe)), np.asarray(picture(dict(recipe))))


def test_night_takes_light_from_every_pixel_and_most_from_red():
    """A dark view is the day's times a factor for each channel; its windows and its sky are of other colours."""
    dark = Conditions(night=1).finished(np.full((4, 4, 3), 200, dtype=np.uint8), "")
    assert [tuple(pixel) for pixel in dark.reshape(-1, 3)] == [(35, 39, 67)] * 16
    means = [seen(night=share).mean() for share in (0, 0.25, 0.5, 0.75, 1)]
    assert means == sorted(means, reverse=True) and means[-1] < 0.4 * means[0]


def test_rain_falls_otherwise_at_another_place():
    flat = np.full((100, 100, 3), 60, dtype=np.uint8)
    one, again, other = (Conditions(rain=0.5).finished(flat, key) for key in ("a", "a", "b"))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    drops = [(Conditions(rain=share).finished(flat, "a") != 60).any(axis=-1).mean() for share in (0.25, 0.5, 1)]
    assert drops == sorted(drops) and drops[0] > 0.01 and drops[-1] < 0.2


def test_winter_lies_white_on_the_ground():
    """The lower middle of a view is road: grey in summer, nearly as bright as snow in winter."""
    road = np.s_[48:60, 24:40]
    assert seen(season=1)[road].mean() > 140 > 100 > seen()[road].mean()


def test_a_camera_that_looks_up_sees_what_a_level_one_sees_higher_up():
    """The middle of a view at pitch p shows the slope tan p, which a level view of 90 degrees has tan p of its half
    height above the middle."""
    heading = 0.0
    for pitch in (10, -10, 20):
        level, raised = seen(heading)[:64, :64], seen(heading, pitch=pitch)[:64, :64]
        row = round(31.5 - 32 * np.tan(np.radians(pitch)))
        # Nine columns around the middle, where a row of one is nearly a row of the other.
        assert np.abs(raised[31:33, 28:37].mean(axis=0) - level[row : row + 2, 28:37].mean(axis=0)).mean() < 12
        assert np.abs(raised - level).mean() > 5


def test_another_citys_look_keeps_streets_and_landmarks():
    own, other = city("latticeport"), city_under("latticeport", 0, 0, 0, "oldwick")
    assert other.look == city("oldwick").look
    assert (other.streets, other.landmarks, other.name) == (own.streets, own.landmarks, own.name)
    assert [b.outline for b in other.buildings] == [b.outline for b in own.buildings]
    assert {b.style for b in other.buildings} <= set(other.look["styles"])
    for name in CITIES:
        under = city_under("latticeport", 1, 0.5, 0.5, name)
        spot = Point(*under.nodes[20])
        assert grid_view(under, spot, 0, 64).size == (64, 64)


@pytest.mark.parametrize(
    ("knob", "said"),
    [
        ({"season": 1.5}, "picture season = 1.5: give a number from 0 to 1"),
        ({"night": "late"}, "picture night = 'late'"),
        ({"rain": True}, "picture rain = True"),
        ({"pitch": float("nan")}, "picture pitch = nan: give a number from -20 to 20"),
        ({"look": "nowhere"}, "picture look = 'nowhere': choose latticeport"),
        ({"snow": 1}, "no picture setting 'snow'; the settings are size, season, night, rain, pitch, look"),
    ],
)
def test_an_impossible_value_is_named(knob, said):
    with pytest.raises(UsageError, match=said):
        next(game("virl-vl").tasks("id", picture=knob))


def test_photographs_are_as_they_are(tmp_path):
    data = photographed(folder(tmp_path))
    with pytest.raises(UsageError, match="picture rain: a folder's photographs are as they are"):
        next(game("virl-vl").tasks("id", data=str(data), picture={"rain": 1}))
