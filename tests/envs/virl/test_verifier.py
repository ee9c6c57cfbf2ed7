"""Rewards, order of the checks, evidence, feedback, tags; and any text at all."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from labkit.envs.reading import LIMIT
from labkit.envs.virl.headings import ACTIONS
from labkit.envs.virl.observation import Seen, seen
from labkit.envs.virl.tags import TAGS, tags
from labkit.envs.virl.verifier import CATEGORIES, REWARD, Truth, check_reward, parse_action, read, verdict
from labkit.errors import UsageError
from tests.cost import loops

PLAIN = "No landmark is nearby. There is no intersection."
CORNER = "Cafe Luna is on your left. There is an intersection."
AT_CORNER = Truth("turn_direction(north)", "absolute", Seen(("Cafe Luna",), True), (), ("Cafe Luna", "Old Bank"))
ON_THE_WAY = Truth("forward()", "absolute", Seen((), False), (), ("Cafe Luna", "Old Bank"))
AT_THE_END = Truth("stop()", "absolute", Seen(("Old Bank",), False), (), ("Cafe Luna", "Old Bank"))
RELATIVE = AT_CORNER._replace(action="turn_direction(slightly left)", actions="relative")


def answer(action, observation=PLAIN, instruction="Go."):
    return json.dumps({"current observation": observation, "current instruction": instruction, "action": action})


def judged(text, truth=AT_CORNER, **options):
    return verdict(read(text), truth, **options)


def tagged(text, truth=AT_CORNER):
    return tags(read(text), judged(text, truth), truth, (), ())


# Verdicts


@pytest.mark.parametrize(
    ("text", "truth", "category", "reward"),
    [
        ("no idea", AT_CORNER, "unreadable", -1),
        (answer("turn_direction(north)", CORNER), AT_CORNER, "correct", 1),
        # Right is right, whatever is said to be seen.
        (answer("turn_direction(north)", PLAIN), AT_CORNER, "correct", 1),
        (answer("turn_direction(east)", CORNER), AT_CORNER, "wrong_action", -1),
        (answer("turn_direction(east)", PLAIN), AT_CORNER, "wrong_observation", -1.5),
        (answer("turn_direction(east)", "Cafe Luna is on your left."), AT_CORNER, "wrong_observation", -1.5),
        (answer("turn_direction(east)", "There is an intersection."), AT_CORNER, "wrong_observation", -1.5),
        (answer("stop()", PLAIN), ON_THE_WAY, "wrong_action", -1),
        (answer("stop()", CORNER), ON_THE_WAY, "wrong_observation", -1.5),
        (answer("stop()", "Old Bank is behind you."), ON_THE_WAY, "wrong_observation", -1.5),
        (answer("stop()", "There is an intersection."), ON_THE_WAY, "wrong_observation", -1.5),
        # What is not said is not seen: that contradicts a corner, and agrees with an empty street.
        ('{"action": "stop()"}', AT_CORNER, "wrong_observation", -1.5),
        ('{"action": "stop()"}', ON_THE_WAY, "wrong_action", -1),
        # Another landmark in place of the true one.
        (
            answer("forward()", "Old Bank is on your left. There is an intersection."),
            AT_CORNER,
            "wrong_observation",
            -1.5,
        ),
        (answer("go north", CORNER), AT_CORNER, "wrong_action", -1),
        (answer("turn_direction(left)", CORNER), AT_CORNER, "wrong_action", -1),
        ('{"action": ["forward()"]}', ON_THE_WAY, "wrong_action", -1),
        ('{"action": {}}', ON_THE_WAY, "wrong_action", -1),
    ],
)
def test_the_order_and_the_rewards(text, truth, category, reward):
    got = judged(text, truth)
    assert (got.category, got.reward, got.success) == (category, reward, category == "correct")
    assert category in CATEGORIES


def test_a_table_of_ones_own():
    table = check_reward({"wrong_action": 0, "correct": 5})
    assert judged(answer("stop()", CORNER), reward=table).reward == 0
    assert judged(answer("turn_direction(north)"), reward=table).reward == 5
    assert REWARD["correct"] == 1 and table["exhausted"] == -1
    for wrong in ({"right": 1}, {"correct": "1"}, {"correct": True}, {"correct": float("nan")}):
        with pytest.raises(UsageError):
            check_reward(wrong)


def test_evidence():
    got = judged(answer("turn_direction(left)", "There is an intersection."))
    assert got.evidence == {
        "expected_action": "turn_direction(north)",
        "action": "turn_direction(left)",
        "action_allowed": False,
        "landmark_right": False,
        "intersection_right": True,
        "failed": ["wrong_action", "wrong_observation"],
    }
    assert judged("?").evidence == {"failed": ["unreadable"]}


@pytest.mark.parametrize("action", ["turn_direction(south)", "turn_direction(left)", "forward()", "stop()", "?"])
@pytest.mark.parametrize("observation", [CORNER, PLAIN, ""])
def test_feedback_says_what_was_wrong_and_not_what_is_right(action, observation):
    # The compass words of the rule are named when a word of the other rule was used: all eight, the right one too.
    said = judged(answer(action, observation)).feedback
    assert said.endswith("Try again.")
    assert "Cafe Luna" not in said
    if action != "turn_direction(left)":
        assert "north" not in said
    assert ("observation" in said) == (observation != CORNER)


def test_feedback_in_full():
    assert judged(answer("stop()", CORNER)).feedback == "The action is wrong here: not stop(). Try again."
    assert judged(answer("stop()", PLAIN)).feedback == (
        "The action is wrong here, and so is the observation: a landmark is missing from it, and an intersection "
        "is missing from it. Try again."
    )
    assert judged(answer("turn_direction(west)", CORNER), RELATIVE).feedback == (
        "The action is wrong here: turn_direction takes left, right, slightly left, slightly right. Try again."
    )
    assert judged("").feedback.startswith("There is no complete JSON object")
    assert judged("", templates={"unreadable": "Eh?", "again": ""}).feedback == "Eh?"


# Actions


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("forward()", "forward()"),
        ("Forward ( )", "forward()"),
        ("forward", "forward()"),
        ("STOP();", "stop()"),
        ("stop.", "stop()"),
        ("turn_direction(north)", "turn_direction(north)"),
        (" Turn_Direction( North-East ) ", "turn_direction(northeast)"),
        ("turn_direction('north west')", "turn_direction(northwest)"),
        ('turn direction("Slightly  Left")', "turn_direction(slightly left)"),
        ("turn-direction(slightly_right)", "turn_direction(slightly right)"),
        ("`turn_direction(left)`", "turn_direction(left)"),
        ('turn_direction(direction="north")', "turn_direction(north)"),
        ("turn_direction(x = slightly left)", "turn_direction(slightly left)"),
        ("turn_direction(heading: 'north-west')", "turn_direction(northwest)"),
        ("turn_direction（north）", "turn_direction(north)"),
        ("ｆｏｒｗａｒｄ（）", "forward()"),
        ("turn_direction【east】", "turn_direction(east)"),
        ("turn_direction{x: east}", "turn_direction(east)"),
        ("turn_direction<east>", "turn_direction(east)"),
        ("**forward()**", "forward()"),
    ],
)
def test_actions_are_read_leniently(text, meant):
    assert parse_action(text).text == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "go",
        "north",
        "turn_direction",
        "turn_direction()",
        "turn_direction(up)",
        "forward(north)",
        "forward() stop()",
        "stop()forward()",
        "turn_direction(north, east)",
        "turn_direction(north)(east)",
        "turn_left()",
        "forward(" * 9000,
        "turn_direction(" + " " * 100_000 + "north)",
        "not forward()",
        "turn_direction(right-)",
        "turn_direction(-right)",
        "turn_direction(right_)",
        "turn_direction(north)-",
        "forward-",
        "turn_direction(direction=)",
        "turn_direction(to=north)",
        "turn_direction(north) east)",
    ],
)
def test_what_is_no_action(text):
    assert parse_action(text) is None


@pytest.mark.parametrize("rule", ACTIONS)
def test_the_words_of_a_rule(rule):
    for word in ACTIONS[rule]:
        action = parse_action(f"turn_direction({word})")
        assert (action.word, action.rule) == (word, rule)
    assert parse_action("forward()").rule == parse_action("stop()").rule == ""


def test_only_the_right_word_is_right():
    for truth in (AT_CORNER, RELATIVE):
        for word in (*ACTIONS["absolute"], *ACTIONS["relative"]):
            action = f"turn_direction({word})"
            assert judged(answer(action, CORNER), truth).success == (action == truth.action)


def test_keys_may_have_underscores_and_any_case_and_the_last_object_counts():
    text = f'First {{"action": "stop()"}}, then {{"Current_Observation": "{CORNER}", "ACTION": "forward()"}}'
    reading = read(text)
    assert reading.observation == CORNER and reading.action.text == "forward()"
    start, end = reading.action_span
    assert text[start:end] == "forward()" and start > 40


def test_an_answer_that_goes_on_behind_its_closing_brace_is_unreadable():
    whole = answer("turn_direction(north)", CORNER)
    assert judged(whole + " So I turn.").success
    for behind in (' Cafe Luna is ahead.", "action": "turn_direction(east)"}', "}, 'action': 'stop()'}"):
        assert judged(whole + behind).category == "unreadable"


def test_an_action_in_a_thought_that_was_cut_off_is_unreadable():
    whole = answer("turn_direction(north)", CORNER)
    assert judged(f"<think>perhaps {whole} or").category == "unreadable"
    assert judged(f"<think>perhaps {answer('stop()')}</think>\n{whole}").success


# Observations


@pytest.mark.parametrize(
    ("text", "landmarks", "intersection"),
    [
        (PLAIN, (), False),
        (CORNER, ("Cafe Luna",), True),
        ("", (), False),
        ("Landmarks are in the picture. There is an intersection.", (), True),
        ("I am not at an intersection yet; no landmarks nearby", (), False),
        ("I do not see any landmark but there is a junction", (), True),
        ("Intersection: none", (), False),
        ("intersection is not visible", (), False),
        ("An intersection is ahead", (), True),
        ("No landmark is on your left, an intersection", (), True),
        ("Cafe Luna is behind you and Old Bank is ahead on your right.", ("Cafe Luna", "Old Bank"), False),
        ("The Crown is on your right front; Intersection observed", ("The Crown",), True),
        ("There isn't a crossroads here.", (), False),
        ("Nothing is nearby.", (), False),
    ],
)
def test_what_an_observation_says_is_seen(text, landmarks, intersection):
    assert seen(text) == Seen(landmarks, intersection)


@pytest.mark.parametrize(
    "name",
    ['The "Crown"', "Junction Cafe", "No Frills", "St. Mark's", "مقهى القمر", "☕🍰", "A", "a.b*c(", "Is on", "{x}"],
)
def test_a_known_name_may_hold_anything(name):
    assert seen(f"{name} is on your left. There is no intersection.", [name]) == Seen((name,), False)
    assert seen(f"{name.upper()}  is behind you. There is an intersection.", [name]) == Seen((name,), True)
    assert seen(f"I do not see {name}.", [name]) == Seen((), False)
    assert seen(PLAIN, [name]) == Seen((), False)


def test_a_name_within_a_longer_one_is_not_taken_for_itself():
    names = ["Old Bank", "Old Bank Cafe"]
    assert seen("Old Bank Cafe is on your left.", names).landmarks == ("Old Bank Cafe",)
    assert set(seen("Old Bank Cafe is on your left and Old Bank is behind you.", names).landmarks) == set(names)
    assert seen("Old Banker is on your left.", ["Old Bank"]).landmarks == ("Old Banker",)


# Tags


@pytest.mark.parametrize(
    ("text", "truth", "expected"),
    [
        ("?", AT_CORNER, ("bad_json",)),
        (answer("turn_direction(north)", CORNER), AT_CORNER, ()),
        (answer("turn_direction(north)", PLAIN), AT_CORNER, ("wrong_landmark", "wrong_intersection")),
        (answer("turn_direction(east)", CORNER), AT_CORNER, ("wrong_heading",)),
        (answer("turn_direction(left)", CORNER), AT_CORNER, ("wrong_action_space",)),
        (answer("turn_direction(west)", CORNER), RELATIVE, ("wrong_action_space",)),
        (answer("forward()", CORNER), AT_CORNER, ("missed_turn",)),
        (answer("stop()", CORNER), AT_CORNER, ("premature_stop",)),
        (answer("turn_direction(left)"), ON_THE_WAY, ("wrong_action_space", "needless_turn")),
        (answer("stop()"), ON_THE_WAY, ("premature_stop",)),
        (answer("forward()", "Old Bank is on your left."), AT_THE_END, ("missed_stop",)),
        (answer("jump()", CORNER), AT_CORNER, ("illegal_action",)),
        ('{"action": "forward()"}', ON_THE_WAY, ("missing_field",)),
    ],
)
def test_the_tags(text, truth, expected):
    assert tagged(text, truth) == expected
    assert list(expected) == [t for t in TAGS if t in expected]


# Any text


@given(st.text())
@example('{"action": "forward()"')
@example('{"action": "turn_direction(\ud800)"}')
@example('{"action": {"action": "stop()"}, "current observation": [1, {}]}')
def test_any_text_is_a_verdict(text):
    for truth in (AT_CORNER, ON_THE_WAY, RELATIVE):
        for wrapped in (text, answer("stop()", text), answer(text), f'{{"action": {text}}}'):
            got = judged(wrapped, truth)
            assert got.category in CATEGORIES and got.reward == REWARD[got.category]
            assert got.success == (got.evidence.get("action") == truth.action)
            assert judged(wrapped, truth) == got
            json.dumps(got.evidence)
            tagged(wrapped, truth)


@pytest.mark.parametrize(
    "text",
    [
        "{" * LIMIT,
        '{"action": "' + "(" * LIMIT,
        answer("stop()", " is" * 20_000),
        answer("stop()", " " * 60_000),
        answer("stop()", "no " * 20_000 + "intersection"),
        answer("stop()", "is on your left and " * 3000),
        answer("turn_direction(" * 4000),
    ],
    ids=range(7),
)
def test_hostile_text_is_judged_quickly(text):
    assert loops(lambda: judged(text, AT_CORNER)) < 5
