"""RESULTS.md, from what is stored: every number in it is read out of a file that it links to."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from os.path import relpath
from pathlib import Path

from labkit.replication import tables
from labkit.replication.archive import RESULTS, Archive
from labkit.replication.draw import alt_text
from labkit.replication.findings import findings
from labkit.replication.missing import Job, how_many, missing_jobs
from labkit.replication.plan import Figure
from labkit.replication.series import Data, Endpoint, collect

PICTURES = RESULTS / "figures"

_HEAD = """# Results

What the paper *SFT Memorizes, RL Generalizes* (arXiv 2501.17161) measured on Llama-3.2-Vision-11B, measured on the tiny
model of this repository. `make results` writes this page from the runs in `results/`; no number in it is typed.

* **Values** are means over seeds; their 95% intervals add the error of the deals, which seeds share, to the spread
  between seeds (Student's t). A row marked *every one* played every hand or route of the split once, weighted as they
  are dealt; the others are the last probe of the runs.
* **Changes** are paired by deal and seed; "clear of zero" says that the 95% interval does not hold zero. That something
  does *not* change counts as shown only where the interval leaves no room for more than the margin named. At equal
  compute, each curve's last probe within it, or at most 5% beyond, is taken.
* **Figures**: thin lines are single seeds, points their mean, the thick line the mean smoothed; black diamonds are the
  paper's numbers. `labkit figures` writes them as one interactive page, with FLOPs, updates or ID success along the x
  axis.
* **One run from nothing**: `labkit figures 05 --run --seeds 100 --cell gp-l`.
"""


def results(figures: Sequence[Figure], archive: Archive, root: str | Path = ".") -> tuple[str, list[Data]]:
    """The page's text, and the figures that have a picture.

    Args:
        archive: the runs in ``results/``.
        root: the folder that the page lies in, from which its links start.

    Raises:
        UsageError: a curve's config cannot be read.
    """
    parts, drawn = [_HEAD], []
    for figure in figures:
        data = collect(figure, archive)
        parts.append(_section(data, missing_jobs(figure, archive), Path(root)))
        drawn += [data] if _tells(data) else []
    return "\n".join(parts), drawn


def _tells(data: Data) -> bool:
    """Whether something is stored by which a claim can be judged; a control alone is no picture."""
    return bool(data) and (not data.figure.plan.claims or any(f.change for f in findings(data)))


def _section(data: Data, jobs: Sequence[Job], root: Path) -> str:
    plan, name = data.figure.plan, data.figure.id
    lines = [f"## {plan.source}: {plan.title}", "", plan.question, "", f"**The paper.** {plan.paper}", ""]
    if plan.caveat:
        lines += [f"**Ours differs.** {plan.caveat}", ""]
    if not _tells(data):
        return "\n".join([*lines, f"What would tell is not stored yet: `labkit figures {name}` says what to run.", ""])
    lines += [f"![{_inline(alt_text(data))}]({(PICTURES / name).as_posix()}.svg)", ""]
    if plan.kind in ("curves", "growth"):
        axes = (("updates", "updates"), ("id", "ID success"))
        others = [
            f"![{_inline(plan.title)}, over {words}]({(PICTURES / name).as_posix()}-{axis}.svg)" for axis, words in axes
        ]
        lines += _folded("The same over updates, and over ID success", ["\n\n".join(others)])
    lines += [" ".join(f.sentence for f in findings(data)), ""]
    rows = tables.rows(data)
    shown = [tables.told(row) for row in rows]
    table = ["| " + " | ".join(shown[0]) + " |", "|---" * len(shown[0]) + "|"]
    table += ["| " + " | ".join(map(_inline, row.values())) + " |" for row in shown]
    # Every setting of a grid is a row: nobody reads that before the picture.
    lines += _folded("The numbers", table) if plan.kind == "grid" else [*table, ""]
    lines += _folded("Where each number comes from", _sources(rows, root))
    if jobs:
        lines += [f"{how_many(jobs)} not stored yet; `labkit figures {name}` tells which.", ""]
    return "\n".join(lines)


def _folded(summary: str, lines: Sequence[str]) -> list[str]:
    return [f"<details><summary>{summary}</summary>", "", *lines, "", "</details>", ""]


def _sources(rows: Sequence[tables.Row], root: Path) -> list[str]:
    """For every number: the command, the config that it resolved to, and the episodes or metrics."""
    out = []
    for row in rows:
        for end in row.ends:
            seed = f", seed {end.seed}" if row.curve.trained else ""
            place = end.run.path
            files = [("run", place), ("config", place / "config.yaml"), ("numbers", end.file)]
            links = ", ".join(f"[{word}]({Path(relpath(path, root)).as_posix()})" for word, path in files)
            what = f"{_inline(row.curve.name)}, {row.curve.cell}, {row.suite}{seed}"
            value = f"{end.value.value:.1%}, n {end.value.n}"
            out.append(f"* {what}: {value}; `{_command(end)}`; {links}")
    return out


def _command(end: Endpoint) -> str:
    """The words that made the run in which a number lies."""
    try:
        words = json.loads((end.run.path / "environment.json").read_text(encoding="utf-8"))["command"]
    except (OSError, ValueError, KeyError):
        return "unknown"
    return shlex.join(["labkit", *words[1:]])


def _inline(text: str) -> str:
    """Text that Markdown leaves as it is, inside a table or a link."""
    return "".join("\\" + c if c in "\\`*_[]|<>" else c for c in text)
