"""The person's side of the GeneralPoints tab."""

from dataclasses import replace

import pytest

from app.general_points.handlers import GeneralPointsHandlers
from app.general_points.presets import FIRST
from app.shared.stopping import Line
from tests.app.general_points_window import cards_in, played, window, words

FIRST_HAND = {"cards": FIRST.cards, "rule": FIRST.rule}


@pytest.fixture
def table(catalogue, record):
    return GeneralPointsHandlers(catalogue, Line())


def person(typed, own=None, **settings):
    return replace(window(**settings), typed=typed, own=own)


def test_a_person_solves_3_3_8_8(table):
    deal = {"cards": "3 3 8 8", "rule": "ten"}
    first = table.check(person("3*3+8+8", **deal))
    # 9 + 16 = 25.
    said = "wrong value, −1: The formula equals 25, not 24. Try again. 1 of 5 attempts used."
    assert said in words(first["own note"])
    assert first["hint"]["visible"] is False
    second = table.check(person("8*8/3-3", first["own"], **deal))
    assert second["hint"]["visible"] is True and cards_in(second["own turns"]) == 2
    assert "One solution: 8/(3-8/3)" in words(table.show_solution(person("", **deal))["own note"])
    third = table.check(person("8/(3-8/3)", second["own"], **deal))
    # -1 -1 +5.
    assert words(third["own note"]) == "✓ Correct: solved in 3 attempts, return +3."
    assert third["check"] == "Start over" and third["own"].player == "you"
    again = table.check(person("8/(3-8/3)", third["own"], **deal))
    assert again["own"] is None and again["check"] == "Check"


def test_the_person_meets_the_verifier_that_the_player_meets(table):
    # For K = 10, as the player's first answer: the same category, reward and sentence.
    own = table.check(person("10+6+2*4"))["own"]
    _, last = played(table, window())
    mine, theirs = (e.attempts[0].verdict for e in (own, last[0, "shown"].episode))
    assert (mine.category, mine.reward, mine.feedback) == (theirs.category, theirs.reward, theirs.feedback)


@pytest.mark.parametrize(
    "formula, said", [("", "Type a formula first"), ("  ", "Type a formula"), ("3+", "cannot be read")]
)
def test_a_formula_that_cannot_be_read_costs_no_attempt(table, formula, said):
    shown = table.check(person(formula))
    assert said in words(shown["own note"]) and "own" not in shown


def test_a_right_side_may_be_typed_and_is_judged(table):
    assert table.check(person("(13-4)*2+6=24"))["own"].success
    assert not table.check(person("(13-4)*2+6=25"))["own"].success


def test_the_persons_attempts_end(table):
    own = None
    for _ in range(2):
        shown = table.check(person("13+6+4+2", own, attempts=2))
        own = shown["own"]
    # 13+6+4+2 = 25, twice -1, and -1 for the attempts used up.
    assert "No attempt is left; return −3." in words(shown["own note"])
    assert shown["check"] == "Start over"


def test_another_rule_starts_the_person_afresh_and_marks_the_old_cards(table):
    own = table.check(person("10+6+2*4"))["own"]
    laid = table.lay(person("10+6+2*4", own, rule="ten"))
    assert "lk-stale" in laid["own turns"] and laid["own note"] == ""
    renewed = table.check(person("10+6+2*4", own, rule="ten"))["own"]
    assert renewed.success and len(renewed.attempts) == 1


def test_everything_typed_is_shown_as_text(table):
    shown = table.lay(window(cards="<img src=x>"))
    assert "<img" not in shown["cards note"] and "is not a card" in words(shown["cards note"])
    assert "<script" not in table.check(person("<script>"))["own note"]
