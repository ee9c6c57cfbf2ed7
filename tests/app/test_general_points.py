"""What the GeneralPoints tab shows after each thing that can happen, with every empty and every failing state."""

from dataclasses import replace

import pytest

from app.general_points.handlers import GeneralPointsHandlers
from app.general_points.presets import FIRST
from app.general_points.settings import GeneralPointsSettings
from app.shared.stopping import Line
from app.shared.window import Seat
from labkit.play import play
from labkit.players.simple import Script
from tests.app.general_points_window import after, cards_in, played, window, words

NO_SOLUTION = "This hand has no solution under this rule"
FIRST_HAND = {"cards": FIRST.cards, "rule": FIRST.rule}


@pytest.fixture
def table(catalogue, record):
    return GeneralPointsHandlers(catalogue, Line())


# Seats


def test_play_shows_each_attempt_as_it_is_judged(table):
    steps, last = played(table, window())
    assert "Loading trap" in words(steps[0][0, "status"])
    assert [cards_in(s[0, "turns"]) for s in steps[1:-1]] == [0, 1, 2, 3]
    assert "Attempt 2 …" in words(steps[2][0, "status"])
    shown = last[0, "shown"]
    assert shown.episode.success and shown.origin == "live"
    # -2 for wrong numbers, -1 for a wrong value, +5.
    assert "live trap ✓ solved" in words(last[0, "status"]) and "return +2" in words(last[0, "status"])


def test_controls_wait_while_a_player_answers_and_play_is_stop(table):
    here = window()
    pressed = table.press(here, 0)
    assert all(pressed[name]["interactive"] is False for name in table.FROZEN)
    assert pressed[0, "play"]["value"] == "Stop" and pressed[0, "player"]["interactive"] is False
    *_, last = table.run(here, 0)
    assert last[0, "play"]["value"] == "Play" and last[0, "player"]["interactive"] is True
    freed = table.freeze("me")
    assert all(freed[name]["interactive"] is True for name in table.FROZEN)


def test_three_seats_play_the_same_deal_each_in_its_own_parts(table):
    here = window("trap", "expert", "cut")
    pressed = table.press_all(here)
    assert all(pressed[i, "play"]["value"] == "Stop" for i in range(3)) and pressed["all"]["value"] == "Stop all"
    for index, attempts in enumerate((3, 1, 3)):
        steps = list(table.run(here, index))
        assert {name[0] for step in steps for name in step} == {index}, "a seat touches its own parts only"
        shown = [s[index, "shown"] for s in steps if (index, "shown") in s][-1]
        assert shown.episode.task == here.settings.task and len(shown.episode.attempts) == attempts
        assert table.freeze("me")["count"]["interactive"] is (index == 2), "free when the last one is done"


def test_play_all_stops_all_while_one_plays(table):
    here = window("trap", "trap")
    table.press(here, 1)
    stopped = table.press_all(here)
    assert stopped[1, "play"]["value"] == "Play" and (0, "play") not in stopped
    assert list(table.run(here, 1)) == [], "its run ends before it begins"


def test_a_seat_that_leaves_stops_playing(table):
    here = window("trap", "trap")
    table.press(here, 1)
    left = table.sit(replace(here, count=1))
    assert left[1, "place"]["visible"] is False and left["all"]["visible"] is False
    assert list(table.run(here, 1)) == []


def test_windows_beyond_the_first_wait_and_see_their_place(table, monkeypatch):
    monkeypatch.setattr("app.shared.stopping.AT_ONCE", 1)
    assert "Starting" in words(table.press(window(), 0)[0, "status"])
    assert "number 1 in line" in words(table.press(window(session="you"), 0)[0, "status"])
    assert "number 2 in line" in words(table.press(window(session="they"), 0)[0, "status"])


