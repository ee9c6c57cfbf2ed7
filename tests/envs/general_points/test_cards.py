"""Deals, face rules, suites and splits, against a solver of the test's own: fractions and every order."""

import subprocess
import sys
from collections import Counter
from fractions import Fraction
from itertools import combinations_with_replacement, islice
from math import comb, isclose, prod, sqrt

import pytest

from labkit.envs.general_points import cards
from labkit.errors import UsageError

RANKS = "A 2 3 4 5 6 7 8 9 10 J Q K".split()
TEN = dict(zip(RANKS, [*range(1, 11), 10, 10, 10], strict=True))
APART = dict(zip(RANKS, range(1, 14), strict=True))
RULES = {"ten": TEN, "eleven-twelve-thirteen": APART}


def reaches(numbers, target, known):
    """Join any two numbers by any operator until one is left."""
    key = tuple(sorted(numbers))
    if key not in known:
        if len(key) == 1:
            known[key] = key[0] == target
        else:
            known[key] = any(
                reaches((*rest, value), target, known)
                for i, a in enumerate(key)
                for j, b in enumerate(key)
                if i != j
                for rest in [[n for k, n in enumerate(key) if k not in (i, j)]]
                for value in ([a + b, a * b] if i < j else []) + [a - b] + ([a / b] if b else [])
            )
    return known[key]


@pytest.fixture(scope="session")
def table():
    """Every rank multiset that can make 24, by rule, with the number of ways a deck deals it."""
    known = {}
    return {
        rule: {
            ranks: prod(comb(4, n) for n in Counter(ranks).values())
            for ranks in combinations_with_replacement(RANKS, 4)
            if reaches([Fraction(value[rank]) for rank in ranks], 24, known)
        }
        for rule, value in RULES.items()
    }


def faced(hand):
    return bool(set(hand) & set("JQK"))


def numbers(hand, rule):
    return tuple(sorted(RULES[rule][rank] for rank in hand))


def test_counts_of_the_table(table):
    """The test's own solver gives the figures that are known for the game, so it can be trusted below."""
    ten, apart = table["ten"], table["eleven-twelve-thirteen"]
    assert (len(ten), sum(map(faced, ten)), len({numbers(h, "ten") for h in ten})) == (1236, 670, 566)
    assert (len(apart), sum(map(faced, apart))) == (1362, 796)


@pytest.mark.parametrize("suite", ["id", "rule-ood"])
def test_a_suite_holds_exactly_its_hands(table, suite):
    expected = {h: ways for h, ways in table[cards.suite_rule(suite)].items() if suite == "id" or faced(h)}
    found = cards.hands(suite)
    assert {hand.ranks for hand in found} == set(expected)
    assert len(found) == len(expected) == {"id": 1236, "rule-ood": 796}[suite]
    for hand in found:
        assert isclose(hand.weight, expected[hand.ranks] / 270_725)  # 52 choose 4


def test_hands_of_the_other_rule_without_the_face_condition(table):
    assert len(cards.hands("id", faces="eleven-twelve-thirteen")) == 1362


def test_deck_probabilities(table):
    weight = {rule: sum(hands.values()) / comb(52, 4) for rule, hands in table.items()}
    assert weight["ten"] == pytest.approx(0.746, abs=5e-4)
    assert weight["eleven-twelve-thirteen"] == pytest.approx(0.805, abs=5e-4)
    assert sum(h.weight for h in cards.hands("id")) == pytest.approx(weight["ten"])
    assert sum(h.weight for h in cards.hands("id", faces="eleven-twelve-thirteen")) == pytest.approx(
        weight["eleven-twelve-thirteen"]
    )


def test_shares_of_the_deals(table):
    found = cards.hands("id")
    with_face = sum(h.weight for h in found if faced(h.ranks)) / sum(h.weight for h in found)
    assert with_face == pytest.approx(0.60, abs=5e-3)
    ood = cards.hands("rule-ood")
    both = sum(h.weight for h in ood if h.ranks in table["ten"]) / sum(h.weight for h in ood)
    assert both == pytest.approx(0.72, abs=5e-3)


def test_other_targets_and_rules():
    known = {}
    expected = {
        ranks
        for ranks in combinations_with_replacement(RANKS, 4)
        if reaches([Fraction({"J": 5, "Q": 6, "K": 50}.get(r) or TEN[r]) for r in ranks], 100, known)
    }
    assert {h.ranks for h in cards.hands("id", faces={"K": 50, "J": 5, "Q": 6}, target=100)} == expected


