"""GeneralPoints from the deal to the end of an episode, in text and in pictures."""

import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from itertools import islice

import pytest

from labkit.envs import game, judge, prompt, replay, start
from labkit.envs.general_points.verifier import CATEGORIES
from labkit.episode import Episode
from labkit.errors import UsageError

SMALL = {"size": 64}
"""Drawing knobs that keep pictures cheap."""


def text(formula, cards=("3", "3", "8", "8"), number=()):
    return json.dumps({"cards": list(cards), "number": list(number), "formula": formula})


def opened(cell="gp-l", hand=("3", "3", "8", "8"), **settings):
    if cell == "gp-vl":
        settings.setdefault("picture", SMALL)
    return start(game(cell).task(hand=hand, **settings))


def ranks_of(task):
    return [rank for rank, _ in task.deal["cards"]]


# Tasks


def test_a_task_keeps_what_it_was_given():
    hand = ("K", "3", "A", "10")
    task = game("gp-l").task(hand=hand, faces="eleven-twelve-thirteen", target=30, attempts=2)
    assert ranks_of(task) == ["K", "3", "A", "10"]
    assert task.rule == {"faces": "eleven-twelve-thirteen", "target": 30}
    assert (task.cell, task.attempts, task.suite) == ("gp-l", 2, "custom")
    assert game("gp-l").task(hand=("3", "3", "8", "8")).attempts == 5  # the paper's number
    named = game("gp-l").task(hand=[("K", "S"), ("3", "H"), ("A", "D"), ("10", "C")])
    assert named.deal == {"cards": [["K", "S"], ["3", "H"], ["A", "D"], ["10", "C"]]}


def test_ranks_in_small_letters_can_be_played():
    episode = opened(hand=("k", "j", "3", "a"))
    assert judge(episode, text("10+10+3+1", "KJ3A")).success


@pytest.mark.parametrize(
    "wrong",
    [
        {"hand": ("3", "3", "8", "0")},
        {"hand": ("3", "3")},
        {"hand": ()},
        {"hand": ("3,3", "8 8")},
        {"hand": [("3", "X"), ("3", "H"), ("8", "S"), ("8", "H")]},
        {"faces": "eleven"},
        {"target": 0},
        {"attempts": 0},
        {"attempts": True},
        {"attempts": 2.0},
        {"reward": {"right": 1}},
        {"prompts": {"hello": "x"}},
        {"prompts": {"task": 1}},
    ],
)
def test_a_task_that_cannot_be_is_refused(wrong):
    with pytest.raises(UsageError):
        game("gp-l").task(**{"hand": ("3", "3", "8", "8"), **wrong})


@pytest.mark.parametrize("picture", [{"colour": "red"}, {"size": -5}, {"size": "big"}])
def test_a_picture_that_cannot_be_is_refused(picture):
    with pytest.raises(UsageError):
        game("gp-vl").task(hand=("3", "3", "8", "8"), picture=picture)


def test_unknown_cells_and_suites_are_refused():
    with pytest.raises(UsageError, match="gp-l"):
        game("gp")
    with pytest.raises(UsageError):
        next(game("gp-l").tasks("visual-ood"))
    assert game("gp-vl").suites == ("id", "rule-ood", "visual-ood")


# Streams of tasks


@pytest.mark.parametrize(
    ("cell", "suite", "suits"),
    [("gp-l", "id", "SHDC"), ("gp-vl", "id", "SC"), ("gp-vl", "rule-ood", "SC"), ("gp-vl", "visual-ood", "HD")],
)
def test_a_stream_deals_the_suits_of_its_suite(cell, suite, suits):
    tasks = list(islice(game(cell).tasks(suite), 60))
    assert {suit for task in tasks for _, suit in task.deal["cards"]} == set(suits)
    faces = "eleven-twelve-thirteen" if suite == "rule-ood" else "ten"
    assert {task.rule["faces"] for task in tasks} == {faces}
    assert [task.index for task in tasks] == list(range(60))
    assert tasks[7].id.startswith(f"{cell}/{suite}/all/s0/7-")


