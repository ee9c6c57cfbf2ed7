"""RESULTS.md and docs/results/, from what is stored: every number is read out of a file that a page links to.

RESULTS.md is one page: a headline, a table of signs, a list of figures. Each figure has a page of its own, and each
page another with the way to every number.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from os.path import relpath
from pathlib import Path

from labkit.config import Config, read
from labkit.errors import UsageError
from labkit.replication import tables
from labkit.replication.archive import RESULTS, Archive
from labkit.replication.draw import alt_text
from labkit.replication.findings import Finding, findings
from labkit.replication.missing import Job, how_many, missing_jobs
from labkit.replication.plan import Figure
from labkit.replication.stored import Data, Endpoint, collect

PICTURES = RESULTS / "figures"
FRONT = Path("RESULTS.md")
PAGES = Path("docs/results")
"""The figures' pages; those with the sources lie in ``sources`` below it."""
HEADLINE = Path("configs/headline.yaml")

_HEAD = """# Results

What the paper *SFT Memorizes, RL Generalizes* (arXiv 2501.17161) measured on Llama-3.2-Vision-11B, measured on the tiny
model of this repository. `make results` writes this page and [docs/results](docs/results) from the runs in `results/`;
no number is typed.
"""

_READING = """## How to read the numbers

* **Changes** are percentage points with 95% intervals, paired by deal and seed. With three training seeds or more the
  interval is about other seeds and other deals; with fewer it is about deals only, and decides nothing about training.
  [docs/evaluation.md](docs/evaluation.md) has the formulas and their simulated coverage.
* **Temperature** is that of sampling; 0 is greedy decoding.
* **Headline** is success within the attempts (GeneralPoints) and the paper's per-step accuracy (V-IRL), which counts
  every attempt, so a player who fails at the first turn is never asked the steps that it knows. The columns beside it
  ask about the rule where it matters. *Not measured*: the stored runs have no such episodes.
* **Equal compute** takes each curve's last probe within it, or at most 5% beyond; the paper's account (6ND for SFT, 6ND
  plus 2N lambda D for RL) stands beside ours.
* **One run from nothing**: `labkit figures 05 --run --seeds 100 --cell gp-l`.
"""


class Statement(Config):
    """A sentence of the headline, and the claims that have to hold for it to be printed."""

    says: str
    holds: tuple[Held, ...]


class Held(Config):
    """A claim of a figure that the stored runs have to agree with."""

    figure: str
    cell: str
    curve: str
    than: str
    says: str


class Headline(Config):
    """The sentences at the top of RESULTS.md."""

    statements: tuple[Statement, ...]


Statement.model_rebuild()


def results(
    figures: Sequence[Figure], archive: Archive, headline: Path | None = None
) -> tuple[dict[Path, str], list[Data]]:
    """The pages by their paths in the repository, and the figures that have a picture.

    Args:
        archive: the runs in ``results/``.
        headline: the file with the sentences at the top; none if not given.

    Raises:
        UsageError: a config cannot be read, or the headline says what the stored runs do not show.
    """
    found = {figure.id: collect(figure, archive) for figure in figures}
    told = {name: findings(data) for name, data in found.items()}
    pages: dict[Path, str] = {}
    for figure in figures:
        data = found[figure.id]
        pages[PAGES / f"{figure.id}.md"] = _page(data, told[figure.id], missing_jobs(figure, archive))
        pages[PAGES / "sources" / f"{figure.id}.md"] = _sources_page(data)
    front = [_HEAD, *_headline(headline, told), _signs(figures, told), _READING, _contents(found, told)]
    return {FRONT: "\n".join(front), **pages}, [data for name, data in found.items() if _tells(data, told[name])]


def _headline(path: Path | None, told: Mapping[str, Sequence[Finding]]) -> list[str]:
    if path is None:
        return []
    sentences = []
    for statement in Headline.parse(read(path), str(path)).statements:
        for held in statement.holds:
            if not any(_is(held, one) and one.verdict == "agrees" for one in told.get(held.figure, ())):
                raise UsageError(
                    f"{path}: the stored runs do not show that {held.curve} {held.says} ({held.than}, {held.cell}, "
                    f"figure {held.figure}); change the sentence {statement.says!r}"
                )
        sentences.append(statement.says)
    return [f"**{' '.join(sentences)}**", ""]


