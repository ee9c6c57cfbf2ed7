"""Free navigation on a street plan small enough to walk on paper, and on the embedded cities."""

import json

import pytest

from labkit.envs import game, judge, start
from labkit.envs.virl import sources
from labkit.envs.virl.authors.export import write_folder
from labkit.envs.virl.city.cities import city
from labkit.envs.virl.city.streets import Streets
from labkit.envs.virl.free import Guide, State, moved_forward, turned
from labkit.envs.virl.geometry import COMPASS
from labkit.envs.virl.rail import metres
from labkit.envs.virl.records import LatLng, Milestone, Place, Point, Route
from labkit.errors import UsageError
from labkit.play import play
from labkit.players.simple import Expert, Random

ORIGIN = LatLng(36.5, -48.0)


def streets(*lines):
    return Streets([[Point(float(x), float(y)) for x, y in line] for line in lines], ORIGIN)


def numbers(net):
    """Points by their whole coordinates."""
    return {(round(p.x), round(p.y)): n for n, p in enumerate(net.points)}


# A cross at (0, 0): arms of 20 m to the north, east, south and west; from (20, 0) another 20 m to the northeast.
CROSS = streets([(0, 0), (0, 20)], [(0, 0), (20, 0)], [(0, 0), (0, -20)], [(0, 0), (-20, 0)], [(20, 0), (34, 14)])


# The network


def test_points_are_at_most_20_metres_apart():
    net = streets([(0, 0), (0, 50)], [(0, 50), (30, 50), (30, 90)])
    # 50 m in three parts; 30 + 40 = 70 m round the corner in four parts of 17.5 m: 2 parts to (30, 55).
    assert set(numbers(net)) == {(0, 0), (0, 17), (0, 33), (0, 50), (18, 50), (30, 55), (30, 72), (30, 90)}
    at = numbers(net)
    assert net.path(at[0, 0], at[30, 90]) == tuple(
        at[p] for p in [(0, 0), (0, 17), (0, 33), (0, 50), (18, 50), (30, 55), (30, 72), (30, 90)]
    )
    assert metres(net.place(at[0, 0]), net.place(at[0, 50])) == pytest.approx(50, abs=1e-6)
    assert net.nearest(net.place(at[18, 50])) == at[18, 50]
    assert [round(b) for b in net.bearings(at[0, 17])] == [180, 0]


def test_far_from_every_street():
    net = streets([(0, 0), (0, 20)])
    # 0.0005 degrees are 56 m, 0.002 are 222 m.
    assert net.nearest(LatLng(36.5005, -48.0)) == 1
    for place in (LatLng(36.502, -48.0), LatLng(-36.5, 48.0)):
        with pytest.raises(UsageError, match="no street within 100 m"):
            net.nearest(place)


def test_streets_that_are_not_joined():
    net = streets([(0, 0), (0, 20)], [(100, 0), (100, 20)])
    with pytest.raises(UsageError, match="no streets join two milestones"):
        net.path(0, 2)


# Actions


@pytest.mark.parametrize(
    ("heading", "actions", "said", "faces"),
    [
        (0, "absolute", "east", 90),
        (0, "absolute", "north", 0),
        (123, "absolute", "west", 270),
        (0, "absolute", "northeast", None),
        (0, "relative", "left", 270),
        (0, "relative", "right", 90),  # 180 is to the right as well, but farther
        (0, "relative", "slightly left", 0),
        (0, "relative", "slightly right", None),
        # Facing 30: north is 30 to the left, east 60 to the right, south 150 to the right, west 120 to the left.
        (30, "relative", "slightly left", 0),
        (30, "relative", "right", 90),
        (30, "relative", "left", 270),
        # Facing 60: 0 is 60 to the left, 270 is 150 to the left; 30 from the middle at 90 against 60.
        (60, "relative", "left", 0),
        (60, "relative", "slightly right", 90),
        # Facing 45: 90 is slightly right, 180 is 135 to the right, 0 is slightly left, 270 is 135 to the left.
        (45, "relative", "right", 180),
        (45, "relative", "left", 270),
        (45, "relative", "slightly left", 0),
    ],
)
def test_a_turn_faces_the_street_nearest_to_the_middle_of_its_sector(heading, actions, said, faces):
    at = numbers(CROSS)[0, 0]
    found = turned(CROSS, State(at, float(heading)), actions, said)
    assert found == (None if faces is None else State(at, float(faces)))


def test_ties_go_to_the_smaller_turn_and_then_clockwise():
    # Streets at bearings 80 and 100 are as near to east; facing north 80 is the smaller turn, facing south 100.
    net = streets([(0, 0), (98.48, 17.36)], [(0, 0), (98.48, -17.36)])
    for heading, expected in ((0, 80), (180, 100), (90, 100)):
        assert round(turned(net, State(0, float(heading)), "absolute", "east").heading) == expected


