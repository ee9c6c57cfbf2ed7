"""What the V-IRL tab shows after each thing that can happen."""

import re
from dataclasses import replace
from html import unescape

import pytest

from app.shared.stopping import Line
from app.shared.window import Seat, Window, same_deal
from app.virl.handlers import AGAIN, BEGIN, END, VIRLHandlers
from app.virl.html import KEYS, pad
from app.virl.presets import PICKED
from app.virl.settings import VIRLSettings
from labkit.envs import game
from labkit.envs.virl.headings import ACTIONS
from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.play import play
from labkit.players.simple import Expert


def words(html: str) -> str:
    """The text of a piece of HTML, in one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def pressed(html: str) -> list[str]:
    """The steps that are looked at."""
    return re.findall(r'data-step="(\d+)" aria-pressed="true"', html)


@pytest.fixture
def table(walkers, record):
    return VIRLHandlers(walkers, Line())


def window(*players, **settings):
    players = players or ("expert",)
    seats = tuple(Seat(players[min(i, len(players) - 1)]) for i in range(3))
    return Window(VIRLSettings(**({"pace": "at once"} | settings)), seats, len(players), session="me")


def after(here, updates):
    """The window with what a handler put into its states."""
    seats = tuple(
        replace(seat, **{name: updates[i, name] for name in ("shown", "step") if (i, name) in updates})
        for i, seat in enumerate(here.seats)
    )
    return replace(here, seats=seats, **{name: updates[name] for name in ("own", "step") if name in updates})


def played(table, here, index=0, one=False):
    """The steps of a run after a press of Play or Step, and the last updates of each part."""
    last = table.press(here, index)
    steps = list(table.one_step(here, index) if one else table.run(here, index))
    for step in steps:
        last = last | step
    return steps, last


# Players


def test_play_walks_to_the_goal_step_by_step(table):
    (loading, *steps), last = played(table, window())
    assert "Loading expert" in words(loading[0, "status"])
    expected = play(VIRLSettings().task, Expert())
    # One showing before the first answer, one after each, and the buttons at the end.
    assert len(steps) == len(expected.positions) + 2
    assert [len(s[0, "shown"].episode.attempts) for s in steps[:3]] == [0, 1, 2]
    assert last[0, "shown"].episode == expected and last[0, "play"]["value"] == "Play"
    assert f"expert ✓ arrived return +{len(expected.positions)}" in words(last[0, "status"])
    assert all(part in last[0, "stage"] for part in ("facing", "lk-goal", "data:image/jpeg"))


def test_two_players_walk_the_same_route_each_on_its_own_map(table):
    here = window("expert", "stubborn")
    for index, ended in enumerate(("✓ arrived", "✗ not arrived: attempts used up")):
        steps, last = played(table, here, index)
        assert {name[0] for step in steps for name in step} == {index}
        assert last[index, "shown"].episode.task == here.settings.task and ended in words(last[index, "status"])


def test_a_walk_that_fails_says_where(table):
    _, last = played(table, window("stubborn"))
    episode = last[0, "shown"].episode
    step = len(episode.positions)
    assert episode.status == "exhausted" and last[0, "turns"].count("<article") == 2, "both attempts of the last step"
    assert f"Step {step} of" in words(last[0, "turns"]) and "lk-cross" in last[0, "stage"]
    assert f"expected {episode.position.state['action']}" in words(last[0, "stage"])


def test_step_takes_one_answer_and_play_goes_on_from_there(table):
    here = window()
    for count in (1, 2):
        _, last = played(table, here, one=True)
        here = after(here, last)
        assert len(here.seats[0].episode.attempts) == count and here.seats[0].shown.origin == "live"
        assert last[0, "play"]["value"] == "Play"
    steps, _ = played(table, here)
    first = next(s[0, "shown"] for s in steps if (0, "shown") in s)
    assert len(first.episode.attempts) == 2, "not from the start"


def test_a_new_walk_begins_when_the_old_one_cannot_go_on(table):
    _, last = played(table, window(), one=True)
    others = ({"actions": "relative"}, {"walk": "free"}, {"route": "latticeport-eval-0001"}, {"attempts": 3})
    for other in (window("stubborn"), *(window(**change) for change in others)):
        steps, _ = played(table, after(other, last))
        assert next(s[0, "shown"] for s in steps if (0, "shown") in s).episode.attempts == ()


def test_stop_keeps_the_steps_made_and_play_resumes(table):
    here = window()
    table.press(here, 0)
    steps = table.run(here, 0)
    for _ in range(4):
        step = next(steps)
    halted = table.press(after(here, step), 0)
    assert "stopped by you" in words(halted[0, "status"]) and list(steps) == []
    resumed, _ = played(table, after(here, halted))
    assert next(s[0, "shown"] for s in resumed if (0, "shown") in s).episode == halted[0, "shown"].episode


def test_controls_wait_while_a_player_walks_and_its_seat_follows_it(table):
    here = after(window(), played(table, window())[1])
    waiting = table.press(here, 0)
    assert all(waiting[name]["interactive"] is False for name in table.FROZEN)
    assert table.look(here, 0, 0) == {}, "the seat follows the walk"
    assert table.look(window(), 1, 0) == {}, "nothing to look at"


def test_a_player_that_breaks_is_reported(table):
    _, last = played(table, window("broken"))
    assert "the <b>weights</b> are torn" in words(last[0, "status"]) and "<b>" not in last[0, "status"]
    assert last[0, "play"]["value"] == "Play"


def test_a_text_only_checkpoint_in_the_picture_cell_says_so(walkers, record):
    class TextOnly:
        name = "text only"

        def answer(self, turns):
            raise UsageError("text only reads text only for now; pick a text cell")

    walkers._load = lambda spec, temperature: TextOnly()
    _, last = played(VIRLHandlers(walkers, Line()), window("stubborn", cell="virl-vl"))
    assert "reads text only" in words(last[0, "status"])


# What is looked at


def test_a_click_on_a_step_shows_its_map_views_and_card(table):
    here = after(window(), played(table, window())[1])
    seen = table.look(here, 0, 2)
    count = len(here.seats[0].episode.positions)
    assert pressed(seen[0, "status"]) == ["2"]
    assert words(seen[0, "turns"]).startswith("✓ correct Step 3")
    assert f"Step 3 of {count}, facing" in words(seen[0, "stage"])
    for step in (count, -1, "2", None, {"step": 2}):
        assert table.look(here, 0, step) == {}


def test_other_settings_mark_the_walk_instead_of_erasing_it(table):
    last = played(table, window())[1]
    route = {"route": "latticeport-eval-0001"}
    for change in ({"actions": "relative"}, {"walk": "free"}, {"cell": "virl-vl"}, route):
        laid = table.lay(after(window(**change), last))
        assert "lk-stale" in laid[0, "status"] and "lk-stale" in laid[0, "turns"], change
        assert "Played with another deal or rule" in words(laid[0, "status"])
        assert re.search(r" Step 1( of \d+)?, facing", words(laid[0, "stage"])), "the new way is on the map"
    changed = table.lay(after(window(temperature=0.5), last))
    assert "another temperature" in words(changed[0, "status"])
    assert "lk-stale" not in table.lay(after(window(), last))[0, "status"]


def test_a_recorded_walk_is_there_before_anything_is_played(table, record):
    record("\n".join(play(VIRLSettings(actions=rule).task, Expert()).to_json() for rule in ACTIONS), "virl-l")
    shown = table.lay(window())
    assert "recorded expert ✓ arrived" in words(shown[0, "status"]) and shown[0, "turns"].count("<article") == 1
    flipped = table.lay(after(window(actions="relative"), shown))
    assert "recorded" in words(flipped[0, "status"]) and "lk-stale" not in flipped[0, "status"]
    elsewhere = table.lay(after(window(route="latticeport-eval-0001"), shown))
    assert elsewhere[0, "shown"] is None and "Nothing recorded for this walk" in words(elsewhere[0, "turns"])


def test_the_paper_in_one_route_seats_three_players_under_the_changed_rule(table):
    picked = table.pick(window())
    assert picked["count"] == 3 and all(picked[i, "place"]["visible"] for i in range(3))
    assert (picked["actions"], picked["route"]["value"]) == ("relative", PICKED.route)


def test_another_city_brings_its_routes(table):
    moved = table.move(window(city="oldwick"))
    names = [value for _, value in moved["route"]["choices"]]
    assert len(names) == 20 and all(name.startswith("oldwick-eval-") for name in names)
    assert moved["route"]["value"] == names[0]
    assert "City must be one of" in words(table.move(window(city="atlantis"))["note"])


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"attempts": None}, "Attempts is empty; give a whole number from 1 to 10"),
        ({"attempts": 20}, "Attempts must be a whole number from 1 to 10, not 20"),
        ({"temperature": -1}, "Temperature must be a number from 0 to 2, not -1"),
        ({"route": "<img>"}, "no route '<img>'"),
        ({"actions": "sideways"}, "Rule for turns must be one of absolute, relative"),
        ({"cell": "gp-l"}, "Observations must be one of virl-l, virl-vl"),
        ({"rail": ""}, "Rail must have 1 to 40 characters"),
        ({"rail": "x" * 41}, "Rail must have 1 to 40 characters"),
        ({"route": "latticeport-train-0000"}, "no route 'latticeport-train-0000'"),
    ],
)
def test_an_invalid_field_is_said_and_the_rest_stays(table, settings, said):
    here = window(**settings)
    for shown in (table.lay(here), table.press(here, 0), table.link(here)):
        assert said in words(shown["note"]) and "<img" not in shown["note"]
    assert (0, "turns") not in table.press(here, 0) and list(table.run(here, 0)) == []


def test_a_wrong_number_of_attempts_does_not_keep_the_map_from_the_screen(table):
    assert "facing" in words(table.lay(window(attempts=20))[0, "stage"])


def test_a_link_lays_its_walk_and_only_the_one_to_this_tab(table):
    asked = {"tab": "virl", "route": "oldwick-eval-0002", "actions": "relative", "players": "gone"}
    opened = table.open(asked)
    assert (opened["city"], opened["actions"]) == ("oldwick", "relative")
    assert opened["route"]["value"] == "oldwick-eval-0002"
    assert "does not have every player of the link (gone)" in words(opened["notice"])
    cards = table.open({"tab": "gp", "actions": "relative", "attempts": "5", "players": "gone"})
    assert (cards["actions"], cards["attempts"], cards["notice"]) == ("absolute", 2, "")


def test_a_link_to_an_evaluated_route_lays_it_on_its_rail_and_another_route_has_the_usual_one(table):
    task = next(game("virl-l").tasks("rule-ood", "test", seed=1, first=3))
    name = task.deal["route"]["id"]
    opened = table.open({"tab": "virl", "route": name, "actions": "relative", "rail": task.deal["key"]})
    assert opened["notice"] == "" and opened["route"]["value"] == name
    assert name in [value for _, value in opened["route"]["choices"]] and len(opened["route"]["choices"]) == 21
    assert opened["rail"] == {"value": "test/1/3", "visible": True, "__type__": "update"}
    here = window(route=name, actions="relative", rail="test/1/3")
    assert same_deal(here.settings.task, task)
    other = table.take(replace(here, settings=replace(here.settings, route="latticeport-eval-0000")))
    assert other["rail"] == {"value": "0", "visible": False, "__type__": "update"}
    assert table.move(replace(here, settings=replace(here.settings, city="oldwick")))["rail"]["value"] == "0"


# The person


def test_a_person_walks_by_the_verifier_that_the_player_meets(table):
    here = window()
    begun = table.walk_yourself(here)
    assert 'data-action="turn_direction(northwest)"' in begun["pad"] and begun["own walk"] == END
    assert "lk-plan" not in begun["own stage"], "the plan would tell the way"
    assert begun["players"]["visible"] is False, "and so would the players' maps"
    here = after(here, begun)
    right = here.own.position.state["action"]
    wrong = table.act(here, "stop()")
    here = after(here, wrong)
    [attempt] = here.own.attempts
    assert attempt.verdict.category == "wrong_action" and attempt.fields["current observation"]
    assert f"{attempt.verdict.feedback} 1 of 2 attempts used." in words(wrong["own status"])
    told = words(wrong["own turns"] + wrong["own stage"] + wrong["own status"])
    assert right not in told, "what is right is not told yet"
    here = after(here, table.act(here, right))
    assert len(here.own.positions) == 2
    while not here.own.done:
        last = table.act(here, here.own.position.state["action"])
        here = after(here, last)
    count = len(here.own.positions)
    # Each step +1, and -1 once.
    assert f"You arrived: {count} steps, 1 wrong, return +{count - 1}." in words(last["own status"])
    assert last["own walk"] == AGAIN and last["pad"] == "" and last["players"]["visible"] is True
    assert here.own.player == "you" and "lk-plan" in last["own stage"]
    assert table.act(here, "stop()") == {}, "over"


def test_the_persons_attempts_end(table):
    here = window()
    here = after(here, table.walk_yourself(here))
    for _ in range(2):
        last = table.act(here, "stop()")
        here = after(here, last)
    assert "Your walk ends here: 1 step, 2 wrong, return −3." in words(last["own status"])
    assert last["own turns"].count("<article") == 2 and "expected" in words(last["own turns"])


def test_the_person_looks_back_and_ends_the_walk(table):
    here = window()
    here = after(here, table.walk_yourself(here))
    here = after(here, table.act(here, here.own.position.state["action"]))
    back = table.look_back(here, 0)
    assert back["pad"] == "" and "Step 1" in words(back["own turns"])
    assert table.look_back(here, 7) == {}
    ended = table.walk_yourself(here)
    assert ended["own walk"] == BEGIN and ended["own place"]["visible"] is False
    assert ended["players"]["visible"] is True


def test_another_rule_begins_another_walk_of_the_person(table):
    here = window()
    here = after(here, table.walk_yourself(here))
    other = replace(here, settings=replace(here.settings, actions="relative"))
    laid = table.lay(other)
    assert laid["own walk"] == BEGIN and laid["own place"]["visible"] is False
    assert table.act(other, "forward()") == {}
    begun = table.walk_yourself(other)
    assert begun["own"].attempts == () and 'data-action="turn_direction(slightly left)"' in begun["pad"]


def test_what_is_posted_instead_of_an_action_does_nothing_or_is_judged(table):
    here = window()
    here = after(here, table.walk_yourself(here))
    assert table.act(here, None) == {} and table.act(here, {"a": 1}) == {}
    judged = table.act(here, "<script>")
    assert "<script" not in judged["own status"] + judged["own turns"] + judged["own stage"]


def test_the_file_holds_the_players_walk_and_the_persons(table):
    here = after(window(), played(table, window())[1])
    here = after(here, table.walk_yourself(here))
    first, second = map(Episode.from_json, table.export(here)["carrier"].splitlines())
    assert (first.player, second.player) == ("expert", "you")
    assert first.success and second.attempts == ()


@pytest.mark.parametrize("actions", ACTIONS)
def test_every_action_has_a_button_and_keys_of_its_own(actions):
    buttons = re.findall(r'data-action="([^"]*)" data-keys="([^"]*)"', pad(actions))
    turns = {f"turn_direction({word})" for word in ACTIONS[actions]}
    assert {action for action, _ in buttons} == {"forward()", "stop()"} | turns
    keys = [key for _, many in buttons for key in many.split()]
    assert len(keys) == len(set(keys)) and not {"j", "k"} & set(keys)
    assert dict(buttons)["forward()"] == "ArrowUp" and dict(buttons)["stop()"] == "s"


def test_letters_lie_around_s_as_the_compass_points_do():
    rows = ("q", "w", "e"), ("a", "s", "d"), ("z", "x", "c")
    around = {key: (x - 1, 1 - y) for y, row in enumerate(rows) for x, key in enumerate(row)}
    steps = {"north": (0, 1), "east": (1, 0), "south": (0, -1), "west": (-1, 0)}
    for word in ACTIONS["absolute"]:
        parts = [step for part, step in steps.items() if word.startswith(part) or word.endswith(part)]
        assert around[KEYS[word][0]] == tuple(map(sum, zip(*parts, strict=True))), word
