"""Rewards, evidence, feedback; every solution and its mutations against an independent checker; any text."""

import ast
import json
import operator
import random
import re
import tracemalloc
from collections import Counter
from fractions import Fraction
from itertools import combinations_with_replacement

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from labkit.envs.general_points import solver
from labkit.envs.general_points.verifier import CATEGORIES, REWARD, check_reward, read, verdict
from labkit.errors import UsageError
from tests.cost import loops

RANKS = "A 2 3 4 5 6 7 8 9 10 J Q K".split()
RULES = {
    "ten": dict(zip(RANKS, [*range(1, 11), 10, 10, 10], strict=True)),
    "eleven-twelve-thirteen": dict(zip(RANKS, range(1, 14), strict=True)),
}
HAND = ("K", "J", "3", "A")
ANSWERS = {
    "unreadable": "no idea",
    "wrong_cards": '{"cards": ["K","Q","3","A"], "formula": "10+10+3+1"}',
    "illegal_formula": '{"cards": ["K","J","3","A"], "formula": "10+10+3+"}',
    "wrong_numbers": '{"cards": ["K","J","3","A"], "formula": "10+14"}',
    "wrong_value": '{"cards": ["K","J","3","A"], "formula": "10+10+3-1"}',
    "correct": '{"cards": ["K","J","3","A"], "formula": "10+10+3+1"}',
}


def answer(formula, ranks=("3", "3", "8", "8"), number=()):
    return json.dumps({"cards": list(ranks), "number": list(number), "formula": formula})


def judged(formula, ranks, faces="ten", **options):
    return verdict(read(answer(formula, ranks)), ranks, faces, **options)


# Rewards


@pytest.mark.parametrize(
    ("category", "reward"),
    [
        ("unreadable", -3),
        ("wrong_cards", -1.5),
        ("illegal_formula", -3),
        ("wrong_numbers", -2),
        ("wrong_value", -1),
        ("correct", 5),
    ],
)
def test_the_rewards_of_the_paper(category, reward):
    got = verdict(read(ANSWERS[category]), HAND, "ten", picture=True)
    assert (got.category, got.reward, got.success) == (category, reward, category == "correct")
    assert category in CATEGORIES


def test_a_table_of_ones_own():
    table = check_reward({"wrong_value": 0, "correct": 1})
    assert verdict(read(ANSWERS["wrong_value"]), HAND, "ten", reward=table).reward == 0
    assert verdict(read(ANSWERS["correct"]), HAND, "ten", reward=table).reward == 1
    assert verdict(read(ANSWERS["wrong_numbers"]), HAND, "ten", reward=table).reward == -2
    assert REWARD["correct"] == 5  # the default stays what it is


@pytest.mark.parametrize(
    ("cards", "formula", "picture", "total"),
    [
        ('["K","J","3","A"]', "10+10+3+1", True, 5),
        ('["K","Q","3","A"]', "10+10+3+1", True, -1.5),
        ('["K","Q","3","A"]', "10+10+3+1", False, 5),
        ('["K","Q","3","A"]', "10+(", True, -1.5 - 3),  # what cannot be read has no numbers and no value
        ('["K","Q","3","A"]', "10+14", True, -1.5 - 2),
        ('["K","J","3","A"]', "10+10", True, -2 - 1),
        ('["K","Q","3","A"]', "10+10", True, -1.5 - 2 - 1),
        ('["K","J","3","A"]', "10/(3-3)", True, -2 - 1),
    ],
)
def test_penalties_can_add_up(cards, formula, picture, total):
    text = f'{{"cards": {cards}, "formula": "{formula}"}}'
    summed = verdict(read(text), HAND, "ten", picture=picture, reward=check_reward({"combine": "sum"}))
    first = verdict(read(text), HAND, "ten", picture=picture)
    assert summed.reward == total
    assert (summed.category, summed.feedback) == (first.category, first.feedback)


