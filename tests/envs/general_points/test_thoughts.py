"""Thoughts: every told step is true, every try honest, and what is not to be learnt is found."""

import json
import random
import re
from collections import Counter
from fractions import Fraction
from itertools import permutations

import pytest

from labkit.envs.general_points.thoughts import LARGEST, abandoned, reachable, search_length, think, told


def drawn(count=400):
    """Thoughts about two to four numbers, with the arguments they were written for."""
    for seed in range(count):
        rng = random.Random(f"thought/{seed}")
        numbers = [rng.randint(1, 13) for _ in range(rng.choice((3, 4, 4, 4)))]
        targets = sorted(reachable(tuple(sorted(numbers))))
        target, tries, solved = rng.choice(targets), rng.randint(1, 3), rng.random() < 0.6
        yield numbers, target, solved, think(rng, numbers, target, tries=tries, solved=solved)


def replayed(text, numbers):
    """Play a thought on the numbers, by other code: the tries' values, and whether each was told to miss."""
    held, earlier, values = Counter(numbers), {}, []
    for part in text.split("; "):
        if part.startswith("back to "):
            held = Counter(earlier[part.removeprefix("back to ")])
            continue
        step, _, left = part.removesuffix(" no").partition(": ")
        a, op, b, value = re.fullmatch(r"(\d+)([-+*/])(\d+)=(\d+)", step).groups()
        assert Fraction(eval(f"Fraction({a}){op}Fraction({b})")) == int(value), step  # noqa: S307
        used = Counter([int(a), int(b)])
        assert used <= held, f"{step} uses numbers that are not there: {sorted(held.elements())}"
        held = held - used + Counter([int(value)])
        if left:
            assert Counter(map(int, left.split())) == held, part
            assert int(left.split()[-1]) == int(value)
            earlier[left] = held
        else:
            assert held == Counter([int(value)])
            values.append((int(value), part.endswith(" no")))
            held, earlier = Counter(numbers), dict(earlier)
    return values


def test_every_step_is_true_and_uses_the_numbers_that_are_left():
    for numbers, target, solved, thought in drawn():
        values = replayed(thought.text, numbers)
        assert [value == target for value, _ in values] == [False] * (len(values) - 1) + [solved]
        assert [missed for _, missed in values] == [value != target for value, _ in values]


def test_the_formula_is_that_of_the_last_try():
    for numbers, _, _, thought in drawn():
        formula, value = thought.formula.rsplit("=", 1)
        assert sorted(map(int, re.findall(r"\d+", formula))) == sorted(numbers)
        assert eval(re.sub(r"(\d+)", r"Fraction(\1)", formula)) == replayed(thought.text, numbers)[-1][0]  # noqa: S307
        assert int(value) == replayed(thought.text, numbers)[-1][0]


def test_numbers_stay_within_the_bounds():
    for _, _, _, thought in drawn():
        assert all(0 <= int(n) <= LARGEST for n in re.findall(r"\d+", thought.text))


def test_searches_go_on_at_first_and_end_after_a_few_misses():
    rng, n = random.Random(3), 40_000
    lengths = Counter(search_length(rng) for _ in range(n))
    assert lengths[1, True] / n == pytest.approx(0.35, abs=0.01)
    assert lengths[1, False] / n == pytest.approx(0.65 * 0.3, abs=0.01)
    assert lengths[2, True] / n == pytest.approx(0.65 * 0.7 * 0.35, abs=0.01)
    # Of those that miss three times, six in ten end there.
    missed = sum(c for (tries, hit), c in lengths.items() if tries > 3 or (tries == 3 and not hit))
    assert lengths[3, False] / missed == pytest.approx(0.6, abs=0.03)
    assert max(tries for tries, _ in lengths) == 6
    assert {search_length(rng, solved=False)[1] for _ in range(200)} == {False}


