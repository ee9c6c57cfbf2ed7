"""Cards, the rule for face cards, suites and splits of GeneralPoints.

All of it is small enough to be exact: four of thirteen ranks make 1,820 hands. Source: "SFT Memorizes, RL
Generalizes" (arXiv 2501.17161), section 4.1 and appendix A; where this departs from the authors' code the
docstring says so.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations_with_replacement, count
from math import comb, prod
from typing import NamedTuple

from labkit.envs.general_points import solver
from labkit.envs.general_points.ranks import RANKS, read_rank, read_ranks
from labkit.errors import UsageError

SUITS = {"any": "SHDC", "black": "SC", "red": "HD"}
FACES: Mapping[str, Mapping[str, int]] = {
    "ten": {"J": 10, "Q": 10, "K": 10},
    "eleven-twelve-thirteen": {"J": 11, "Q": 12, "K": 13},
}
"""The two rules of the paper: ``ten`` is trained on (ID), the other is the rule-OOD probe."""
SUITES = ("id", "rule-ood")
SPLITS = {"train": 60, "dev": 15, "test": 15, "unseen": 10}
"""Percent of the value multisets in each split."""
TARGETS = range(1, 1000)

Rule = str | Mapping[str, int]
"""A name in :data:`FACES`, or the numbers of J, Q and K."""


class Hand(NamedTuple):
    """A rank multiset, in rank order."""

    ranks: tuple[str, ...]
    weight: float
    """Probability that four cards of a shuffled deck are this hand."""


def face_values(faces: Rule) -> Mapping[str, int]:
    """The numbers of J, Q and K under a rule.

    Raises:
        UsageError: an unknown name, a missing face, or a number outside 1 to 99.
    """
    if isinstance(faces, str):
        if faces in FACES:
            return FACES[faces]
        faces = _mapping(faces)
    if not isinstance(faces, Mapping) or set(faces) != {"J", "Q", "K"}:
        raise UsageError(f"a face rule gives J, Q and K a number each; {faces!r} does not")
    for rank, value in faces.items():
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 99:
            raise UsageError(f"{rank}={value!r}: a face card counts as a whole number from 1 to 99")
    return faces


def _mapping(text: str) -> dict[str, int]:
    """Read ``J=5,Q=5,K=5``."""
    pairs = [part.partition("=") for part in text.replace(";", ",").split(",")]
    try:
        return {name.strip().upper(): int(value) for name, _, value in pairs}
    except ValueError:
        raise UsageError(f"no face rule {text!r}; use {', '.join(FACES)}, or numbers such as J=5,Q=5,K=5") from None


def rule_name(faces: Rule) -> Rule:
    """The name of a rule that has one, else its mapping."""
    values = dict(face_values(faces))
    return next((name for name, known in FACES.items() if known == values), values)


def other_rule(faces: Rule) -> str:
    """The rule an answer is judged under for comparison: the paper's other one."""
    return "eleven-twelve-thirteen" if rule_name(faces) == "ten" else "ten"


def number_of(rank: str, faces: Rule) -> int:
    """What a card counts as."""
    return 1 if rank == "A" else face_values(faces).get(rank) or int(rank)


def numbers_of(ranks: Sequence[str], faces: Rule) -> tuple[int, ...]:
    """What each card counts as, in order."""
    return tuple(number_of(rank, faces) for rank in ranks)


def parse_ranks(cards: str | Sequence[str]) -> tuple[str, ...]:
    """Read three to six ranks, in any spelling of :mod:`ranks`: ``"3 3 8 8"``, ``"K,3,a,10"``, ``"K6 24"``, or a list
    with a text for each card.

    Raises:
        UsageError: a text is not a card, or there are fewer or more cards.
    """
    ranks = read_ranks(cards) if isinstance(cards, str) else tuple(map(_rank, cards))
    if not 3 <= len(ranks) <= 6:
        raise UsageError(f"a hand has 3 to 6 cards, not {len(ranks)}")
    return ranks


def _rank(card: str) -> str:
    rank = read_rank(card)
    if rank is None:
        raise UsageError(f"{card[:30]!r} is not a card; the ranks are {' '.join(RANKS)}")
    return rank


def check_suit(suit: str) -> str:
    """Raises UsageError unless the suit is S, H, D or C."""
    if suit not in tuple(SUITS["any"]):
        raise UsageError(f"{suit!r} is not a suit; the suits are {', '.join(SUITS['any'])}")
    return suit


def check_target(target: int) -> int:
    """Raises UsageError unless the target is one the game can ask for."""
    if isinstance(target, bool) or not isinstance(target, int) or target not in TARGETS:
        raise UsageError(f"the target must be a whole number from {TARGETS[0]} to {TARGETS[-1]}, not {target!r}")
    return target


