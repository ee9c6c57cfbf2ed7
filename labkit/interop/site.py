"""A run's episodes as a folder of pages that opens from a stick: no server, no network, nothing but itself.

``index.html`` lists the episodes, with filters; ``episodes/N.html`` has the turn cards of one. Every page holds its
style, its script and its pictures. Without scripts the list is whole, and only the filters are missing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from labkit.counting import counted
from labkit.envs.games import row_of
from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.interop.documents import page
from labkit.interop.tables import carried
from labkit.runs import Run
from labkit.views.markup import signed, text
from labkit.views.tokens import StoredTokens
from labkit.views.turns import ended_html, episode_html, strip_html

FILTERS = {
    "name": "suite or file",
    "status": "ended as",
    "category": "a verdict is",
    "tag": "a failure tag is",
    "attempts": "answers",
}
"""The filters of the list, and their labels."""


class Entry(NamedTuple):
    """A row of the list."""

    name: str
    episode: Episode

    def values(self) -> dict[str, list[str]]:
        """The values of the row for each filter; none of them has a space."""
        attempts = self.episode.attempts
        return {
            "name": [self.name],
            "status": [self.episode.status],
            "category": sorted({a.verdict.category for a in attempts}),
            "tag": sorted({tag for a in attempts for tag in a.tags}),
            "attempts": [str(len(attempts))],
        }


def write(folder: str | Path, run: Run, names: Sequence[str] | None = None, limit: int | None = None) -> int:
    """Write a run's episodes as pages into a new folder; returns their number.

    Args:
        names: of the run's episode files; all if not given.
        limit: the most episodes of each file.

    Raises:
        UsageError: the run has no episodes, or the folder exists or cannot be made.
    """
    folder = Path(folder)
    entries = [
        Entry(name, episode)
        for name in (run.episode_names() if names is None else names)
        for number, episode in enumerate(run.episodes(name))
        if limit is None or number < limit
    ]
    if not entries:
        raise UsageError(f"{run.id} has no stored episodes; name another run")
    if folder.exists():
        raise UsageError(f"{folder} exists already; name a new folder, or remove it")
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        (part / "episodes").mkdir(parents=True)
        _put(part / "index.html", index_html(run.id, entries))
        for number, html in enumerate(_pages(run, entries)):
            _put(part / "episodes" / f"{number}.html", html)
        part.rename(folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise UsageError(f"cannot write {folder}: {error.strerror}; name another folder") from None
    return len(entries)


def _put(file: Path, html: str) -> None:
    file.write_bytes(carried(html).encode())


def index_html(title: str, entries: Sequence[Entry]) -> str:
    """The page with the list."""
    values = [entry.values() for entry in entries]
    fields = "".join(_select(name, label, [v[name] for v in values]) for name, label in FILTERS.items())
    rows = "".join(_row(number, *each) for number, each in enumerate(zip(entries, values, strict=True)))
    body = (
        f'<main class="lk-site"><h1>{text(title)}</h1>'
        f"<form>{fields}<label>text in the row<input name=text type=search></label>"
        f"<output>{counted(len(entries), 'episode')}</output></form>"
        '<div class="lk-wide"><table><thead><tr><th>episode</th><th>player</th><th>ended as</th><th>answers</th>'
        f"<th>return</th><th>verdicts</th></tr></thead><tbody>{rows}</tbody></table></div></main>"
    )
    return page(title, body + f"<script>{_static('site.js')}</script>", _style())


def _select(name: str, label: str, values: Iterable[Sequence[str]]) -> str:
    """A filter with the values that occur; empty where all rows have the same."""
    there = sorted({value for of_row in values for value in of_row}, key=lambda value: (len(value), value))
    if len(there) < 2:
        return ""
    options = "".join(f'<option value="{text(v)}">{text(v.replace("_", " "))}</option>' for v in there)
    return f"<label>{label}<select name={name}><option value=''>any</option>{options}</select></label>"


def _row(number: int, entry: Entry, values: Mapping[str, Sequence[str]]) -> str:
    episode = entry.episode
    view = row_of(episode.task.cell).load("view")
    data = "".join(f' data-{name}="{text(" ".join(of))}"' for name, of in values.items())
    return (
        f'<tr{data}><td><a href="episodes/{number}.html">{text(episode.task.id)}</a><br>'
        f"{text(view.setting(episode))}</td><td>{text(episode.player)}</td>"
        f'<td class="lk">{ended_html(episode) or "not over"}</td><td>{len(episode.attempts)}</td>'
        f'<td>{signed(episode.reward)}</td><td class="lk">{strip_html(episode)}</td></tr>'
    )


def _pages(run: Run, entries: Sequence[Entry]) -> Iterable[str]:
    """The pages of the episodes, each with links to the one before, the list and the one after."""
    tokens, last = StoredTokens(run), len(entries) - 1
    for number, (_, episode) in enumerate(entries):
        before = f'<a href="{number - 1}.html" rel="prev">before</a>' if number else ""
        after = f'<a href="{number + 1}.html" rel="next">after</a>' if number < last else ""
        links = f'<nav>{before}<a href="../index.html">all episodes</a>{after}</nav>'
        body = f'<main class="lk-site">{links}{episode_html(episode, tokens.of(episode))}</main>'
        yield page(episode.task.id, body, _style())


def _style() -> str:
    return f"<style>{_static('site.css')}</style>"


def _static(name: str) -> str:
    return files(__package__).joinpath("static", name).read_text(encoding="utf-8")
