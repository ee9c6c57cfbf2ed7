"""The story: what its steps claim, played again by the bundled players; and what its handlers show."""

import pytest

from app.shared.catalogue import Catalogue
from app.shared.claims import outcome
from app.shared.recordings import recorded
from app.shared.stopping import Line
from app.story import html
from app.story.chapters import CHANGED, CHAPTERS, EARLY, SUITES, TRAINED, turn
from app.story.handlers import StoryHandlers, StoryWindow
from app.story.numbers import NUMBERS, Numbers, Row, relation
from app.story.settings import COUNT, GUESS, REVEAL, RULE, StorySettings
from labkit.envs import fork
from labkit.evaluation.choices import choices
from labkit.evaluation.metrics import Measured, wilson
from labkit.play import play
from labkit.players import registry
from labkit.players.registry import PlayerInfo
from labkit.players.simple import Expert

CELLS = list(CHAPTERS)


def episode_of(cell, suite, title):
    chapter = CHAPTERS[cell]
    return recorded(chapter.settings[suite].task, chapter.players[title]).episode


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("cell", CELLS)
def test_the_players_do_and_weigh_what_the_story_shows(cell, suite):
    chapter = CHAPTERS[cell]
    for title, spec in chapter.players.items():
        shown = episode_of(cell, suite, title)
        player = registry.load(spec, device="cpu", temperature=chapter.temperature)
        assert outcome(play(chapter.settings[suite].task, player, key=(0, 0))) == outcome(shown), title
        field, stored = chapter.field(shown), NUMBERS[cell].choices[suite].get(title)
        assert (field is None) == (stored is None)
        if field is not None:
            answer = shown.positions[field.position].attempts[0].answer
            said = choices(player, fork(shown, 0, field.position), answer, field.span, field.candidates)
            assert said == pytest.approx(stored, abs=2e-3), title


def test_on_the_route_sft_keeps_the_trained_rule_and_rl_follows_the_changed_one():
    ended = {suite: {t: episode_of("virl-l", suite, t).success for t in ("SFT", "RL")} for suite in SUITES}
    assert ended == {TRAINED: {"SFT": True, "RL": True}, CHANGED: {"SFT": False, "RL": True}}
    asked = NUMBERS["virl-l"].choices
    field = turn(episode_of("virl-l", CHANGED, "SFT"))
    assert (field.right, field.other) == ("turn_direction(right)", "turn_direction(north)")
    assert asked[TRAINED]["SFT"][field.other] > 0.9 and asked[TRAINED]["RL"][field.other] > 0.9
    assert asked[CHANGED]["SFT"][field.other] > 0.9 and asked[CHANGED]["SFT"][field.right] < 0.05
    assert asked[CHANGED]["RL"][field.right] > 0.3 and asked[CHANGED]["RL"][field.other] < 0.01


def test_the_bars_agree_with_what_the_sampler_recorded():
    # The sampler's own number lacks only the token that ends the field.
    for suite in SUITES:
        for title in CHAPTERS["virl-l"].players:
            episode = episode_of("virl-l", suite, title)
            field = turn(episode)
            attempt = episode.positions[field.position].attempts[0]
            chosen = attempt.answer[slice(*field.span)]
            told = NUMBERS["virl-l"].choices[suite][title][chosen]
            assert told == pytest.approx(2.718281828**attempt.sample.decisive_logp, abs=0.01)


@pytest.mark.parametrize("cell", CELLS)
def test_the_counts_are_those_of_the_cards_without_training_deals(cell):
    numbers = NUMBERS[cell]
    assert set(numbers.names) >= {"Init", "SFT", "RL"}
    for suite in SUITES:
        for row in numbers.rows[suite]:
            low, high = row.done.ci95
            assert (low, high) == pytest.approx(wilson(row.done.value, row.done.n), abs=2e-3)
            card = registry.info(row.player).card
            part = {0.0: "results", card["temperature"]: "sampled"}.get(row.temperature)
            if part is None:
                assert row.name == "Init"
                continue
            measured = card[part][suite]
            held_out = [said for split, said in measured["splits"].items() if split != "train"]
            right, n = (
                sum(x) for x in zip(*((said["value"] * said["n"], said["n"]) for said in held_out), strict=True)
            )
            assert (row.headline.value, row.headline.n) == (pytest.approx(right / n), n)
            if cell == "virl-l":
                assert list(measured["splits"]) == ["test"]
                assert row.done.value == measured["route_success"]["value"]
            else:
                assert row.done == row.headline


