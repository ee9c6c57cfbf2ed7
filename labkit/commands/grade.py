"""Judge submitted notebooks: one line of CSV for each exercise.

examples:
  labkit grade submitted/ > grades.csv
  labkit grade submitted/ --seconds 30 --out grades.csv

DIR holds notebooks, in folders or not: one a learner, say. Each is judged in a fresh process, by the checks of this
labkit. Run are the imports, the exercises and cells that a learner added, without network; a cell that takes longer
than --seconds is ended. This is no sandbox: run work of strangers in a container.

columns: file, notebook, exercise, result (right, wrong, not done, not run), message
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

from labkit.commands.common import count, say
from labkit.counting import counted
from labkit.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="folder with the notebooks, or one notebook")
    parser.add_argument("--out", metavar="FILE", help="write here (default: standard output)")
    parser.add_argument("--seconds", metavar="N", type=count, default=60, help="limit of a cell (default: 60)")


def run(args: argparse.Namespace) -> int:
    folder = Path(args.folder)
    paths = [folder] if folder.is_file() else sorted(folder.rglob("*.ipynb"))
    paths = [path for path in paths if ".ipynb_checkpoints" not in path.parts]
    if not paths:
        raise UsageError(f"no notebooks in {folder}; name a folder that holds .ipynb files")
    try:
        with open(args.out, "w", newline="", encoding="utf-8") if args.out else nullcontext(sys.stdout) as out:
            writer = csv.writer(out)
            writer.writerow(("file", "notebook", "exercise", "result", "message"))
            for path in paths:
                writer.writerows(_rows(path, folder, args.seconds))
    except OSError as error:
        raise UsageError(f"cannot write {args.out}: {error.strerror}; name another file with --out") from None
    return 0


def _rows(path: Path, folder: Path, seconds: int) -> list[tuple[str, ...]]:
    """The lines of a notebook; one line that says so if the file is none."""
    from labkit.exercises.grading import grade

    name = path.name if path == folder else path.relative_to(folder).as_posix()
    try:
        grades = grade(path, seconds)
    except UsageError as error:
        say(f"{name}: {error}")
        return [(name, path.stem, "", "not run", str(error))]
    results = Counter(g.result for g in grades)
    say(f"{name}: {results['right']} of {counted(len(grades), 'exercise')} right")
    return [(name, path.stem, g.exercise, g.result, g.message) for g in grades]
