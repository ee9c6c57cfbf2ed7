"""Metrics on episodes made by hand; every expected number is worked out beside it."""

import json

import pytest

from labkit.envs import game, judge, start
from labkit.episode import Episode, Sample
from labkit.evaluation import metrics
from labkit.evaluation.general_points import deal_weights, measures, split_of
from labkit.evaluation.metrics import Trials, share, success_within, wilson
from labkit.evaluation.suites import measure


def episode(cards: str, *answers: str, cell: str = "gp-l", **settings) -> Episode:
    played = start(game(cell).task(hand=cards.split(), **{"suite": "id", **settings}))
    for answer in answers:
        played = judge(played, answer)
    return played


def formula(text: str, number: str = "[]", cards: str = "[]") -> str:
    return f'{{"cards": {cards}, "number": {number}, "formula": "{text}"}}'


WRONG, RIGHT = formula("3+3+8+8"), formula("8/(3-8/3)=24")


def test_wilson_by_hand():
    # z = 1.96, n = 10, p = 1/2: centre (.5 + 3.8415/20) / (1 + .38415) = .5,
    # half 1.96 sqrt(.25/10 + 3.8415/400) / 1.38415 = 1.96 * .18602 / 1.38415 = .26341
    assert wilson(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=5e-5)
    # p = 0: from 0 to z^2 / (n + z^2) = 3.8415 / 13.8415
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.27753), abs=5e-6)
    assert wilson(1.0, 10) == pytest.approx((1 - 0.27753, 1.0), abs=5e-6)


def test_one_trial_an_episode_is_the_plain_wilson_interval():
    found = share([Trials(1)] * 5 + [Trials(0)] * 5)
    assert (found.value, found.n) == (0.5, 10)
    assert found.ci95 == pytest.approx(wilson(0.5, 10))


def test_answers_that_agree_within_an_episode_count_as_one():
    # Both answers of an episode right, or both wrong: 8 answers hold no more than 4 episodes do.
    # Variance over episodes: 4 * (1 - .5 * 2)^2 / 8^2 = 1/16, so .25 / (1/16) = 4 effective trials.
    found = share([Trials(2, 2), Trials(0, 2), Trials(2, 2), Trials(0, 2)])
    assert (found.value, found.n) == (0.5, 8)
    assert found.ci95 == pytest.approx(wilson(0.5, 4))


def test_episodes_that_all_agree_keep_a_width():
    assert share([Trials(3, 3), Trials(2, 2)]).ci95 == pytest.approx(wilson(1.0, 2))


def test_weights():
    # Value .5; variance (.5 * .5)^2 + 2 (.25 * .5)^2 = .09375, so .25 / .09375 = 8/3 effective trials.
    found = share([Trials(1), Trials(0), Trials(0)], [0.5, 0.25, 0.25])
    assert (found.value, found.n) == (0.5, 3)
    assert found.ci95 == pytest.approx(wilson(0.5, 8 / 3))


def test_nothing_to_measure():
    assert share([]) == (None, 0, None)
    assert share([Trials(0, 0)]) == (None, 0, None)
    assert metrics.mean([]) == (None, 0, None)


def test_mean_by_hand():
    # 1, 1, 1, 1, 1, 3, 3, 3, 3, 3: mean 2, standard deviation sqrt(10/9), half 1.96 sqrt(10/9) / sqrt(10)
    found = metrics.mean([1] * 5 + [3] * 5)
    assert (found.value, found.n) == (2, 10)
    assert found.ci95 == pytest.approx((2 - 1.96 / 3, 2 + 1.96 / 3), abs=1e-4)
    assert metrics.mean([1, 3]) == (2, 2, None)


def test_success_within_fewer_attempts():
    episodes = [
        episode("3 3 8 8", RIGHT),
        episode("3 3 8 8", WRONG, WRONG, RIGHT),
        episode("3 3 8 8", WRONG, WRONG, WRONG, attempts=3),
        episode("3 3 8 8", "", "", "", "", "", attempts=5),
    ]
    assert [success_within(e, 2) for e in episodes] == [True, False, False, False]
    result = measure(episodes)
    assert {k: e.value for k, e in result.details["within"].items()} == {
        "1": 0.25,
        "2": 0.25,
        "3": 0.5,
        "4": 0.5,
        "5": 0.5,
    }
    assert (result.value, result.n) == (0.5, 4)
    # Successes after 1 and 3 attempts.
    assert result.details["attempts_to_success"].value == 2
    # 5, 5 - 1 - 1 = 3, -1 - 1 - 1 - 1 = -4, -3 * 5 - 1 = -16; together -12.
    assert result.details["return"].value == -3
    assert result.details["categories"] == {"wrong_value": 2, "correct": 1, "unreadable": 1}
    # 5 of 12 answers cannot be read; the other 7 are legal and use each card once.
    assert result.details["legal"][:2] == result.details["valid"][:2] == (pytest.approx(7 / 12), 12)


