"""Write RESULTS.md, docs/results/ and their pictures from the runs in ``results/``.

    python scripts/results.py [--text]

With ``--text`` the pictures are left as they are: these need kaleido and a browser.
"""

from __future__ import annotations

import sys

from labkit.replication import page
from labkit.replication.archive import RESULTS, Archive
from labkit.replication.plan import load_plan, plans
from labkit.replication.report import HEADLINE, PAGES, PICTURES, results


def main(words: list[str]) -> None:
    figures = [load_plan(path) for path in plans().values()]
    pages, drawn = results(figures, Archive([RESULTS]), HEADLINE if HEADLINE.is_file() else None)
    for old in PAGES.rglob("*.md"):
        old.unlink()
    for path, text in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if "--text" in words:
        return
    stills = {name: figure for data in drawn for name, figure in page.pictures(data).items()}
    for old in PICTURES.glob("*.svg"):
        old.unlink()
    for path in page.write_stills(stills, PICTURES):
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
