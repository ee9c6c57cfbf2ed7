"""The blind duel: two players without names, a guess, a score. No name is told before the guess."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from app.general_points.handlers import GeneralPointsHandlers
from app.panels.duel.handlers import DuelFields, DuelHandlers
from app.panels.duel.round import Round, drawn, sides
from app.shared.catalogue import Catalogue
from app.shared.stopping import Line
from labkit.episode import Episode, Sample
from labkit.play import play
from labkit.players.registry import PlayerInfo
from labkit.players.simple import Expert
from tests.app.general_points_window import cards_in, window, words

NAMES = ("quux/rl", "quux/sft")


class Solver:
    def __init__(self, name):
        self.name, self.broken = name, False

    def answer(self, turns):
        if self.broken:
            raise RuntimeError(f"{self.name} is torn")
        [right] = Expert().answer(turns)
        return [replace(right, sample=Sample(9, 90, 0.1, 0.0, -1.0, truncated=False))]


def info(name, stage, cell="gp-l"):
    card = {"run": f"R-{name}", "steps": 1, "config": {"stage": stage, "cell": cell}}
    return PlayerInfo(name, "tiny", f"what {name} is", Path(name), card)


@pytest.fixture
def players():
    return {name: Solver(name) for name in NAMES}


@pytest.fixture
def duel(players):
    infos = [info("quux/rl", "rl"), info("quux/sft", "sft"), info("quux/elsewhere", "rl", "virl-l")]
    catalogue = Catalogue(infos, lambda spec, temperature: players[spec])
    return DuelHandlers(GeneralPointsHandlers(catalogue, Line()), Random(0))


def here(**settings):
    return window("quux/rl", **{"attempts": 1, "temperature": 0.0} | settings)


def played(panel, number=0, table=None):
    """The first updates of a round, and all that follow."""
    table, fields = table or here(), DuelFields(number)
    first = panel.press(table, fields, None)
    return first, list(panel.run(table, fields, first.get("round")))


def seen(updates):
    """Everything of some updates that reaches the browser: not what a State keeps on the server."""
    return json.dumps({name: value for name, value in updates.items() if name not in ("round", "score")})


def test_both_play_the_same_held_out_deal_and_the_person_may_guess_then(duel):
    first, steps = played(duel)
    assert first["play"]["value"] == "Stop" and first["guess left"]["interactive"] is False
    last = steps[-2]["round"]
    assert last.over and set(last.players) == set(NAMES)
    assert last.episodes[0].task == last.episodes[1].task == last.task and last.task.split == "test"
    assert cards_in(steps[-2]["left"]) == cards_in(steps[-2]["right"]) == 1
    assert "Which of the two was trained with RL?" in words(steps[-2]["note"])
    assert steps[-1]["guess left"]["interactive"] is True and steps[-1]["play"]["value"] == "Play"


def test_no_name_reaches_the_browser_before_the_guess(duel):
    table, fields = here(), DuelFields(3)
    first, steps = played(duel, 3, table)
    series = steps[-2]["round"]
    sent = [seen(first), *map(seen, steps)]
    sent.append(seen(duel.export(table, fields, series)))
    sent.append(seen(duel.link(table, fields)))
    for text in sent:
        assert "quux" not in text and "R-" not in text
    assert "left" in seen(steps[-2]).lower() and duel.link(table, fields)["carrier"].endswith("&duel=3")
    assert [Episode.from_json(line).player for line in duel.export(table, fields, series)["carrier"].splitlines()] == [
        "Left", "Right",
    ]  # fmt: skip


@pytest.mark.parametrize("right", [True, False])
def test_a_guess_tells_the_names_and_counts_once(duel, right):
    table, fields = here(), DuelFields(4)
    ended = played(duel, 4, table)[1][-2]["round"]
    side = ended.trained if right else 1 - ended.trained
    told = duel.guess(table, fields, ended, None, side)
    verdict = words(told["note"])
    assert ("Right:" in verdict) is right and "was quux/rl, trained with RL; the other was quux/sft." in verdict
    assert f"You have been right {int(right)} of 1 time." in verdict
    assert "quux/rl" in words(told[("left", "right")[ended.trained]]) and told["duel"] == 5
    assert duel.guess(table, fields, told["round"], told["score"], side) == {}, "a deal is guessed once"
    assert "quux/sft" in duel.export(table, fields, told["round"])["carrier"]
    again = played(duel, 5, table)[1][-2]["round"]
    score = duel.guess(table, fields, again, told["score"], again.trained)["score"]
    assert (score.right, score.count) == (1 + right, 2)


def test_nobody_guesses_before_both_have_ended(duel):
    table, fields = here(), DuelFields()
    begun = duel.press(table, fields, None)["round"]
    steps = duel.run(table, fields, begun)
    half = [next(steps) for _ in range(3)][-1]["round"]
    for early in (None, begun, half):
        assert duel.guess(table, fields, early, None, 0) == {}


def test_stop_ends_the_round_without_names(duel):
    table, fields = here(), DuelFields()
    begun = duel.press(table, fields, None)["round"]
    steps = duel.run(table, fields, begun)
    next(steps), next(steps)
    halted = duel.press(table, fields, begun)
    assert "Stopped" in words(halted["note"]) and halted["play"]["value"] == "Play"
    assert list(steps) == [] and "quux" not in seen(halted)


def test_a_player_that_breaks_is_not_named(duel, players, caplog):
    players["quux/rl"].broken = True
    first, steps = played(duel)
    assert "could not play this deal" in words(steps[-2]["note"])
    assert all("quux" not in seen(step) for step in (first, *steps))
    assert steps[-1]["guess left"]["interactive"] is False
    assert "quux/rl is torn" in caplog.text, "the console says it"


def test_both_kinds_of_the_cell_are_drawn_and_each_side_comes(duel):
    infos = duel.game.catalogue.infos
    assert sides(infos, "gp-l") == (["quux/rl"], ["quux/sft"])
    rounds = [drawn(here().settings.task, ["r"], ["s"], Random(n)) for n in range(20)]
    assert {found.trained for found in rounds} == {0, 1}
    assert all(found.players[found.trained] == "r" for found in rounds)


def test_a_cell_without_both_kinds_says_so(duel):
    del duel.game.catalogue.infos["quux/sft"]
    first, steps = played(duel)
    assert "needs a checkpoint of this cell that was trained with RL" in words(first["note"]) and steps == []


@pytest.mark.parametrize("number", [-1, 1000, None, 0.5])
def test_a_deal_out_of_bounds_is_refused(duel, number):
    first, steps = played(duel, number)
    assert "Deal no." in words(first["note"]) and steps == []


def test_episodes_of_a_round_go_by_their_side_until_the_guess():
    task = here().settings.task
    begun = Round(task, NAMES, 0).with_episode(0, play(task, Expert()))
    assert begun.shown[0].player == "Left" and replace(begun, guess=1).shown[0].player == "expert"
