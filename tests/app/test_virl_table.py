"""What the V-IRL tab shows after each thing that can happen."""

import re
from dataclasses import replace
from html import unescape

import pytest

from app.record import record as record_tasks
from app.record import walks
from app.state import Shown
from app.virl_panels import KEYS, pad
from app.virl_state import Gaze, Settings, Window
from app.virl_table import AGAIN, BACK, BEGIN, WalkTable
from labkit.envs.virl.headings import ACTIONS
from labkit.episode import Episode
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
    return WalkTable(walkers)


def window(player="expert", **settings):
    return Window(Settings(player=player, pace="at once", **settings))


def after(before: Window, updates) -> Window:
    """The window with what a handler put into its states."""
    return replace(before, **{name: updates[name] for name in ("shown", "own", "gaze") if name in updates})


# The player


def test_play_walks_to_the_goal_step_by_step(table):
    loading, *steps = table.run(window(), "me")
    assert "Loading expert" in words(loading["status"])
    expected = play(Settings().task, Expert())
    # One showing before the first answer, one after each, and the last one with the controls.
    assert len(steps) == len(expected.positions) + 2
    assert [len(s["shown"].episode.attempts) for s in steps[:3]] == [0, 1, 2]
    last = steps[-1]
    assert last["shown"].episode == expected and last["play"]["interactive"] is True
    assert f"expert ✓ arrived return +{len(expected.positions)}" in words(last["status"])
    assert all(part in last["stage"] for part in ("facing", "lk-goal", "data:image/jpeg"))


def test_a_walk_that_fails_says_where(table):
    *_, last = table.run(window("stubborn"), "me")
    episode = last["shown"].episode
    step = len(episode.positions)
    assert episode.status == "exhausted" and "✗ not arrived: attempts used up" in words(last["status"])
    assert last["turns"].count("<article") == 2, "both attempts of the last step"
    assert f"Step {step} of" in words(last["turns"]) and "lk-cross" in last["stage"]
    assert f"expected {episode.position.state['action']}" in words(last["stage"])


def test_step_takes_one_answer_and_play_goes_on_from_there(table):
    here = window()
    for count in (1, 2):
        *_, last = table.one_step(here, "me")
        here = after(here, last)
        assert len(here.shown.episode.attempts) == count and here.shown.origin == "live"
        assert last["play"]["interactive"] is True and last["stop"]["interactive"] is False
    first, *_ = [s["shown"] for s in table.run(here, "me") if "shown" in s]
    assert len(first.episode.attempts) == 2, "not from the start"


def test_a_new_walk_begins_when_the_old_one_cannot_go_on(table):
    *_, last = table.one_step(window(), "me")
    for other in (
        window("stubborn"),
        window(actions="relative"),
        window(walk="free"),
        window(route="latticeport-eval-0001"),
    ):
        first = next(s["shown"] for s in table.run(after(other, last), "me") if "shown" in s)
        assert first.episode.attempts == ()


def test_stop_keeps_the_steps_made_and_play_resumes(table):
    here = window()
    steps = table.run(here, "me")
    for _ in range(4):
        step = next(steps)
    halted = table.halt(after(here, step), "me")
    assert "stopped by you" in words(halted["status"])
    list(steps)
    resumed = next(s["shown"] for s in table.run(after(here, halted), "me") if "shown" in s)
    assert resumed.episode == halted["shown"].episode


def test_controls_wait_while_the_player_walks(table):
    waiting = table.wait(window(), "me")
    assert all(waiting[name]["interactive"] is False for name in WalkTable.FROZEN)
    assert waiting["stop"]["interactive"] is True and waiting["own walk"]["interactive"] is False
    assert table.look(window(), "me", "player", 0) == {}, "the window follows the walk"
    assert table.look(window(), "someone", "player", 0) == {}, "nothing to look at"


def test_a_player_that_breaks_is_reported(table):
    *_, last = table.run(window("broken"), "me")
    assert "the <b>weights</b> are torn" in words(last["trouble"]) and "<b>" not in last["trouble"]
    assert last["play"]["interactive"] is True


