"""What the GeneralPoints tab shows after each thing that can happen, with every empty and every failing state."""

import re
from dataclasses import replace
from html import unescape

import pytest

from app.general_points.handlers import GeneralPointsHandlers
from app.general_points.presets import FIRST, PRESETS, SEED, TEMPERATURE
from app.general_points.settings import CUSTOM, GeneralPointsSettings
from app.shared.catalogue import Catalogue
from app.shared.stopping import Line
from app.shared.window import Seat, Window
from labkit.envs import game, prompt
from labkit.envs.general_points.cards import numbers_of
from labkit.envs.general_points.solver import solvable
from labkit.play import play
from labkit.players import Answer
from labkit.players.registry import PlayerInfo
from labkit.players.simple import Script

NO_SOLUTION = "This hand has no solution under this rule"
TRAP_HAND = {"cards": "K 6 2 4", "rule": "eleven-twelve-thirteen"}
FIRST_HAND = {"cards": FIRST.cards, "rule": FIRST.rule}


def words(html: str) -> str:
    """The text of a piece of HTML, in one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def cards_in(html: str) -> int:
    return html.count("<article")


@pytest.fixture
def table(catalogue, record):
    return GeneralPointsHandlers(catalogue, Line())


def window(*players, session="me", **settings):
    """A window on K 6 2 4 with K = 13, unless the settings say otherwise."""
    players = players or ("trap",)
    seats = tuple(Seat(players[min(i, len(players) - 1)]) for i in range(3))
    return Window(GeneralPointsSettings(**(TRAP_HAND | settings)), seats, len(players), session=session)


def after(here, updates):
    """The window with what a handler put into its states."""
    seats = tuple(replace(seat, shown=updates.get((i, "shown"), seat.shown)) for i, seat in enumerate(here.seats))
    return replace(here, seats=seats, own=updates.get("own", here.own))


def played(table, here, index=0):
    """All that a press of a seat's Play button shows, the last updates of each part at the end."""
    pressed = table.press(here, index)
    steps = list(table.run(here, index))
    last = {}
    for step in (pressed, *steps):
        last |= step
    return steps, last


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


# The person's side


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
