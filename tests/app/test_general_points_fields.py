"""The fields of the GeneralPoints tab: rules, hands, pictures, and what is said about invalid values."""

import re
from dataclasses import replace

import pytest

from app.general_points.handlers import GeneralPointsHandlers
from app.general_points.presets import FIRST, PRESETS, SEED, TEMPERATURE
from app.general_points.settings import CUSTOM, GeneralPointsSettings
from app.shared.catalogue import Catalogue
from app.shared.stopping import Line
from labkit.envs import game, prompt
from labkit.envs.general_points.cards import numbers_of
from labkit.envs.general_points.solver import solvable
from labkit.players import Answer
from labkit.players.registry import PlayerInfo
from tests.app.general_points_window import played, window, words

NO_SOLUTION = "This hand has no solution under this rule"
FIRST_HAND = {"cards": FIRST.cards, "rule": FIRST.rule}


@pytest.fixture
def table(catalogue, record):
    return GeneralPointsHandlers(catalogue, Line())


def test_a_link_lays_its_deal(table):
    asked = {"cards": "3,3,8,8", "rule": "custom", "jack": "5", "queen": "5", "king": "5", "target": "21", "tab": "gp"}
    opened = table.open(asked)
    assert (opened["cards"], opened["target"], opened["notice"]) == ("3 3 8 8", 21, "")
    assert opened["rule"] == CUSTOM and opened["jack"]["value"] == 5 and opened["jack"]["visible"]
    assert "J, Q and K each count as 5" in words(opened["hand"])


# The deal


def test_the_keys_say_what_a_card_counts_as(table):
    typed = re.findall(r'data-insert="([^"]*)">([^<]*)<', table.lay(window(cards="K 3 A 10"))["keys"])
    assert typed[:4] == [("13", "K=13"), ("3", "3"), ("1", "A=1"), ("10", "10")]
    typed = re.findall(r'data-insert="([^"]*)">([^<]*)<', table.lay(window(cards="K 3 A 10", rule="ten"))["keys"])
    assert typed[0] == ("10", "K=10")


INVALID = [
    ({"cards": "3 3 8 X"}, "cards note", "'X' is not a card"),
    ({"cards": "3 3"}, "cards note", "a hand has 3 to 6 cards, not 2"),
    ({"target": None}, "cards note", "Target is empty; give a whole number from 1 to 999"),
    ({"target": 0}, "cards note", "Target must be a whole number from 1 to 999, not 0"),
    ({"target": 1000}, "cards note", "from 1 to 999, not 1000"),
    ({"seed": -1}, "cards note", "Seed must be a whole number from 0 to 2147483647, not -1"),
    ({"attempts": None}, "play note", "Attempts is empty; give a whole number from 1 to 10"),
    ({"attempts": 20}, "play note", "Attempts must be a whole number from 1 to 10, not 20"),
    ({"temperature": 5}, "play note", "Temperature must be a number from 0 to 2, not 5"),
    ({"temperature": float("nan")}, "play note", "Temperature must be a number from 0 to 2, not nan"),
    ({"rule": CUSTOM, "king": 0}, "rule note", "K must be a whole number from 1 to 99, not 0"),
    ({"rule": CUSTOM, "king": None}, "rule note", "K is empty; give a whole number from 1 to 99"),
    ({"rule": CUSTOM, "king": float("inf")}, "rule note", "K must be a whole number from 1 to 99, not inf"),
    ({"rule": "<b>"}, "rule note", "Rule must be one of ten, eleven-twelve-thirteen, custom"),
]


@pytest.mark.parametrize("settings, place, said", INVALID)
def test_an_invalid_field_is_said_beside_it_and_what_was_shown_stays(table, settings, place, said):
    here = window(**settings)
    for shown in (table.lay(here), table.press(here, 0), table.press_all(here)):
        assert said in words(shown[place]) and "<b>" not in shown[place]
    assert (0, "turns") not in table.press(here, 0) and (0, "play") not in table.press(here, 0)
    assert list(table.run(here, 0)) == []


@pytest.mark.parametrize("settings", [{"attempts": 20}, {"temperature": 5}, {"seed": -1}])
def test_an_invalid_field_does_not_keep_the_others_from_working(table, settings):
    here = window(**settings)
    laid = table.lay(replace(here, settings=replace(here.settings, cards="3 3 8 8")))
    assert laid["hand"].count("<svg") == 4 and "A solution" not in words(laid["hand"])
    assert table.preset(here, PRESETS[1])["cards"] == PRESETS[1].cards
    assert "Nothing" in words(table.choose(here, 0)[0, "turns"])
    if "attempts" not in settings:
        assert table.check(replace(here, typed="13+6+2*4"))["own"].attempts