@pytest.mark.parametrize(
    "table",
    [
        {"wrong": -1},
        {"correct": "5"},
        {"correct": None},
        {"correct": True},
        {"combine": "mean"},
        {"combine": 1},
        {"correct": float("nan")},
    ],
)
def test_a_bad_table_is_refused(table):
    with pytest.raises(UsageError):
        check_reward(table)


# Evidence


def test_evidence_of_a_right_answer():
    text = '{"cards": ["A","3","J","K"], "number": [10, 1, 3, 10], "formula": "10+10+3+1=24"}'
    evidence = verdict(read(text), HAND, "ten").evidence
    assert evidence["expected_numbers"] == [10, 10, 3, 1]
    assert evidence["cards_right"] is evidence["number_right"] is True
    assert Counter(evidence["used"]) == Counter([10, 10, 3, 1])
    assert evidence["value"] == "24"
    assert evidence["failed"] == []


def test_evidence_names_every_failure_in_order():
    text = '{"cards": ["K","J","3"], "number": [13, 11, 3, 1], "formula": "13+13-4=24"}'
    evidence = verdict(read(text), HAND, "ten", picture=True).evidence
    assert evidence["failed"] == ["wrong_cards", "wrong_numbers", "wrong_value"]
    assert evidence["cards_right"] is evidence["number_right"] is False
    assert evidence["not_dealt"] == [4, 13]
    assert evidence["unused_cards"] == ["K", "J", "3", "A"]
    assert evidence["value"] == "22"


def test_evidence_of_numbers_used_too_often():
    evidence = judged("3*3*3-8/8", ("3", "3", "8", "8")).evidence
    assert (evidence["overused"], evidence["not_dealt"], evidence["unused_cards"]) == ([3], [], [])
    evidence = judged("8/(3-8/3)+8", ("3", "8", "8", "A")).evidence
    assert (evidence["overused"], evidence["not_dealt"], evidence["unused_cards"]) == ([3, 8], [], ["A"])


def test_exact_values():
    assert judged("8/3-3/8", ("3", "3", "8", "8")).evidence["value"] == "55/24"
    assert judged("8/(3-3)+8", ("3", "3", "8", "8")).evidence["value"] is None
    # In floats 8/(3-8/3) is 23.99999999999999, while 6/(1-3/4) is 24: only fractions treat both alike.
    assert judged("8/(3-8/3)", ("3", "3", "8", "8")).success
    assert judged("6/(1-3/4)", ("6", "A", "3", "4")).success


def test_a_verdict_is_plain_data():
    for text in ANSWERS.values():
        evidence = verdict(read(text), HAND, "ten", picture=True).evidence
        assert json.loads(json.dumps(evidence)) == evidence


# Feedback: words a model can use, that leave reading the rule to it.


@pytest.mark.parametrize(
    ("formula", "ranks", "words"),
    [
        ("4*6", ("3", "3", "8", "8"), ["4", "6"]),
        ("3*3*3-8/8", ("3", "3", "8", "8"), ["3"]),
        ("3*8", ("3", "3", "8", "8"), ["3", "8"]),
        ("3+3+8+8", ("3", "3", "8", "8"), ["22", "24"]),
        ("8/(3-8/3)=25", ("3", "3", "8", "8"), ["25", "24"]),
        ("8/(3-3)+8", ("3", "3", "8", "8"), ["zero"]),
        ("8^3", ("3", "3", "8", "8"), ["^"]),
        ("3-8/3", ("3", "3", "8", "J"), ["J"]),
    ],
)
def test_feedback_says_what_was_wrong(formula, ranks, words):
    feedback = judged(formula, ranks).feedback
    for word in words:
        assert re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", feedback), feedback


def test_feedback_on_a_target_of_ones_own():
    assert "30" in judged("3+3+8+8", ("3", "3", "8", "8"), target=30).feedback
    assert "24" not in judged("3+3+8+8", ("3", "3", "8", "8"), target=30).feedback


FACES = {"J": 51, "Q": 52, "K": 53}
"""Numbers that can come from nothing but the rule."""


