"""The score of a person against the players: counts by hand, real small players, what is hostile."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from app.general_points.handlers import GeneralPointsHandlers
from app.general_points.presets import PLAYERS, PRESETS, SEED, TEMPERATURE
from app.shared.catalogue import Catalogue
from app.shared.score import MOST, Score, Tally, score_html
from app.shared.stopping import Line
from app.shared.window import Seat, Window
from app.virl.handlers import VIRLHandlers
from app.virl.settings import VIRLSettings
from labkit.envs import game, judge, start
from labkit.envs.general_points.cards import numbers_of
from labkit.envs.general_points.solver import solve
from labkit.players import registry
from tests.app.general_points_window import after, played, window, words

RIGHT, WRONG = "(13-4)*2+6", "13+6+2+4"
"""For K 6 2 4 with K = 13: 24, and 25."""


def ended(solved, player="you", hand=("3", "3", "8", "8"), attempts=1):
    formula = "8/(3-8/3)=24" if solved else "3+3+8+8=22"
    answer = f'{{"cards": ["3", "3", "8", "8"], "number": [3, 3, 8, 8], "formula": "{formula}"}}'
    task = game("gp-l").task(hand=list(hand), attempts=attempts)
    return judge(start(task, player), answer)


@pytest.fixture
def table(catalogue, record):
    return GeneralPointsHandlers(catalogue, Line())


def counted(table, here):
    """The window once what is on the table has been counted, and the page's rows of the score."""
    shown = table.count(here)
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', shown["score table"])
    cells = {words(name): [words(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)] for name, row in rows}
    return replace(here, score=shown["score"]), cells, shown


def check(table, here, *formulas):
    for formula in formulas:
        here = after(here, table.check(replace(here, typed=formula)))
    return here


def test_a_deal_counts_once_both_have_finished_it(table):
    here, cells, shown = counted(table, check(table, window("trap", "expert"), RIGHT))
    assert cells == {} and shown["score reset"]["visible"] is False
    _, last = played(table, here, index=0)
    here, cells, shown = counted(table, after(here, last))
    # The player "trap" solves it at its third attempt: deals, you, it, only you, only it.
    assert cells["trap"] == ["1", "1", "1", "0", "0"] and "expert" not in cells
    assert shown["score reset"]["visible"] is True and cells["K 6 2 4"] == ["✓ solved", "✓ solved"]
    _, last = played(table, here, index=1)
    here, cells, _ = counted(table, after(here, last))
    assert cells["expert"] == cells["trap"] == ["1", "1", "1", "0", "0"]
    # A second look at the same table counts nothing twice.
    assert counted(table, here)[1] == cells


def test_an_open_episode_of_the_person_does_not_count(table):
    here = check(table, window("trap"), WRONG)
    _, last = played(table, here)
    here, cells, _ = counted(table, after(here, last))
    assert cells == {}
    here, cells, _ = counted(table, check(table, here, *[WRONG] * 4))
    # Five attempts are spent: the player alone solves it.
    assert cells["trap"] == ["1", "0", "1", "0", "1"]
    # Who starts over and solves it then has still failed it first.
    here = check(table, here, "")
    here, *_ = counted(table, here)
    assert counted(table, check(table, here, RIGHT))[1]["trap"] == ["1", "0", "1", "0", "1"]


def test_reset_begins_anew_and_the_deal_on_the_table_counts_only_when_it_is_played_again(table):
    here = check(table, window("trap"), RIGHT)
    _, last = played(table, here)
    here, *_ = counted(table, after(here, last))
    reset = table.reset_score(here)
    assert reset["score table"] == "" and reset["score reset"]["visible"] is False
    here = replace(here, score=reset["score"])
    here, cells, _ = counted(table, here)
    assert cells == {}
    here, *_ = counted(table, check(table, here, ""))
    assert counted(table, check(table, here, RIGHT))[1]["trap"] == ["1", "1", "1", "0", "0"]


def test_who_solves_which_is_told_apart():
    score = Score()
    ends = [(True, True), (True, False), (True, False), (False, True), (False, False)]
    for number, (mine, its) in enumerate(ends):
        attempts = number + 1  # another number of attempts is another deal
        own, other = (ended(solved, player, attempts=1) for solved, player in ((mine, "you"), (its, "rl")))
        tasks = [replace(episode.task, attempts=attempts) for episode in (own, other)]
        score = score.after(replace(own, task=tasks[0]), [replace(other, task=tasks[1]), None])
    assert score.tallies() == {"rl": Tally(both=1, person=2, player=1, neither=1)}
    assert score.tallies()["rl"].deals == 5


def test_a_player_called_you_and_a_hostile_name_are_players():
    score = Score().after(ended(True), [ended(False, "you"), ended(False, "<script>x</script>")])
    assert score.tallies() == {name: Tally(person=1) for name in ("you", "<script>x</script>")}
    shown = score_html(score, lambda task: "<b>deal</b>")
    assert "<script" not in shown and "<b>deal" not in shown and "&lt;script&gt;" in shown


def test_a_long_session_keeps_the_latest_deals():
    score, own = Score(), ended(True)
    for number in range(MOST + 5):
        score = score.after(replace(own, task=replace(own.task, attempts=number + 1)), [])
    kept = [deal.task.attempts for deal in score.deals.values()]
    assert kept == [*range(6, MOST + 6)]


def test_walks_are_counted_as_well(walkers, record):
    table = VIRLHandlers(walkers, Line())
    here = Window(VIRLSettings(pace="at once"), (Seat("stubborn"), Seat("expert"), Seat("expert")), 2, session="me")
    begun = table.walk_yourself(here)
    here = replace(here, own=begun["own"])
    while not here.own.done:
        here = replace(here, own=table.act(here, here.own.position.state["action"])["own"])
    seats = []
    for index in range(2):
        table.press(here, index)
        *_, last = (step for step in table.run(here, index) if (index, "shown") in step)
        seats.append(replace(here.seats[index], shown=last[index, "shown"]))
    _, cells, _ = counted(table, replace(here, seats=(*seats, here.seats[2])))
    # The one that stops at the first intersection does not arrive.
    assert cells["stubborn"] == ["1", "1", "0", "1", "0"] and cells["expert"] == ["1", "1", "1", "0", "0"]


def test_a_person_against_the_bundled_players(record):
    """A person who solves the first hand and fails the second, against real players whose ends are known."""
    names = [PLAYERS[title] for title in PLAYERS]
    table = GeneralPointsHandlers(Catalogue(map(registry.info, names)), Line())
    hands = [preset for preset in PRESETS if preset.ways[preset.rule]][:2]
    here = window(*names)
    wins = dict.fromkeys(names, 0)
    for number, preset in enumerate(hands):
        chosen = {"cards": preset.cards, "rule": preset.rule, "temperature": TEMPERATURE, "seed": SEED}
        here = replace(window(*names, **chosen), score=here.score)
        numbers = numbers_of(preset.cards.split(), preset.rule)
        formula = next(iter(solve(numbers))) if number == 0 else "*".join(map(str, numbers))
        here = check(table, here, *[formula] * (1 if number == 0 else 5))
        assert here.own.done and here.own.success == (number == 0)
        for index, (title, name) in enumerate(PLAYERS.items()):
            _, last = played(table, here, index)
            here = after(here, last)
            wins[name] += preset.outcomes[title].success
        here, cells, _ = counted(table, here)
    for name in names:
        assert cells[name][:3] == ["2", "1", str(wins[name])]