def test_a_field_that_becomes_invalid_while_a_seat_plays_locks_nothing(table):
    here = window()
    table.press(here, 0)
    wrong = replace(here, settings=replace(here.settings, cards="X"))
    last = {}
    for step in table.run(wrong, 0):
        last |= step
    assert "is not a card" in words(last[0, "status"]) and last[0, "play"]["value"] == "Play"
    table.press(here, 0)
    assert table.press(wrong, 0)[0, "play"]["value"] == "Play"
    assert table.freeze("me")["cards"]["interactive"] is True


def test_a_rule_of_ones_own_counts_only_while_it_is_chosen(table):
    assert table.lay(window(rule="ten", king=None))["rule note"] == ""


def test_a_hand_without_a_solution_can_still_be_played(table):
    impossible = window(cards="A A A A")
    assert NO_SOLUTION in words(table.lay(impossible)["hand"])
    assert NO_SOLUTION not in words(table.lay(window())["hand"])
    assert len(table.check(replace(impossible, typed="1+1+1+1"))["own"].attempts) == 1
    assert "Nothing reaches the target" in words(table.show_solution(impossible)["own note"])


def test_new_deal_takes_the_next_seed_and_a_seed_deals_the_same_hand(table):
    first = table.deal_next(window(seed=3), step=1)
    assert first["seed"] == 4 and first["typed"] == ""
    assert table.deal_next(window(seed=4), step=0)["cards"] == first["cards"]
    assert solvable(numbers_of(first["cards"].split(), "eleven-twelve-thirteen"), 24)
    assert "Seed is empty; give a whole number" in words(table.deal_next(window(seed=None), step=1)["cards note"])
    impossible = table.deal_next(window(rule="ten", target=983), step=1)
    assert "no four cards reach 983" in words(impossible["cards note"]) and "cards" not in impossible


def test_a_preset_puts_its_hand_on_the_table_and_leaves_the_attempts(table):
    for preset in PRESETS:
        laid = table.preset(window(target=7, attempts=3, seed=5, temperature=1.5), preset)
        assert (laid["seed"], laid["temperature"]) == (SEED, TEMPERATURE), "those of the players in its note"
        found = (laid["cards"], laid["rule"], laid["target"], laid["attempts"])
        assert found == (preset.cards, preset.rule, 24, 3)
        assert preset.note in words(laid["cards note"])


def test_the_task_is_the_one_in_the_fields():
    task = GeneralPointsSettings(cards="k,3 a 10", rule="ten", target=7, attempts=9).task
    assert task == game("gp-l").task(hand=["K", "3", "A", "10"], faces="ten", target=7, attempts=9)


# Cards in a picture


class Looks:
    """Keeps the sizes of the pictures that it is sent; reads 64 pixels."""

    name, picture = "looks", {"size": 64}

    def __init__(self):
        self.sizes = []

    def answer(self, turns):
        for turn in turns:
            [message] = prompt(turn.episode)
            self.sizes.append(game("gp-vl").draw(message.picture).size)
        return [Answer(game("gp-vl").expert(turn.episode)) for turn in turns]


@pytest.fixture
def looking(record):
    looks = Looks()
    infos = [PlayerInfo("looks", "checkpoint", "sees"), PlayerInfo("expert", "expert", "right")]
    return GeneralPointsHandlers(Catalogue(infos, lambda spec, temperature: looks), Line()), looks


def test_the_picture_is_drawn_as_large_as_the_player_reads_it(looking):
    table, looks = looking
    _, last = played(table, window("looks", cell="gp-vl", suits="red"))
    assert looks.sizes == [(64, 64)]
    episode = last[0, "shown"].episode
    assert episode.success and {suit for _, suit in episode.task.deal["cards"]} == {"H", "D"}
    # 3 x 64 = 192 of the 240 pixels that the view has.
    assert "64 × 64 pixels, as the player sees it" in words(last[0, "turns"]) and 'width="192"' in last[0, "turns"]
    # What was played is what the settings say, whatever the size of its picture.
    assert "Played with another" not in words(last[0, "status"])


def test_words_or_a_picture(table):
    in_words, pictured = window(), window(cell="gp-vl")
    laid = table.lay(in_words)
    assert "<svg" in laid["hand"] and "<img" not in laid["hand"] and laid["suits"]["visible"] is False
    switched = table.switch(pictured)
    assert "<svg" not in switched["hand"] and switched["suits"]["visible"] is True
    assert 'alt="king of spades, 6 of clubs, 2 of spades, 4 of clubs"' in switched["hand"]
    assert "1200 × 1200 pixels, shown smaller" in words(switched["hand"])
    assert switched[0, "player"] == table.catalogue.seated("gp-vl", 3)[0]
    own = table.check(replace(pictured, typed="6*4*(2-1)"))["own"]
    assert own.task.cell == "gp-vl" and own.attempts[0].verdict.evidence["cards_right"]


def test_new_deals_in_a_picture_are_those_of_the_cell(table):
    here = window(cell="gp-vl", suits="red", rule="ten", seed=7)
    dealt = table.deal_next(here, step=0)["cards"]
    assert dealt.split() == [rank for rank, _ in next(game("gp-vl").tasks("id", seed=7, suits="red")).deal["cards"]]
