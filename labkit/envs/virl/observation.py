"""What an observation says is seen: landmarks and an intersection, read from free text.

A few forms are enough, since an observation is copied from the prompt or written after its pattern: a
landmark is named with where it stands ("Cafe Luna is on your left"), an intersection is mentioned, and either
can be denied.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

MOST = 4000
"""Characters of an observation that are read."""
_TAKEN = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands for a name that was found."""

_WHERE = re.compile(
    r" (?:is|are) (?:(?:just|right|ahead|behind you) )*"
    r"(?:(?:on|to|at) (?:your|the) (?:left|right|front)(?: front| behind| side)?"
    r"|in front of you|in front|ahead of you|ahead|behind you|behind|nearby)\b",
    re.IGNORECASE,
)
_CROSSING = re.compile(r"\b(?:intersections?|junctions?|crossroads?)\b", re.IGNORECASE)
_DENIAL = re.compile(r"\b(?:no|not|none|nothing|never|without|cannot|neither|nor)\b|n['’]t\b", re.IGNORECASE)
_DENIED_AFTER = re.compile(r"(?: (?:is|are|was))?\s?[:=]?\s?(?:no|none|not|false|absent)\b", re.IGNORECASE)
_NOBODY = re.compile(
    r"(?:there (?:is|are) )?(?:no|nothing|none)(?: other)?(?: landmarks?| place| building)?", re.IGNORECASE
)
_CLAUSE = re.compile(r"[.;,!?](?: |$)| (?:and|but) ")


class Seen(NamedTuple):
    """What can be observed at a place, or is said to be."""

    landmarks: tuple[str, ...]
    intersection: bool


def seen(text: str, names: Sequence[str] = ()) -> Seen:
    """What a text says is seen; linear in its length.

    Args:
        names: landmarks that may be meant; each is found wherever it is named, unless in a denial.
    """
    text = " ".join(text[:MOST].split())
    found = []
    # The longest first, so that a name within a longer one is not taken for itself.
    for name in sorted({n for n in names if n.strip()}, key=lambda n: (-len(n), n)):
        parts = _found(name).split(text)
        if len(parts) > 1:
            if any(not _denied(part) for part in parts[:-1]):
                found.append(name)
            # A name may hold any word, "Junction Cafe" too: it says nothing about the street.
            text = _TAKEN.join(parts)
    rest = []
    for clause in _CLAUSE.split(text):
        where = _WHERE.search(clause)
        if where is None:
            rest.append(clause)
            continue
        name = clause[: where.start()].strip(" :-\"'")
        if _CROSSING.search(name):
            rest.append(clause)
        elif name and _TAKEN not in name and not _NOBODY.fullmatch(name):
            found.append(name)
    return Seen(tuple(found), _crossing(rest))


def _found(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(' '.join(name.split()))}(?!\w)", re.IGNORECASE)


def _denied(before: str) -> bool:
    """Whether what stands before a word, in its clause, denies it."""
    return bool(_DENIAL.search(_CLAUSE.split(before)[-1]))


def _crossing(clauses: Iterable[str]) -> bool:
    for clause in clauses:
        match = _CROSSING.search(clause)
        if match is None or _DENIAL.search(clause[: match.start()]):
            continue
        if not _DENIED_AFTER.match(clause[match.end() :]):
            return True
    return False