def test_forward_goes_on_along_the_street_and_no_farther_than_45_degrees_aside():
    at = numbers(CROSS)
    assert moved_forward(CROSS, State(at[0, 0], 0.0)) == State(at[0, 20], 0.0)
    assert moved_forward(CROSS, State(at[0, 20], 0.0)) is None  # a dead end
    assert moved_forward(CROSS, State(at[0, 0], 40.0)).point == at[0, 20]
    assert moved_forward(CROSS, State(at[0, 0], 50.0)).point == at[20, 0]
    # A tie goes clockwise.
    assert moved_forward(CROSS, State(at[0, 0], 45.0)).point == at[20, 0]
    # Bends of exactly 45 degrees are followed, of 90 are not.
    assert moved_forward(CROSS, State(at[20, 0], 90.0)).point == at[34, 14]
    corner = streets([(0, 0), (0, 20)], [(0, 20), (20, 20)])
    assert moved_forward(corner, State(1, 0.0)) is None


# The expert


@pytest.mark.parametrize("actions", ["absolute", "relative"])
def test_the_expert_comes_back_to_the_route_and_keeps_to_it(actions):
    # A block of 40 by 40 m; the route goes round it by the north, although the south is as short.
    ring = streets([(0, 0), (0, 40)], [(0, 40), (40, 40)], [(40, 40), (40, 0)], [(40, 0), (0, 0)], [(0, 40), (0, 100)])
    at = numbers(ring)
    guide = Guide(ring, (at[0, 0], at[0, 40], at[40, 40], at[40, 0]), actions)

    def walk(state):
        way = []
        while guide.action(state).name != "stop":
            action = guide.action(state)
            way.append(action.text)
            state = (
                moved_forward(ring, state) if action.name == "forward" else turned(ring, state, actions, action.word)
            )
        assert state.point == at[40, 0]
        return way

    turn = {"absolute": ("turn_direction(east)", "turn_direction(south)"), "relative": ("turn_direction(right)",) * 2}[
        actions
    ]
    two = ["forward()"] * 2
    assert walk(State(at[0, 0], 0.0)) == [*two, turn[0], *two, turn[1], *two]
    assert guide.count(State(at[0, 0], 0.0)) == 9
    # Gone 20 m too far: turn round, go back to the corner, on along the route. South to east is a turn to the left.
    back = {
        "absolute": ["turn_direction(south)", "forward()", "turn_direction(east)"],
        "relative": ["turn_direction(right)", "forward()", "turn_direction(left)"],
    }[actions]
    assert walk(State(at[0, 60], 0.0)) == [*back, *two, turn[1], *two]
    assert [guide.leg(s) for s in (State(at[0, 0], 0.0), State(at[0, 40], 0.0), State(at[40, 40], 90.0))] == [0, 1, 2]


def test_a_route_to_where_one_stands():
    guide = Guide(CROSS, (0,), "absolute")
    assert guide.action(State(0, 77.0)).text == "stop()" and guide.count(State(0, 77.0)) == 1
    assert guide.leg(State(0, 77.0)) == 0


# Episodes


def free(suite="id", split="test", cell="virl-l", number=0, **settings):
    return game(cell).task_by_id(suite, split, str(number), walk="free", **settings)


def say(action):
    return json.dumps({"action": action})


def test_wrong_actions_are_executed():
    episode = start(free())
    right = episode.position.state["action"]
    wrong = next(
        f"turn_direction({w})"
        for w in COMPASS
        if f"turn_direction({w})" != right and not judge(episode, say(f"turn_direction({w})")).position.attempts
    )
    after = judge(episode, say(wrong))
    assert len(after.positions) == 2 and not after.attempts[0].verdict.success
    assert after.position.state["heading"] != episode.position.state["heading"]
    assert after.position.state["place"] == episode.position.state["place"]
    assert f"A1: {wrong}" in after.position.prompt
    # And the expert finds the way from there.
    assert play(after, Expert()).success


def test_what_cannot_be_carried_out_may_be_answered_again():
    episode = start(free())
    cannot = next(
        f"turn_direction({w})"
        for w in ("north", "northeast", "east", "southeast", "south")
        if judge(episode, say(f"turn_direction({w})")).position.attempts
    )
    for answer in (say(cannot), say("turn_direction(left)"), "what?"):
        once = judge(episode, answer)
        assert len(once.positions) == 1 and not once.done
        assert judge(once, answer).status == "exhausted"


def test_stopping_decides():
    episode = start(free())
    early = judge(episode, say("stop()"))
    assert (early.status, early.success) == ("failed", False)
    assert "premature_stop" in early.attempts[0].tags and early.attempts[0].penalty == 0
    # Near the end, stop() is right wherever one stands.
    end = LatLng(*episode.task.deal["route"]["milestones"][-1]["place"])
    stopped = 0
    while not episode.done:
        state = episode.position.state
        now = judge(episode, say("stop()"))
        near = metres(LatLng(*state["place"]), end) <= 25
        assert now.success == now.attempts[-1].verdict.success == near
        stopped += near
        episode = judge(episode, game("virl-l").expert(episode))
    assert stopped >= 2 and episode.success