@pytest.mark.slow(reason="plays 200 routes")
def test_init_at_its_best_temperature_completes_as_many_routes_as_the_story_says():
    from labkit.evaluation import evaluate

    numbers = NUMBERS["virl-l"]
    best = numbers.best_temperature
    player = registry.load("tiny:virl-l/init", device="cpu", temperature=best)
    found = evaluate(player, "virl-l", CHANGED, seed=0, episodes=200, split="test").to_dict()
    assert found["within"]["2"]["value"] == numbers.row(CHANGED, "Init", best).done.value


def test_one_sentence_of_the_prompt_changes():
    for chapter in CHAPTERS.values():
        trained, changed = (chapter.settings[suite].task for suite in SUITES)
        assert len(html.differing(trained, changed)) in (1, 2)
    [now] = html.differing(*(CHAPTERS["virl-l"].settings[suite].task for suite in (CHANGED, TRAINED)))
    assert now.startswith("Actions: ") and now.endswith("left, right, slightly left, slightly right.")


# The sentences of the last step


def row(name, temperature, completed, of=200):
    share = Measured(completed / of, of, wilson(completed / of, of))
    return Row(name, f"tiny:{name}", temperature, share, share)


def numbers_with(**completed):
    changed = (
        row("Init", 0.0, completed["greedy"]),
        row("Init", 1.0, completed["init"]),
        row(EARLY, 1.0, completed["early"]),
        row("SFT", 1.0, completed["sft"]),
        row("RL", 1.0, completed["rl"]),
    )
    return Numbers(1.0, {}, {TRAINED: changed, CHANGED: changed})


def test_more_and_fewer_are_said_only_of_intervals_that_do_not_overlap():
    # Wilson intervals of 200: 20 gives [6.6, 14.9] percent, 40 gives [15.0, 26.1], 35 gives [12.9, 23.4].
    assert relation(row("a", 1.0, 20), row("b", 1.0, 40)) == "below"
    assert relation(row("b", 1.0, 40), row("a", 1.0, 20)) == "above"
    assert relation(row("a", 1.0, 20), row("b", 1.0, 35)) == "unclear"


def test_the_conclusion_follows_the_numbers():
    numbers = numbers_with(greedy=100, init=40, early=45, sft=5, rl=90)
    assert html.headline(numbers) == "Under the changed rule SFT loses, RL gains"
    said = html.conclusion(CHAPTERS["virl-l"], numbers)
    assert "completes 5 of 200 routes: fewer than Init (40 of 200)" in said
    assert "Stopped early it completes 45 of 200: neither clearly more nor clearly fewer than Init" in said
    assert "completes 90 of 200: more than SFT, more than Init" in said
    assert "Init at its best temperature (0: 100 of 200) that is neither clearly more nor clearly fewer." in said
    other = numbers_with(greedy=10, init=40, early=40, sft=90, rl=5)
    assert html.headline(other) == "Under the changed rule SFT gains, RL loses"
    assert "best temperature" not in html.conclusion(CHAPTERS["virl-l"], other)


def test_percents_do_not_round_to_certainty():
    assert [html.percent(p) for p in (0.0, 0.004, 0.39, 0.996, 1.0)] == ["0%", "&lt;1%", "39%", "&gt;99%", "100%"]


# Handlers


def handlers(specs=(), load=lambda spec, temperature: Expert()):
    infos = [PlayerInfo(spec, "tiny", "a model") for spec in specs]
    return StoryHandlers(Catalogue(infos, load), Line())