def test_a_stream_is_seeded_and_can_begin_anywhere():
    def take(count, **settings):
        return list(islice(game("gp-l").tasks("id", "dev", **settings), count))

    assert take(20) == take(20)
    assert take(3, first=17) == take(20)[17:]
    assert [t.deal for t in take(20)] != [t.deal for t in take(20, seed=1)]


def test_every_hand_once_with_its_share():
    tasks, shares = zip(*game("gp-l").enumerate_tasks("rule-ood"), strict=True)
    assert len(tasks) == 796
    assert len({tuple(sorted(ranks_of(t))) for t in tasks}) == 796
    assert sum(shares) == pytest.approx(1)
    # 10 J Q K can be dealt in 4**4 ways, K K Q Q in 6 * 6.
    share = {tuple(sorted(ranks_of(t))): s for t, s in zip(tasks, shares, strict=True)}
    assert share[("10", "J", "K", "Q")] / share[("K", "K", "Q", "Q")] == pytest.approx(256 / 36)
    orders = Counter(tuple(ranks_of(t)) == tuple(sorted(ranks_of(t))) for t in tasks)
    assert orders[True] < 200  # the cards are not in order


def test_shares_of_an_image_cell_are_those_of_its_deck():
    """gp-vl deals black cards: there are two of a rank, so three cannot come and pairs come less often."""
    share = {tuple(sorted(ranks_of(t))): s for t, s in game("gp-vl").enumerate_tasks("id", picture=SMALL)}
    stream = islice(game("gp-vl").tasks("id", picture=SMALL), 2000)
    dealt = Counter(tuple(sorted(ranks_of(t))) for t in stream)
    assert not [hand for hand in dealt if max(Counter(hand).values()) > 2]
    assert sum(s for hand, s in share.items() if max(Counter(hand).values()) > 2) == 0
    pairs = sum(s for hand, s in share.items() if len(set(hand)) == 3)
    seen = sum(n for hand, n in dealt.items() if len(set(hand)) == 3) / 2000
    assert abs(seen - pairs) < 0.04  # four standard errors at a share of 0.25


def test_deals_are_the_same_in_every_process():
    code = """
from itertools import islice
from labkit.envs import game
print([t.deal for t in islice(game("gp-l").tasks("id"), 20)])
print([t.deal for t, _ in islice(game("gp-l").enumerate_tasks("id"), 200)])
"""
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(said) == 1


def test_names_of_tasks_tell_deals_apart():
    tasks = [*islice(game("gp-l").tasks("id"), 50), *(t for t, _ in islice(game("gp-l").enumerate_tasks("id"), 50))]
    assert len({t.id for t in tasks}) == len({(t.id, json.dumps(t.deal)) for t in tasks})


# What the player is sent


def test_the_prompt_states_the_task():
    (message,) = prompt(opened(hand=("K", "3", "A", "10"), target=30))
    assert message.role == "user" and message.picture is None
    for word in ("K, 3, A, 10", "30", "cards", "number", "formula", "10"):
        assert word in message.text
    assert "24" not in message.text


def test_only_the_face_sentence_changes_with_the_rule():
    ten, apart = (prompt(opened(faces=f))[0].text for f in ("ten", "eleven-twelve-thirteen"))
    words = [set(re.findall(r"\w+", t)) for t in (ten, apart)]
    assert {"11", "12", "13"} <= words[1] - words[0]
    assert [line for line in ten.splitlines() if line not in apart] == [ten.splitlines()[0]]


def test_an_image_cell_does_not_tell_the_cards_in_words():
    (message,) = prompt(opened("gp-vl", hand=[("7", "S"), ("8", "S"), ("9", "S"), ("6", "C")]))
    assert not set(re.findall(r"\b[6-9]\b", message.text))
    assert message.picture["cards"] == [["7", "S"], ["8", "S"], ["9", "S"], ["6", "C"]]
    assert game("gp-vl").draw(message.picture).size == (64, 64)