def test_a_text_only_checkpoint_in_the_picture_cell_says_so(walkers, record):
    class TextOnly:
        name = "text only"

        def answer(self, turns):
            from labkit.errors import UsageError

            raise UsageError("text only reads text only for now; pick a text cell")

    walkers._load = lambda spec, temperature: TextOnly()
    *_, last = WalkTable(walkers).run(window("stubborn", cell="virl-vl"), "me")
    assert "reads text only" in words(last["trouble"]) and "<details" not in last["trouble"]


# What is looked at


def test_a_click_on_a_step_shows_its_map_views_and_card(table):
    *_, last = table.run(window(), "me")
    here = after(window(), last)
    seen = table.look(here, "me", "player", 2)
    count = len(here.shown.episode.positions)
    assert pressed(seen["status"]) == ["2"]
    assert words(seen["turns"]).startswith("✓ correct Step 3")
    assert f"Step 3 of {count}, facing" in words(seen["stage"])
    for whose, step in (("player", count), ("player", -1), ("you", 0), ("player", "2")):
        assert table.look(here, "me", whose, step) == {}


def test_other_settings_mark_the_walk_instead_of_erasing_it(table):
    *_, last = table.run(window(), "me")
    route = {"route": "latticeport-eval-0001"}
    for change in ({"actions": "relative"}, {"walk": "free"}, {"cell": "virl-vl"}, route):
        laid = table.lay(after(window(**change), last))
        assert "lk-stale" in laid["status"] and "lk-stale" in laid["turns"], change
        assert "Walked on another route or under other rules" in words(laid["status"])
        assert re.search(r" Step 1( of \d+)?, facing", words(laid["stage"])), "the new way is on the map"
    assert "lk-stale" not in table.lay(after(window(), last))["status"]


def test_a_recorded_walk_is_there_before_anything_is_played(table, record):
    record("\n".join(record_tasks(Expert(), walks())), "virl-l")
    opened = table.open({})
    assert opened["player"] == "expert"
    assert "recorded expert ✓ arrived" in words(opened["status"]) and opened["turns"].count("<article") == 1
    flipped = table.lay(replace(window(actions="relative"), shown=opened["shown"]))
    assert "recorded" in words(flipped["status"]) and "lk-stale" not in flipped["status"]
    elsewhere = table.lay(replace(window(route="latticeport-eval-0001"), shown=opened["shown"]))
    assert elsewhere["shown"] is None and "Nothing recorded for this walk" in words(elsewhere["turns"])


def test_another_city_brings_its_routes(table):
    moved = table.move(window(city="oldwick"))
    names = [value for _, value in moved["route"]["choices"]]
    assert len(names) == 20 and all(name.startswith("oldwick-eval-") for name in names)
    assert moved["route"]["value"] == names[0]
    assert "choose one from the list" in words(table.move(window(city="atlantis"))["note"])


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"attempts": None}, "attempts must be a whole number"),
        ({"route": "<img>"}, "no route '<img>'"),
        ({"actions": "sideways"}, "actions is absolute or relative"),
        ({"cell": "gp-l"}, "cell is virl-l or virl-vl"),
    ],
)
def test_what_cannot_be_is_said_and_the_rest_stays(table, settings, said):
    here = window(**settings)
    handled = [handler(here) for handler in (table.lay, table.walk_yourself, table.link)]
    for shown in (*handled, table.wait(here, "me"), *table.run(here, "me")):
        assert said in words(shown["note"]) and "<img" not in shown["note"]
        assert "turns" not in shown


def test_a_link_lays_its_walk_and_only_the_one_to_this_tab(table):
    opened = table.open({"tab": "virl", "route": "oldwick-eval-0002", "rule": "relative", "a": "gone"})
    assert (opened["city"], opened["actions"]) == ("oldwick", "relative")
    assert opened["route"]["value"] == "oldwick-eval-0002"
    assert "Player gone is not on this machine" in words(opened["notice"])
    cards = table.open({"tab": "gp", "rule": "ten", "turns": "5", "a": "gone"})
    assert (cards["actions"], cards["attempts"], cards["notice"]) == ("absolute", 2, "")