def window(step, cell="virl-l", guess=()):
    return StoryWindow(StorySettings(cell=cell, step=step), session="w", guess=guess)


@pytest.mark.parametrize("cell", CELLS)
def test_the_story_goes_through_its_steps_and_on_to_the_other_game(cell):
    told, seen, now = handlers(), [], window(RULE, cell)
    for _ in range(4):
        shown = told.forward(now)
        seen.append((shown["cell"], shown["step"]))
        now = window(shown["step"], shown["cell"])
    assert seen[:3] == [(cell, GUESS), (cell, REVEAL), (cell, COUNT)]
    assert seen[3][0] != cell and seen[3][1] == RULE


def test_no_player_is_seen_before_the_guess():
    shown = handlers().tell(window(GUESS))
    assert shown["players"]["visible"] is False and shown["guess"]["visible"] is True
    assert all(shown[i, "turns"] == "" and shown[i, "shown"] is None for i in range(3))
    revealed = handlers().tell(window(REVEAL))
    assert revealed["players"]["visible"] is True
    assert "<b>92%</b>" in revealed[1, "turns"] and "north" in revealed[1, "turns"]


@pytest.mark.parametrize(
    ("guess", "said"),
    [
        (["SFT"], "You guessed SFT. Init and SFT fail on this route."),
        (["Init", "SFT"], "You guessed Init and SFT. Right: Init and SFT fail on this route."),
        ([], "Init and SFT fail on this route."),
    ],
)
def test_the_guess_is_compared_with_what_happened(guess, said):
    assert said in handlers().tell(window(REVEAL, guess=guess))["told"]


def test_a_picked_deal_says_so_beside_the_count():
    numbers = NUMBERS["virl-l"]
    for step, suite in ((RULE, TRAINED), (REVEAL, CHANGED)):
        said = handlers().tell(window(step))["picked"]
        assert "This route was picked to show the difference" in said
        for title in ("Init", "SFT", "RL"):
            assert f"{title} {numbers.row(suite, title, 0.0).tally}" in said


def test_a_link_opens_a_step_and_an_invalid_one_the_first():
    opened = handlers().open({"tab": "story", "cell": "gp-l", "step": "4"})
    assert (opened["cell"], opened["step"], opened["notice"]) == ("gp-l", COUNT, "")
    refused = handlers().open({"tab": "story", "cell": "gp-l", "step": "5"})
    assert (refused["cell"], refused["step"]) == ("gp-l", RULE) and "step" in refused["notice"]
    assert handlers().open({"tab": "gp", "cell": "gp-l", "step": "4"})["step"] == RULE


def test_a_step_that_the_browser_made_up_is_ignored():
    for step in (0, 5, "2", None, [], 1.5):
        assert handlers().go(window(RULE), step) == {}


def test_live_players_replace_the_recordings_and_keep_no_bars_of_another_answer():
    chapter = CHAPTERS["virl-l"]
    told = handlers(chapter.players.values())
    now = window(REVEAL)
    shown = told.tell(now)
    assert shown["all"]["visible"] is True
    seats = tuple(told_seat(shown, i) for i in range(3))
    now = StoryWindow(now.settings, seats, 3, session="w")
    told.press_all(now)
    last = {}
    for update in told.run(now, 1):
        last |= update
    # The expert sits in SFT's place: it arrives, and SFT's doubts are not its own.
    assert last[1, "shown"].origin == "live" and last[1, "shown"].episode.success
    assert "what the changed rule asks for" in last[1, "turns"] and "app-bars" not in last[1, "turns"]
    assert told.line.running("w", "story") == [0, 2]
    told.go(now, RULE)
    assert told.line.running("w", "story") == []


def told_seat(shown, index):
    from app.shared.window import Seat

    return Seat(shown[index, "player"], shown[index, "shown"])


def test_without_its_players_the_story_is_told_from_the_recordings():
    shown = handlers().tell(window(RULE))
    assert shown["all"]["visible"] is False and shown[0, "shown"].origin == "recorded"
