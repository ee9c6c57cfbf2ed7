"""Bring every notebook in step with its ``py:percent`` source: execute it in a fresh kernel and store the outputs.

The ``.py`` file is what is written and reviewed; the ``.ipynb`` is what people open. Widget state is not stored
(one figure widget would add megabytes); what must be seen without a kernel is shown in static form as well.

    python scripts/notebooks.py [NAME ...]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from nbformat import NotebookNode, write

FOLDER = Path(__file__).parents[1] / "notebooks"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def source(path: Path) -> NotebookNode:
    """The notebook of a ``py:percent`` file, without outputs; its cell ids do not change from one time to the next."""
    notebook = jupytext.read(path)
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{path.stem}-{number}"
        cell.metadata.pop("lines_to_next_cell", None)
    return notebook


def execute(notebook: NotebookNode, timeout: int = 600) -> NotebookNode:
    """Run all cells in place, in a fresh kernel started in the notebooks' folder."""
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        store_widget_state=False,
        record_timing=False,
        resources={"metadata": {"path": str(FOLDER)}},
    )
    client.execute()
    return notebook


def main(names: list[str]) -> None:
    for path in sorted(FOLDER.glob("[0-9]*.py")):
        if names and path.stem not in names:
            continue
        began = time.time()
        write(execute(source(path)), path.with_suffix(".ipynb"))
        print(f"{path.stem}: {time.time() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
