"""A card asks for the tokens of its answer, and the answer's player computes them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from app.general_points.handlers import GeneralPointsHandlers
from app.general_points.settings import GeneralPointsSettings
from app.shared.catalogue import Catalogue
from app.shared.stopping import Key, Line
from app.shared.tokens import place_of
from app.shared.window import Seat, Shown, Window
from labkit.envs import judge, start
from labkit.play import play
from labkit.players import registry

NAME = "tiny:gp-l/sft"


@pytest.fixture(scope="module")
def window():
    """A model's two wrong attempts at a hand."""
    settings = replace(GeneralPointsSettings(), cards="2 3 J 7", rule="eleven-twelve-thirteen", attempts=2)
    episode = play(settings.task, registry.load(NAME, temperature=0.0))
    return Window(settings, (Seat(NAME, Shown(episode, "live")),), session="s")


@pytest.fixture
def handlers():
    return GeneralPointsHandlers(Catalogue([registry.info(NAME)]), Line())


def test_a_card_gets_its_tokens(handlers, window):
    before = handlers.seat(window, 0, window.seats[0], window.settings.task)[0, "turns"]
    assert len(re.findall('data-ask="0.[01]"', before)) == 2 and "lk-tokens" not in before
    shown = handlers.ask(window, 0, "0.1")
    assert shown.keys() == {(0, "turns")} and "data-ask" not in shown[0, "turns"]
    # A part for each of the answer's tokens, and one for the token that ends it.
    counts = [attempt.sample.tokens for attempt in window.seats[0].episode.attempts]
    parts = shown[0, "turns"].split('<pre class="lk-tokens">')[1:]
    assert [part.partition("</pre>")[0].count("<span") for part in parts] == counts
    assert "instead: " in shown[0, "turns"]


@pytest.mark.parametrize("sent", [None, "", "0", "0.9", "7.0", "-1.0", "0.0.0", "0.x", {"a": 1}])
def test_what_no_card_sends_changes_nothing(handlers, window, sent):
    assert place_of(window.seats[0].episode, sent) is None and handlers.ask(window, 0, sent) == {}


def test_while_a_player_answers_nothing_else_is_asked(handlers, window):
    handlers.line.draw(Key("s", "gp", 0))
    assert handlers.ask(window, 0, "0.0") == {}


def test_two_players_on_one_deal_part_at_a_token(handlers, window):
    shown = window.seats[0].shown
    first = shown.episode.attempts[0].answer
    cut = judge(start(shown.episode.task, "someone"), first[:-10] + "?")
    both = replace(window, seats=(*window.seats, Seat("someone", Shown(cut, "live"))), count=2)
    said = handlers.part(both)["parting"]
    assert said.count("<tr>") == 3 and "Their answers part at attempt 1" in said
    # The model's own token has a probability; a player that is not on offer has none.
    [own, other] = re.findall("<tr><th scope=.row.>.*?</tr>", said)
    assert re.search(r"<td>[01](\.\d+)?</td>", own) and other.endswith("<td></td><td></td></tr>")
    assert "press Play all" in handlers.part(window)["parting"]
    handlers.line.draw(Key("s", "gp", 1))
    assert handlers.part(both) == {}


def test_a_player_without_tokens_says_so(catalogue, window):
    gone = GeneralPointsHandlers(catalogue, Line())
    assert "no player" in gone.ask(window, 0, "0.0")[0, "status"]
    shown = replace(window.seats[0].shown, episode=replace(window.seats[0].episode, player="trap"))
    other = replace(window, seats=(Seat("trap", shown),))
    assert "cannot be computed" in gone.ask(other, 0, "0.0")[0, "status"]