def test_a_class_of_forty_with_three_seats_each_finds_room_and_one_more_is_told(table):
    for person in range(40):
        here = window("trap", "trap", "trap", session=str(person))
        pressed = table.press_all(here)
        assert all(pressed[i, "play"]["value"] == "Stop" for i in range(3))
    late = table.press(window(session="late"), 0)
    assert "120 players are waiting already" in words(late[0, "status"])
    assert (0, "play") not in late and late["cards"]["interactive"] is True, "nothing is locked"
    assert list(table.run(window(session="late"), 0)) == []
    table.line.leave("0")
    assert table.press(window(session="late"), 0)[0, "play"]["value"] == "Stop"


def test_play_leaves_the_persons_side_alone(table):
    here = window()
    changed = {name for step in (table.press(here, 0), *table.run(here, 0)) for name in step}
    assert changed.isdisjoint({"own", "own note", "own turns", "hint", "check", "typed"})


def test_stop_keeps_the_attempts_made(table):
    here = window()
    table.press(here, 0)
    steps = table.run(here, 0)
    step = [next(steps) for _ in range(3)][-1]
    halted = table.press(after(here, step), 0)
    assert "stopped by you" in words(halted[0, "status"]) and cards_in(halted[0, "turns"]) == 1
    assert halted[0, "play"]["value"] == "Play"
    assert list(steps) == [], "the run ends without drawing over what Stop has drawn"


def test_an_answer_that_stop_cut_off_is_no_attempt(table):
    here = window("cut", temperature=0.5)
    table.press(here, 0)
    steps = table.run(here, 0)
    shown = [next(steps) for _ in range(3)][-1][0, "shown"]
    assert shown.episode.attempts[0].sample.temperature == 0.5 and shown.temperature == 0.5
    halted = table.press(after(here, {(0, "shown"): shown}), 0)
    assert list(steps) == []
    assert halted[0, "shown"].origin == "stopped" and halted[0, "shown"].episode == shown.episode


def test_a_stopped_model_plays_again(table):
    here = window("cut")
    table.press(here, 0)
    steps = table.run(here, 0)
    next(steps), next(steps)
    table.press(here, 0)
    list(steps)
    assert played(table, here)[1][0, "shown"].episode.success


def test_windows_do_not_stop_each_other(table):
    here = window()
    table.press(here, 0)
    mine = table.run(here, 0)
    next(mine), next(mine)
    table.halt(window(session="someone else"), 0)
    assert [s for s in mine if (0, "shown") in s][-1][0, "shown"].episode.success


@pytest.mark.parametrize(
    "change, said",
    [
        ({"rule": "ten"}, "another deal or rule"),
        ({"temperature": 0.5}, "another temperature"),
        ({"attempts": 4}, "another number of attempts"),
        ({"player": "expert"}, "another player"),
        ({"temperature": 0.5, "seed": 3}, "another temperature or seed"),
    ],
)
def test_an_old_episode_is_marked_and_not_erased_when_something_changes(table, change, said):
    here = after(window(), played(table, window())[1])
    player = change.pop("player", None)
    if player:
        here = replace(here, seats=(replace(here.seats[0], player=player), *here.seats[1:]))
        shown = table.choose(here, 0)
    else:
        shown = table.lay(replace(here, settings=replace(here.settings, **change)))
    assert cards_in(shown[0, "turns"]) == 3 and "lk-stale" in shown[0, "turns"]
    assert said in words(shown[0, "status"])
    assert "lk-stale" not in table.lay(after(window(), played(table, window())[1]))[0, "turns"]


def test_a_seed_changes_nothing_for_greedy_answers(table):
    greedy = window(temperature=0.0)
    here = after(greedy, played(table, greedy)[1])
    assert "lk-stale" not in table.lay(replace(here, settings=replace(here.settings, seed=3)))[0, "turns"]


def recording(spec, trap):
    task = GeneralPointsSettings(**FIRST_HAND).task
    return play(task, Script(trap * 2, spec)).to_json()


