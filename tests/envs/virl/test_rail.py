"""The rail, on routes small enough to walk on paper."""

import math
from dataclasses import replace

import pytest

from labkit.envs.virl.rail import action, metres, rail, tidy
from labkit.envs.virl.records import LatLng, Milestone, Place, Point, Route, Sighting, to_latlng
from labkit.errors import UsageError

ORIGIN = LatLng(40.0, -74.0)
CAFE, BANK, HOTEL = Sighting("Cafe Luna", "left"), Sighting("Old Bank", "right front"), Sighting("Hotel", "right")


def at(x: float, y: float) -> LatLng:
    return to_latlng(Point(x, y), ORIGIN)


def route_of(*milestones: Milestone, name: str = "r-0") -> Route:
    return Route(
        name, "somewhere", Place("Start", milestones[0].place), Place("Hotel", milestones[-1].place), milestones
    )


# 120 m north, then 60 m east, then 90 m north; set down facing east.
CORNERS = route_of(
    Milestone(at(0, 0), (), 90.0, 0.0, 120.0),
    Milestone(at(0, 120), (CAFE,), 0.0, 90.0, 60.0),
    Milestone(at(60, 120), (BANK, CAFE), 90.0, 0.0, 90.0),
    Milestone(at(60, 210), (HOTEL,), 0.0, None, 0.0),
)


def test_turns_at_milestones_forward_between_stop_at_the_end():
    for key in map(str, range(50)):
        steps = rail(CORNERS, key).steps
        assert [s.action for s in steps if s.action != "forward"] == ["turn_direction"] * 3 + ["stop"]
        assert steps[-1].action == "stop"
        turns = [s for s in steps if s.action == "turn_direction"]
        assert [action(s, "absolute") for s in turns] == [
            "turn_direction(north)",
            "turn_direction(east)",
            "turn_direction(north)",
        ]
        # From north to east is 90 to the right, back to north 90 to the left; the first depends on the start.
        assert [action(s, "relative") for s in turns[1:]] == ["turn_direction(right)", "turn_direction(left)"]
        assert [s.sentence for s in turns] == [0, 2, 4] and steps[-1].sentence == 5
        assert [s.intersection for s in turns] == [False, True, True] and not steps[-1].intersection
        forward = [s for s in steps if s.action == "forward"]
        assert {action(s, rule) for s in forward for rule in ("absolute", "relative")} <= {"forward()"}
        assert not any(s.intersection or s.sightings for s in forward)
        leg = {1: (0.0, 120.0), 3: (90.0, 60.0), 5: (0.0, 90.0)}
        assert all(s.heading == leg[s.sentence][0] for s in forward)


def test_points_between_lie_on_sixths_of_their_leg():
    seen = set()
    for key in map(str, range(200)):
        steps = rail(CORNERS, key).steps
        inner = [s for s in steps if s.sentence == 1]
        ways = [metres(CORNERS.milestones[0].place, s.place) for s in inner]
        assert ways == sorted(ways)
        seen |= {round(w, 3) for w in ways}
    # 120 m in sixths; both outer ones are 20 m from the ends, more than 8.
    assert seen == {20.0, 40.0, 60.0, 80.0, 100.0}


@pytest.mark.parametrize(
    ("length", "possible"),
    # A point k/6 along stays when farther than 8 m from both ends: 16 m has none (its middle is 8 m from both),
    # 16.2 m only the middle (8.1), 30 m the inner three (10, 15, 20), 50 m all (8.33 ...). 5 m has none by rule.
    [(5.0, 0), (16.0, 0), (16.2, 1), (30.0, 3), (50.0, 5), (1000.0, 5)],
)
def test_how_many_points_may_lie_between(length, possible):
    leg = route_of(Milestone(at(0, 0), (), 0.0, 90.0, length), Milestone(at(length, 0), (HOTEL,), 90.0, None, 0.0))
    counts = [len(rail(leg, str(k)).steps) - 2 for k in range(400)]
    assert max(counts) == possible
    # Each is kept with probability 1/2: the mean is half of them, within 4 standard errors.
    assert abs(sum(counts) / 400 - possible / 2) <= 4 * math.sqrt(possible / 4 / 400)


