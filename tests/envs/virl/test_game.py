"""V-IRL from the route to the end of an episode: both cells, both action rules."""

import json
import random
from dataclasses import replace
from itertools import islice

import pytest

from labkit.envs import fork, game, judge, prompt, replay, start
from labkit.envs.virl import sources
from labkit.envs.virl.codec import from_plain, to_plain
from labkit.envs.virl.records import LatLng, Milestone, Place, Point, Route, Sighting, to_latlng
from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.play import play
from labkit.players.simple import Expert, Random

SMALL = {"size": 64}
ORIGIN = LatLng(36.5, -48.0)  # the training city's


def at(x, y):
    return to_latlng(Point(x, y), ORIGIN)


# North for 10 m, then east for 10 m: legs too short for points between, so four steps: turn, turn, turn, stop.
ROUTE = Route(
    "hand-made",
    "latticeport",
    Place("Kiosk", at(0, 0)),
    Place("Hotel", at(10, 20)),
    (
        Milestone(at(0, 0), (), 0.0, 0.0, 10.0),
        Milestone(at(0, 10), (Sighting("Cafe Luna", "left"),), 0.0, 90.0, 10.0),
        Milestone(at(10, 10), (), 90.0, 0.0, 10.0),
        Milestone(at(10, 20), (Sighting("Hotel", "right"),), 0.0, None, 0.0),
    ),
)


def opened(cell="virl-l", route=ROUTE, **settings):
    if cell == "virl-vl":
        settings.setdefault("picture", SMALL)
    return start(game(cell).task(route=route, **settings))


def say(action, observation="", instruction=""):
    return json.dumps({"current observation": observation, "current instruction": instruction, "action": action})


# Walking


def test_a_route_walked_by_hand():
    episode = opened()
    for action in ("north", "east", "north"):
        assert episode.position.state["step"] == len(episode.positions) - 1
        episode = judge(episode, say(f"turn_direction({action})"))
        assert not episode.done
    episode = judge(episode, say("stop()"))
    assert (episode.status, episode.reward, len(episode.positions)) == ("success", 4.0, 4)


def test_a_wrong_action_is_not_executed_and_costs():
    episode = judge(opened(), say("turn_direction(south)", "There is no intersection."))
    assert len(episode.positions) == 1 and not episode.done
    assert [m.role for m in prompt(episode)] == ["user", "assistant", "user"]
    episode = judge(episode, say("turn_direction(north)"))
    assert len(episode.positions) == 2 and episode.reward == -1 + 1
    # At the corner: wrong, and blind to the intersection; then wrong again, which is the end.
    episode = judge(episode, say("forward()", "No landmark."))
    assert episode.attempts[-1].verdict.category == "wrong_observation"
    episode = judge(episode, say("forward()", "Cafe Luna is on your left. There is an intersection."))
    assert (episode.status, episode.attempts[-1].penalty) == ("exhausted", -1.0)
    assert episode.reward == -1 + 1 - 1.5 - 1 - 1
    with pytest.raises(ValueError, match="over"):
        judge(episode, say("forward()"))


def test_a_new_position_is_a_new_dialogue_with_the_history():
    episode = judge(opened(), say("stop()"))
    episode = judge(episode, say("turn_direction(north)"))
    (message,) = prompt(episode)
    assert "O1: No landmark is nearby. There is no intersection.\nA1: turn_direction(north)\n" in message.text
    assert "O2: Cafe Luna is on your left. There is an intersection.\n" in message.text
    # The failed attempt has left no trace.
    assert "stop()" not in message.text.split("So far:")[1]
    assert "A2" not in message.text


def test_the_sections_of_the_prompt_in_their_order():
    for cell in ("virl-l", "virl-vl"):
        text = prompt(opened(cell))[0].text
        starts = ["Walk to", "Instruction:\n1. Turn", "The picture", "Actions: ", "So far:\nO1: ", "Answer in JSON"]
        found = [text.find(s) for s in starts if cell == "virl-vl" or s != "The picture"]
        assert -1 not in found and found == sorted(found)
    assert "The picture" not in prompt(opened())[0].text


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        ("absolute", "north, northeast, east, southeast, south, southwest, west, northwest"),
        ("relative", "left, right, slightly left, slightly right"),
    ],
)
def test_only_the_action_space_changes_with_the_rule(actions, words):
    episode = opened(actions=actions)
    text = prompt(episode)[0].text
    assert f"x one of {words}." in text
    other = prompt(opened(actions="relative" if actions == "absolute" else "absolute"))[0].text
    strip = [line for line in text.splitlines() if not line.startswith("Actions")]
    assert strip == [line for line in other.splitlines() if not line.startswith("Actions")]