# The person


def test_a_person_walks_by_the_verifier_that_the_player_meets(table):
    here = window()
    begun = table.walk_yourself(here)
    assert 'data-action="turn_direction(northwest)"' in begun["pad"] and begun["own walk"]["visible"] is False
    assert "lk-plan" not in begun["stage"], "the plan would tell the way"
    here = after(here, begun)
    right = here.own.position.state["action"]
    wrong = table.act(here, "stop()")
    here = after(here, wrong)
    [attempt] = here.own.attempts
    assert attempt.verdict.category == "wrong_action" and attempt.fields["current observation"]
    assert f"{attempt.verdict.feedback} 1 of 2 attempts used." in words(wrong["status"])
    told = words(wrong["turns"] + wrong["stage"] + wrong["status"])
    assert right not in told, "what is right is not told yet"
    here = after(here, table.act(here, right))
    assert len(here.own.positions) == 2
    while not here.own.done:
        last = table.act(here, here.own.position.state["action"])
        here = after(here, last)
    count = len(here.own.positions)
    # Each step +1, and -1 once.
    assert f"You arrived: {count} steps, 1 wrong, return +{count - 1}." in words(last["status"])
    assert last["own walk"]["value"] == AGAIN and last["own walk"]["visible"] and last["pad"] == ""
    assert here.own.player == "you" and "lk-plan" in last["stage"]
    assert table.act(here, "stop()") == {}, "over"


def test_the_persons_attempts_end(table):
    here = window()
    here = after(here, table.walk_yourself(here))
    for _ in range(2):
        last = table.act(here, "stop()")
        here = after(here, last)
    assert "Your walk ends here: 1 steps, 2 wrong, return −3." in words(last["status"])
    assert last["turns"].count("<article") == 2 and "expected" in words(last["turns"])


def test_looking_elsewhere_and_coming_back(table):
    *_, last = table.run(window(), "me")
    here = after(window(), last)
    assert last["own walk"]["value"] == BEGIN
    here = after(here, table.walk_yourself(here))
    here = after(here, table.act(here, here.own.position.state["action"]))
    away = table.look(here, "me", "player", 0)
    assert away["pad"] == "" and away["own walk"]["value"] == BACK and away["gaze"] == Gaze(False, 0)
    back = table.walk_yourself(after(here, away))
    assert len(back["own"].attempts) == 1 and back["pad"]
    old = table.look(here, "me", "you", 0)
    assert old["pad"] == "" and "Step 1" in words(old["turns"])


def test_another_rule_begins_another_walk_of_the_person(table):
    here = window()
    here = after(here, table.walk_yourself(here))
    here = after(here, table.act(here, "forward()"))
    other = replace(here, settings=Settings(player="expert", actions="relative"))
    laid = table.lay(other)
    assert "lk-stale" in laid["status"] and laid["own walk"]["value"] == BEGIN and laid["pad"] == ""
    assert table.act(other, "forward()") == {}
    begun = table.walk_yourself(other)
    assert begun["own"].attempts == () and 'data-action="turn_direction(slightly left)"' in begun["pad"]


def test_what_is_posted_instead_of_an_action_does_nothing_or_is_judged(table):
    here = window()
    here = after(here, table.walk_yourself(here))
    assert table.act(here, None) == {} and table.act(here, {"a": 1}) == {}
    judged = table.act(here, "<script>")
    assert "<script" not in judged["status"] + judged["turns"] + judged["stage"]


def test_the_file_holds_both_walks(table):
    *_, last = table.run(window(), "me")
    here = after(window(), last)
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


def test_a_shown_walk_of_another_player_is_not_continued(table):
    walked = next(s["shown"] for s in table.run(window(), "me") if "shown" in s)
    renamed = Shown(replace(walked.episode, player="someone"), "live")
    first = next(s["shown"] for s in table.run(replace(window(), shown=renamed), "me") if "shown" in s)
    assert first.episode.player == "expert"