def test_a_recorded_episode_is_there_before_anything_is_played(table, record, trap):
    record(recording("trap", trap))
    opened = table.open({})
    assert opened[0, "player"] == "trap" or "recorded" not in words(opened[0, "status"])
    here = window(**FIRST_HAND)
    shown = table.lay(here)
    assert "recorded trap" in words(shown[0, "status"]) and cards_in(shown[0, "turns"])
    other = table.choose(after(replace(here, seats=(Seat("expert"),)), shown), 0)
    assert other[0, "shown"] is None, "no one else's episode stands under a player's name"
    rule = "ten" if FIRST.rule != "ten" else "eleven-twelve-thirteen"
    flipped = table.lay(after(window(**FIRST_HAND | {"rule": rule}), shown))
    assert flipped[0, "shown"] is None and "Nothing recorded for this deal" in words(flipped[0, "turns"])


def test_the_file_holds_the_episodes_of_all_seats_and_the_persons(table):
    here = window("trap", "expert")
    for index in (0, 1):
        here = after(here, played(table, here, index)[1])
    here = after(here, table.check(replace(here, typed="13+6+2*4")))
    lines = table.export(here)["carrier"].splitlines()
    assert [line.rpartition('"player":')[2].strip('"}') for line in lines] == ["trap", "expert", "you"]


def test_a_player_that_breaks_is_reported_and_the_app_goes_on(table, caplog):
    _, last = played(table, window("broken"))
    said = words(last[0, "status"])
    assert "RuntimeError: the <b>weights</b> are torn" in said and "choose another player" in said
    assert "<b>" not in last[0, "status"] and last[0, "play"]["value"] == "Play"
    [line] = caplog.messages
    assert line == "Player broken stopped: RuntimeError: the <b>weights</b> are torn", "one line, without a traceback"
    assert played(table, window())[1][0, "shown"].episode.success


def test_a_player_that_does_not_load_leaves_nothing_of_another_under_its_name(table):
    here = after(window(), played(table, window())[1])
    here = replace(here, seats=(replace(here.seats[0], player="gone"), *here.seats[1:]))
    _, last = played(table, here)
    assert last[0, "turns"] == "" and last[0, "shown"] is None
    said = words(last[0, "status"])
    assert "cannot load gone: gone is not there; train it first" in said and "trap" not in said


def test_a_player_that_is_not_offered_is_not_loaded(table):
    _, last = played(table, window("/etc/passwd"))
    assert "choose one from the list" in words(last[0, "status"])


def test_expert_on_a_hand_without_a_solution(table):
    _, last = played(table, window("expert", cards="A A A A"))
    assert "has no solution" in words(last[0, "status"])


def test_a_prompt_that_fills_the_context_is_said(walkers, record):
    from labkit.episode import Sample
    from labkit.players.base import Answer

    class Full:
        name = "full"

        def answer(self, turns):
            return [Answer("", Sample(0, 511, 0.1, 0.0, 0.0, truncated=True))]

    walkers._load = lambda spec, temperature: Full()
    table = GeneralPointsHandlers(walkers, Line())
    _, last = played(table, window("stubborn"))
    assert "The prompt of 511 tokens fills the model's context" in words(last[0, "status"])


# Opening


def test_a_machine_without_checkpoints_says_how_to_get_one(fresh_catalogue, record):
    opened = GeneralPointsHandlers(fresh_catalogue, Line()).open({})
    assert "no checkpoint" in words(opened["notice"]) and "labkit train" in words(opened["notice"])
    assert opened[0, "player"] == "expert" and "not a model" in words(opened[0, "badge"])


def test_a_link_to_a_player_that_is_gone(table, record):
    opened = table.open({"tab": "gp", "players": "sft-<999>,trap"})
    assert "does not have every player of the link (sft-<999>, trap)" in words(opened["notice"])
    assert opened[1, "player"] == "trap" and opened["count"] == 2
