"""The paired difference of two players on the same deals, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from labkit.evaluation.metrics import Measured, Trials
from labkit.evaluation.paired import Side, Test, change_of, side_of, test_of
from labkit.views.markup import text


class Difference(NamedTuple):
    """How two players compare on the deals that both have played."""

    before: Measured
    """The share of episodes that the first solves; deals count alike."""
    after: Measured
    change: Measured
    test: Test
    """McNemar's exact one where each deal was played once (:func:`labkit.evaluation.paired.test`)."""


def difference(first: Sequence[Trials], second: Sequence[Trials]) -> Difference | None:
    """The difference of two players; None where there is no deal.

    Args:
        first, second: the episodes solved, of those played, deal by deal.
    """
    old, new = _side(first), _side(second)
    if old is None or new is None:
        return None
    return Difference(old.estimate, new.estimate, change_of(old, new), test_of(old, new))


def _side(trials: Sequence[Trials]) -> Side | None:
    return side_of(trials, [1.0] * len(trials)) if trials else None


def sentence_html(first: str, second: str, found: Difference) -> str:
    """What the comparison says, in one paragraph.

    Args:
        first, second: what the two are called.
    """
    wins, losses = found.test.better, found.test.worse
    ties = found.change.n - wins - losses
    low, high = found.change.ci95
    p = "p &lt; 0.001" if found.test.p < 0.001 else f"p = {found.test.p:.2g}"
    return (
        f"<p>{text(second)} − {text(first)}: <strong>{_points(found.change.value)}</strong> points [{_points(low)}, "
        f"{_points(high)}] on {found.change.n:,} deals. {text(second)} wins {wins:,}, loses {losses:,}, ties {ties:,}; "
        f"{text(found.test.method)}: {p}.</p>"
    )


def _points(change: float) -> str:
    return f"{100 * change:+.1f}".replace("-", "−")