def split_of(numbers: Sequence[int]) -> str:
    """The split of a value multiset, by a hash of it: the order of cards and their ranks do not matter."""
    digest = hashlib.sha256(",".join(map(str, sorted(numbers))).encode()).digest()
    place = int.from_bytes(digest[:8], "big") % 100
    for split, share in SPLITS.items():
        if place < share:
            return split
        place -= share
    raise AssertionError("the shares of the splits add up to 100")


@lru_cache(maxsize=64)
def _hands(values: tuple[tuple[str, int], ...], target: int, faces_only: bool, suits: int) -> tuple[Hand, ...]:
    faces = dict(values)
    out = []
    for ranks in combinations_with_replacement(RANKS, 4):
        if faces_only and not any(rank in faces for rank in ranks):
            continue
        # Of each rank a deck holds one card a suit.
        ways = prod(comb(suits, n) for n in Counter(ranks).values())
        if ways and solver.solvable(numbers_of(ranks, faces), target):
            out.append(Hand(ranks, ways / comb(len(RANKS) * suits, 4)))
    return tuple(out)


@lru_cache(maxsize=64)
def _hands_of_split(
    values: tuple[tuple[str, int], ...], target: int, faces_only: bool, suits: int, split: str
) -> tuple[Hand, ...]:
    found = _hands(values, target, faces_only, suits)
    return tuple(h for h in found if split in ("all", split_of(numbers_of(h.ranks, dict(values)))))


def hands(
    suite: str = "id", split: str = "all", *, faces: Rule | None = None, target: int = 24, suits: str = "any"
) -> tuple[Hand, ...]:
    """Every hand of a suite that can reach the target, with the probability that a deck deals it.

    ``id`` holds all solvable hands; ``rule-ood`` only those with a J, Q or K, since without one the rule says
    nothing and the hand is the ID task.

    Args:
        suits: of the deck that deals them; two suits have no three cards of a rank.

    Raises:
        UsageError: unknown suite, split, rule or suits, impossible target, or no such hand.
    """
    faces = suite_rule(suite) if faces is None else faces
    if split not in ("all", *SPLITS):
        raise UsageError(f"no split {split!r}; the splits are all, {', '.join(SPLITS)}")
    if suits not in SUITS:
        raise UsageError(f"no suits {suits!r}; use {', '.join(SUITS)}")
    rule = tuple(sorted(face_values(faces).items()))
    found = _hands_of_split(rule, check_target(target), suite == "rule-ood", len(SUITS[suits]), split)
    if not found:
        raise UsageError(f"no hand of suite {suite}, split {split}, reaches {target} under this rule")
    return found


def suite_rule(suite: str) -> str:
    """The face rule that a suite asks about."""
    rules = {"id": "ten", "rule-ood": "eleven-twelve-thirteen", "visual-ood": "ten"}
    if suite not in rules:
        raise UsageError(f"no suite {suite!r}; the suites are {', '.join(rules)}")
    return rules[suite]


def deals(
    suite: str,
    split: str,
    *,
    faces: Rule,
    target: int,
    seed: int,
    suits: str = "any",
    deck: str = "cards",
    first: int = 0,
) -> Iterator[tuple[int, tuple[tuple[str, str], ...]]]:
    """An endless stream of deals: their number, and four ``(rank, suit)`` in the order they are shown.

    Args:
        first: number of the deal to begin with; deal 17 is the same wherever the stream begins.
        deck: ``"cards"`` deals from 52 without replacement; ``"ranks"`` draws ranks uniformly and
            independently, as the authors' code does, so that identical cards can appear.

    Deals that fall outside the suite or the split, or cannot reach the target, are dealt again.
    """
    if deck not in ("cards", "ranks"):
        raise UsageError(f"no deck {deck!r}; use cards or ranks")
    # Drawn rank by rank, any hand can come; from cards, only those that the suits have cards for.
    held = suits if deck == "cards" else "any"
    wanted = {hand.ranks for hand in hands(suite, split, faces=faces, target=target, suits=held)}
    full = [(rank, suit) for rank in RANKS for suit in SUITS[suits]]
    for index in count(first):
        rng = random.Random(f"general-points/{suite}/{split}/{seed}/{index}")
        while True:
            if deck == "cards":
                cards = rng.sample(full, 4)
            else:
                cards = [(rng.choice(RANKS), rng.choice(SUITS[suits])) for _ in range(4)]
            if tuple(sorted((r for r, _ in cards), key=RANKS.index)) in wanted:
                break
        yield index, tuple(cards)