def test_wrong_answers_stay_in_the_dialogue():
    episode = judge(judge(opened(), "no idea"), text("3*8"))
    roles = [m.role for m in prompt(episode)]
    assert roles == ["user", "assistant", "user", "assistant", "user"]
    assert [m.text for m in prompt(episode)][1::2] == ["no idea", text("3*8")]
    assert [m.text for m in prompt(episode)][2::2] == [a.verdict.feedback for a in episode.attempts]
    assert prompt(episode)[0] == prompt(opened())[0]


def test_templates_of_ones_own():
    task = 'Mach {target}. {faces} { unknown } {"a": 1}'
    mine = {"task": task, "format": "", "wrong_value": "Nein: {reason}", "again": ""}
    episode = opened(prompts=mine)
    assert prompt(episode)[0].text.startswith('Mach 24. J, Q and K each count as 10. { unknown } {"a": 1}\n')
    assert judge(episode, text("3+3+8+8")).attempts[0].verdict.feedback == "Nein: equals 22"


# Judging


def test_an_episode_that_succeeds():
    episode = judge(judge(opened(), text("3*8=24")), text("8/(3-8/3)=24"))
    assert (episode.status, episode.done, episode.success) == ("success", True, True)
    assert [a.reward for a in episode.attempts] == [-2, 5]
    assert episode.reward == 3
    with pytest.raises(ValueError):
        judge(episode, "more")


def test_an_episode_that_is_exhausted():
    episode = opened(attempts=3)
    for answer in ("?", text("3*8"), text("3+3+8+8")):
        assert not episode.done
        episode = judge(episode, answer)
    assert (episode.status, episode.done, episode.success) == ("exhausted", True, False)
    assert [a.verdict.reward for a in episode.attempts] == [-3, -2, -1]
    assert [a.penalty for a in episode.attempts] == [0, 0, -1]
    assert episode.reward == -3 - 2 - 1 - 1
    with pytest.raises(ValueError):
        judge(episode, text("8/(3-8/3)"))


def test_success_on_the_last_attempt_has_no_penalty():
    episode = judge(judge(opened(attempts=2), "?"), text("8/(3-8/3)"))
    assert (episode.status, episode.attempts[-1].penalty, episode.reward) == ("success", 0, 2)


def test_the_penalty_can_be_set():
    episode = judge(opened(attempts=1, reward={"exhausted": -7, "unreadable": 0, "combine": "sum"}), "?")
    assert (episode.attempts[0].penalty, episode.reward) == (-7, -7)


@pytest.mark.parametrize("category", CATEGORIES)
def test_each_category_in_an_image_cell(category):
    wrong = {"illegal_formula": "10+", "wrong_numbers": "4*6", "wrong_value": "10+10+3-1"}
    formula = wrong.get(category, "10+10+3+1")
    cards = "KQ3A" if category == "wrong_cards" else "KJ3A"
    answer = "?" if category == "unreadable" else text(formula, cards)
    attempt = judge(opened("gp-vl", ("K", "J", "3", "A")), answer).attempts[0]
    assert attempt.verdict.category == category


def test_misread_cards_cost_nothing_in_text():
    assert judge(opened(), text("8/(3-8/3)", "KKKK")).success


def test_the_other_rule():
    old = text("10+10+3+1=24", "KJ3A")
    kept = judge(opened(hand=("K", "J", "3", "A"), faces="eleven-twelve-thirteen"), old).attempts[0]
    assert (kept.verdict.category, kept.other_rule.category) == ("wrong_numbers", "correct")
    assert kept.other_rule.success
    right = judge(opened(hand=("K", "J", "3", "A")), old).attempts[0]
    assert (right.verdict.success, right.other_rule.category) == (True, "wrong_numbers")
    # Without a face card the two rules say the same.
    assert judge(opened(), text("3*8")).attempts[0].other_rule is None
    # Of a rule of one's own the other is the paper's ID rule.
    mine = judge(opened(hand=("K", "J", "3", "A"), faces={"J": 5, "Q": 5, "K": 5}), old).attempts[0]
    assert mine.other_rule.success