# Splits


def test_splits_part_the_hands():
    for suite in ("id", "rule-ood"):
        parts = [{h.ranks for h in cards.hands(suite, split)} for split in ("train", "dev", "test", "unseen")]
        assert sum(map(len, parts)) == len(set().union(*parts)) == len(cards.hands(suite))


def test_split_shares(table):
    """Each of n value multisets falls by a hash: a share strays from p by sqrt(p(1-p)/n), rarely by four."""
    for rule, hands in table.items():
        multisets = {numbers(h, rule) for h in hands}
        got = Counter(map(cards.split_of, multisets))
        assert set(got) == {"train", "dev", "test", "unseen"}
        for split, share in (("train", 0.60), ("dev", 0.15), ("test", 0.15), ("unseen", 0.10)):
            error = sqrt(share * (1 - share) / len(multisets))
            assert abs(got[split] / len(multisets) - share) < 4 * error, split


def test_a_split_is_of_the_values_and_nothing_else():
    assert len({cards.split_of(order) for order in [(10, 10, 3, 1), (3, 10, 1, 10), (1, 3, 10, 10)]}) == 1
    # Under ten, 10 3 A K and J 3 A Q are the same numbers, so they may not lie in two splits.
    for split in cards.SPLITS:
        mine = {numbers(h.ranks, "ten") for h in cards.hands("id", split)}
        others = {numbers(h.ranks, "ten") for s in cards.SPLITS if s != split for h in cards.hands("id", s)}
        assert not mine & others


def test_splits_stay_where_they_are():
    """Checkpoints were trained on a split: moving one number would put what they have seen into the test."""
    from hashlib import sha256

    for hand in [(1, 3, 10, 10), (3, 3, 8, 8), (1, 2, 3, 4)]:
        place = int(sha256(",".join(map(str, hand)).encode()).hexdigest()[:16], 16) % 100
        expected = "train" if place < 60 else "dev" if place < 75 else "test" if place < 90 else "unseen"
        assert cards.split_of(hand) == expected


# Deals


def first(count, suite="id", split="all", begin=0, **settings):
    options = {"faces": cards.suite_rule(suite), "target": 24, "seed": 0, **settings}
    return [deal for _, deal in islice(cards.deals(suite, split, first=begin, **options), count)]


def ranks_of(deal):
    return tuple(sorted((rank for rank, _ in deal), key=RANKS.index))


def test_the_same_seed_deals_the_same():
    assert first(20) == first(20)
    assert first(5) == first(20)[:5]
    assert first(20) != first(20, seed=1)
    assert first(20, "rule-ood") != first(20)
    assert len(set(first(20))) == 20


def test_a_deal_does_not_depend_on_those_before():
    assert first(3, begin=17) == first(20)[17:]
    numbered = cards.deals("id", "all", faces="ten", target=24, seed=0, first=17)
    assert [index for index, _ in islice(numbered, 3)] == [17, 18, 19]


@pytest.mark.parametrize("suits", ["any", "black", "red"])
def test_a_deal_is_four_different_cards_of_the_suits(suits):
    allowed = {"any": set("SHDC"), "black": set("SC"), "red": set("HD")}[suits]
    for deal in first(300, suits=suits):
        assert len(set(deal)) == 4
        assert {suit for _, suit in deal} <= allowed
        assert {rank for rank, _ in deal} <= set(RANKS)


def test_the_authors_deck_repeats_cards():
    # Two of four independent cards out of 52 are the same with probability 1 - 51*50*49/52**3, about 0.11.
    repeated = sum(len(set(deal)) < 4 for deal in first(1000, deck="ranks"))
    assert 60 < repeated < 170


def test_deals_are_of_the_suite_and_the_split(table):
    for suite, split in (("id", "dev"), ("rule-ood", "unseen")):
        for deal in first(200, suite, split):
            hand = ranks_of(deal)
            assert hand in table[cards.suite_rule(suite)]
            assert suite == "id" or faced(hand)
            assert cards.split_of(numbers(hand, cards.suite_rule(suite))) == split


