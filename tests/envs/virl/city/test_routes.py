"""Routes, walked again on the sphere: along streets, as they say, with words that fit one way only."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from labkit.envs.virl.city.cities import CITIES, OTHER_CITIES, TRAINING_CITY, city
from labkit.envs.virl.city.routes import mini_benchmark, routes
from labkit.errors import UsageError

ROUND = 6_371_008.8
WORDS = ("north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest")
# Clockwise from straight ahead, in steps of 45 degrees.
SIDES = ("front", "right front", "right", "right behind", "behind", "left behind", "left", "left front")


def vector(a, b):
    """East and north of b from a, metres, by the spherical law of haversines and the initial bearing."""
    lat1, lng1, lat2, lng2 = map(math.radians, (*a, *b))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lng2 - lng1) / 2) ** 2
    away = 2 * ROUND * math.asin(math.sqrt(half))
    angle = math.atan2(
        math.sin(lng2 - lng1) * math.cos(lat2),
        math.cos(lat1) * math.sin(lat2) - math.sin(lat1) * math.cos(lat2) * math.cos(lng2 - lng1),
    )
    return away, math.degrees(angle) % 360


def apart(one, other):
    return abs((one - other + 180) % 360 - 180)


def metres(place, origin):
    """On the plane that touches the Earth at the origin."""
    away, angle = vector(origin, place)
    return np.array([away * math.sin(math.radians(angle)), away * math.cos(math.radians(angle))])


def word(heading):
    return min(WORDS, key=lambda name: apart(heading, 45 * WORDS.index(name)))


def sides(before, after):
    """The relative word, from the cross and dot products of the two directions."""
    a, b = (np.array([math.sin(math.radians(h)), math.cos(math.radians(h))]) for h in (before, after))
    clockwise, ahead = a[1] * b[0] - a[0] * b[1], a @ b
    size = math.degrees(math.atan2(abs(clockwise), ahead))
    if size > 45 + 1e-9:
        return "left" if clockwise < 0 and size < 180 - 1e-9 else "right"
    return "slightly right" if clockwise > 1e-12 else "slightly left"


def to_streets(points, of):
    """From each point to the nearest street: how far beyond its centre line, as a share of its half width."""
    best = np.full(len(points), np.inf)
    for street in of.streets:
        for a, b in pairwise(np.array(street.points)):
            t = np.clip((points - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
            away = np.linalg.norm(points - a - t[:, None] * (b - a), axis=1)
            best = np.minimum(best, away / (street.width / 2))
    return best


def sampled(of):
    number = 150 if of.name == TRAINING_CITY else 20
    return routes(of, number, 0, "train") + routes(of, 10, 0, "eval")


@pytest.fixture(params=CITIES)
def town(request):
    return city(request.param)


def test_headings_and_distances_are_those_of_the_places(town):
    for route in sampled(town):
        for here, there in pairwise(route.milestones):
            away, angle = vector(here.place, there.place)
            # Half a degree or metre of rounding, and a little for coordinates in centimetres.
            assert apart(here.leaving, angle) < 0.6
            assert abs(here.distance - away) < 0.7 and away > 13
            assert there.arriving == here.leaving
        end = route.milestones[-1]
        assert end.leaving is None and end.distance == 0
        assert route.milestones[0].arriving > 0


def test_every_leg_keeps_to_the_street(town):
    for route in sampled(town):
        places = [metres(milestone.place, town.origin) for milestone in route.milestones]
        path = np.concatenate([np.linspace(a, b, 40) for a, b in pairwise(places)])
        # The narrowest street is 10 m wide; 0.62 of its half is the 3 m that a leg may stray, and 10 cm.
        assert to_streets(path, town).max() < 0.62


def test_turning_points_are_junctions_where_the_words_fit_one_way(town):
    nodes = np.array(town.nodes)
    for route in sampled(town):
        assert 3 <= len(route.milestones) <= 9
        for milestone in route.milestones[1:-1]:
            here = metres(milestone.place, town.origin)
            node = int(np.argmin(np.linalg.norm(nodes - here, axis=1)))
            assert np.linalg.norm(nodes[node] - here) < 0.1
            ways = []
            for street in town.streets:
                if node in (street.a, street.b):
                    points = street.points if street.a == node else street.points[::-1]
                    ways.append(math.degrees(math.atan2(points[1].x - points[0].x, points[1].y - points[0].y)) % 360)
            assert len(ways) >= 3
            arriving, leaving = milestone.arriving, milestone.leaving
            back = min(ways, key=lambda way: apart(way, arriving + 180))
            assert [way for way in ways if word(way) == word(leaving) and way != back] != []
            forward = [way for way in ways if way != back]
            assert sum(word(way) == word(leaving) for way in forward) == 1
            assert sum(sides(arriving, way) == sides(arriving, leaving) for way in forward) == 1
            assert word(min(forward, key=lambda way: apart(way, leaving))) == word(leaving)


def test_landmarks_stand_where_the_route_says(town):
    marks = {mark.name: np.array(mark.point) for mark in town.landmarks}
    seen = Counter()
    for route in sampled(town):
        assert route.milestones[0].sightings == ()
        for milestone in route.milestones[1:]:
            for name, side in milestone.sightings:
                east, north = marks[name] - metres(milestone.place, town.origin)
                assert math.hypot(east, north) < 37
                angle = math.degrees(math.atan2(east, north))
                assert side == min(SIDES, key=lambda each: apart(angle - milestone.arriving, 45 * SIDES.index(each)))
                seen[side] += 1
        assert [name for name, _ in route.milestones[-1].sightings] == [route.destination.name]
        for place in (route.start, route.destination):
            assert np.linalg.norm(marks[place.name] - metres(place.place, town.origin)) < 0.2
    assert sum(seen.values()) > 0


def test_relations_of_all_eight_kinds_occur_and_half_of_all_turns_have_a_landmark():
    milestones = [each for route in routes(city(TRAINING_CITY), 300) for each in route.milestones[1:-1]]
    assert sum(bool(each.sightings) for each in milestones) > 0.5 * len(milestones)
    seen = {side for each in milestones for _, side in each.sightings}
    # Straight ahead and straight behind a street runs, not a house, unless one turns at the end of a street.
    assert seen >= set(SIDES) - {"front", "behind"}


def test_a_thousand_training_routes_share_no_journey_with_the_evaluation_set():
    of = city(TRAINING_CITY)
    train = routes(of, 1000)
    assert len(train) == len({route.id for route in train}) == 1000
    tested = [*routes(of, 200, 0, "eval"), *routes(of, 100, 7, "eval")]
    assert len({route.id for route in tested}) == 300
    ends = [{frozenset((r.start.name, r.destination.name)) for r in group} for group in (train, tested)]
    ways = [{tuple(m.place for m in r.milestones) for r in group} for group in (train, tested)]
    assert not ends[0] & ends[1] and not ways[0] & ways[1]
    compass = Counter(word(m.leaving) for route in train for m in route.milestones[:-1])
    # Eight words, none rarer than half its even share, so that no compass word is new outside training.
    assert min(compass[name] for name in WORDS) > sum(compass.values()) / 16
    turns = Counter(len(route.milestones) - 1 for route in train)
    assert set(turns) == set(range(2, 9))


def test_fewer_routes_are_the_first_of_more_and_seeds_differ(town):
    many = routes(town, 12, 3, "eval")
    assert routes(town, 5, 3, "eval") == many[:5]
    assert routes(town, 5, 4, "eval") != many[:5]


def test_the_mini_benchmark_is_two_routes_in_each_other_city():
    mini = mini_benchmark()
    assert [route.city for route in mini] == [name for name in OTHER_CITIES for _ in range(2)]
    assert len({route.id for route in mini}) == 18
    larger = mini_benchmark(6)
    assert len(larger) == 54 and all(route in larger for route in mini)
    assert all(route in routes(city(route.city), 2, 0, "eval") for route in mini)


# Written down so that another machine, or another version of Python, is seen to deal the same routes.
PINNED = {
    "latticeport": [
        (328.0, 308.0, 161.0),
        (308.0, 218.0, 270.0),
        (218.0, 128.0, 35.0),
        (128.0, None, 0.0),
    ],
    "oldwick": [
        (111.0, 91.0, 18.0),
        (91.0, 70.0, 59.0),
        (70.0, 34.0, 95.0),
        (34.0, 58.0, 43.0),
        (58.0, None, 0.0),
    ],
    "crescombe": [
        (250.0, 270.0, 94.0),
        (270.0, 353.0, 96.0),
        (353.0, 6.0, 91.0),
        (6.0, 16.0, 115.0),
        (16.0, 270.0, 217.0),
        (270.0, None, 0.0),
    ],
}


@pytest.mark.parametrize("name", sorted(PINNED))
def test_a_route_stays_what_it_was(name):
    route = routes(city(name), 1, 0, "eval")[0]
    assert [(m.arriving, m.leaving, m.distance) for m in route.milestones] == PINNED[name]


def test_what_cannot_be_asked_for_is_an_error_that_says_so():
    of = city("favolina")
    with pytest.raises(UsageError, match="train or eval"):
        routes(of, 1, 0, "test")
    with pytest.raises(UsageError, match="from 0"):
        routes(of, -1)
    assert routes(of, 0) == []