def test_kept_old_rule():
    rule = {"faces": "eleven-twelve-thirteen"}
    episodes = [
        episode("K K 2 2", formula("10+10+2+2"), **rule),  # 24, were K 10: the old rule
        episode("K K 2 2", formula("10*10-2-2"), **rule),  # not 24, but the old rule's numbers: the old rule
        episode("K K 2 2", formula("13+13+2+2"), **rule),  # the rule as told, and not 24
        episode("K K 2 2", formula("10+10+2"), **rule),  # no rule's numbers
        episode("K K 2 2", "none", **rule),
        episode("3 3 8 8", WRONG, **rule),  # both rules say the same here: not counted
    ]
    found = measures(episodes)["kept_old_rule"]
    assert (found.value, found.n) == (pytest.approx(2 / 5), 5)


def test_number_right_looks_at_the_number_field_alone():
    episodes = [
        episode("K 3 8 8", formula("1", number="[10, 3, 8, 8]")),
        episode("K 3 8 8", formula("1", number="[8, 10, 8, 3]")),
        episode("K 3 8 8", formula("1", number="[13, 3, 8, 8]")),
        episode("K 3 8 8", "none"),
    ]
    assert measures(episodes)["number_right"][:2] == (0.5, 4)


def test_steps_of_thoughts_are_counted_over_all_answers_that_have_some():
    thought = "9-6=3: 3 8 3; 8-3=6: 3 6; 3+6=9 no; 9-6=2: 3 8 2; 2*8=16: 3 16; 3+16=24"
    thinking = formula("9+6+3+8=26").replace('"formula"', f'"thought": "{thought}", "formula"')
    found = measures([episode("9 6 3 8", thinking, thinking.replace(thought, "hm"), "{", formula("9+6+3+8=26"))])
    # Of six steps 9-6=3, 3+6=9 and 2*8=16 are true; of the two that end a try, 3+6=9 is.
    assert found["steps_true"][:2] == (3 / 6, 6)
    assert found["last_steps_true"][:2] == (1 / 2, 2)
    assert measures([episode("9 6 3 8", formula("9+6+3+8=26"))])["steps_true"].n == 0


def test_a_formula_is_judged_by_itself_where_the_thought_has_found_one():
    def answer(thought, told):
        return formula(told).replace('"formula"', f'"thought": "{thought}", "formula"')

    found = "9+6=15: 3 8 15; 15-8=7: 3 7; 3*7=21 no; 9+3=12: 6 8 12; 12-8=4: 6 4; 6*4=24"
    bent, cut = "9+3=12: 6 8 12; 12-8=4: 6 4; 6+4=24", "9+3=12: 6 8 12; 12-8=4: 6 4"
    answers = [
        answer(found, "(9+3+8)*6"),  # found, and miscopied
        answer(found[:49] + " no", "(9+6-8)*3=21"),  # ends in a miss
        answer(bent, "(9+3-8)*6"),
        answer(cut, "(9+3-8)*6+1"),
        answer(found, "(9+3-8)*6=24"),
    ]
    played = [episode("9 6 3 8", one) for one in answers]
    assert [e.success for e in played] == [False, False, True, False, True]
    assert measures(played)["formula_given_thought"][:2] == (1 / 2, 2)


def test_distinct_solutions():
    again = formula("8/(3-(8/3))")  # the same up to bracketing
    other = formula("6*6-6-6")  # 36 - 12 = 24
    episodes = [
        episode("3 3 8 8", RIGHT),
        episode("8 3 8 3", again),
        episode("6 6 6 6", other),
        episode("6 6 6 6", ""),
    ]
    assert measures(episodes)["solutions"] == {"right": 3, "distinct": 2}