def test_the_same_answer_is_judged_under_the_other_rule_too():
    # From north to east is a turn to the right.
    episode = judge(opened(actions="relative"), game("virl-l").expert(opened(actions="relative")))
    kept = judge(episode, say("turn_direction(east)")).attempts[-1]
    assert (kept.verdict.category, kept.other_rule.category) == ("wrong_observation", "correct")
    assert "wrong_action_space" in kept.tags
    assert kept.other_rule.evidence["action_allowed"] and not kept.verdict.evidence["action_allowed"]
    right = judge(episode, say("turn_direction(right)")).attempts[-1]
    assert right.verdict.success and not right.other_rule.success
    # Where going on or stopping is right the rules say the same.
    last = play(episode, Expert()).attempts[-1]
    assert last.verdict.success and last.other_rule is None


def test_repeating_and_ignoring_feedback_are_told():
    episode = judge(opened(attempts=3), say("stop()"))
    attempt = judge(episode, say("STOP ()")).attempts[-1]
    assert {"repeat_of_previous_turn", "ignored_feedback"} <= set(attempt.tags)
    attempt = judge(episode, say("forward()")).attempts[-1]
    assert "repeat_of_previous_turn" not in attempt.tags


def test_the_picture_cell_keeps_the_newest_landmarks_to_itself():
    episode = play_until(opened("virl-vl"), 2)
    text = prompt(episode)[0].text
    assert "Cafe Luna is on your left" not in text.split("So far:")[1]
    assert "O2: Landmarks are in the picture. There is an intersection." in text
    text = prompt(play_until(opened("virl-vl"), 3))[0].text
    assert "O2: Cafe Luna is on your left. There is an intersection." in text
    # What is withheld from the prompt is still what is judged.
    wrong = judge(episode, say("forward()", "No landmark is nearby. There is an intersection.")).attempts[-1]
    assert wrong.verdict.category == "wrong_observation"


def test_every_position_has_its_own_picture():
    episode = play(opened("virl-vl"), Expert())
    hashes = [p.picture["hash"] for p in episode.positions]
    assert len(set(hashes)) == len(hashes) == 4
    recipe = episode.positions[0].picture["recipe"]
    assert game("virl-vl").draw(recipe).size == (64, 64)
    assert set(recipe) == {"city", "place", "heading", "size"}


def play_until(episode, positions):
    while len(episode.positions) < positions:
        episode = judge(episode, game(episode.task.cell).expert(episode))
    return episode


# Records


