"""Results of evaluations as text: one player at length, or several side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from labkit.commands import common
from labkit.counting import counted
from labkit.envs.games import row_of

if TYPE_CHECKING:
    from labkit.commands.eval_rows import Row
    from labkit.evaluation import Estimate, SuiteResult

LABELS = {
    "attempts_to_success": "attempts to success (mean)",
    "truncated": "answers cut off",
    "kl": "KL from the reference (nats a token)",
}
"""What is measured of every game, in plain words; each game's measures have ``LABELS`` of their own."""


def report(results: Mapping[str, SuiteResult]) -> str:
    """One player: the headline with its interval, by split, what lies behind it, and the ladder."""
    return "\n\n".join([*map(_suite, _own(results).values()), *_ladder(results)])


def _own(results: Mapping[str, SuiteResult]) -> dict[str, SuiteResult]:
    """The results on suites that are not rungs of a ladder."""
    from labkit.envs.ladder import rungs

    return {suite: result for suite, result in results.items() if suite not in rungs(result.cell)}


def _ladder(results: Mapping[str, SuiteResult]) -> list[str]:
    """A player on the rungs of a ladder, over distance; nothing where none was played."""
    from labkit.evaluation.games import label_of, measures_of
    from labkit.evaluation.ladder import climb

    steps = climb(results)
    if not steps:
        return []
    some = next(iter(results.values()))
    sight = label_of(some.cell, getattr(measures_of(some.cell), "SIGHT", ""))
    rows = []
    for rung, headline, change, seen in steps:
        row = {"axis": rung.axis, "step": rung.step, "distance": float(rung.distance), **_numbers(headline)}
        if change is not None and (moved := change.measured):
            low, high = moved.ci95
            row |= {"change": f"{moved.value:+.3f}", "its interval": f"[{low:+.3f}, {high:+.3f}]"}
            row["clear"] = "clear" if low > 0 or high < 0 else ""
        rows.append(row | ({sight: seen.value} if seen else {}))
    columns = dict.fromkeys(name for row in rows for name in row)
    head = (
        f"{some.cell}, {_short(some.player)}: {some.metric.replace('_', ' ')} by distance from the suite under the rung"
    )
    return [f"{head}\n{common.table(rows, columns)}"]


def comparison(
    rows: Sequence[Row], results: Sequence[Mapping[str, SuiteResult]], changes: Sequence[Mapping[str, Any]]
) -> str:
    """Several players or temperatures: the headline with its interval and the change, then what lies behind it."""
    labels = _labels(rows)
    some = next(iter(results[0].values()))
    shown = []
    own = _own(results[0])
    for suite in own:
        for label, result, moved in zip(labels, results, changes, strict=True):
            row = {"suite": suite, "player": label, **_numbers(result[suite].estimate)}
            if change := moved.get(suite):
                low, high = change["ci95"]
                row |= {"change": f"{change['value']:+.3f}", "its interval": f"[{low:+.3f}, {high:+.3f}]"}
                row[""] = "clear" if low > 0 or high < 0 else ""
            shown.append(row)
    ladders = [table for result in results for table in _ladder(result)]
    if not shown:
        return "\n\n".join(ladders)
    columns = ("suite", "player", "value", "95% interval", "n", "change", "its interval", "")
    same = " at the same temperature" if len({row.asked for row in rows}) > 1 else ""
    return "\n".join(
        [
            f"{some.cell}, split {some.split}, {_dealt(some)}: {some.metric.replace('_', ' ')} of each player",
            common.table(shown, columns),
            f"change: from {_short(rows[0].player)}{same}, deal by deal; clear: its 95% interval leaves out 0. It is",
            "an interval over deals: a row is one checkpoint, and other training runs may differ",
            *(f"\n{_behind(suite, labels, [result[suite] for result in results])}" for suite in own),
            *(f"\n{table}" for table in ladders),
        ]
    )


def _labels(rows: Sequence[Row]) -> list[str]:
    """The players' names, with the temperature where there are several."""
    if len({row.asked for row in rows}) == 1 and rows[0].asked != "best":
        return [_short(row.player) for row in rows]
    return [f"{_short(row.player)} T {row.temperature:g}{' (best)' if row.asked == 'best' else ''}" for row in rows]


def summary(results: Iterable[SuiteResult]) -> str:
    """One line: a player's headline in each suite."""
    results = list(_own({result.suite: result for result in results}).values()) or list(results)
    said = ", ".join(f"{r.suite} {r.value:.3f}" for r in results if r.value is not None)
    return f"{_short(results[0].player)}: {results[0].metric.replace('_', ' ')} {said}"


def _behind(suite: str, names: Sequence[str], players: Sequence[SuiteResult]) -> str:
    """The other measures of several players, side by side."""
    measures = [dict(_measures(result)) for result in players]
    rows = []
    for label in dict.fromkeys(label for found in measures for label in found):
        values = (found[label].value if label in found else None for found in measures)
        rows.append({suite: label, **dict(zip(names, values, strict=True))})
    return common.table(rows, (suite, *names))


def _suite(result: SuiteResult) -> str:
    d = result.details
    rows = list(_measures(result))
    if result.metric != "success":
        rows.insert(0, (result.metric.replace("_", " "), result.estimate))
    lines = [
        f"{result.cell} {result.suite}: {common.printable(result.player)}, split {result.split}, {_dealt(result)}",
        common.table(({"metric": label, **_numbers(e)} for label, e in rows), ("metric", "value", "95% interval", "n")),
        "first verdicts: " + ", ".join(f"{name} {count}" for name, count in d["categories"].items()),
    ]
    if d["tags"]:
        lines.append("tags: " + ", ".join(f"{tag} {count}" for tag, count in d["tags"].items()))
    if "solutions" in d:
        found = d["solutions"]
        lines.append(f"solutions: {counted(found['right'], 'right answer')}, {found['distinct']} distinct")
    if "tokens" in d:
        lines.append(f"tokens of an answer: {d['tokens']:.1f} (mean)")
    if "reference" in d:
        lines.append(f"reference: {_short(d['reference'])}; KL(player || reference) on the player's own answers")
    return "\n".join(lines)


def _measures(result: SuiteResult) -> Iterable[tuple[str, Estimate]]:
    """What was measured, in plain words; measures without observations are left out."""
    from labkit.evaluation.games import measures_of

    d = result.details
    yield from ((f"success within {k}", e) for k, e in d["within"].items())
    if len(result.splits) > 1:
        yield from ((f"  split {name}", e) for name, e in result.splits.items())
    passes = d.get("pass_at", {})
    # Every power of two, and the last.
    told = [k for k in passes if int(k) & (int(k) - 1) == 0 or int(k) == len(passes)]
    yield from ((f"pass@{k}", passes[k]) for k in told)
    for name, label in (measures_of(result.cell).LABELS | LABELS).items():
        found = d.get(name)
        if isinstance(found, Mapping):
            yield from ((f"{label} {part}", e) for part, e in found.items() if e.n)
        elif found is not None and found.n:
            yield label, found


def _dealt(result: SuiteResult) -> str:
    return row_of(result.cell).every if result.every_hand else f"seed {result.seed}"


def _short(player: str) -> str:
    """A player's name for a column: of a run's checkpoint the run and the step."""
    return common.printable(re.sub(r"^(?:.*/)?([^/]+)/checkpoints/step-(\d+)/?$", r"\1@\2", player))


def _numbers(estimate: Estimate) -> dict[str, Any]:
    interval = "[{:.3f}, {:.3f}]".format(*estimate.ci95) if estimate.ci95 else None
    return {"value": estimate.value, "95% interval": interval, "n": estimate.n}
