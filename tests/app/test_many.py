"""Many deals: what the panel shows while the players at the table play the same deals."""

import json
import re
from dataclasses import replace
from html import unescape
from urllib.parse import parse_qsl

import pytest

from app import link
from app.general_points.handlers import GeneralPointsHandlers
from app.general_points.settings import GeneralPointsSettings
from app.panels.many.handlers import ManyFields, ManyHandlers
from app.panels.many.series import Series
from app.shared.catalogue import Catalogue
from app.shared.stopping import Line
from app.shared.window import Seat
from app.virl.handlers import VIRLHandlers
from app.virl.settings import VIRLSettings
from labkit.envs import game, start
from labkit.episode import Episode
from labkit.players.base import Answer
from labkit.players.registry import PlayerInfo
from labkit.players.simple import Expert
from tests.app.general_points_window import cards_in, window, words


class Solver:
    """Solves every deal but those of some places in the stream, which it never solves."""

    def __init__(self, name, fails=()):
        self.name, self.fails, self.asked = name, fails, 0

    def answer(self, turns):
        self.asked += 1
        right = Expert().answer(turns)
        return [Answer("no") if t.episode.task.index in self.fails else a for t, a in zip(turns, right, strict=True)]


class Broken:
    name = "broken"

    def answer(self, turns):
        raise RuntimeError("the <b>weights</b> are torn")


@pytest.fixture
def players():
    # Of ten deals: good fails none, bad fails 0 to 5, and ill fails 0 and 9.
    return {
        "good": Solver("good"),
        "bad": Solver("bad", range(6)),
        "ill": Solver("ill", (0, 9)),
        "broken": Broken(),
    }


@pytest.fixture
def catalogue(players):
    infos = [PlayerInfo(name, "script", f"what {name} is") for name in players]
    return Catalogue(infos, lambda spec, temperature: players[spec])


@pytest.fixture
def many(catalogue):
    return ManyHandlers(GeneralPointsHandlers(catalogue, Line()))


def at_table(*players, **settings):
    return window(*players, **{"temperature": 0.0, "attempts": 2} | settings)


def pressed(panel, here, **fields):
    """What a press of Play returns, and every step of the run."""
    chosen = ManyFields(**{"many": 10} | fields)
    first = panel.press(here, chosen, None, None)
    return first, list(panel.run(here, chosen, first.get("series")))


def test_players_play_the_same_held_out_deals_and_each_bar_grows(many):
    first, steps = pressed(many, at_table("good", "bad"))
    assert first["play"]["value"] == "Stop"
    counts = [len(step["series"].of("bad")) for step in steps if "series" in step]
    assert counts == sorted(counts) and set(counts) == set(range(11)), "one episode more at a time"
    series = steps[-1]["series"]
    dealt = game("gp-l").tasks("rule-ood", "test", seed=0, attempts=2)
    for place, task in zip(range(10), dealt, strict=False):
        assert series.of("good")[place].task == series.of("bad")[place].task == task
    assert "20 of 20 episodes ended" in words(steps[-1]["status"]) and steps[-1]["play"]["value"] == "Play"
    assert "about" in words(steps[5]["status"]) and "left" in words(steps[5]["status"])


def test_bars_have_wilsons_interval_and_the_pair_has_mcnemars_exact_test(many):
    _, steps = pressed(many, at_table("good", "bad"))
    shown = words(steps[-1]["board"])
    assert "good 100% 10 of 10" in shown and "bad 40% 4 of 10" in shown
    # Wilson (1927) for 4 of 10: 0.1682 to 0.6873.
    assert "--app-low: 16.8%; --app-high: 68.7%" in steps[-1]["board"]
    # All six deals that differ are lost by the second: 2 / 2**6 = 0.03125.
    assert "bad − good: −60.0 points" in shown and "on 10 deals" in shown
    assert "bad wins 0, loses 6, ties 4; exact McNemar: p = 0.031." in shown


def test_three_players_are_compared_two_by_two(many):
    _, steps = pressed(many, at_table("good", "bad", "ill"))
    shown = words(steps[-1]["board"])
    # ill solves 1 to 5, which bad does not, and loses 9: 2 (1 + 6) / 2**6 = 0.21875.
    assert "ill − bad: +40.0 points" in shown and "ill wins 5, loses 1, ties 4; exact McNemar: p = 0.22." in shown
    assert shown.count("exact McNemar") == 3


def test_only_deals_that_all_have_played_are_listed_and_those_that_differ_come_first(many):
    _, steps = pressed(many, at_table("good", "bad"))
    series = steps[-1]["series"]
    assert series.differing == [0, 1, 2, 3, 4, 5]
    assert "6 deals differ, of 10 that all have played" in words(steps[-1]["deals"])
    assert "The 4 deals that end alike" in words(steps[-1]["deals"])
    title = " ".join(rank for rank, _ in series.tasks[0].deal["cards"])
    assert words(steps[-1]["deals"]).index(title) < words(steps[-1]["deals"]).index("end alike")


def test_a_click_opens_a_deal_with_everybodys_turn_cards(many):
    here = at_table("good", "bad")
    series = pressed(many, here)[1][-1]["series"]
    opened = many.open("3", here, ManyFields(), series)
    assert opened["opened"] == 3
    # One answer of good, two of bad.
    assert cards_in(opened["deal"]) == 3 and opened["deal"].count('app-side"') == 2
    assert 'data-pick="2"' in opened["deal"] and 'data-pick="4"' in opened["deal"], "the deals before and after"
    assert many.open("close", here, ManyFields(), series)["deal"] == ""