@pytest.mark.parametrize("suite", ["id", "rule-ood"])
def test_deals_are_as_frequent_as_their_weights(suite):
    """Chi-square over kinds of hands: equal ranks, and faces; for 12 kinds 40 is beyond 1 in 10,000."""

    def kind(ranks):
        return tuple(sorted(Counter(ranks).values())), sum(rank in "JQK" for rank in ranks)

    found, expected = cards.hands(suite), Counter()
    total = sum(h.weight for h in found)
    for hand in found:
        expected[kind(hand.ranks)] += 3000 * hand.weight / total
    observed = Counter(kind(ranks_of(deal)) for deal in first(3000, suite))
    cells = [k for k in expected if expected[k] >= 5]
    rest = sum(expected.values()) - sum(expected[k] for k in cells)
    seen_rest = 3000 - sum(observed[k] for k in cells)
    chi = sum((observed[k] - expected[k]) ** 2 / expected[k] for k in cells)
    assert 5 <= len(cells) <= 12
    assert chi + (seen_rest - rest) ** 2 / max(rest, 1) < 40


def test_the_order_of_the_cards_is_shuffled():
    dealt = first(1000, "rule-ood")
    assert {next(i for i, (rank, _) in enumerate(deal) if rank in "JQK") for deal in dealt} == {0, 1, 2, 3}
    unsorted = sum([r for r, _ in deal] != list(ranks_of(deal)) for deal in first(200))
    assert unsorted > 150  # 23 of 24 orders of four different ranks, half of those with a pair


def test_a_deck_that_cannot_deal_the_hands_says_so():
    """Only 2 9 9 9 makes 731 under ten (9*9*9+2), and two suits hold two nines. A process can be stopped."""
    assert [h.ranks for h in cards.hands("id", target=731)] == [("2", "9", "9", "9")]
    assert ranks_of(first(1, target=731)[0]) == ("2", "9", "9", "9")
    code = """
from labkit.envs.general_points import cards
from labkit.errors import UsageError
try:
    next(cards.deals("id", "all", faces="ten", target=731, seed=0, suits="black"))
except UsageError:
    print("refused")
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"


# Rules, ranks and targets as a user writes them


def test_face_values():
    assert cards.face_values("ten") == {"J": 10, "Q": 10, "K": 10}
    assert cards.face_values("eleven-twelve-thirteen") == {"J": 11, "Q": 12, "K": 13}
    assert cards.face_values("j=5, q=6;K=7") == {"J": 5, "Q": 6, "K": 7}
    assert cards.rule_name({"K": 10, "Q": 10, "J": 10}) == "ten"
    assert cards.rule_name({"J": 5, "Q": 5, "K": 5}) == {"J": 5, "Q": 5, "K": 5}
    assert cards.other_rule("ten") == "eleven-twelve-thirteen"
    assert cards.other_rule("eleven-twelve-thirteen") == "ten"
    assert cards.numbers_of(("A", "10", "J", "K"), "eleven-twelve-thirteen") == (1, 10, 11, 13)


@pytest.mark.parametrize(
    "faces",
    [
        "eleven",
        "",
        "J=5",
        "J=5,Q=5,K=x",
        "J=5,Q=5,K=5,A=1",
        {"J": 5},
        {},
        {"J": 0, "Q": 1, "K": 1},
        {"J": 100, "Q": 1, "K": 1},
        {"J": 1.5, "Q": 1, "K": 1},
        {"J": True, "Q": 1, "K": 1},
        {"J": "5", "Q": 5, "K": 5},
        None,
        10,
        ["J", "Q", "K"],
    ],
)
def test_a_bad_rule_is_refused(faces):
    with pytest.raises(UsageError):
        cards.face_values(faces)


def test_ranks():
    assert cards.parse_ranks("K,3, a 10") == ("K", "3", "A", "10")
    for bad in ("", "3 3", "3 3 8 11", "3 3 8 8 8 8 8", "3 3 8 0", "joker 1 2 3"):
        with pytest.raises(UsageError):
            cards.parse_ranks(bad)


@pytest.mark.parametrize("target", [0, -24, 1000, 24.0, "24", True, None])
def test_a_bad_target_is_refused(target):
    with pytest.raises(UsageError):
        cards.check_target(target)


@pytest.mark.parametrize(
    "wrong",
    [
        {"suite": "ood"},
        {"split": "valid"},
        {"faces": "none"},
        {"target": 0},
        # With a face card that counts as 1, 10*10*10-1 is the most that a hand can make.
        {"suite": "rule-ood", "faces": "J=1,Q=1,K=1", "target": 997},
    ],
)
def test_a_bad_request_is_refused(wrong):
    with pytest.raises(UsageError):
        cards.hands(**wrong)


@pytest.mark.parametrize("wrong", [{"suits": "green"}, {"deck": "tarot"}])
def test_a_bad_deck_is_refused(wrong):
    with pytest.raises(UsageError):
        first(1, **wrong)