@given(st.lists(st.sampled_from(RANKS), min_size=4, max_size=4), st.data())
def test_feedback_never_tells_what_an_unused_face_card_counts_as(ranks, data):
    numbers = st.integers(0, 20) | st.sampled_from([FACES.get(r, 7) for r in ranks])
    used = data.draw(st.lists(numbers, min_size=1, max_size=5))
    formula = "".join(f"{n}{data.draw(st.sampled_from('+-*/'))}" for n in used[:-1]) + str(used[-1])
    got = judged(formula, tuple(ranks), FACES)
    hidden = {FACES[r] for r in ranks if r in FACES} - set(used)
    said = {int(n) for n in re.findall(r"\d+", got.feedback)}
    if got.category == "wrong_numbers":
        assert not said & hidden, got.feedback


def test_long_answers_do_not_make_long_feedback():
    many = "+".join(map(str, range(100, 340)))
    for formula in (many, "8" * 900, "(" * 900, "1/7" + "+1/997" * 150, "é" * 900):
        assert len(judged(formula, ("3", "3", "8", "8")).feedback) < 300


# Every solution, and mutations of it, against Python's own parser and exact fractions.

OPS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def checked(formula, numbers, target=24):
    """The category of a formula in ASCII, by the rules of the game and Python's grammar."""
    left, _, right = formula.partition("=")

    def value(node):
        if isinstance(node, ast.BinOp) and type(node.op) in OPS:
            return OPS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.Constant) and type(node.value) is int:
            used.append(node.value)
            return Fraction(node.value)
        raise SyntaxError

    used: list[int] = []
    try:
        tree = ast.parse(left.strip(), mode="eval").body
        result = value(tree)
    except SyntaxError:
        return "illegal_formula"
    except ZeroDivisionError:
        result = None
        used = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    if Counter(used) != Counter(numbers):
        return "wrong_numbers"
    return "correct" if result == target and right in ("", str(target)) else "wrong_value"


def mutations(formula, rng):
    """Ten ways to spoil a formula; some leave it right, and the checker has to say which."""
    signs = [i for i, c in enumerate(formula) if c in "+-*/"]
    spots = [m.span() for m in re.finditer(r"\d+", formula)]
    sign = rng.choice(signs)
    (a, b), (c, d) = sorted(rng.sample(spots, 2))
    cut = rng.randrange(len(formula))
    yield formula[:sign] + rng.choice("+-*/") + formula[sign + 1 :]
    yield formula[:a] + formula[c:d] + formula[b:c] + formula[a:b] + formula[d:]  # swap two numbers
    yield formula[:sign] + formula[sign + 1 :]  # no operator there
    yield formula[:a] + str(rng.randrange(14)) + formula[b:]  # another number
    yield formula + rng.choice("+-*/") + formula[a:b]  # one number twice
    yield formula[:a] + formula[b:]  # one number left out
    yield re.sub(r"[()]", "", formula)
    yield formula[:cut] + rng.choice("()") + formula[cut:]
    yield formula[:cut]  # cut off
    yield formula + "=" + str(rng.choice([23, 24, 25, 240]))


def test_every_solution_is_right_and_mutations_are_judged_by_the_rules():
    """All 1,236 hands of ten, the 796 with a face card of the other rule, ten mutations of each solution."""
    rng = random.Random(0)
    hands, solutions, seen = Counter(), 0, Counter()
    for faces, values in RULES.items():
        for ranks in combinations_with_replacement(RANKS, 4):
            numbers = [values[r] for r in ranks]
            if faces != "ten" and not set(ranks) & set("JQK"):
                continue
            found = list(solver.solve(numbers))
            hands[faces] += bool(found)
            solutions += len(found)
            for formula in found:
                assert checked(formula, numbers) == "correct"
                assert judged(f"{formula}=24", ranks, faces).category == "correct", (formula, ranks)
                for mutated in mutations(formula, rng):
                    expected = checked(mutated, numbers)
                    assert judged(mutated, ranks, faces).category == expected, (mutated, ranks)
                    seen[expected] += 1
    assert hands == {"ten": 1236, "eleven-twelve-thirteen": 796}
    assert solutions > 2032
    assert min(seen[c] for c in CATEGORIES[2:]) > 500  # every kind of verdict was put to the test


