"""What the data say about the paper's claims, in sentences that the data choose."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from labkit.counting import counted
from labkit.evaluation import Measured
from labkit.evaluation.games import measures_of
from labkit.evaluation.seeds import ENOUGH
from labkit.replication.plan import Claim
from labkit.replication.series import Account, change, change_of_rate, common_compute, growth, pairs_of
from labkit.replication.stored import Data, Endpoint

Verdict = Literal["agrees", "disagrees", "undecided", "too few seeds", "no data"]

_ENDINGS = {
    "agrees": "ours agrees", "disagrees": "ours disagrees", "undecided": "ours does not decide",
    "too few seeds": f"it takes {ENOUGH} seeds to decide",
}  # fmt: skip

_BESIDE = {
    "rises": "is higher", "falls": "is lower", "does not rise": "is not higher", "does not fall": "is not lower",
}  # fmt: skip
"""How a claim is worded of one trained curve beside another."""


@dataclass(frozen=True)
class Finding:
    """One claim held against the data."""

    claim: Claim
    cell: str
    change: Measured | None
    """Of the headline metric, as a share."""
    verdict: Verdict
    on_these_deals: Verdict
    """What the interval alone says, however few training seeds it is of: about other deals, not other trainings."""
    sentence: str
    seeds: tuple[int, ...] = ()
    """How many training seeds the change is over, of each side where these differ; empty where none is trained."""
    beside: Mapping[str, Measured | None] = field(default_factory=dict)
    """The same change of the game's other rates; None where the stored runs do not have it."""
    temperatures: tuple[float, ...] = ()
    """The sampling temperature, of each of the two sides where these differ; empty where no episodes are compared."""


def findings(data: Data) -> list[Finding]:
    """Every claim of a figure, in each cell that has its curve and something stored."""
    return [
        _finding(data, claim, cell)
        for cell in data.cells
        for claim in data.figure.plan.claims
        if claim.curve in {c.name for c in data.figure.of(cell)}
    ]


def verdict(says: str, found: Measured | None, margin: float) -> Verdict:
    """Whether an estimate with its 95% interval bears out ``rises``, ``falls``, ``does not rise``, ``does not fall``.

    That something changes is borne out by an interval clear of zero. That it does not is borne out only by an
    interval that leaves no room for more than ``margin``: absence of evidence is not enough.
    """
    if found is None:
        return "no data"
    low, high = found.ci95 if says.endswith("rise") or says == "rises" else (-found.ci95[1], -found.ci95[0])
    if says.startswith("does not"):
        return "disagrees" if low > 0 else "agrees" if high < margin else "undecided"
    return "agrees" if low > 0 else "disagrees" if high < 0 else "undecided"


class _Compared(NamedTuple):
    """A change that a claim is about."""

    change: Measured | None
    seeds: tuple[int, ...]
    """How many seeds, of each of the two sides where these differ."""
    against: str
    """What it is compared with, in words."""
    pairs: Sequence[tuple[Endpoint, Endpoint]] = ()
    """What was compared, where that is episodes of the ends."""


def _finding(data: Data, claim: Claim, cell: str) -> Finding:
    compared = (_at_equal_compute if claim.equal_compute else _at_the_ends)(data, claim, cell)
    decided = on_these_deals = verdict(claim.says, compared.change, claim.margin)
    if compared.change is not None and _of_training(data, claim, cell) and min(compared.seeds) < ENOUGH:
        decided = "too few seeds"
    sentence = _sentence(data, claim, cell, compared, decided)
    trained = compared.seeds if _of_training(data, claim, cell) else ()
    beside = {name: change_of_rate(compared.pairs, name) for name in measures_of(cell).BESIDE} if compared.pairs else {}
    temperatures = tuple(dict.fromkeys(end.temperature for before, after in compared.pairs for end in (after, before)))
    return Finding(claim, cell, compared.change, decided, on_these_deals, sentence, trained, beside, temperatures)


def _at_the_ends(data: Data, claim: Claim, cell: str) -> _Compared:
    suite = claim.suite
    begun = next(c for c in data.figure.of(cell) if c.name == claim.curve)
    while claim.than == "origin" and begun.source:
        begun = begun.source
    if claim.than in ("start", "origin"):
        against = "since its start" if claim.than == "start" else f"since {begun.name} began"
        pairs = pairs_of(data.first[cell, begun.name, suite], data.last[cell, claim.curve, suite])
    else:
        against = f"against {claim.than}"
        pairs = pairs_of(data.ends[cell, claim.than, suite], data.ends[cell, claim.curve, suite])
    return _Compared(change(pairs), (len(pairs),), against, pairs)


