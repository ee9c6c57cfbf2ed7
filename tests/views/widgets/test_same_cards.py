"""The figure of the same cards: hands, means and tallies as worked out by hand, and what is stored."""

import json
from pathlib import Path

import pytest

from labkit.envs.general_points import solver
from labkit.envs.general_points.cards import numbers_of, split_of
from labkit.errors import UsageError
from labkit.views.widgets.same_cards import CHANGED, RULES, TRAINED, SameCards

STORED = Path(__file__).parents[3] / "results" / "same-cards.json"


def played(name: str, trained: list[int], changed: list[int]) -> dict:
    """Two episodes a hand, of forty hands, which are four ten times over; the first succeeds where any does."""
    trained, changed = 10 * trained, 10 * changed
    sides = {
        faces: {"solved": won, "shown": [["1+1", "correct" if n else "wrong_value", 5 - n] for n in won]}
        for faces, won in ((TRAINED, trained), (CHANGED, changed))
    }
    return {"name": name, "player": "tiny:gp-l/x", "hands": 10 * ["J 2 2 6", "Q 1 1 1", "K 2 3 4", "K K 2 <2"]} | sides


@pytest.fixture
def cards(tmp_path) -> SameCards:
    rows = [
        played("Init", [2, 2, 0, 0], [2, 0, 1, 0]),
        played("SFT", [2, 2, 2, 2], [0, 0, 0, 0]),
        played("RL", [1] * 4, [1] * 4),
    ]
    (tmp_path / "cards.json").write_text(json.dumps({"samples": 2, "temperature": 0.6, "played": rows}))
    return SameCards(tmp_path / "cards.json")


def test_means_and_changes_are_over_hands(cards):
    init, sft, rl = cards.lines()
    assert (init.trained.value, init.changed.value, init.change.value) == (0.5, 0.375, -0.125)
    assert (sft.trained.value, sft.changed.value, sft.change.value) == (1.0, 0.0, -1.0)
    # RL's hands all fare alike: no width.
    assert rl.change == (0.0, 40, (0.0, 0.0))
    assert "Init" in cards.table() and "-12.5" in cards.table()


def test_a_tally_counts_hands_by_what_the_rule_changed(cards):
    assert cards.tally("Init") == {"kept": 10, "lost": 10, "won": 10, "neither": 10}
    assert cards.tally("SFT") == {"lost": 40}


def test_the_figure_has_one_slope_for_each_player_and_the_answers_are_escaped(cards):
    slopes = cards.figure().data
    assert [(line.name, *line.y) for line in slopes] == [("Init", 0.5, 0.375), ("SFT", 1.0, 0.0), ("RL", 0.5, 0.5)]
    html = cards.answers_html(3, CHANGED)
    assert "K K 2 &lt;2" in html and "40 lost" in html and RULES[CHANGED] in html


def test_the_switch_shows_the_other_rule(cards):
    pytest.importorskip("ipywidgets")
    box = cards.widget()
    (hand, rule), shown = box.children[0].children, box.children[1]
    assert RULES[TRAINED] in shown.value
    rule.value, hand.value = CHANGED, 2
    assert RULES[CHANGED] in shown.value and "K 2 3 4" in shown.value


def test_another_working_directory_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"open the notebook where it lies"):
        SameCards("../results/same-cards.json")


def test_the_stored_hands_are_the_same_under_both_rules_and_held_out():
    for one in json.loads(STORED.read_text(encoding="utf-8"))["played"]:
        hands = [hand.split() for hand in one["hands"]]
        assert len(hands) > 100 and len(one[TRAINED]["solved"]) == len(one[CHANGED]["solved"]) == len(hands)
        for ranks in hands:
            assert all(solver.solvable(numbers_of(ranks, faces)) for faces in RULES)
            trained = "training" in one["name"]
            assert (split_of(numbers_of(ranks, "ten")) in ("test", "unseen")) is not trained
