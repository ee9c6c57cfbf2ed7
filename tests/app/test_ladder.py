"""The checkpoint slider: one deal along the checkpoints of a run."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from app.general_points.handlers import GeneralPointsHandlers
from app.panels.ladder import memory as kept
from app.panels.ladder.handlers import LadderFields, LadderHandlers
from app.panels.ladder.memory import Memory
from app.shared.catalogue import Catalogue
from app.shared.stopping import Line
from labkit.episode import Episode
from labkit.players.base import Answer
from labkit.players.registry import PlayerInfo
from labkit.players.simple import Expert
from tests.app.general_points_window import cards_in, window, words


class Learner:
    """Is right from the attempt of a number on, counted from 0."""

    def __init__(self, name, right_from):
        self.name, self.right_from, self.asked = name, right_from, 0

    def answer(self, turns):
        self.asked += 1
        tried = len(turns[0].episode.position.attempts)
        return Expert().answer(turns) if tried >= self.right_from else [Answer("<b>no</b>")]


def info(name, run, steps, model):
    stage = "rl" if run == "R2" else "sft"
    card = {"run": run, "steps": steps, "config": {"stage": stage, "cell": "gp-l", "model": model}}
    return PlayerInfo(name, "tiny", name, Path(name), card)


@pytest.fixture
def players():
    # The start never solves a deal in two attempts, the middle at the second, the end at the first.
    return {"init": Learner("init", 9), "rl@10": Learner("rl@10", 1), "rl": Learner("rl", 0)}


@pytest.fixture
def ladder(players):
    infos = [info("init", "R1", 40, None), info("rl@10", "R2", 10, "init"), info("rl", "R2", 30, "init")]
    catalogue = Catalogue(infos, lambda spec, temperature: players[spec])
    return LadderHandlers(GeneralPointsHandlers(catalogue, Line()))


def here(**settings):
    return window("rl", **{"attempts": 2, "temperature": 0.0} | settings)


def slid(panel, at, memory=None, table=None, run="R2"):
    """What a slide to a stop shows, and every step of the run that follows."""
    fields, table = LadderFields(run, at), table or here()
    first = panel.slide(table, fields, memory)
    return first, list(panel.run(table, fields, first.get("memory", memory)))


def test_the_stops_are_those_of_the_run_from_its_beginning(ladder):
    assert ladder.choices == [("init → rl@10 → rl", "R2")]


def test_a_slide_plays_the_stop_first_and_then_the_others(ladder):
    first, steps = slid(ladder, 2)
    assert first["play"]["value"] == "Stop"
    spoken = [words(step["status"]) for step in steps if "status" in step]
    assert [re.search(r"(\S+) plays", said)[1] for said in spoken if "plays" in said] == ["rl", "init", "rl@10"]
    last = [step for step in steps if "turns" in step][-1]
    assert cards_in(last["turns"]) == 1, "the cards stay those of the stop that is looked at"
    assert steps[-1]["play"]["value"] == "Play"


def test_an_episode_is_played_once_and_shown_again_at_once(ladder, players):
    first, _ = slid(ladder, 0)
    for at, cards in ((1, 2), (2, 1), (0, 2)):
        shown, steps = slid(ladder, at, first["memory"])
        assert cards_in(shown["turns"]) == cards and steps == []
    assert {name: player.asked for name, player in players.items()} == {"init": 2, "rl@10": 2, "rl": 1}


def test_the_line_tells_solved_deals_and_right_first_answers_of_all_deals_played(ladder, players):
    memory = slid(ladder, 0)[0]["memory"]
    players["rl"].right_from = 1
    _, steps = slid(ladder, 0, memory, here(cards="3 3 8 8", rule="eleven-twelve-thirteen"))
    curve = [words(step["curve"]) for step in steps if "curve" in step][-1]
    assert "of the 2 deals played here" in curve
    # rl: right at once on one deal of two, at the second attempt on the other.
    assert "init 0% solved, 0% first; rl@10 100% solved, 0% first; rl 100% solved, 50% first" in curve


def test_deals_under_another_rule_or_temperature_are_not_counted_together(ladder):
    memory = slid(ladder, 0)[0]["memory"]
    for other in (here(rule="ten"), here(temperature=0.5), here(attempts=1)):
        shown = ladder.redrawn(other, LadderFields("R2", 0), memory)
        assert shown["curve"] == "" and shown["turns"] == ""


def test_stop_keeps_what_was_played_and_ends_the_run(ladder, players):
    fields, table = LadderFields("R2", 0), here()
    memory = ladder.slide(table, fields, None)["memory"]
    steps = ladder.run(table, fields, memory)
    for _ in range(3):
        next(steps)
    halted = ladder.press(table, fields, memory)
    assert halted["play"]["value"] == "Play" and cards_in(halted["turns"]) == 2
    assert list(steps) == [] and players["rl"].asked == 0
    pressed = ladder.press(table, fields, memory)
    assert pressed["play"]["value"] == "Stop", "Play goes on with the checkpoints that have not played"
    list(ladder.run(table, fields, memory))
    assert players["init"].asked == 2 and players["rl"].asked == 1


def test_a_drag_while_a_run_goes_on_moves_the_cards_at_once(ladder):
    table, first = here(), LadderFields("R2", 2)
    memory = ladder.slide(table, first, None)["memory"]
    steps = ladder.run(table, first, memory)
    next(steps), next(steps)
    # Stop 2 is there; the run goes on with stop 0, which is dragged to: a new run begins with it.
    ladder.slide(table, LadderFields("R2", 0), memory)
    assert [step for step in steps if "turns" in step and cards_in(step["turns"]) == 1] == []
    list(ladder.run(table, LadderFields("R2", 0), memory))
    assert cards_in(ladder.redrawn(table, LadderFields("R2", 0), memory)["turns"]) == 2


def test_a_run_or_a_setting_that_is_not_there_is_said(ladder):
    shown, steps = slid(ladder, 0, run="<i>R7</i>")
    assert "There is no run" in words(shown["note"]) and "<i>" not in shown["note"] and steps == []
    shown, steps = slid(ladder, 0, table=here(temperature=7.0))
    assert "Temperature must be" in words(shown["note"]) and steps == []
    assert "Checkpoint must be a whole number from 0 to 99" in words(slid(ladder, -1)[0]["note"])


def test_a_checkpoint_that_breaks_is_said(ladder, players):
    def broken(turns):
        raise RuntimeError("torn <b>weights</b>")

    players["init"].answer = broken
    _, steps = slid(ladder, 0)
    assert "init stopped: RuntimeError: torn <b>weights</b>" in words(steps[-2]["note"])
    assert "<b>" not in steps[-2]["note"] and steps[-1]["play"]["value"] == "Play"


def test_model_text_stays_text(ladder):
    _, steps = slid(ladder, 0)
    assert all("<b>no" not in step.get("turns", "") for step in steps)


def test_a_link_brings_run_and_stop_back_and_the_file_holds_the_episodes(ladder):
    written = ladder.link(here(), LadderFields("R2", 1))["carrier"]
    assert "ladder=R2" in written and "stop=1" in written and "players" not in written
    restored = ladder.restored({"ladder": "R2", "stop": "2", "play": "1"})
    assert restored["ladder"] == "R2" and restored["begun"] is True
    assert (restored["stop"]["maximum"], restored["stop"]["value"]) == (2, 2)
    assert ladder.restored({"ladder": "gone"})["ladder"] == "R2"
    memory = slid(ladder, 0)[0]["memory"]
    lines = ladder.export(here(), LadderFields("R2", 0), memory)["carrier"].splitlines()
    assert [Episode.from_json(line).player for line in lines] == ["init", "rl@10", "rl"]


def test_the_oldest_episodes_give_way(ladder, monkeypatch):
    monkeypatch.setattr(kept, "MOST", 2)
    memory = slid(ladder, 0)[0]["memory"]
    shown = ladder.redrawn(here(), LadderFields("R2", 0), memory)
    assert "not played" in words(shown["stops"]) and shown["stops"].count("solved") == 2


def test_a_machine_without_checkpoints_has_no_run():
    panel = LadderHandlers(GeneralPointsHandlers(Catalogue([]), Line()))
    assert panel.choices == [] and "There is no run" in words(slid(panel, 0, run="")[0]["note"])
    assert Memory().get(None, "x", replace(here().settings).task) is None