@pytest.mark.parametrize("cell", ["virl-l", "virl-vl"])
@pytest.mark.parametrize("walk", ["rail", "free"])
def test_an_episode_is_stored_read_and_replayed(cell, walk):
    settings = {"picture": SMALL} if cell == "virl-vl" else {}
    task = next(game(cell).tasks("rule-ood", "dev", seed=3, walk=walk, **settings))
    episode = play(task, Expert())
    again = Episode.from_json(episode.to_json())
    assert again == episode == replay(again)
    half = fork(episode, 0, len(episode.positions) // 2)
    assert play(half, Expert()) == episode


STRANGE = [
    'The "Crown"',
    "}{name}{",
    "O'Neill's\\",
    "مقهى القمر",
    "☕🍰",
    "line\nbreak",
    "{landmarks}",
    " ",
]


@pytest.mark.parametrize("name", STRANGE)
def test_strange_names_are_words_like_others(name):
    milestones = (*ROUTE.milestones[:3], replace(ROUTE.milestones[3], sightings=(Sighting(name, "behind"),)))
    episode = play(opened(route=replace(ROUTE, milestones=milestones)), Expert())
    assert episode.success and name in episode.positions[0].prompt
    assert all(not a.tags for a in episode.attempts) or not name.strip()
    assert Episode.from_json(episode.to_json()) == episode


@pytest.mark.parametrize(
    "answer",
    [
        '{"action": "\\ud83d"}',
        "\ud83d",
        '\0{"action": "\0"}',
        '{"action": [[{}]]}',
        '{"action": "' + "turn_direction(" * 5000,
        "{" * 70_000,
    ],
)
@pytest.mark.parametrize("walk", ["rail", "free"])
def test_a_strange_answer_is_a_verdict_that_can_be_stored(tmp_path, answer, walk):
    task = next(game("virl-l").tasks("id", "dev", walk=walk))
    episode = judge(judge(start(task), answer), answer)
    assert episode.status == "exhausted"
    stored = tmp_path / "episodes.jsonl"
    stored.write_text(episode.to_json() + "\n", encoding="utf-8")
    assert Episode.from_json(stored.read_text(encoding="utf-8")) == episode == replay(episode)


def test_a_route_survives_being_plain():
    assert from_plain(json.loads(json.dumps(to_plain(ROUTE)))) == ROUTE
    for key in ("id", "milestones", "destination"):
        broken = {k: v for k, v in to_plain(ROUTE).items() if k != key}
        with pytest.raises(UsageError, match=key):
            from_plain(broken)
    for wrong in (
        {"place": [1]},
        {"sightings": [["Cafe", "over there"]]},
        {"arriving": "north"},
        {"place": ["nan", 0]},
    ):
        broken = to_plain(ROUTE)
        broken["milestones"][1] |= wrong
        with pytest.raises(UsageError, match="route hand-made"):
            from_plain(broken)


# Streams


@pytest.mark.parametrize("cell", ["virl-l", "virl-vl"])
def test_streams_replay_and_can_begin_anywhere(cell):
    tasks = list(islice(game(cell).tasks("id", "dev", seed=5), 6))
    assert tasks == list(islice(game(cell).tasks("id", "dev", seed=5), 6))
    assert tasks[4:] == list(islice(game(cell).tasks("id", "dev", seed=5, first=4), 2))
    assert [t.deal for t in tasks] != [t.deal for t in islice(game(cell).tasks("id", "dev", seed=6), 6)]
    # The rule-OOD suite asks about the same steps.
    other = list(islice(game(cell).tasks("rule-ood", "dev", seed=5), 6))
    assert [t.deal for t in tasks] == [t.deal for t in other]
    assert {t.rule["actions"] for t in tasks} == {"absolute"} and {t.rule["actions"] for t in other} == {"relative"}


def test_each_route_comes_once_before_any_comes_again():
    mini = sources.routes("visual-ood", "test")
    assert len(mini) == 18 and len({r.city for r in mini}) == 9
    tasks = list(islice(game("virl-vl").tasks("visual-ood", "test"), 36))
    ids = [t.deal["route"]["id"] for t in tasks]
    assert set(ids[:18]) == set(ids[18:]) == {r.id for r in mini}
    # The second time on another rail.
    assert len({t.deal["key"] for t in tasks}) == 36
    assert sum(weight for _, weight in game("virl-vl").enumerate_tasks("visual-ood", "test")) == pytest.approx(1)


def test_the_splits_share_no_route():
    for suite, sizes in (("id", (1000, 200, 200)), ("visual-ood", (0, 162, 18))):
        groups = [
            {r.id for r in sources.routes(suite, split)} if size else set()
            for split, size in zip(("train", "dev", "test"), sizes, strict=True)
        ]
        assert [len(g) for g in groups] == list(sizes)
        assert len(sources.routes(suite, "all")) == sum(sizes) == len(set().union(*groups))
        for split, group in zip(("train", "dev", "test"), groups, strict=True):
            assert all(sources.split_of(suite, route) == split for route in group)
        # Nor the same two landmarks, in either direction.
        joined = [
            {frozenset((r.city, r.start.name, r.destination.name)) for r in sources.routes(suite, split)}
            for split, size in zip(("train", "dev", "test"), sizes, strict=True)
            if size
        ]
        assert len(set().union(*joined)) == sum(map(len, joined))
    with pytest.raises(UsageError, match="its splits are all, dev, test"):
        sources.routes("visual-ood", "train")


def test_unseen_routes_share_no_place_with_any_other():
    unseen = sources.routes("rule-ood", "unseen")
    others = sources.routes("id", "all")
    assert len(unseen) == 200 and not {r.id for r in unseen} & {r.id for r in others}
    places = {m.place for r in others for m in r.milestones}
    turns = {(m.place, m.arriving, m.leaving) for r in unseen for m in r.milestones}
    assert len(turns) > 500 and not {place for place, *_ in turns} & places
    # The nearest place of another route is kilometres away: a degree of latitude is 111 km.
    near = min(abs(a.place.lat - b.place.lat) for a in unseen[0].milestones for r in others[::50] for b in r.milestones)
    assert near * 111 > 5
    assert {sources.split_of("id", r.id) for r in unseen} == {"unseen"}
    # Yet landmarks are named as in the training city: most words of their names occur there.
    words = {word for r in others for m in r.milestones for name, _ in m.sightings for word in name.split()}
    new = {word for r in unseen for m in r.milestones for name, _ in m.sightings for word in name.split()} - words
    assert len(new) < 0.2 * len(words)
    with pytest.raises(UsageError, match="no route in split unseen; its splits are all, dev, test"):
        sources.routes("visual-ood", "unseen")


@pytest.mark.parametrize("cell", ["virl-l", "virl-vl"])
def test_unseen_routes_are_walked_like_others(cell):
    picture = {"picture": SMALL} if cell == "virl-vl" else {}
    task = next(game(cell).tasks("rule-ood", "unseen", seed=1, **picture))
    episode = play(task, Expert())
    assert episode.success and replay(episode) == episode
    free = play(game(cell).task_by_id("id", "unseen", "4", walk="free", **picture), Expert())
    assert free.success


def test_a_route_by_number_or_id():
    by_number = game("virl-l").task_by_id("rule-ood", "dev", "7", seed=2)
    by_id = game("virl-l").task_by_id("rule-ood", "dev", by_number.deal["route"]["id"], seed=2)
    assert by_number == by_id and by_number.rule == {"actions": "relative"}
    for wrong in ("200", "-1", "x", "", "7" * 5000, "٣"):
        with pytest.raises(UsageError, match="0 to 199"):
            game("virl-l").task_by_id("rule-ood", "dev", wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"actions": "up"},
        {"walk": "fly"},
        {"attempts": 0},
        {"attempts": True},
        {"reward": {"right": 1}},
        {"prompts": {"hello": "x"}},
        {"prompts": {"task": 1}},
        {"route": replace(ROUTE, milestones=())},
        {"route": {"id": "x"}},
        {"route": 7},
    ],
    ids=str,
)
def test_a_task_that_cannot_be_is_refused(wrong):
    with pytest.raises(UsageError):
        game("virl-l").task(**{"route": ROUTE, **wrong})