def test_a_key_replays_and_another_differs():
    rails = [rail(CORNERS, key) for key in map(str, range(30))]
    assert rails == [rail(CORNERS, key) for key in map(str, range(30))]
    assert len({r.steps for r in rails}) > 20
    assert rail(CORNERS, "0").steps != rail(replace(CORNERS, id="r-1"), "0").steps


def test_the_first_heading_turns_by_45_and_so_does_what_is_seen():
    # Facing east with the bank to the front, it lies to the east: from any heading h it is at 90 - h.
    first = replace(CORNERS.milestones[0], sightings=(Sighting("Old Bank", "front"),))
    route = replace(CORNERS, milestones=(first, *CORNERS.milestones[1:]))
    where = {
        0: "right",
        45: "right front",
        90: "front",
        135: "left front",
        180: "left",
        225: "left behind",
        270: "behind",
        315: "right behind",
    }
    headings = set()
    for key in map(str, range(100)):
        step = rail(route, key).steps[0]
        assert step.sightings == (Sighting("Old Bank", where[step.heading]),)
        headings.add(step.heading)
    assert headings == set(where)


def test_zero_length_legs_and_duplicates_are_one_milestone():
    again = replace(CORNERS.milestones[1], sightings=(Sighting("Kiosk", "behind"), CAFE), arriving=222.0)
    first = replace(CORNERS.milestones[1], leaving=123.0, distance=0.0)
    doubled = replace(CORNERS, milestones=(CORNERS.milestones[0], first, again, *CORNERS.milestones[2:]))
    merged = tidy(doubled)
    assert len(merged) == 4
    # Arrived at as the first, left as the last; both landmarks, the Cafe once.
    assert (merged[1].arriving, merged[1].leaving, merged[1].distance) == (0.0, 90.0, 60.0)
    assert merged[1].sightings == (CAFE, Sighting("Kiosk", "behind"))
    actions = [action(s, "absolute") for s in rail(doubled, "7").steps]
    assert [a for a in actions if a != "forward()"] == [
        "turn_direction(north)",
        "turn_direction(east)",
        "turn_direction(north)",
        "stop()",
    ]
    # Half a metre is the limit.
    near, far = at(0, 120.4), at(0, 120.6)
    for place, count in ((near, 4), (far, 5)):
        moved = replace(again, place=place)
        assert (
            len(tidy(replace(doubled, milestones=(*doubled.milestones[:2], moved, *doubled.milestones[3:])))) == count
        )


def test_a_duplicated_end_keeps_its_landmarks_and_stops():
    end = CORNERS.milestones[-1]
    doubled = replace(CORNERS, milestones=(*CORNERS.milestones[:-1], replace(end, leaving=0.0), end))
    assert tidy(doubled) == CORNERS.milestones
    assert rail(doubled, "0").steps[-1].sightings == (HOTEL,)


@pytest.mark.parametrize("copies", [1, 3])
def test_one_place_is_one_stop(copies):
    only = Milestone(at(0, 0), (HOTEL,), 90.0, None, 0.0)
    steps = rail(route_of(*[replace(only, leaving=0.0)] * (copies - 1), only), "0").steps
    assert [(s.action, s.sentence, s.leaving) for s in steps] == [("stop", 0, None)]


def test_about_face_and_across_north():
    turns = [(350.0, 10.0, "slightly right"), (10.0, 350.0, "slightly left"), (90.0, 270.0, "right")]
    for arriving, leaving, word in turns:
        milestones = (
            CORNERS.milestones[0],
            replace(CORNERS.milestones[1], arriving=arriving, leaving=leaving),
            *CORNERS.milestones[2:],
        )
        steps = rail(replace(CORNERS, milestones=milestones), "0").steps
        assert next(action(s, "relative") for s in steps if s.intersection) == f"turn_direction({word})"


@pytest.mark.parametrize("bad", [None, math.nan, math.inf])
@pytest.mark.parametrize("which", ["arriving", "leaving"])
def test_a_milestone_without_a_heading_is_named(bad, which):
    milestones = list(CORNERS.milestones)
    milestones[2] = replace(milestones[2], **{which: bad})
    with pytest.raises(UsageError, match="route r-0, milestone 2"):
        rail(replace(CORNERS, milestones=tuple(milestones)), "0")
    with pytest.raises(UsageError, match="r-0 has no milestones"):
        tidy(replace(CORNERS, milestones=()))
