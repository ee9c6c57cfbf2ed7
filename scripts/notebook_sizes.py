"""Print how much each section of the notebooks holds: words of prose, lines of code, the longest cell.

    python scripts/notebook_sizes.py [NAME ...]

A section begins at a heading of the first three levels. Folded hints and solutions are not counted, nor stubs.
"""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

from nbformat import NotebookNode

from notebooks import FOLDER, source, tagged

WORDS, LINES, CELL = 350, 120, 30
"""The most that a section holds: words of prose, lines of code; and the lines of one cell, a screen's worth."""

_HEADING = re.compile(r"^#{1,3} (.+)$", re.MULTILINE)
_FOLDED = re.compile(r"<details>.*?</details>", re.DOTALL)


class Section(NamedTuple):
    """What stands under one heading."""

    title: str
    words: int
    lines: int
    longest: int
    """Lines of the longest code cell."""


def sections(notebook: NotebookNode) -> list[Section]:
    """The sections of a notebook, in order; those that hold nothing but a heading are left out."""
    found: list[Section] = []
    title, words, lines, longest = "", 0, 0, 0

    def close() -> None:
        if words or lines:
            found.append(Section(title, words, lines, longest))

    for cell in notebook.cells:
        if cell.cell_type == "code":
            size = 0 if tagged(cell, "exercise") else sum(bool(line.strip()) for line in cell.source.splitlines())
            lines, longest = lines + size, max(longest, size)
            continue
        before, *headed = _HEADING.split(_FOLDED.sub("", cell.source))
        words += len(before.split())
        for heading, text in zip(headed[::2], headed[1::2], strict=True):
            close()
            title, words, lines, longest = heading, len(text.split()), 0, 0
    close()
    return found


def main() -> None:
    paths = [p for p in sorted(FOLDER.glob("[0-9]*.py")) if not sys.argv[1:] or p.stem in sys.argv[1:]]
    for path in paths:
        found = sections(source(path))
        words, lines = sum(s.words for s in found), sum(s.lines for s in found)
        print(f"{path.stem}: {words} words, {lines} lines")
        for s in found:
            over = " ← too much" if s.words > WORDS or s.lines > LINES or s.longest > CELL else ""
            print(f"  {s.words:5} words {s.lines:4} lines, longest cell {s.longest:3}   {s.title}{over}")


if __name__ == "__main__":
    main()