def test_the_fields_as_they_were_read():
    attempt = judge(opened(), "{'cards': ['3', 3], number: [3,], 'formula': '3*8', 'more': 1}").attempts[0]
    assert attempt.fields == {"cards": ["3", "3"], "number": ["3"], "formula": "3*8"}
    assert judge(opened(), "no idea").attempts[0].fields == {}


def test_the_decisive_span():
    answer = '牌 {"formula": "1+1"} then {"cards": [], "formula": "8\\/(3-8/3)=24"} done'
    start_, end = game("gp-l").decisive_span(answer)
    assert answer[start_:end] == "8\\/(3-8/3)=24"
    assert game("gp-l").decisive_span("no idea") is None
    assert game("gp-l").decisive_field == "formula"


# Whatever a model writes, the episode can be stored and read again.

STRANGE = {
    "half a surrogate pair as an escape": '{"formula": "\\ud83d"}',
    "half a surrogate pair": '{"formula": "\ud83d"}',
    "half a surrogate pair outside": "\udfff",
    "NUL bytes": '\0{"formula": "\0"}',
    "line separators": '{"formula": "1\u2028+\x851"}\r',
    "deep lists": '{"formula": "1", "cards": ' + "[" * 20_000 + "]" * 20_000 + "}",
    "deep objects": '{"formula": ' + '{"a":' * 9_000 + "1" + "}" * 9_000 + "}",
    "a long formula": text("(" * 30_000),
    "a huge value": text("999999*" * 142 + "9"),
}


@pytest.mark.parametrize("answer", STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize("cell", ["gp-l", "gp-vl"])
def test_a_strange_answer_is_a_verdict_that_can_be_stored(tmp_path, cell, answer):
    episode = judge(judge(opened(cell), answer), answer)
    stored = tmp_path / "episodes.jsonl"
    stored.write_text(episode.to_json() + "\n", encoding="utf-8")
    lines = stored.read_text(encoding="utf-8").split("\n")
    assert len(lines) == 2
    assert Episode.from_json(lines[0]) == episode == replay(episode)


# The players a game can supply


@pytest.mark.parametrize("suite", ["id", "rule-ood"])
def test_the_expert_is_right(suite):
    for task in islice(game("gp-l").tasks(suite), 100):
        episode = start(task)
        answer = game("gp-l").expert(episode)
        attempt = judge(episode, answer).attempts[0]
        assert attempt.verdict.success and attempt.tags == ()
        assert attempt.verdict.evidence["cards_right"] and attempt.verdict.evidence["number_right"]
        assert set(json.loads(answer)) == {"cards", "number", "formula"}


def test_the_expert_says_when_there_is_no_solution():
    with pytest.raises(UsageError, match="no solution"):
        game("gp-l").expert(opened(hand=("A", "A", "A", "A")))


def test_the_expert_can_choose_among_the_simplest():
    episode = opened(hand=("4", "4", "4", "4", "4", "4"))
    few = opened(hand=("6", "6", "6", "6"))
    answers = {game("gp-l").expert(few, random.Random(s), among=3) for s in range(30)}
    assert 1 < len(answers) <= 3
    assert all(judge(few, answer).success for answer in answers)
    assert judge(episode, game("gp-l").expert(episode)).success


def test_chance_uses_every_card_once():
    categories = Counter()
    for seed in range(300):
        episode = opened(hand=("K", "J", "3", "A"), faces="eleven-twelve-thirteen")
        answer = game("gp-l").random(episode, random.Random(seed))
        assert answer == game("gp-l").random(episode, random.Random(seed))
        categories[judge(episode, answer).attempts[0].verdict.category] += 1
    assert set(categories) <= {"correct", "wrong_value"}
    assert len({game("gp-l").random(opened(), random.Random(s)) for s in range(50)}) > 30
