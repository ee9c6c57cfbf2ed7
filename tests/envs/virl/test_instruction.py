"""The instruction: its sentences, and that every right action can be read off them."""

from labkit.envs.virl.geometry import COMPASS
from labkit.envs.virl.headings import TURNS
from labkit.envs.virl.instruction import sentences
from labkit.envs.virl.rail import action, rail, tidy
from labkit.envs.virl.records import LatLng, Milestone, Place, Route, Sighting

PLACES = [LatLng(40.0 + k / 1000, -74.0) for k in range(4)]
CAFE, BANK, HOTEL = Sighting("Cafe Luna", "left"), Sighting("Old Bank", "behind"), Sighting("Hotel", "right front")
ROUTE = Route(
    "r-0",
    "somewhere",
    Place("Start", PLACES[0]),
    Place("Hotel", PLACES[3]),
    (
        Milestone(PLACES[0], (), 350.0, 10.0, 100.0),
        Milestone(PLACES[1], (), 10.0, 300.0, 100.0),
        Milestone(PLACES[2], (CAFE, BANK), 300.0, 120.0, 100.0),
        Milestone(PLACES[3], (HOTEL,), 120.0, None, 0.0),
    ),
)


def test_two_sentences_for_each_turning_point():
    # 350 -> 10 is 20 to the right; 10 -> 300 is 70 to the left; 300 -> 120 is about-face, which is right.
    assert sentences(ROUTE.milestones) == (
        "Turn slightly right to face north.",
        "Move forward until the next intersection.",
        "Turn left to face northwest.",
        "Move forward until the next intersection, where Cafe Luna is on your left and Old Bank is behind you.",
        "Turn right to face southeast.",
        "Move forward until the destination, where Hotel is ahead on your right.",
    )


def test_one_milestone_says_to_stop():
    assert sentences(ROUTE.milestones[3:]) == ("Stop: this is the destination, where Hotel is ahead on your right.",)


def test_either_action_space_can_be_answered_by_reading():
    for key in map(str, range(100)):
        walk = rail(ROUTE, key)
        said = sentences(walk.milestones)
        assert len(said) == 6
        for step in walk.steps:
            text = said[step.sentence]
            if step.action == "turn_direction":
                absolute, relative = (action(step, rule)[15:-1] for rule in ("absolute", "relative"))
                assert text == f"Turn {relative} to face {absolute}."
                assert relative in TURNS and absolute in COMPASS
            else:
                assert text.startswith("Move forward until")
                assert ("destination" in text) == (step.sentence == 5)


def test_names_are_kept_as_they_are():
    for name in ('The "Crown"', "}{name}{relation}", "مقهى القمر", "☕🍰", "St. Mark's, No. 5"):
        milestones = (
            *ROUTE.milestones[:3],
            tidy(ROUTE)[3].__class__(PLACES[3], (Sighting(name, "left"),), 1.0, None, 0.0),
        )
        assert sentences(milestones)[-1] == f"Move forward until the destination, where {name} is on your left."


def test_templates_of_ones_own():
    said = sentences(ROUTE.milestones, {"turn": "{compass}!", "left": "links", "where": " ({landmarks})"})
    assert said[2] == "northwest!"
    assert said[3] == "Move forward until the next intersection (Cafe Luna is links and Old Bank is behind you)."
