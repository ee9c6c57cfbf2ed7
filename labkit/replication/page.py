"""One page with all figures: interactive, in one file, with nothing to fetch; and the figures as still pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.errors import UsageError
from labkit.replication import tables
from labkit.replication.draw import alt_text, draw
from labkit.replication.findings import findings
from labkit.replication.missing import Job, how_many
from labkit.replication.stored import Data

if TYPE_CHECKING:
    import plotly.graph_objects as go

WIDTH = 1000
"""Of still pictures, in pixels."""
NO_STILLS = (
    "still pictures need kaleido and a browser "
    "(pip install kaleido; on Debian or Ubuntu: sudo apt-get install chromium)"
)

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
figure { margin: 1rem 0; overflow-x: auto; } figure > div { min-width: 760px; }
table { border-collapse: collapse; font-size: 14px; }
th, td { text-align: left; padding: .2rem .7rem .2rem 0; border-bottom: 1px solid #ddd; }
.wide { overflow-x: auto; } pre { background: #f5f5f5; padding: .7rem; overflow-x: auto; font-size: 13px; }
.missing { color: #7a4a00; }
"""


@dataclass(frozen=True)
class Entry:
    """A figure on the page."""

    data: Data
    jobs: Sequence[Job]
    """What is missing."""


def html(entries: Sequence[Entry]) -> str:
    """The page. plotly.js is in it once; all text is escaped."""
    from plotly.offline import get_plotlyjs

    body = "\n".join(map(_section, entries))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>SFT and RL: the paper's figures</title><style>{_STYLE}</style>"
        f"<script>{get_plotlyjs()}</script></head><body>\n"
        "<h1>SFT and RL: the paper's figures, on the tiny model</h1>\n"
        "<p>Thin lines are single seeds, points their mean, the thick line the mean smoothed (Savitzky-Golay, order "
        "3); bands and bars are 95% intervals. A black diamond is a number of the paper's.</p>\n"
        f"{body}\n</body></html>\n"
    )


def _section(entry: Entry) -> str:
    data, plan = entry.data, entry.data.figure.plan
    parts = [f'<section id="figure-{escape(data.figure.id)}"><h2>{escape(plan.source)}: {escape(plan.title)}</h2>']
    parts.append(f"<p>{escape(plan.question)}</p><p><b>The paper:</b> {escape(plan.paper)}</p>")
    if plan.caveat:
        parts.append(f"<p><b>Ours differs:</b> {escape(plan.caveat)}</p>")
    if data:
        drawn = draw(data).to_html(
            full_html=False,
            include_plotlyjs=False,
            div_id=f"plot-{data.figure.id}",
            config={"displaylogo": False, "responsive": True},
        )
        told = alt_text(data)
        parts.append(f'<figure role="img" aria-label="{escape(told)}">{drawn}</figure>')
        parts += [f"<p>{escape(f.sentence)}</p>" for f in findings(data)]
        parts.append(_table([tables.told(row) for row in tables.rows(data)]))
    else:
        parts.append("<p>Nothing is stored of it yet.</p>")
    if entry.jobs:
        commands = "\n".join(job.command for job in entry.jobs)
        summary = f"{how_many(entry.jobs)} not stored; the commands that make them"
        parts.append(f'<details class="missing"><summary>{summary}</summary><pre>{escape(commands)}</pre></details>')
    return "\n".join([*parts, "</section>"])


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    lines = "".join("<tr>" + "".join(f"<td>{escape(v)}</td>" for v in row.values()) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def pictures(data: Data, suffix: str = "svg") -> dict[str, go.Figure]:
    """The still pictures of a figure, by file name; of curves, one over each axis."""
    name = data.figure.id
    found = {f"{name}.{suffix}": draw(data)}
    if data.figure.plan.kind in ("curves", "growth"):
        found |= {f"{name}-{axis}.{suffix}": draw(data, axis) for axis in ("paper", "updates", "id")}
    for figure in found.values():
        # Buttons do nothing on paper.
        figure.layout.updatemenus = None
        figure.layout.margin.t = 40
    return found


def write_stills(figures: Mapping[str, go.Figure], folder: str | Path) -> list[Path]:
    """Write still pictures, in the format that their names end in.

    Raises:
        UsageError: kaleido or a browser is missing.
    """
    import plotly.io

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in figures]
    if not paths:
        return []
    try:
        import kaleido  # noqa: F401

        heights = [figure.layout.height for figure in figures.values()]
        plotly.io.write_images(list(figures.values()), paths, width=WIDTH, height=heights)
    except Exception as error:
        # Kaleido's errors have no common base; whatever went wrong, the interactive page does not need it.
        raise UsageError(f"{NO_STILLS}: {' '.join(str(error).split())[:200]}") from None
    for path in paths:
        if path.suffix == ".svg":
            path.write_text(_steady(path.read_text(encoding="utf-8"), path.stem), encoding="utf-8")
    return paths


def _steady(svg: str, name: str) -> str:
    """The same picture under the same ids each time: Plotly draws them by chance."""
    found = re.search(r'id="defs-([0-9a-f]{6})"', svg)
    return svg.replace(found[1], f"f{name}") if found else svg