@pytest.mark.parametrize("picture", [{"colour": 1}, {"size": 65}, {"size": 2}, {"size": True}, {"size": "big"}])
def test_a_picture_that_cannot_be_is_refused(picture):
    with pytest.raises(UsageError):
        game("virl-vl").task(route=ROUTE, picture=picture)


def test_suites_that_do_not_exist_are_refused():
    assert game("virl-vl").suites == ("id", "rule-ood", "visual-ood")
    for suite in ("visual-ood", "ood"):
        with pytest.raises(UsageError, match="virl-l has no suite"):
            next(game("virl-l").tasks(suite))
    with pytest.raises(UsageError, match="no split"):
        next(game("virl-l").tasks("id", "held-out"))


# Players


@pytest.mark.parametrize("suite", ["id", "rule-ood"])
def test_the_expert_reaches_every_destination_in_words_and_chance_none(suite):
    episodes = [play(task, Expert()) for task, _ in game("virl-l").enumerate_tasks(suite)]
    assert len(episodes) == 1400 and all(e.success for e in episodes)
    assert not any(a.tags for e in episodes for a in e.attempts)
    assert all(e.positions[-1].state["action"] == "stop()" for e in episodes)
    chance = [play(e.task, Random(), key=(i,)) for i, e in enumerate(episodes)]
    # Even a route of five steps is guessed with two attempts at 10 (or 6) actions about once in 1,000 times.
    assert sum(e.success for e in chance) <= 5


@pytest.mark.parametrize("suite", ["id", "rule-ood", "visual-ood"])
def test_the_expert_reaches_every_destination_in_pictures(suite):
    tasks = [task for task, _ in game("virl-vl").enumerate_tasks(suite, "test", picture=SMALL)][::10]
    assert all(play(task, Expert()).success for task in tasks) and len(tasks) >= 2


def test_chance_is_well_formed_and_seeded():
    episode = opened(actions="relative")
    answers = [game("virl-l").random(episode, random.Random(s)) for s in range(200)]
    assert answers == [game("virl-l").random(episode, random.Random(s)) for s in range(200)]
    said = {json.loads(a)["action"] for a in answers}
    assert said == {
        "forward()",
        "stop()",
        *(f"turn_direction({w})" for w in ("left", "right", "slightly left", "slightly right")),
    }


def test_the_decisive_field_is_found_by_its_offsets():
    text = "Well: " + game("virl-l").expert(opened())
    start_at, end = game("virl-l").decisive_span(text)
    assert text[start_at:end] == "turn_direction(north)"
    assert game("virl-l").decisive_span("no idea") is None
    assert game("virl-l").decisive_field == "action"
