"""The numbers of a figure as rows, with the way to each of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from labkit.counting import counted
from labkit.envs.games import row_of
from labkit.evaluation import Measured
from labkit.evaluation.games import label_of
from labkit.replication.findings import Finding, interval, points
from labkit.replication.plan import Curve
from labkit.replication.series import mean_compute, value_of
from labkit.replication.stored import Compute, Data, Endpoint, SeedRun
from labkit.runs.store import Run


@dataclass(frozen=True)
class Row:
    """How one curve ends on one suite."""

    curve: Curve
    suite: str
    value: Measured
    """Over the seeds."""
    ends: tuple[Endpoint, ...]
    spent: Compute | None
    """Mean over the seeds; None of a checkpoint that is evaluated as it is."""
    machine: str

    @property
    def metric(self) -> str:
        """The headline number in words, with the attempts it allows at a position."""
        kept = [e.episodes[0].task.attempts for e in self.ends if e.episodes]
        allowed = kept[0] if kept else self.ends[0].run.config["probe"]["attempts"]
        return f"{row_of(self.curve.cell).headline}, {counted(allowed, 'attempt')}"

    @property
    def every(self) -> bool:
        """Whether every hand or route was played, rather than a sample of deals."""
        return all(e.weights is not None for e in self.ends)


def rows(data: Data) -> list[Row]:
    """A row for each curve and suite of which something is stored."""
    out = []
    for cell in data.cells:
        for curve in data.drawn(cell):
            lines = data.lines[cell, curve.name]
            for suite in data.figure.plan.suites:
                ends = data.ends[cell, curve.name, suite]
                if ends:
                    out.append(_row(curve, suite, ends, lines))
    return out


def _row(curve: Curve, suite: str, ends: tuple[Endpoint, ...], lines: Sequence[SeedRun]) -> Row:
    runs = [line.run for line in lines] or [end.run for end in ends]
    return Row(
        curve=curve,
        suite=suite,
        value=value_of(ends),
        ends=ends,
        spent=mean_compute([line.spent for line in lines]),
        machine=", ".join(dict.fromkeys(map(machine, runs))),
    )


def machine(run: Run) -> str:
    """What a run ran on, in words."""
    try:
        found = json.loads((run.path / "environment.json").read_text(encoding="utf-8"))
        return f"{found['platform'].split('-')[0]}, {counted(found['cpus'], 'CPU core')}"
    except (OSError, ValueError, KeyError):
        return "unknown"


def trials(row: Row) -> str:
    """What one seed's value counts: its n, or several where they differ."""
    counts = dict.fromkeys(str(e.value.n) for e in row.ends)
    return ", ".join(counts)


def measured(data: Data, cell: str) -> str:
    """What the headline number of a cell's ends is; empty where they are not all measured alike."""
    words = {row.metric for row in rows(data) if row.curve.cell == cell}
    return words.pop() if len(words) == 1 else ""


def told(row: Row) -> dict[str, str]:
    """A row in words, under the headings of a table."""
    low, high = row.value.ci95
    spent = row.spent
    return {
        "player": f"{row.curve.name}, {row.curve.cell}",
        "suite": row.suite,
        "measured": row.metric + (", every one" if row.every else ""),
        "value": f"{row.value.value:.1%}",
        "95% interval": f"[{low:.1%}, {high:.1%}]",
        "n a seed": trials(row),
        "seeds": ", ".join(str(e.seed) for e in row.ends) if row.curve.trained else "–",
        "TFLOP (paper's account)": f"{spent.flops / 1e12:.2f} ({spent.estimated_flops / 1e12:.2f})" if spent else "–",
        "training": duration(spent.seconds) if spent else "–",
        "machine": row.machine,
    }


def duration(seconds: float) -> str:
    """``48 s``, ``12 min``."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def signs(found: Sequence[Finding]) -> list[dict[str, str]]:
    """Claims of one cell as rows: the change of the headline and of the rates beside it, in points."""
    out = []
    for one in found:
        trained = " against ".join(map(str, one.seeds)) or "–"
        sampled = " against ".join(f"{t:g}" for t in one.temperatures) or "–"
        row = {"change": _against(one), "temperature": sampled, "seeds": trained, "headline": _told(one.change)}
        out.append(row | {label_of(one.cell, name): _told(moved) for name, moved in one.beside.items()})
    return out


def _against(one: Finding) -> str:
    claim = one.claim
    than = {"start": "since its start", "origin": "since the beginning"}.get(claim.than, f"against {claim.than}")
    return f"{claim.curve} {than}, {one.cell} {claim.suite}"


def _told(found: Measured | None) -> str:
    return "not measured" if found is None else f"{points(found.value)} {interval(found)}"
