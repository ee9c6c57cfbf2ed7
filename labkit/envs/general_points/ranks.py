"""Ranks of playing cards, read however people and models write them.

A rank may be a letter, a number or a word, in any case, with or without a suit on either side: ``10``, ``T``, ``ten``,
``Q♥``, ``♠3``, ``3S``, ``10 of hearts``, ``Ace``, full-width or as a card's own character (``🂡``).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from labkit.errors import UsageError

RANKS = ("A", "2", "3", "4", "5", "6", "7", "8", "9", "10", "J", "Q", "K")
LONGEST = 200
"""Characters of a text with cards that are read."""

_NAMES = {
    "ACE": "A",
    "ONE": "A",
    "TWO": "2",
    "DEUCE": "2",
    "THREE": "3",
    "TREY": "3",
    "FOUR": "4",
    "FIVE": "5",
    "SIX": "6",
    "SEVEN": "7",
    "EIGHT": "8",
    "NINE": "9",
    "TEN": "10",
    "JACK": "J",
    "KNAVE": "J",
    "QUEEN": "Q",
    "KING": "K",
}
_LETTERS = {rank: rank for rank in RANKS} | {"T": "10", "1": "A"}
_BESIDE = {"OF", "THE", "AN", "AND", "CARD", "CARDS", "BLACK", "RED"} | {
    word for suit in ("SPADE", "HEART", "DIAMOND", "CLUB") for word in (suit, f"{suit}S")
}
"""Words beside a rank that say nothing of it."""
_SYMBOLS = "♠♥♦♣♤♡♢♧"
_WORD = re.compile(f"[0-9A-Z]+|[^0-9A-Z{_SYMBOLS}\\s,;_.'\"()\\[\\]`|]+")
_HYPHEN = re.compile(f"(?<=[0-9A-Z{_SYMBOLS}])\\s*[-/]")
"""A hyphen or a slash behind a word parts words, as in ``3-of-spades``; in front of a number it is a sign."""
_CARDS = re.compile("(?:[SHDC]?(?:10|[1-9TAJQK])[SHDC]?)+|[SHDC]")
_CARD = re.compile("10|[1-9TAJQK]")


def read_rank(text: str) -> str | None:
    """The rank of one card; None if the text is not one card."""
    if text in _LETTERS:
        return _LETTERS[text]
    try:
        found = read_ranks(text)
    except UsageError:
        return None
    if len(found) == 2 and re.match(r"\s*a\s+", text, re.IGNORECASE) and found[0] == "A":
        found = found[1:]  # "a queen of hearts"
    return found[0] if len(found) == 1 else None


def read_ranks(text: str) -> tuple[str, ...]:
    """The ranks of several cards, between commas, spaces or nothing: ``K 3 8 J``, ``3,3,8,8``, ``K6 24``, ``3S3H8D8C``.

    Raises:
        UsageError: a word is not a card, or may be one card or two.
    """
    if len(text) > LONGEST:
        raise UsageError(f"{text[:30]!r} ... is too long for cards: {len(text):,} characters")
    return _read(text)


@lru_cache(maxsize=4096)
def _read(text: str) -> tuple[str, ...]:
    """Cached, since the same few spellings come again and again."""
    found: list[str] = []
    for word in _WORD.findall(_plain(text)):
        if word in _NAMES:
            found.append(_NAMES[word])
        elif word in ("11", "12", "13"):
            raise UsageError(f"{word!r} may be one card or two; write {RANKS[int(word) - 1]}, or A {word[1]}")
        elif _CARDS.fullmatch(word):
            found += [_LETTERS[card] for card in _CARD.findall(word)]
        elif word not in _BESIDE:
            raise UsageError(f"{word!r} is not a card; the ranks are {' '.join(RANKS)}")
    return tuple(found)


def _plain(text: str) -> str:
    """In capitals, without Markdown's bold; full-width characters as plain ones, characters of cards as names."""
    text = "".join(_name(c) if "\U0001f0a0" <= c <= "\U0001f0ff" else c for c in text if c not in "\ufe0e\ufe0f\u20e3")
    text = text.replace("**", "")
    return _HYPHEN.sub(" ", unicodedata.normalize("NFKC", text).upper())


def _name(card: str) -> str:
    """``🂡``, PLAYING CARD ACE OF SPADES in Unicode, as ``ACE OF SPADES``; one without a name as it is."""
    return f" {unicodedata.name(card, card).removeprefix('PLAYING CARD ')} "
