"""Ranks in every spelling that people and models have been seen to use."""

import pytest

from labkit.envs import game
from labkit.envs.general_points.ranks import RANKS, read_rank, read_ranks
from labkit.errors import UsageError

WORDS = ("ace", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "jack", "queen", "king")


@pytest.mark.parametrize(("rank", "word"), list(zip(RANKS, WORDS, strict=True)))
def test_each_rank_in_each_spelling(rank, word):
    wide = "".join(chr(ord(c) + 0xFEE0) for c in rank)
    suits = ("♠", "♥️", "♢", "S", "h", " of clubs", " Diamonds", "-of-hearts", " (spades)", "_of_spades")
    spellings = [rank, rank.lower(), word, word.title(), word.upper(), wide, f"the {word}", f"'{rank}'", f"{rank}."]
    spellings += [f"{name}{suit}" for name in (rank, wide) for suit in suits]
    spellings += [f"{word}{suit}" for suit in suits if suit not in "Sh"]
    spellings += [
        f"♠{rank}",
        f"h{rank}",
        f"Spade {word}",
        f"**{rank}** of spades",
        f"`{rank}`♥",
        f"{rank} of hearts (red)",
        f"{word} | clubs, black",
        f"a {word} of hearts" if word != "ace" else "an ace of hearts",
    ]
    assert {text: read_rank(text) for text in spellings} == dict.fromkeys(spellings, rank)


@pytest.mark.parametrize(
    ("text", "rank"),
    [("T", "10"), ("t♦", "10"), ("1", "A"), ("1♥", "A"), ("deuce", "2"), ("Trey", "3"), ("knave", "J")]
    # Ace of spades, 3 of hearts, king of clubs as Unicode's playing cards.
    + [("\U0001f0a1", "A"), ("\U0001f0b3", "3"), ("\U0001f0de", "K"), ("7\ufe0f\u20e3", "7")],
)
def test_other_names(text, rank):
    assert read_rank(text) == rank


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "0",
        "11",
        "13",
        "14",
        "24",
        "Z",
        "joker",
        "\U0001f0cf",
        "♠",
        "of spades",
        "3 3",
        "3 or 8",
        "33",
        "3*3",
        "K=13",
        "-8",
        "/7",
    ]
    + ["tens", "kings", "ten thousand", "x" * 10_000_000, "3" * 201],
)
def test_what_is_not_one_card(text):
    assert read_rank(text) is None


@pytest.mark.parametrize(
    ("text", "ranks"),
    [
        ("K6 24", "K 6 2 4"),
        ("1 T 10 10", "A 10 10 10"),
        ("3388", "3 3 8 8"),
        ("1010AK", "10 10 A K"),
        ("3♠3♥8♦8♣", "3 3 8 8"),
        ("3S 3H 8D 8C", "3 3 8 8"),
        ("akqj", "A K Q J"),
        ("3 - 3 - 8 / 8", "3 3 8 8"),
        ("3 of spades, ten of hearts and the queen", "3 10 Q"),
        ("１０，Ｋ，３", "10 K 3"),
    ],
)
def test_several_cards_as_they_are_typed(text, ranks):
    assert read_ranks(text) == tuple(ranks.split())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("12 3 4 5", "'12' may be one card or two; write Q, or A 2"),
        ("3 3 8 Z", "'Z' is not a card; the ranks are A 2 3"),
        ("3 3 8 0", "'0' is not a card"),
        ("3 " * 101, "too long"),
    ],
)
def test_what_cannot_be_read_is_named(text, message):
    with pytest.raises(UsageError, match=message):
        read_ranks(text)


def test_a_hand_takes_one_card_an_item():
    task = game("gp-l").task(hand=["3♠", "3 of hearts", ("8", "D"), "8"])
    assert [rank for rank, _ in task.deal["cards"]] == ["3", "3", "8", "8"]
    with pytest.raises(UsageError, match="'33' is not a card"):
        game("gp-l").task(hand=["33", "8", "8"])