def _of_training(data: Data, claim: Claim, cell: str) -> bool:
    """Whether a claim is about what training does, rather than about one checkpoint played in two ways."""
    return any(c.method != "init" for c in data.figure.of(cell) if c.name in (claim.curve, claim.than))


def _at_equal_compute(data: Data, claim: Claim, cell: str) -> _Compared:
    against = "since its start" if claim.than == "start" else f"against {claim.than}"
    found = _grown(data, claim, cell, "counted")
    if found is None:
        return _Compared(None, (), f"{against} at equal compute")
    moved, place, seeds = found
    also, paper = "", _grown(data, claim, cell, "paper")
    if paper is not None:
        also = f" (by the paper's account, at {paper[1]} TFLOP: {points(paper[0].value)} {interval(paper[0])})"
    return _Compared(moved, seeds, f"{against}, at {place} TFLOP{also}")


def _grown(data: Data, claim: Claim, cell: str, account: Account) -> tuple[Measured, str, tuple[int, ...]] | None:
    """A growth, or the difference of two, at the compute that all curves have reached: it, where, and the seeds."""
    flops = common_compute(data, cell, account)
    names = [claim.curve] if claim.than == "start" else [claim.curve, claim.than]
    found = [g for name in names if (g := growth(data.lines[cell, name], claim.suite, flops, account))]
    if len(found) < len(names):
        return None
    ours, *theirs = found
    place = " and ".join(f"{one.flops / 1e12:.3g}" for one in found)
    seeds = (ours.seeds, *(other.seeds for other in theirs if other.seeds != ours.seeds))
    return (_gap(theirs[0].change, ours.change) if theirs else ours.change), place, seeds


def _gap(before: Measured, after: Measured) -> Measured:
    """The difference of two changes, as if they were independent: that they share deals would narrow it."""
    half = math.hypot((before.ci95[1] - before.ci95[0]) / 2, (after.ci95[1] - after.ci95[0]) / 2)
    gap = after.value - before.value
    return Measured(gap, min(before.n, after.n), (gap - half, gap + half))


def _sentence(data: Data, claim: Claim, cell: str, compared: _Compared, decided: Verdict) -> str:
    found, seeds, against, _ = compared
    what = f"{claim.curve} on {cell}, {claim.suite}"
    rivals = claim.than in {c.name for c in data.figure.of(cell) if c.method != "init"}
    says = _BESIDE[claim.says] if rivals else claim.says
    if found is None:
        return f"{what}: nothing is stored to tell whether it {says} {against}."
    number = f"{points(found.value)} points {interval(found)} {against}"
    how_many = " against ".join([counted(seeds[0], "seed"), *map(str, seeds[1:])])
    clear = "clear of zero" if found.ci95[0] > 0 or found.ci95[1] < 0 else "not clear of zero"
    sure = f"about deals only ({how_many})" if decided == "too few seeds" else f"{clear} ({how_many})"
    told = _told(data, claim, cell)
    paper = f"The paper: it {says}" + (f" ({points(told)} points)" if told is not None else "")
    bounded = claim.says.startswith("does not") and decided in ("agrees", "undecided")
    margin = f", with a margin of {100 * claim.margin:g} points" if bounded else ""
    return f"{what}: {number}, {sure}. {paper}; {_ENDINGS[decided]}{margin}."


def _told(data: Data, claim: Claim, cell: str) -> float | None:
    """The paper's number for the same change."""
    curves = {c.name: c.paper for c in data.figure.of(cell)}
    ours, than = curves[claim.curve], curves.get(claim.than)
    for get in (lambda numbers: numbers.change, lambda numbers: numbers.value):
        if claim.suite in get(ours) and (than is None or claim.suite in get(than)):
            if than is None and get(ours) is ours.value:
                return None
            return get(ours)[claim.suite] - (get(than)[claim.suite] if than else 0.0)
    return None


def points(share: float) -> str:
    """A change as percentage points, with its sign: ``+3.5``."""
    text = f"{100 * share:+.1f}"
    return text.replace("-", "−") if float(text) else "0.0"


def interval(found: Measured) -> str:
    """``[−9.6, −6.6]``, in points."""
    return f"[{points(found.ci95[0])}, {points(found.ci95[1])}]"
