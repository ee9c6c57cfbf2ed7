"""A game without a tab of its own, in the table of games, gets one from the same parts."""

import json
import re
from dataclasses import replace
from html import unescape

import gradio as gr
import pytest

from app import link, main
from app.default.handlers import DefaultHandlers
from app.default.settings import settings_of
from app.shared.stopping import Line
from app.shared.window import Seat, Window
from labkit import envs
from labkit.envs import games
from labkit.envs.general_points.game import GeneralPoints


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


@pytest.fixture
def row(monkeypatch):
    """GeneralPoints' rules under another name, with no view of its own."""
    built_in = games.row_of("gp-l")
    own = games.Row(
        name="toy",
        title="Toy <game>",
        cells={"toy-l": "Toy"},
        game=built_in.game,
        options=built_in.options,
        deal="hand",
    )
    monkeypatch.setattr(games, "_ROWS", [*games._ROWS])
    games.register(own)
    return own


@pytest.fixture
def table(row, catalogue, record):
    return DefaultHandlers(catalogue, Line(), row)


def window(table, *players, **settings):
    return Window(table.SETTINGS(**settings), tuple(map(Seat, (*players, *["expert"] * 3)[:3])), session="me")


def test_it_deals_and_the_next_deal_is_another(table):
    here = window(table)
    first = table.lay(here)
    assert "Cards: " in words(first["hand"]) and first["note"] == ""
    assert words(first["hand"]).count("Cards: ") == 1, "the prompt is the hand, and is not said again"
    following = table.deal_next(here)
    assert following["number"] == 1 and following["hand"] != first["hand"]
    assert "Hand no. must be a whole number" in words(table.deal_next(window(table, number=-1))["note"])


def test_a_player_plays_it_and_a_person_answers_by_hand(table):
    here = window(table, "expert")
    table.press(here, 0)
    shown = [s[0, "shown"] for s in table.run(here, 0) if (0, "shown") in s][-1]
    assert shown.episode.success and shown.episode.task.cell == "toy-l"
    answer = shown.episode.attempts[0].answer
    assert table.check(replace(here, typed=answer))["own"].success
    alone = json.loads(answer)["formula"]
    assert table.check(replace(here, typed=alone))["own"].success, "the field alone will do, as in the terminal"
    assert "Type an answer first" in words(table.check(replace(here, typed=" "))["own note"])
    assert "✗" in table.check(replace(here, typed="<b>no</b>"))["own note"]


def test_a_game_with_a_view_of_its_own_shows_the_prompt_below_it(row, catalogue):
    drawn = replace(row, name="drawn", cells={"drawn": "Drawn"}, view="labkit.views.general_points")
    games.register(drawn)
    table = DefaultHandlers(catalogue, Line(), drawn)
    hand = table.lay(window(table))["hand"]
    assert "<svg" in hand and words(hand).count("What the player is asked") == 1 and "JSON" in words(hand)


def test_several_fields_are_typed_one_a_line(row, catalogue, record):
    class Named(GeneralPoints):
        """A person types the cards besides the formula, as in the picture cell."""

        def __init__(self, cell):
            super().__init__(cell)
            self.typed = ("formula", "cards")

    own = replace(row, name="named", cells={"named": "Named"}, game=Named)
    games.register(own)
    table = DefaultHandlers(catalogue, Line(), own)
    here = window(table)
    answer = json.loads(envs.game("named").expert(envs.start(here.settings.task)))
    lines = f"{answer['formula']}\n\n {' '.join(map(str, answer['cards']))} \n"
    checked = table.check(replace(here, typed=lines))["own"]
    assert checked.success and checked.attempts[0].fields["cards"] == answer["cards"]
    assert "Type formula and cards, one a line" in words(
        table.check(replace(here, typed=answer["formula"]))["own note"]
    )
    assert table.check(replace(here, typed=json.dumps(answer)))["own"].success
    assert "Your turn: formula and cards, one a line, or JSON" in [
        part["props"].get("label", "") for part in main.build(catalogue).config["components"]
    ]


def test_the_games_own_options_are_fields(table):
    changed = table.SETTINGS(**{table.options[0].name: "eleven-twelve-thirteen"}) if table.options else None
    assert changed is not None and changed.task.rule["faces"] == "eleven-twelve-thirteen"
    wrong = table.lay(window(table, **{table.options[0].name: "<nine>"}))
    assert "nine" in words(wrong["note"]) and "<nine>" not in wrong["note"]


def test_attempts_begin_with_the_games_own_number(row):
    class Thrice(GeneralPoints):
        def tasks(self, *place, **settings):
            return (replace(task, attempts=3) for task in super().tasks(*place, **settings))

    own = replace(row, name="thrice", cells={"thrice": "Thrice"}, game=Thrice)
    games.register(own)
    assert settings_of(own)().attempts == 3 and settings_of(own)().task.attempts == 3
    assert settings_of(own)(attempts=7).task.attempts == 7


def test_its_link_brings_the_deal_back(table):
    settings = table.SETTINGS(number=4, suite="rule-ood", seed=2)
    written = link.write(table.TAB, settings, ["expert"])
    assert written == "?tab=toy&seed=2&suite=rule-ood&number=4&players=expert"
    assert table.open({"tab": "toy", "number": "4"})["number"] == 4


def test_every_field_of_its_tab_has_a_value_that_it_offers(row, catalogue):
    class OnlyTrained(GeneralPoints):
        """All its deals may be trained on."""

        splits = ("train",)

    games.register(replace(row, name="trained", cells={"trained": "Trained"}, game=OnlyTrained))
    lists = [block for block in main.build(catalogue).blocks.values() if isinstance(block, gr.Dropdown)]
    assert len(lists) > 40
    for block in lists:
        assert block.value in [value for _, value in block.choices] or not block.choices, block.label


def test_the_page_has_its_tab(row, catalogue):
    page = main.build(catalogue)
    tabs = [c["props"] for c in page.config["components"] if c["type"] == "tabitem"]
    assert ("toy", "Toy <game>") in [(tab["id"], tab["label"]) for tab in tabs]
