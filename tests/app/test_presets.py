"""What the notes on the page claim, played again by the bundled players."""

import json
from importlib.resources import files

import pytest

from app.general_points import presets
from app.general_points.settings import GeneralPointsSettings
from app.shared.claims import outcome
from app.shared.recordings import recordings
from app.virl.presets import PICKED
from app.virl.settings import OFFERED, VIRLSettings
from labkit.envs.general_points.cards import numbers_of
from labkit.envs.general_points.solver import solve
from labkit.envs.virl.city.cities import CITIES
from labkit.envs.virl.headings import ACTIONS
from labkit.play import play
from labkit.players import registry


@pytest.mark.parametrize("preset", presets.PRESETS, ids=lambda preset: preset.kind)
def test_the_players_do_what_a_hands_note_claims(preset):
    task = GeneralPointsSettings(cards=preset.cards, rule=preset.rule, attempts=presets.ATTEMPTS).task
    assert set(preset.outcomes) == set(presets.PLAYERS) != set()
    for title, claimed in preset.outcomes.items():
        player = registry.load(presets.PLAYERS[title], device="cpu", temperature=presets.TEMPERATURE)
        assert outcome(play(task, player, key=(presets.SEED, 0))) == claimed, title


@pytest.mark.parametrize("preset", presets.PRESETS, ids=lambda preset: preset.kind)
def test_a_hand_is_what_its_lesson_says(preset):
    ways = {rule: len(list(solve(numbers_of(preset.cards.split(), rule)))) for rule in preset.ways}
    assert ways == preset.ways
    faces = set("JQK") & set(preset.cards.split())
    trained, changed = ways["ten"], ways["eleven-twelve-thirteen"]
    holds = {
        "changed-rule": preset.rule == "eleven-twelve-thirteen" and faces and changed,
        "easy": preset.rule == "ten" and trained > 3,
        "kept-rule": preset.rule == "eleven-twelve-thirteen" and faces and trained and changed,
        "feedback": any(o.success and o.attempts > 1 for o in preset.outcomes.values()),
        "face-cards": trained and not changed,
        "search": preset.outcomes["RL"].success and preset.outcomes["RL"].attempts == 1,
        "same": not faces,
        "no-solution": not trained and not changed,
    }
    assert holds[preset.kind]


def test_a_kept_rule_is_kept_by_a_player():
    for preset in presets.PRESETS:
        if preset.kind == "kept-rule":
            assert any(o.kept and not o.success for o in preset.outcomes.values())
            assert "counts face cards by the other rule" in preset.note


def test_a_search_has_a_try_that_missed():
    [preset] = [preset for preset in presets.PRESETS if preset.kind == "search"]
    [shown] = [
        e
        for e in recordings("gp-l")
        if e.player == presets.PLAYERS["RL"]
        and [rank for rank, _ in e.task.deal["cards"]] == preset.cards.split()
        and e.task.rule["faces"] == preset.rule
    ]
    assert " no" in shown.attempts[0].fields["thought"] and shown.attempts[0].verdict.success


@pytest.mark.parametrize("actions", ACTIONS)
def test_the_players_do_what_the_route_s_note_claims(actions):
    task = VIRLSettings(route=PICKED.route, actions=actions).task
    assert set(PICKED.outcomes[actions]) == set(PICKED.players) != set()
    for title, claimed in PICKED.outcomes[actions].items():
        episode = play(task, registry.load(PICKED.players[title], device="cpu"))
        assert outcome(episode) == claimed, title


def test_the_count_beside_the_picked_route_is_over_all_routes():
    for actions in ACTIONS:
        for arrived, of in PICKED.arrived[actions].values():
            assert of == OFFERED * len(CITIES) and 0 <= arrived <= of
    assert f"Routes completed, of {OFFERED * len(CITIES)}: trained rule Init" in PICKED.note


def test_every_claim_has_the_recording_that_shows_it():
    for cell, claims, players in (
        ("gp-l", [(p.cards, p.rule, p.outcomes) for p in presets.PRESETS], presets.PLAYERS),
        ("virl-l", [(PICKED.route, rule, said) for rule, said in PICKED.outcomes.items()], PICKED.players),
    ):
        shown = {}
        for episode in recordings(cell):
            deal, rule = episode.task.deal, episode.task.rule
            name = " ".join(rank for rank, _ in deal["cards"]) if cell == "gp-l" else deal["route"]["id"]
            shown[name, rule["faces" if cell == "gp-l" else "actions"], episode.player] = outcome(episode)
        for deal, rule, said in claims:
            for title, claimed in said.items():
                assert shown[deal, rule, players[title]] == claimed


def test_recordings_stay_small():
    for cell in ("gp-l", "virl-l"):
        file = files("labkit") / "bundled" / cell / "recorded.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines()
        assert all(json.loads(line)["status"] != "open" for line in lines) and len("".join(lines)) < 300_000
