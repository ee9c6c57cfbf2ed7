"""Make the notebooks that learners open: without outputs, in a folder that Git does not track.

    python scripts/class_copies.py                 fill class/; what is there already stays as it is
    python scripts/class_copies.py --new           and put the new version of a changed notebook beside the old one
    python scripts/class_copies.py --stick DIR     a copy of the repository to hand out, with its class/ filled

A copy remembers the source that it was made from. When the source has changed since, a line says so; the copy stays.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from notebooks import FOLDER, digest, source

ROOT = FOLDER.parent
CLASS = ROOT / "class"
NEW = ".venv/bin/python scripts/class_copies.py --new"


def class_copy(path: Path) -> NotebookNode:
    """The notebook of a ``py:percent`` file as a learner gets it: no outputs, and a note of its source."""
    notebook = source(path)
    notebook.metadata["labkit"] = {"source": digest(notebook)}
    return notebook


def fill(folder: Path, sources: list[Path], *, new: bool = False) -> list[str]:
    """Write the copies that are missing; never write over one that exists.

    Args:
        new: where the source has changed, write the new version beside the copy, as ``NAME.new-DIGEST.ipynb``.

    Returns:
        One line for each copy whose source has changed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    said = []
    for path in sources:
        fresh, target = class_copy(path), folder / f"{path.stem}.ipynb"
        if not target.exists():
            nbformat.write(fresh, target)
        elif _source_of(target) != fresh.metadata["labkit"]["source"]:
            beside = target.with_suffix(f".new-{fresh.metadata['labkit']['source'][:6]}.ipynb")
            if new and not beside.exists():
                nbformat.write(fresh, beside)
            said.append(
                f"{target.name} has a new version; your copy is kept. "
                + (f"The new one is {beside.name}" if beside.exists() else f"To put the new one beside it: {NEW}")
            )
    return said


def _source_of(copy: Path) -> str | None:
    """The source that a copy was made from; None if there is no copy, or none that can be read."""
    try:
        return nbformat.read(copy, as_version=4).metadata.get("labkit", {}).get("source")
    except (OSError, ValueError, nbformat.ValidationError):
        return None


def stick(folder: Path, sources: list[Path]) -> None:
    """Copy the tracked files, without the executed notebooks, and fill ``class/`` in the copy.

    Raises:
        SystemExit: the folder exists, or this is no Git checkout.
    """
    if folder.exists():
        raise SystemExit(f"{folder} exists; remove it, or name another folder")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        raise SystemExit(f"{ROOT} is no Git checkout: hand out a clone, in which `make lab` fills class/")
    for name in filter(None, listed.stdout.split("\0")):
        if not (name.startswith("notebooks/") and name.endswith(".ipynb")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    fill(folder / CLASS.name, sources)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--new", action="store_true", help="put new versions of changed notebooks beside the copies")
    parser.add_argument("--stick", type=Path, metavar="DIR", help="copy the repository here, for learners")
    args = parser.parse_args()
    sources = sorted(FOLDER.glob("[0-9]*.py"))
    if args.stick:
        stick(args.stick, sources)
        print(f"{args.stick} is ready: `make lab` in it opens class/", file=sys.stderr)
        return
    for line in fill(CLASS, sources, new=args.new):
        print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
