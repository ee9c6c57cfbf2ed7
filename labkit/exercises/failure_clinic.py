"""Checks of the exercises in notebooks/12_failure_clinic."""

from __future__ import annotations

from typing import Any

from labkit.exercises import exercise, expect


@exercise(
    "For each group, count its hands and count those of them that failed.",
    "Divide by the hands of the group, not by all failures: a frequent group has many failures without being harder.",
)
def failure_rates(learner: Any) -> str:
    """A dictionary from each group to the share of its hands that failed."""
    expect(learner, (["one"], [True]), {"one": 1.0})
    expect(learner, (["one", "two", "one", "one"], [True, False, False, False]), {"one": 1 / 3, "two": 0.0})
    expect(learner, (["two", "one", "two", "two", "two"], [True] * 2 + [False] * 3), {"two": 0.25, "one": 1.0})
    expect(learner, ([], []), {})
    return "the rate within each group, whatever the sizes of the groups"


@exercise(
    "Split at '; '. A step that ends a try has '=' and no ':', since no numbers remain to be told.",
    "'21 no' at the beginning answers the feedback; it has no '=' and is no try.",
    "The search found the target if the whole thought ends in '=24': a try that misses ends in ' no'.",
)
def search_of(learner: Any) -> str:
    """A pair: how many tries the thought tells, and whether its last one makes 24."""
    expect(learner, ("13+13=26: 1 1 26; 1+1=2: 26 2; 26-2=24",), (1, True))
    expect(learner, ("12/12=1: 11 1 1; 1+1=2: 11 2; 11*2=22 no",), (1, False))
    expect(learner, ("13-2=11: 5 3 11; 5-3=2: 11 2; 11*2=22 no; back to 5 3 11; 5+3=8: 11 8; 11+8=19 no",), (2, False))
    expect(learner, ("11 no; 5+5=10: 1 13 10; 13+10=23: 1 23; 1+23=24",), (1, True))
    expect(learner, ("4-1=3: 6 13 3; 13-3=10: 6 10; 6+10=16 no; 13-1=12: 4 6 12; 12-6=6: 4 6; 4*6=24",), (2, True))
    # A 24 on the way, which the try goes on from.
    expect(learner, ("13-1=12: 4 6 12; 4*6=24: 12 24; 12+24=36 no",), (1, False))
    expect(learner, ("",), (0, False))
    return "right for seven thoughts"


@exercise(
    "A deal belongs to the set if no evaluation solved it.",
    "Begin with the deals of the first evaluation and keep those that the others failed as well.",
)
def hard_set(learner: Any) -> str:
    """The deals that every evaluation failed, in the order of the first evaluation."""
    first, second, third = ({"a": False, "b": True, "c": False}, {"c": False, "b": False, "a": True}, {"a": True})
    expect(learner, ([first],), ["a", "c"])
    expect(learner, ([first, second],), ["c"])
    expect(learner, ([second, first],), ["c"])
    expect(learner, ([third],), [])
    expect(learner, ([{"d": False, "a": False}, {"a": False, "d": False}],), ["d", "a"])
    return "one evaluation gives its failures, several give what all of them failed"


@exercise(
    "A hand with chance p is failed with probability 1 - p: so often it stands among the failures.",
    "Weigh each hand's p by 1 - p: sum(p * (1 - p)) / sum(1 - p).",
)
def expected_again(learner: Any) -> str:
    """The success to expect when the hands that were failed are played again; 0 if none can be failed."""
    expect(learner, ([0.5],), 0.5)
    expect(learner, ([0.4, 0.4, 0.4],), 0.4)
    expect(learner, ([0.0, 1.0],), 0.0)
    expect(learner, ([0.0, 0.5],), 0.25 / 1.5)
    expect(learner, ([0.2, 0.9, 0.5],), (0.16 + 0.09 + 0.25) / 1.4)
    expect(learner, ([1.0, 1.0],), 0.0)
    return "hands that were easily solved are seldom among the failures"