def test_going_round_in_circles_ends():
    episode = start(free())
    steps = episode.position.state["steps"]
    turns = [f"turn_direction({w})" for w in COMPASS]
    able = [t for t in turns if not judge(episode, say(t)).position.attempts]
    while not episode.done:
        episode = judge(episode, say(able[len(episode.positions) % 2]))
    assert episode.status == "exhausted" and len(episode.positions) == steps
    assert episode.attempts[-1].penalty == -1 and sum(a.penalty for a in episode.attempts) == -1


def test_the_expert_succeeds_on_the_whole_mini_benchmark():
    routes = sources.routes("visual-ood", "test")
    assert len(routes) == 18
    for actions in ("absolute", "relative"):
        for n, route in enumerate(routes):
            task = game("virl-l").task(route=route, walk="free", actions=actions, key=str(n))
            episode = play(task, Expert())
            assert episode.success and all(a.verdict.success for a in episode.attempts), route.id
            end = LatLng(*episode.position.state["place"])
            assert metres(end, route.milestones[-1].place) <= 25


def test_the_expert_succeeds_in_the_training_city_and_chance_hardly_ever():
    tasks = [task for task, _ in game("virl-l").enumerate_tasks("rule-ood", "test", walk="free")]
    assert all(play(task, Expert()).success for task in tasks)
    assert sum(play(task, Random(), key=(n,)).success for n, task in enumerate(tasks)) <= len(tasks) // 20


def test_pictures_are_of_where_one_stands():
    task = free("visual-ood", cell="virl-vl", picture={"size": 64})
    episode = start(task)
    for _ in range(3):
        recipe, state = episode.position.picture["recipe"], episode.position.state
        assert (recipe["place"], recipe["heading"]) == (state["place"], state["heading"])
        episode = judge(episode, game("virl-vl").expert(episode))


def leg(*places):
    """A route through places given in metres east and north."""
    at = [LatLng(36.5 + y / 111194.9, -48.0 + x / 111194.9 / 0.80386) for x, y in places]
    last = len(at) - 1
    milestones = (Milestone(p, (), 0.0, None if n == last else 0.0, 40.0) for n, p in enumerate(at))
    return Route("a", "b", Place("x", ORIGIN), Place("x", ORIGIN), tuple(milestones))


def junctions(net):
    """Whole coordinates of the points where other than two ways meet, and how many."""
    return {(round(p.x), round(p.y)): len(net.ways(n)) for n, p in enumerate(net.points) if len(net.ways(n)) != 2}


def test_streets_of_a_folder_are_those_of_its_routes():
    net = Streets.of_routes([leg((0, 0), (0, 40), (40, 40)), leg((0, 80), (0, 40))])
    assert junctions(net) == {(0, 0): 1, (0, 40): 3, (40, 40): 1, (0, 80): 1}


def test_routes_along_one_street_share_it_in_either_direction():
    # North along x = 0 for 120 m; back from its middle, 3 m aside; across it at 90 m, where neither turns.
    along = leg((0, 0), (0, 120), (60, 120))
    back = leg((3, 60), (0, 0), (-60, 0))
    across = leg((-60, 90), (60, 90))
    for order in ([along, back], [back, along]):
        net = Streets.of_routes(order)
        assert list(junctions(net).values()) == [1, 1]  # the two free ends, and no junction
        assert len(net.ways(net.nearest(back.milestones[0].place))) == 2
        # Four pieces of 60 m, in 3 parts each; a hair more takes 4.
        assert len(net.points) - 1 in range(12, 17)
    # Crossing without a milestone there is no junction: nothing says that one can turn.
    assert junctions(Streets.of_routes([along, across])) == {
        (0, 0): 1, (60, 120): 1, (-60, 90): 1, (60, 90): 1,
    }  # fmt: skip


def test_streets_side_by_side_stay_apart():
    net = Streets.of_routes([leg((0, 0), (0, 120)), leg((6, 0), (6, 120))])
    assert set(junctions(net)) == {(0, 0), (0, 120), (6, 0), (6, 120)}


def test_a_leg_of_no_length_is_a_point():
    net = Streets.of_routes([leg((0, 0), (0, 0))])
    assert net.points == (Point(0.0, 0.0),) and net.ways(0) == ()


@pytest.mark.parametrize("actions", ["absolute", "relative"])
def test_the_expert_walks_freely_through_a_folder_of_many_routes(tmp_path, actions):
    """Sixty routes cross and overlap on the same streets."""
    routes = sources.routes("id", "test")[:60]
    write_folder(city("latticeport"), routes, tmp_path)
    for number, route in enumerate(routes):
        task = game("virl-l").task(route=route, walk="free", actions=actions, data=str(tmp_path), key=str(number))
        episode = play(task, Expert())
        assert episode.success and all(a.verdict.success for a in episode.attempts), route.id