# Any text


def assert_verdict(text, ranks=("3", "3", "8", "J")):
    for picture in (False, True):
        got = verdict(read(text), ranks, "ten", picture=picture)
        assert got.category in CATEGORIES
        assert got.reward == REWARD[got.category]
        assert got.success is (got.category == "correct")
        assert got.feedback.isprintable()  # nothing that a terminal or a page would act on


@given(st.text())
@example("\ud800")
@example('{"formula": "\ud800\ud800"}')
@example('{"formula": "\\ud800"}')
@example('{"formula": "\u202e42"}')
@example('{"formula": "\x1b[2J"}')
@example('{"cards": [[], {}], "number": {"a": []}, "formula": {}}')
def test_any_text_gets_a_verdict(text):
    assert_verdict(text)


@given(st.text() | st.text("0123456789+-*/()=. xX×÷^!\n\t\x00[]{}", max_size=80))
def test_any_formula_gets_a_verdict(formula):
    assert_verdict(json.dumps({"formula": formula}))
    assert_verdict(json.dumps({"formula": formula}, ensure_ascii=False))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["formula", "a"]), inner),
        max_leaves=10,
    )
)
def test_any_json_gets_a_verdict(data):
    assert_verdict(json.dumps(data))
    assert_verdict(json.dumps({"formula": data, "cards": data, "number": data}))


ROOM = 65_000
HOSTILE = {
    "brackets": "(" * ROOM,
    "brackets, closed": "(" * 32_000 + "1" + ")" * 32_000,
    "brackets within what is read": "(" * 499 + "1" + ")" * 499,
    "digits without end": "9" * ROOM,
    "digits within what is read": "9" * 999,
    "large products": "999999*" * 142 + "9",
    "large quotients": "9" + "/999983" * 142,
    "sums of fractions": "1/999983" + "+1/99991" * 123,
    "one in another": "9+9*(9-" * 120 + "9" + ")" * 120,
    "spaces": " " * ROOM,
    "spaces behind =": "8/(3-8/3)=" + " " * ROOM,
    "spaces around a number behind =": "8/(3-8/3)=" + " " * 30_000 + "24" + " " * 30_000 + "x",
    "spaces and a word behind =": "8/(3-8/3)=" + " " * ROOM + "x",
    "equals signs": "=" * ROOM,
    "minus signs": "-" * ROOM,
    "a right-hand side without end": "24=" + "2" * ROOM,
    "NUL bytes": "\0" * 10_000,
}


@pytest.mark.parametrize("formula", HOSTILE.values(), ids=HOSTILE)
def test_hostile_formulas_take_milliseconds(formula):
    # The first 5,000 characters tell first, in case time is quadratic.
    for text in (answer(formula[:5000]), answer(formula)):
        assert loops(lambda: verdict(read(text), ("3", "3", "8", "8"), "ten")) < 5
    assert_verdict(answer(formula))


@pytest.mark.parametrize("nested", ["[", '{"formula":', '{"a":'])
@pytest.mark.parametrize("field", ["formula", "cards", "number"])
def test_deep_values_get_a_verdict(nested, field):
    closing = {"[": "]"}.get(nested, "}")
    for depth in (100, 5000):
        deep = nested * depth + "1" + closing * depth
        assert_verdict('{"formula": "1", "cards": ["3"], ' + f'"{field}": {deep}}}')
    assert_verdict('{"formula": "1", ' + f'"{field}": {nested * 100_000}')


def test_ten_megabytes_are_unreadable_at_once():
    text = answer("8/(3-8/3)=24")
    huge = " " * 10**7 + text
    tracemalloc.start()
    got = verdict(read(huge), ("3", "3", "8", "8"), "ten")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert got.category == "unreadable"
    assert peak < 2**20
    assert loops(lambda: verdict(read(huge), ("3", "3", "8", "8"), "ten")) < 1