def test_recognition_and_the_formula_are_told_apart():
    small = {"cell": "gp-vl", "picture": {"size": 64}, "attempts": 1}
    named, misread = '["3", "3", "8", "8"]', '["3", "3", "8", "9"]'
    episodes = [
        episode("3 3 8 8", formula("8/(3-8/3)", cards=named), **small),
        episode("3 3 8 8", formula("8/(3-8/3)", cards=misread), **small),  # a right formula, a card misread
        episode("3 3 8 8", formula("3+3+8+8", cards=named), **small),
        episode("3 3 8 8", formula("3+3+8+8", cards=misread), **small),
    ]
    found = measures(episodes)
    assert found["recognition"].value == 0.5
    assert found["formula_success"].value == 0.5
    assert measure(episodes).value == 0.25
    assert "recognition" not in measures([episode("3 3 8 8", RIGHT)])


def test_an_answer_is_taken_apart_into_cards_numbers_and_formula():
    small = {"cell": "gp-vl", "picture": {"size": 64}, "attempts": 5}

    def answer(text, cards, number):
        return json.dumps({"cards": cards.split(), "number": number, "formula": text})

    deal = episode(
        "K 3 8 8",
        answer("10+3+8+8", "K 3 8 8", [10, 3, 8, 8]),  # all right but the formula
        answer("3*8+8-10", "8 8 3 K", [8, 8, 3, 13]),  # another order, one number wrong
        answer("3*8+8-10", "K 3 3 3", [10, 3, 3, 3]),  # two of four cards: one 3 and the king
        answer("3*8+8-10", "K 3 8 8 A", [10, 3, 8, 8]),  # four of the five that it names
        "no answer",  # none of four
        **small,
    )
    found = measures([deal])
    assert found["recognition"][:2] == (2 / 5, 5)
    assert found["recognition_per_card"][:2] == ((4 + 4 + 2 + 4 + 0) / (4 + 4 + 4 + 5 + 4), 21)
    assert found["translation"][:2] == (1 / 2, 2)
    assert found["formula_given_numbers"][:2] == (0 / 1, 1)
    solved = episode("3 3 8 8", answer("8/(3-8/3)=24", "3 8 3 8", [3, 8, 3, 8]), **small)
    both = measures([deal, solved])
    assert both["formula_given_numbers"][:2] == (1 / 2, 2)
    assert both["translation"][:2] == (2 / 3, 3)


def test_splits_come_from_the_values_of_the_hand():
    # K and Q both count as 10 under `ten`: one multiset, one split, whatever the order.
    same = {split_of(episode(hand, RIGHT)) for hand in ("K Q 2 3", "3 10 2 J", "10 10 3 2")}
    assert len(same) == 1
    result = measure([episode("3 3 8 8", RIGHT), episode("8 8 3 3", WRONG, attempts=1)])
    assert [(e.value, e.n) for e in result.splits.values()] == [(0.5, 2)]


def test_shares_of_the_deals():
    # A deck deals 6 6 6 6 in 1 way, 3 3 8 8 in 6 * 6 = 36.
    found = deal_weights([episode("6 6 6 6", RIGHT), episode("8 3 8 3", RIGHT)])
    assert found[1] / found[0] == pytest.approx(36)
    with pytest.raises(ValueError, match="not a hand"):
        deal_weights([episode("A A A A", RIGHT)])


def test_tokens_are_those_of_models():
    def sampled(tokens: int, truncated: bool) -> Episode:
        sample = Sample(tokens, prompt_tokens=9, seconds=0.1, temperature=0, logp=-1, truncated=truncated)
        return judge(start(game("gp-l").task(hand=["3", "3", "8", "8"])), WRONG, sample)

    found = measure([sampled(10, False), sampled(20, True), sampled(60, True)]).details
    assert found["tokens"] == 30 and found["truncated"][:2] == (pytest.approx(2 / 3), 3)
    assert "tokens" not in measure([episode("3 3 8 8", RIGHT)]).details


def test_tags_are_counted_over_all_attempts():
    # 3 + 3 + 8 + 8 = 22, said to be 24; the second time it also repeats the first.
    played = episode("3 3 8 8", formula("3+3+8+8=24"), formula("8+3+8+3=24"), "?")
    tags = measure([played]).details["tags"]
    assert tags["arith_error"] == 2 and tags["repeat_of_previous_turn"] == 1 and tags["bad_json"] == 1


def test_a_stored_episode_measures_the_same():
    episodes = [episode("K 3 8 8", formula("3+3+8+8"), RIGHT, ""), episode("3 3 8 8", RIGHT)]
    again = [Episode.from_json(e.to_json()) for e in episodes]
    assert measure(again).to_dict() == measure(episodes).to_dict()


def test_no_episodes_is_an_error():
    with pytest.raises(ValueError, match="no episodes"):
        measure([])