def test_tries_that_were_made_are_not_made_again_and_withheld_values_are_not_met():
    rng, numbers = random.Random(1), [3, 8, 9, 10]
    seen = set()
    for _ in range(30):
        thought = think(rng, numbers, 30, tries=2, solved=False, seen=seen, avoid=(24,))
        assert not seen & set(thought.tries)
        assert all(not steps[-1].endswith(("=24", "=30")) for steps in thought.tries)
        seen |= set(thought.tries)


def test_a_target_out_of_reach_is_refused():
    with pytest.raises(ValueError, match="24 cannot be reached"):
        think(random.Random(0), [1, 1, 1, 1], 24)


def folded(numbers):
    """Values of all ways to fold the numbers two at a time, within whole numbers from 0 to 99."""
    if len(numbers) == 1:
        return {numbers[0]}
    found = set()
    for a, b, *rest in permutations(numbers):
        for value in (a + b, a - b, a * b, Fraction(a, b) if b else None):
            if value is not None and 0 <= value <= 99 and Fraction(value).denominator == 1:
                found |= folded((int(value), *rest))
    return found


@pytest.mark.parametrize("numbers", [(1, 1), (0, 5), (2, 3, 7), (4, 4, 10, 10), (1, 5, 5, 5), (3, 3, 8, 8)])
def test_reachable_numbers_are_those_of_a_plain_search(numbers):
    assert reachable(numbers) == folded(numbers)


def test_hands_that_need_fractions_or_larger_numbers_are_out_of_reach():
    # 5*(5-1/5), 8/(3-8/3) and (10*10-4)/4 are the only ways.
    assert not [hand for hand in ((1, 5, 5, 5), (3, 3, 8, 8), (4, 4, 10, 10)) if 24 in reachable(hand)]
    assert 24 in reachable((3, 8, 9, 10))


THOUGHT = (
    "10-9=1: 3 8 1; 8-1=7: 3 7; 3*7=21 no; back to 3 8 1; 3+8=11: 1 11; 1*11=11 no; "
    "10+8=18: 9 3 18; 9-3=6: 18 6; 18+6=24"
)


def test_choices_that_led_to_nothing_are_found():
    choices = [THOUGHT[a:b] for a, b in abandoned(THOUGHT)]
    assert choices == ["10-9", "8-1", "3*7", "3+8", "1*11"]


def test_a_first_step_that_a_later_try_goes_on_from_is_kept():
    thought = "10-9=1: 3 8 1; 8-1=7: 3 7; 3*7=21 no; back to 3 8 1; 8*1=8: 3 8; 3*8=24"
    assert [thought[a:b] for a, b in abandoned(thought)] == ["8-1", "3*7"]


def test_a_search_given_up_is_abandoned_as_a_whole():
    assert [("2+2=4: 5 4; 5-4=1 no")[a:b] for a, b in abandoned("2+2=4: 5 4; 5-4=1 no")] == ["2+2", "5-4"]
    assert abandoned("2+2=4: 6 4; 6*4=24") == []


def test_steps_are_read_as_they_were_told_true_or_not():
    steps = told("21 no; 34-10=24: 2 24; 24/5=4; 24/6=4 no")
    assert [(s.left, s.op, s.right, s.value, s.remaining) for s in steps] == [
        (34, "-", 10, 24, (2, 24)),
        (24, "/", 5, 4, ()),
        (24, "/", 6, 4, ()),
    ]
    assert [s.true for s in steps] == [True, False, True]
    assert not told("8/0=0")[0].true


def test_a_thought_fits_the_answer_format_and_leaves_the_verdict_alone():
    from labkit.envs.general_points import verifier
    from labkit.envs.general_points.answers import answer_text

    with_thought = answer_text(["10", "9", "3", "8"], [10, 9, 3, 8], "(10-9)*8*3", 24, thought=THOUGHT)
    assert json.loads(with_thought)["thought"] == THOUGHT
    ranks = ("10", "9", "3", "8")
    bare = answer_text(ranks, [10, 9, 3, 8], "(10-9)*8*3", 24)
    assert list(json.loads(bare)) == ["cards", "number", "formula"]
    assert verifier.verdict(verifier.read(with_thought), ranks, "ten") == verifier.verdict(
        verifier.read(bare), ranks, "ten"
    )