def test_an_opened_deal_has_a_link_that_puts_it_on_the_table(many):
    here = at_table("good", "bad")
    series = pressed(many, here)[1][-1]["series"]
    [(query, said)] = re.findall(
        r'<a [^>]*href="([^"]*)"[^>]*>(.*?)</a>', many.open("3", here, ManyFields(), series)["deal"]
    )
    asked = dict(parse_qsl(unescape(query)[1:]))
    chosen, wrong = link.read(asked, GeneralPointsSettings())
    assert said == "Put this deal on the table" and wrong == [] and asked["players"] == "good,bad"
    task = series.tasks[3]
    assert start(chosen.task).position.prompt == start(task).position.prompt and chosen.attempts == 2
    assert chosen.temperature == 0.0


@pytest.mark.parametrize("picked", ["10", "-1", "99999999", "x", None, 3, "1.0", "²"])
def test_a_click_on_no_deal_does_nothing(many, picked):
    here = at_table("good", "bad")
    series = pressed(many, here)[1][-1]["series"]
    assert many.open(picked, here, ManyFields(), series) == {}
    assert many.open(picked, here, ManyFields(), None) == {}


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"many": 101}, "Deals must be a whole number from 1 to 100, not 101"),
        ({"many": 0}, "Deals must be a whole number from 1 to 100, not 0"),
        ({"many": None}, "Deals is empty"),
        ({"split": "<b>"}, "no split '<b>'"),
    ],
)
def test_what_cannot_be_played_is_said_and_nothing_starts(many, players, fields, said):
    first, steps = pressed(many, at_table("good"), **fields)
    assert said in words(first["note"]) and "<b>" not in first["note"]
    assert steps == [] and players["good"].asked == 0


def test_a_temperature_out_of_range_is_refused(many):
    first, steps = pressed(many, at_table("good", temperature=9.0))
    assert "Temperature must be" in words(first["note"]) and steps == []


def test_stop_ends_at_once_and_keeps_the_episodes_that_ended(many):
    here, chosen = at_table("good", "bad"), ManyFields(many=10)
    series = many.press(here, chosen, None, None)["series"]
    steps = many.run(here, chosen, series)
    for _ in range(6):
        step = next(steps)
    halted = many.press(here, chosen, step["series"], None)
    assert halted["play"]["value"] == "Play" and "stopped by you" in words(halted["status"])
    assert halted["series"].ended == 5
    assert list(steps) == [], "nothing is drawn over what Stop has drawn"


def test_an_answer_that_stop_cut_off_is_not_counted(many, players):
    here, chosen = at_table("bad"), ManyFields(many=4)
    series = many.press(here, chosen, None, None)["series"]
    answer = players["bad"].answer

    def cut(turns):
        many.game.line.stop(many.key(here))
        return answer(turns)

    players["bad"].answer = cut
    assert not any("series" in step for step in many.run(here, chosen, series))


def test_a_player_that_breaks_is_said_and_the_others_play_on(many):
    _, steps = pressed(many, at_table("broken", "good"))
    assert "the <b>weights</b> are torn" in words(steps[-1]["board"])
    assert "<b>weights" not in steps[-1]["board"]
    assert len(steps[-1]["series"].of("good")) == 10 and steps[-1]["play"]["value"] == "Play"


def test_a_player_in_two_seats_plays_once(many):
    assert pressed(many, at_table("good", "good"))[1][-1]["series"].players == ("good",)


def test_windows_beyond_the_room_are_told(catalogue):
    many = ManyHandlers(GeneralPointsHandlers(catalogue, Line(most=1)))
    many.press(at_table("good", session="you"), ManyFields(), None, None)
    first, steps = pressed(many, at_table("good"))
    assert "there is no more room" in words(first["note"]) and steps == []


def test_a_link_brings_the_panel_back_and_the_file_holds_the_episodes(many):
    here = at_table("good", "bad", rule="ten")
    written = many.link(here, ManyFields(many=12, split="train"))["carrier"]
    assert "many=12" in written and "split=train" in written and written.endswith("players=good,bad")
    restored = many.restored({"tab": "gp", "many": "12", "split": "train", "play": "1"})
    assert restored == {"many": 12, "split": "train", "note": "", "begun": True}
    assert many.restored({"many": "20"})["begun"] is False
    assert "many" in words(many.restored({"many": "1000"})["note"])
    series = pressed(many, here)[1][-1]["series"]
    lines = many.export(here, ManyFields(), series)["carrier"].splitlines()
    assert [Episode.from_json(line).player for line in lines] == ["good"] * 10 + ["bad"] * 10
    assert json.loads(lines[0])["task"]["rule"]["faces"] == "ten"


def test_a_city_without_a_split_plays_the_routes_on_offer(catalogue):
    many = ManyHandlers(VIRLHandlers(catalogue, Line()))
    here = replace(at_table(), settings=VIRLSettings(city="oldwick", route="oldwick-eval-0001", actions="relative"))
    here = replace(here, seats=(Seat("good"),), count=1)
    series = many.series(here, ManyFields(many=3))
    assert [task.deal["route"]["id"] for task in series.tasks] == [f"oldwick-eval-000{n}" for n in range(3)]
    here = replace(here, settings=VIRLSettings(city="latticeport", actions="relative"))
    [task] = many.series(here, ManyFields(many=1)).tasks
    assert (task.suite, task.split, task.rule["actions"]) == ("rule-ood", "test", "relative")
    assert " → " in many.game.title(task)


def test_a_link_to_a_split_that_the_game_lacks_is_refused(many):
    found = many.restored({"many": "12", "split": "nightly"})
    assert (found["many"], found["split"]) == (12, "test") and "(split)" in words(found["note"])
    assert "(many, split)" in words(many.restored({"many": "1000", "split": "nightly"})["note"])


def test_a_rate_without_an_episode_is_not_zero():
    assert Series((), "test", ("a",), 0.0, 0).rate("a") is None
