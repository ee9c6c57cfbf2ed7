"""What the Inspect tab shows of a store, against counts worked out by hand."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from urllib.parse import parse_qsl

import pytest

from app import link
from app.deals import deal_link, table_link
from app.general_points.settings import GeneralPointsSettings
from app.inspect.handlers import InspectHandlers
from app.inspect.settings import InspectSettings, joined, split
from app.inspect.stores import Store
from app.shared.window import same_deal
from app.virl.settings import VIRLSettings
from labkit.envs import game, judge, start
from labkit.episode import Episode
from labkit.evaluation.suites import read_deals
from labkit.play import play
from labkit.players.simple import Expert
from labkit.runs import Run

HANDS = (("K", "6", "2", "4"), ("3", "3", "8", "8"), ("Q", "6", "2", "4"), ("A", "2", "3", "4"))


def answer(ranks, numbers, formula):
    return json.dumps({"cards": list(ranks), "number": numbers, "formula": formula})


OLD = answer(HANDS[0], [10, 6, 2, 4], "10+6+2*4=24")
"""Right for K = 10: wrong under K = 13."""
NEW = answer(HANDS[0], [13, 6, 2, 4], "(13-4)*2+6=24")
HARD = answer(HANDS[1], [3, 3, 8, 8], "8/(3-8/3)=24")
LATE = answer(HANDS[2], [12, 6, 2, 4], "12*(6-4)=24")
"""Leaves the 2 out."""
NASTY = "<img src=x onerror=alert(1)> ${x}"


def played(hand, *answers, player="rl", faces="eleven-twelve-thirteen", attempts=3):
    task = game("gp-l").task(hand=list(hand), faces=faces, attempts=attempts)
    episode = start(replace(task, suite="id" if faces == "ten" else "rule-ood"), player)
    for said in answers:
        episode = judge(episode, said)
    return episode


@pytest.fixture
def root(tmp_path):
    """Two runs on the same three deals; a third one goes on."""
    folder = tmp_path / "runs"
    first = Run.create(folder, "a", "stage: eval\n", id="20260101-a")
    first.add_episodes(
        "rule-ood",
        [
            played(HANDS[0], OLD, NEW, player="sft"),
            played(HANDS[1], HARD, player="sft"),
            played(HANDS[2], NASTY, LATE, LATE, player="sft"),
        ],
    )
    first.set_status("finished")
    second = Run.create(folder, "b", "stage: eval\n", id="20260102-b")
    second.add_episodes("rule-ood", [played(HANDS[0], NEW), played(HANDS[1], HARD), played(HANDS[2], LATE, LATE, LATE)])
    second.set_status("finished")
    return folder


@pytest.fixture
def handlers(root, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = InspectHandlers([Store(root)])
    [store] = made.stores.values()
    assert store.index(600) is not None
    return made


def counts(shown):
    """Episodes found, of how many, and attempts."""
    words = re.sub(r"<[^>]+>", "", shown["found"])
    return tuple(int(n.replace(",", "")) for n in re.findall(r"[\d,]*\d", words)[:3])


def bars(shown, title):
    """The values of a facet and their counts, in order."""
    section = re.search(f'<section[^>]*data-facet="{title}".*?</section>', shown["bars"])
    found = re.findall(r"<span>([^<]*(?:<wbr>[^<]*)*)</span> <span>([\d,]+)</span>", section[0]) if section else []
    return {value.replace("<wbr>", ""): int(count) for value, count in found}


def opened(shown):
    return re.findall(r'<th scope="row"><button[^>]*>([^<]*)</button>', shown["table"])


def picks(shown, part):
    return [json.loads(said.replace("&quot;", '"')) for said in re.findall(r'data-pick="([^"]*)"', shown[part])]


def test_everything_is_shown_first_and_a_click_on_a_bar_filters(handlers):
    shown = handlers.show(InspectSettings())
    # 3 + 3 episodes; of the first run 2 + 1 + 3 attempts, of the second 1 + 1 + 3.
    assert counts(shown) == (6, 6, 11)
    assert bars(shown, "Verdict")["unreadable"] == 1 and bars(shown, "Verdict")["correct"] == 4
    assert len(opened(shown)) == 6
    toggled = handlers.pick(InspectSettings(), '["toggle", "category", "unreadable"]')
    assert counts(toggled) == (1, 6, 1) and opened(toggled) == ["rule-ood 2"]
    assert toggled["category"] == "unreadable" and "1</strong> of 6 episodes, 1 attempt<" in toggled["found"]
    # The bars of the same field still offer the other verdicts.
    assert bars(toggled, "Verdict")["correct"] == 4
    again = handlers.pick(replace(InspectSettings(), category="unreadable"), '["toggle", "category", "unreadable"]')
    assert counts(again) == (6, 6, 11)


@pytest.mark.parametrize(
    ("conditions", "episodes"),
    [
        ({"run": "20260101-a"}, 3),
        ({"player": "rl"}, 3),
        ({"recovered": "yes"}, 1),
        ({"old_rule": "yes"}, 1),
        ({"old_rule": "yes,no"}, 6),
        ({"turns": "2..3"}, 3),
        ({"turns": "3"}, 2),
        ({"text": "8/(3-8/3)"}, 2),
        ({"status": "exhausted"}, 2),
        # Of K 6 2 4 and Q 6 2 4, one face card each; 3 3 8 8 has none. Of two traits both have to fit.
        ({"trait": "face_cards:1"}, 4),
        ({"trait": "face_cards:0,face_cards:1"}, 6),
        ({"trait": "face_cards:1,solutions:1"}, 0),
        ({"trait": "face_cards:0,solutions:1"}, 2),
    ],
)
def test_conditions_are_met_together(handlers, conditions, episodes):
    assert counts(handlers.show(replace(InspectSettings(), **conditions)))[0] == episodes


def test_rows_are_sorted_and_may_be_attempts(handlers):
    shown = handlers.show(replace(InspectSettings(), run="20260101-a", sort="most-turns"))
    assert opened(shown) == ["rule-ood 2", "rule-ood 0", "rule-ood 1"]
    attempts = handlers.show(replace(InspectSettings(), run="20260101-a", unit="attempt"))
    assert opened(attempts) == [f"rule-ood {n}" for n in (0, 0, 1, 2, 2, 2)]


def test_an_episode_opens_as_its_turn_cards_with_its_neighbours(handlers):
    where = replace(InspectSettings(), run="20260101-a")
    shown = handlers.pick(where, '["open", "20260101-a/rule-ood/2", 0]')
    assert shown["opened"].count("lk-turn ") == 3 and "<img" not in shown["opened"] + shown["table"]
    assert "&lt;img src=x" in shown["opened"] and "&lt;img src=x" in shown["table"]
    # The last row has one before it, and none after.
    assert picks(shown, "opened") == [["open", "20260101-a/rule-ood/1", 0], ["close"]]
    assert handlers.pick(replace(where, open="20260101-a/rule-ood/2"), '["close"]')["opened"] == ""
    for gone in ("20260101-a/rule-ood/9", "../../etc/passwd/1", "x"):
        assert "lk-bad" in handlers.show(replace(where, open=gone))["opened"]


@pytest.mark.parametrize(
    ("cell", "hand", "faces", "suits"),
    [
        ("gp-l", ["K", "6", "2", "4"], "eleven-twelve-thirteen", "black"),
        ("gp-l", [("K", "H"), ("6", "H"), ("2", "D"), ("4", "C")], {"J": 5, "Q": 6, "K": 7}, "black"),
        ("gp-vl", [("3", "H"), ("3", "D"), ("8", "H"), ("8", "D")], "ten", "red"),
    ],
)
def test_a_stored_deal_can_be_played_in_its_tab(cell, hand, faces, suits):
    task = game(cell).task(hand=hand, faces=faces, target=21, attempts=3)
    query = dict(parse_qsl(deal_link(task, ["rl<"])[1:]))
    assert query["players"] == "rl<" and query["tab"] == "gp"
    chosen, wrong = link.read(query, GeneralPointsSettings())
    again = start(chosen.task).position
    assert (wrong, chosen.suits, chosen.task.rule, chosen.task.attempts) == ([], suits, task.rule, 3)
    assert (again.prompt, again.state) == (start(task).position.prompt, start(task).position.state)


@pytest.mark.parametrize(
    ("cell", "suite", "split"), [("virl-l", "rule-ood", "test"), ("virl-vl", "visual-ood", "test")]
)
def test_a_stored_route_can_be_walked_in_its_tab_on_the_same_rail(cell, suite, split):
    for number in (0, 3):
        task = next(game(cell).tasks(suite, split, seed=1, first=number))
        # As it comes out of a file.
        stored = Episode.from_json(start(task, "rl").to_json()).task
        chosen, wrong = link.read(dict(parse_qsl(deal_link(stored, ["rl"])[1:])), VIRLSettings())
        again, first = chosen.task, start(task).position
        assert wrong == [] and same_deal(again, task) and again.attempts == task.attempts
        assert (start(again).position.prompt, start(again).position.state) == (first.prompt, first.state)
        assert (start(again).position.picture or {}).get("hash") == (first.picture or {}).get("hash")


@pytest.mark.parametrize(
    "task",
    [
        game("gp-l").task(hand=HANDS[0], attempts=99),
        game("gp-vl").task(hand=[("3", "S"), ("3", "H"), ("8", "D"), ("8", "C")]),
        next(game("virl-l").tasks("id", "train")),
        next(game("virl-vl").tasks("id", "test", picture={"night": 0.5})),
    ],
    ids=["too many attempts", "suits of both colours", "a route that is trained on", "a route at night"],
)
def test_a_deal_that_its_tab_cannot_show_has_no_link(task):
    assert deal_link(task, []) is None and table_link(task, []) == ""


def test_pages_follow_each_other(handlers, root):
    run = Run.create(root, "c", "stage: eval\n", id="20260103-c")
    run.add_episodes("id", [played(HANDS[1], HARD, faces="ten") for _ in range(45)])
    first = handlers.show(replace(InspectSettings(), run="20260103-c"))
    last = handlers.pick(replace(InspectSettings(), run="20260103-c"), '["page", 2]')
    assert opened(first) == [f"id {n}" for n in range(20)] and opened(last) == [f"id {n}" for n in range(40, 45)]
    # A page that is not there is the last one.
    assert opened(handlers.show(replace(InspectSettings(), run="20260103-c", page=9))) == opened(last)
    # From the last episode of a page to the first of the next.
    edge = handlers.show(replace(InspectSettings(), run="20260103-c", open="20260103-c/id/19"))
    assert ["open", "20260103-c/id/20", 1] in picks(edge, "opened")


@pytest.mark.parametrize(
    "sent",
    [None, "", "[]", "{}", '["toggle"]', '["toggle", "run", "x"]', '["toggle", "tag", 3]', '["page", -1]',
     '["page", "x"]', '["drop", "tag"]', '["open", 3]', "[" * 4000],
)  # fmt: skip
def test_what_no_button_sends_changes_nothing(handlers, sent):
    assert handlers.pick(InspectSettings(), sent) == {}


def test_a_run_that_goes_on_is_followed(handlers, root):
    run = Run.create(root, "d", "stage: eval\n", id="20260104-d")
    run.add_episodes("id", [played(HANDS[1], HARD, faces="ten")])
    chosen = replace(InspectSettings(), run="20260104-d")
    shown = handlers.show(chosen)
    assert counts(shown)[0] == 1 and "live" in shown["found"] and shown["timer"].active
    assert handlers.tick(chosen, shown["seen"]) == {}
    run.add_episodes("id", [played(HANDS[1], NASTY, HARD, faces="ten")])
    later = handlers.tick(chosen, shown["seen"])
    assert counts(later)[0] == 2
    run.set_status("finished")
    over = handlers.tick(chosen, later["seen"])
    assert "live" not in over["found"] and not over["timer"].active


def test_a_link_keeps_every_choice(handlers, root):
    chosen = InspectSettings(
        store=root.name, run="20260101-a", text="8/(", turns="1..4", sort="most-turns", unit="attempt",
        tag="arith_error,number_missing", category="correct", recovered="no", trait="solutions:1",
        player=joined(["a,b", "c"]), open="20260101-a/rule-ood/1",
    )  # fmt: skip
    query = dict(parse_qsl(handlers.link(chosen)["carrier"][1:]))
    read, wrong = link.read(query, InspectSettings())
    assert (read, wrong) == (chosen, []) and split(read.player) == ["a,b", "c"]


def test_an_invalid_link_is_told_and_another_tabs_link_reads_nothing(handlers):
    shown = handlers.open(
        {"tab": "inspect", "sort": "colour", "store": "../etc", "turns": "5..2", "category": "correct"}
    )
    assert all(name in shown["notice"] for name in ("sort", "store", "turns")) and counts(shown)[0] == 4
    assert handlers.open({"tab": "gp", "category": "correct"}).keys() == {"filled"}
    said = handlers.filter(replace(InspectSettings(), turns="two"))
    assert "a range such as 2..5" in said["problem"]


def test_the_deals_that_are_found_can_be_evaluated(handlers, tmp_path):
    saved = handlers.deals(replace(InspectSettings(), status="exhausted"))
    file = tmp_path / "deals.jsonl"
    file.write_text(saved["carrier"], encoding="utf-8")
    # Both players fail at Q 6 2 4: one deal.
    [task] = read_deals(file, "gp-l")
    assert tuple(rank for rank, _ in task.deal["cards"]) == HANDS[2]


def test_a_machine_without_runs_says_so():
    assert "no stored run" in InspectHandlers([]).show(InspectSettings())["found"]


@pytest.fixture
def paired(handlers, root):
    """Ten more deals of both runs, of which the second solves eight that the first does not."""
    hands = [("A", "2", "3", str(n)) for n in range(4, 10)] + [("A", "2", "4", str(n)) for n in range(5, 9)]
    right = [play(game("gp-l").task(hand=list(hand), faces="ten"), Expert()).attempts[0].answer for hand in hands]
    for number, run in enumerate(("20260101-a", "20260102-b")):
        episodes = []
        for n, (hand, said) in enumerate(zip(hands, right, strict=True)):
            wins = n == 9 or (number == 1 and n < 8)
            episodes.append(
                played(hand, said if wins else "no", player="sft rl".split()[number], faces="ten", attempts=1)
            )
        Run(root / run).add_episodes("id", episodes)
    return replace(InspectSettings(), run="20260101-a", other="20260102-b")


def test_two_runs_are_compared_on_the_deals_of_both(handlers, paired):
    shown = handlers.show(paired)
    words = " ".join(re.sub(r"<[^>]+>", " ", shown["compared"]).split())
    # 8 deals of 13 changed, all for the better: McNemar's exact test is 2 / 2^8 = 0.0078. The rates are 3 and 11 of 13.
    assert "p = 0.0078" in words and "exact McNemar" in words
    assert "B wins 8, loses 0, ties 5" in words and "solves 23.1%" in words and "solves 84.6%" in words
    assert "+61.5 points" in words and "13 deals" in words
    assert "13 of 13 deals" in re.sub(r"<[^>]+>", "", shown["found"]) and len(opened(shown)) == 13
    wins = handlers.pick(paired, '["toggle", "solved", "B"]')
    assert len(opened(wins)) == 8 and "p = 0.0078" in wins["compared"]
    # How the episodes went narrows the table, and not the comparison.
    recovered = handlers.show(replace(paired, recovered="yes"))
    assert opened(recovered) == ["rule-ood 0"] and "p = 0.0078" in recovered["compared"]
    # Which deals are played narrows both: of the three deals of rule-ood both solve the same two.
    of_suite = handlers.show(replace(paired, suite="rule-ood"))
    assert "p = 1" in of_suite["compared"] and "B wins 0, loses 0, ties 3" in re.sub(
        r"<[^>]+>", "", of_suite["compared"]
    )


def test_two_episodes_of_a_deal_open_side_by_side(handlers, paired):
    chosen = replace(paired, suite="rule-ood")
    row = next(p for p in picks(handlers.show(chosen), "table") if p[1] == "20260101-a/rule-ood/0")
    assert row == ["open", "20260101-a/rule-ood/0", 0, "20260102-b/rule-ood/0"]
    shown = handlers.pick(chosen, json.dumps(row))
    # The first answer of one is for K = 10, of the other for K = 13.
    parts = re.sub("<[^>]+>", "", shown["opened"].replace("&quot;", '"'))
    assert 'part at attempt 1 after …rds": ["K", "6", "2", "4"], "number": [1.' in parts
    # Two attempts of the first player, one of the second.
    assert shown["opened"].count("lk-turn ") == 3 and shown["opened"].count("lk-episode") == 2
    assert ["open", "20260101-a/rule-ood/1", 0, "20260102-b/rule-ood/1"] in picks(shown, "opened")
    assert handlers.pick(replace(chosen, open=row[1], beside=row[3]), '["close"]')["beside"] == ""


def test_bars_of_two_runs_count_each(handlers, paired):
    shown = handlers.show(replace(paired, suite="rule-ood"))
    section = re.search('<section[^>]*data-facet="Verdict".*?</section>', shown["bars"])[0]
    found = dict(re.findall(r"<span>([^<]*)</span> <span>([^<]*)</span>", section))
    # Episodes with at least one such attempt.
    assert found["correct"] == "2 / 2" and found["unreadable"] == "1 / 0"


def test_a_run_of_several_players_asks_which_to_compare(handlers, root):
    steps = Run.create(root, "t", "stage: sft\n", id="20260105-t")
    for step, answers in ((0, ("no",)), (12, (HARD,))):
        steps.add_episodes(f"id-{step}", [played(HANDS[1], *answers, player=f"t@{step}", faces="ten", attempts=1)])
    chosen = replace(InspectSettings(), run="20260105-t", other="20260105-t")
    asked = handlers.show(chosen)
    assert ["toggle", "other_player", "t@12"] in picks(asked, "compared") and asked["table"] == ""
    shown = handlers.show(replace(chosen, player="t@0", other_player="t@12"))
    assert "B wins 1, loses 0" in shown["compared"]


def test_a_comparison_needs_a_run_and_a_common_deal(handlers):
    assert "Choose a run" in handlers.show(replace(InspectSettings(), other="20260102-b"))["found"]
    nothing = replace(InspectSettings(), run="20260101-a", other="20260102-b", suite="nowhere")
    assert "no deal in common" in handlers.show(nothing)["found"]