def _is(held: Held, one: Finding) -> bool:
    claim = one.claim
    return (held.cell, held.curve, held.than, held.says) == (one.cell, claim.curve, claim.than, claim.says)


def _signs(figures: Sequence[Figure], told: Mapping[str, Sequence[Finding]]) -> str:
    """The table of signs, one a cell, since games differ in what stands beside the headline."""
    chosen = [one for figure in figures if figure.plan.signs for one in told[figure.id]]
    lines = ["## The signs, with their controls", ""]
    for cell in dict.fromkeys(one.cell for one in chosen):
        of_cell = [one for one in chosen if one.cell == cell and one.change is not None]
        lines += [*_table(tables.signs(of_cell)), ""] if of_cell else []
    return "\n".join(lines)


def _contents(found: Mapping[str, Data], told: Mapping[str, Sequence[Finding]]) -> str:
    lines = ["## The figures", "", "| figure | what it shows | the paper's claims, by our data |", "|---|---|---|"]
    for name, data in found.items():
        plan = data.figure.plan
        verdicts = [one.verdict for one in told[name]]
        counts = ", ".join(f"{verdicts.count(word)} {word}" for word in dict.fromkeys(verdicts)) or "–"
        page = (PAGES / f"{name}.md").as_posix()
        lines.append(f"| [{_inline(plan.source)}]({page}) | {_inline(plan.title)} | {counts} |")
    return "\n".join([*lines, ""])


def _tells(data: Data, told: Sequence[Finding]) -> bool:
    """Whether something is stored by which a claim can be judged; a control alone is no picture."""
    return bool(data) and (not data.figure.plan.claims or any(f.change for f in told))


def _page(data: Data, told: Sequence[Finding], jobs: Sequence[Job]) -> str:
    plan, name = data.figure.plan, data.figure.id
    lines = [f"# {plan.source}: {plan.title}", "", plan.question, "", f"**The paper.** {plan.paper}", ""]
    if plan.caveat:
        lines += [f"**Ours differs.** {plan.caveat}", ""]
    if not _tells(data, told):
        return "\n".join([*lines, f"Not stored yet: `labkit figures {name}` says what to run.", ""])
    picture = Path(relpath(PICTURES / name, PAGES)).as_posix()
    lines += [f"![{_inline(alt_text(data))}]({picture}.svg)", ""]
    if plan.kind in ("curves", "growth"):
        axes = {"paper": "the paper's account of compute", "updates": "updates", "id": "ID success"}
        others = [f"![{_inline(plan.title)}, over {words}]({picture}-{axis}.svg)" for axis, words in axes.items()]
        lines += _folded("The same over the paper's compute, updates and ID success", ["\n\n".join(others)])
    lines += [f"* {one.sentence}" for one in told]
    lines.append("")
    for cell in data.cells:
        beside = tables.signs([one for one in told if one.cell == cell and one.beside])
        lines += [*_table(beside), ""] if beside else []
    table = _table([tables.told(row) for row in tables.rows(data)])
    # Every setting of a grid is a row: nobody reads that before the picture.
    lines += _folded("The numbers", table) if plan.kind == "grid" else [*table, ""]
    if any(data.lines.values()) and not data.attention:
        lines += ["TFLOP are without attention, which these runs did not count.", ""]
    if jobs:
        lines += [f"{how_many(jobs)} not stored yet; `labkit figures {name}` tells which.", ""]
    lines += [f"[Where each number comes from](sources/{name}.md)", ""]
    return "\n".join(lines)


def _sources_page(data: Data) -> str:
    plan, name = data.figure.plan, data.figure.id
    title = f"# {plan.source}: where each number comes from"
    lines = [title, "", f"[The figure](../{name}.md). Of each number: the command, the run, its config, the file.", ""]
    return "\n".join([*lines, *_sources(tables.rows(data), PAGES / "sources"), ""])


def _table(rows: Sequence[Mapping[str, str]]) -> list[str]:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(map(_inline, columns)) + " |", "|---" * len(columns) + "|"]
    return lines + ["| " + " | ".join(_inline(row.get(name, "")) for name in columns) + " |" for row in rows]


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
