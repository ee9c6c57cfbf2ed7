"""What the tab shows after each thing that can happen, with every empty and every failing state."""

import re
from dataclasses import replace
from html import unescape

import pytest

from app.presets import FIRST, PRESETS
from app.record import hands
from app.record import record as record_presets
from app.state import CUSTOM, Settings, Window
from app.table import FROZEN, Table
from labkit.envs import game
from labkit.envs.general_points.cards import numbers_of
from labkit.envs.general_points.solver import solvable, solve
from labkit.players.simple import Script

NO_SOLUTION = "This hand has no solution under this rule"


def words(html: str) -> str:
    """The text of a piece of HTML, in one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def cards_in(html: str) -> int:
    return html.count("<article")


@pytest.fixture
def table(catalogue, record):
    return Table(catalogue)


def window(**settings):
    return Window(Settings(player="trap", **settings))


# The player's side


def test_play_shows_each_attempt_as_it_is_judged(table):
    first, *steps = table.run(window(), "me")
    assert "Loading trap" in words(first["status"])
    assert [cards_in(s["turns"]) for s in steps] == [0, 1, 2, 3, 3]
    assert "Attempt 2 …" in words(steps[1]["status"])
    assert steps[-1]["shown"].episode.success and steps[-1]["shown"].origin == "live"
    # -2 for wrong numbers, -1 for a wrong value, +5.
    assert "live trap ✓ solved" in words(steps[-1]["status"]) and "return +2" in words(steps[-1]["status"])


def test_controls_wait_while_the_player_answers(table):
    pressed = table.wait(window(), "me")
    assert all(pressed[name]["interactive"] is False for name in FROZEN)
    assert pressed["stop"]["interactive"] is True
    *_, last = table.run(window(), "me")
    assert all(last[name]["interactive"] is True for name in FROZEN)
    assert last["stop"]["interactive"] is False


def test_a_window_that_waits_for_another_says_so(table):
    assert "Starting" in words(table.wait(window(), "me")["status"])
    assert "number 2 in line" in words(table.wait(window(), "you")["status"])
    list(table.run(window(), "me"))
    table.halt(window(), "you")
    assert "Starting" in words(table.wait(window(), "someone")["status"])


def test_play_leaves_the_persons_side_alone(table):
    changed = {name for step in (table.wait(window(), "me"), *table.run(window(), "me")) for name in step}
    assert changed.isdisjoint({"own", "own note", "own turns", "hint", "check", "again", "formula"})


def test_stop_keeps_the_attempts_made(table):
    steps = table.run(window(), "me")
    for _ in range(3):
        step = next(steps)
    halted = table.halt(replace(window(), shown=step["shown"]), "me")
    assert "stopped by you" in words(halted["status"]) and cards_in(halted["turns"]) == 1
    rest = list(steps)
    assert rest[-1]["shown"].origin == "stopped", "the run itself ends too"
    assert len(rest[-1]["shown"].episode.attempts) <= 2


def test_an_answer_that_stop_cut_off_is_no_attempt(table):
    model = Window(Settings(player="cut", temperature=0.5))
    steps = table.run(model, "me")
    shown = [next(steps) for _ in range(3)][-1]["shown"]
    assert shown.episode.attempts[0].sample.temperature == 0.5
    table.flags.stop("me")
    last = list(steps)[-1]
    assert last["shown"].origin == "stopped" and last["shown"].episode == shown.episode


def test_a_stopped_model_plays_again(table):
    model = Window(Settings(player="cut"))
    steps = table.run(model, "me")
    next(steps), next(steps)
    table.halt(model, "me")
    list(steps)
    *_, last = table.run(model, "me")
    assert last["shown"].episode.success


def test_windows_do_not_stop_each_other(table):
    mine = table.run(window(), "me")
    next(mine), next(mine)
    table.halt(window(), "someone else")
    assert list(mine)[-1]["shown"].episode.success


def test_another_deal_marks_the_old_episode_instead_of_erasing_it(table):
    *_, played = table.run(window(), "me")
    laid = table.lay(replace(window(rule="ten"), shown=played["shown"]))
    assert cards_in(laid["turns"]) == 3 and "lk-stale" in laid["turns"]
    assert "under another rule" in words(laid["status"])
    again = table.lay(replace(window(), shown=played["shown"]))
    assert "lk-stale" not in again["turns"]


def test_a_recorded_episode_is_there_before_anything_is_played(table, record, trap):
    record("\n".join(record_presets(Script(trap, "sft-400"), hands([FIRST]))))
    opened = table.open({})
    assert "recorded sft-400" in words(opened["status"]) and cards_in(opened["turns"]) == 3
    flipped = table.lay(replace(window(rule="ten"), shown=opened["shown"]))
    assert flipped["shown"] is None and "Nothing recorded for this deal" in words(flipped["turns"])


def test_a_recording_can_be_copied_into_a_file(table, record, trap):
    lines = record_presets(Script(trap, "sft-400"), hands([FIRST]))
    record("\n".join(lines))
    assert table.export(replace(window(), shown=table.open({})["shown"]))["carrier"] == f"{lines[0]}\n"


def test_a_player_that_breaks_is_reported_and_the_app_goes_on(table):
    *_, last = table.run(Window(Settings(player="broken")), "me")
    said = words(last["trouble"])
    assert "RuntimeError: the <b>weights</b> are torn" in said and "choose another player" in said
    assert "<b>" not in last["trouble"] and "<details" in last["trouble"]
    assert last["play"]["interactive"] is True
    *_, after = table.run(window(), "me")
    assert after["shown"].episode.success and after["trouble"] == ""


def test_a_player_that_is_not_there_is_a_sentence_without_a_traceback(table):
    for spec, said in {
        "gone": "gone is not there; train it first",
        "/etc/passwd": "choose one from the list",
    }.items():
        *_, last = table.run(Window(Settings(player=spec)), "me")
        assert said in words(last["trouble"]) and "<details" not in last["trouble"]


def test_expert_on_a_hand_without_a_solution(table):
    *_, last = table.run(Window(Settings(player="expert", cards="A A A A")), "me")
    assert "has no solution" in words(last["trouble"])


# Opening


def test_a_machine_without_checkpoints_says_how_to_get_one(fresh_catalogue, record):
    opened = Table(fresh_catalogue).open({})
    assert "No checkpoint" in words(opened["notice"]) and "labkit train" in words(opened["notice"])
    assert opened["player"] == "expert" and "not a model" in words(opened["badge"])


def test_a_link_to_a_player_that_is_gone(table, record, trap):
    opened = table.open({"a": "sft-<999>"})
    assert words(opened["notice"]) == "⊘ Player sft-<999> is not on this machine; choose another one."
    record("\n".join(record_presets(Script(trap, "sft-400"), hands([FIRST]))))
    opened = table.open({"a": "sft-999"})
    assert "is not on this machine; showing the recorded episode instead" in words(opened["notice"])


def test_a_link_lays_its_deal(table):
    opened = table.open({"cards": "3,3,8,8", "rule": "J=5,Q=5,K=5", "target": "21", "tab": "rules"})
    assert (opened["cards"], opened["target"], opened["notice"]) == ("3 3 8 8", 21, "")
    assert opened["rule"] == CUSTOM and opened["jack"]["value"] == 5 and opened["jack"]["visible"]
    assert opened["tabs"]["selected"] == "rules"
    assert "J, Q and K each count as 5" in words(opened["hand"])


# The deal


def test_the_card_buttons_say_what_a_card_counts_as(table):
    laid = table.lay(window(cards="K 3 A 10"))
    assert [laid[f"key {i}"]["value"] for i in range(4)] == ["K=13", "3", "A=1", "10"]
    assert laid["key 4"]["visible"] is False
    assert table.lay(window(cards="K 3 A 10", rule="ten"))["key 0"]["value"] == "K=10"


@pytest.mark.parametrize(
    "settings, place, said",
    [
        ({"cards": "3 3 8 X"}, "cards note", "'X' is not a card"),
        ({"cards": "3 3"}, "cards note", "a hand has 3 to 6 cards, not 2"),
        ({"target": None}, "cards note", "the target must be a whole number"),
        ({"target": 1000}, "cards note", "from 1 to 999"),
        ({"attempts": None}, "player note", "attempts must be a whole number"),
        ({"rule": CUSTOM, "king": 0}, "rule note", "from 1 to 99"),
        ({"rule": CUSTOM, "king": None}, "rule note", "K must be a whole number"),
        ({"rule": CUSTOM, "king": float("inf")}, "rule note", "K must be a whole number"),
    ],
)
def test_what_cannot_be_is_said_beside_the_field(table, settings, place, said):
    here = window(**settings)
    for shown in (table.lay(here), table.wait(here, "me"), *table.run(here, "me")):
        assert said in words(shown[place])
        assert "turns" not in shown, "what was on the screen stays"


def test_a_hand_without_a_solution_can_still_be_played(table):
    impossible = window(cards="A A A A")
    assert NO_SOLUTION in words(table.lay(impossible)["hand"])
    assert NO_SOLUTION not in words(table.lay(window())["hand"])
    assert len(table.try_formula(replace(impossible, formula="1+1+1+1"))["own"].attempts) == 1
    assert "Nothing reaches the target" in words(table.show_solution(impossible)["own note"])


def test_new_deal_takes_the_next_seed_and_a_seed_deals_the_same_hand(table):
    first = table.deal(window(seed=3), step=1)
    assert first["seed"] == 4 and first["formula"] == ""
    assert table.deal(window(seed=4), step=0)["cards"] == first["cards"]
    assert solvable(numbers_of(first["cards"].split(), "eleven-twelve-thirteen"), 24)
    assert "seed must be a whole number" in words(table.deal(window(seed=None), step=1)["cards note"])
    impossible = table.deal(window(rule="ten", target=983), step=1)
    assert "no four cards reach 983" in words(impossible["cards note"]) and "cards" not in impossible


def test_presets_hold_what_they_promise(table):
    ways = {
        p.label: {
            faces: len(list(solve(numbers_of(p.cards.split(), faces)))) for faces in ("ten", "eleven-twelve-thirteen")
        }
        for p in PRESETS
    }
    assert ways["Easy"]["ten"] > 3
    assert ways["Face cards"]["ten"] and not ways["Face cards"]["eleven-twelve-thirteen"]
    assert ways["Changed rule"]["ten"] and ways["Changed rule"]["eleven-twelve-thirteen"]
    assert not set("JQK") & set({p.label: p.cards for p in PRESETS}["Same under both rules"])
    assert ways["SFT trap"]["ten"] and ways["SFT trap"]["eleven-twelve-thirteen"]
    assert ways["No solution"] == {"ten": 0, "eleven-twelve-thirteen": 0}
    for preset in PRESETS:
        laid = table.preset(window(target=7, attempts=3), preset)
        assert (laid["cards"], laid["rule"], laid["target"], laid["attempts"]) == (
            preset.cards,
            preset.faces,
            24,
            3,
        )
        assert preset.lesson in words(laid["cards note"])


# The person's side


def person(formula, own=None, **settings):
    return replace(window(**settings), formula=formula, own=own)


def test_a_person_solves_3_3_8_8(table):
    deal = {"cards": "3 3 8 8", "rule": "ten"}
    first = table.try_formula(person("3*3+8+8", **deal))
    # 9 + 16 = 25.
    assert "wrong value, −1: The formula equals 25, not 24. Try again. 1 of 5 attempts used." in words(
        first["own note"]
    )
    assert first["hint"]["visible"] is False
    second = table.try_formula(person("8*8/3-3", first["own"], **deal))
    assert second["hint"]["visible"] is True and cards_in(second["own turns"]) == 2
    assert "One solution: 8/(3-8/3)" in words(table.show_solution(person("", **deal))["own note"])
    third = table.try_formula(person("8/(3-8/3)", second["own"], **deal))
    # -1 -1 +5.
    assert words(third["own note"]) == "✓ Correct: solved in 3 attempts, return +3."
    assert third["check"]["visible"] is False and third["again"]["visible"] is True
    assert third["own"].player == "you"
    assert table.start_over(person("8/(3-8/3)", third["own"], **deal))["own"] is None


def test_the_person_meets_the_verifier_that_the_player_meets(table):
    # For J = 10, as the player's first answer: the same category, reward and sentence.
    own = table.try_formula(person("10+6+2*4"))["own"]
    *_, played = table.run(window(), "me")
    mine, theirs = (e.attempts[0].verdict for e in (own, played["shown"].episode))
    assert (mine.category, mine.reward, mine.feedback) == (theirs.category, theirs.reward, theirs.feedback)


@pytest.mark.parametrize(
    "formula, said", [("", "Type a formula first"), ("  ", "Type a formula"), ("3+", "cannot be read")]
)
def test_a_formula_that_cannot_be_read_costs_no_attempt(table, formula, said):
    shown = table.try_formula(person(formula))
    assert said in words(shown["own note"]) and "own" not in shown


def test_a_right_side_may_be_typed_and_is_judged(table):
    right = table.try_formula(person("(13-4)*2+6=24"))["own"]
    assert right.success
    assert not table.try_formula(person("(13-4)*2+6=25"))["own"].success


def test_the_persons_attempts_end(table):
    own = None
    for _ in range(2):
        shown = table.try_formula(person("13+6+4+2", own, attempts=2))
        own = shown["own"]
    # 13+6+4+2 = 25, twice -1, and -1 for the attempts used up.
    assert "No attempt is left; return −3." in words(shown["own note"])
    assert shown["again"]["visible"] is True


def test_another_rule_starts_the_person_afresh_and_marks_the_old_cards(table):
    own = table.try_formula(person("10+6+2*4"))["own"]
    laid = table.lay(person("10+6+2*4", own, rule="ten"))
    assert "lk-stale" in laid["own turns"] and laid["own note"] == ""
    after = table.try_formula(person("10+6+2*4", own, rule="ten"))["own"]
    assert after.success and len(after.attempts) == 1


def test_everything_typed_is_shown_as_text(table):
    shown = table.lay(window(cards="<img src=x>"))
    assert "<img" not in shown["cards note"] and "'<IMG' is not a card" in words(shown["cards note"])
    formula = table.try_formula(person("<script>"))
    assert "<script" not in formula["own note"]


def test_the_task_is_the_one_on_the_controls():
    task = Settings(cards="k,3 a 10", rule="ten", target=7, attempts=99).task
    assert task == game("gp-l").task(hand=["K", "3", "A", "10"], faces="ten", target=7, attempts=10)
