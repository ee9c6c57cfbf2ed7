"""Bring every notebook in step with its ``py:percent`` source: execute it in a fresh kernel and store the outputs.

The ``.py`` file is what is written and reviewed; the ``.ipynb`` is what people open. GitHub, and JupyterLab before a
reader trusts a notebook, run no scripts and strip ``<style>`` and ``<svg>``. So a PNG is stored beside each Plotly
figure and in the place of HTML that needs either, drawn by Chromium. Widgets and their state are not stored: a widget
is shown without a kernel by the static form in its output.

    python scripts/notebooks.py [NAME ...]
    python scripts/notebooks.py --solved DIR [NAME ...]     for teachers: not executed, the solutions in their places

A notebook is executed if its code or its bundled players have changed; otherwise only its text is brought in step. (To
execute it all the same, remove its ``.ipynb``.) An output that differs from the stored one only in run ids, times and
last digits is left as it is stored, so that a diff shows what changed. ``scripts/class_copies.py`` makes the copies for
learners.

An exercise is a code cell tagged ``exercise`` that holds a stub, a later one that calls ``check("MODULE.NAME", ...)``,
and the next markdown cell with folded hints and a solution; :func:`exercises` finds them.
"""

from __future__ import annotations

import argparse
import ast
import base64
import copy
import hashlib
import html
import io
import json
import os
import re
import shutil
import sys
import textwrap
import time
from pathlib import Path
from typing import Any, NamedTuple

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parents[1] / "notebooks"
PLAYERS = Path(__file__).parents[1] / "labkit" / "bundled"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

_PLOTLY = "application/vnd.plotly.v1+json"
_WIDGET = "application/vnd.jupyter.widget-view+json"
_HTML = "text/html"
_PNG = "image/png"
_DRAW = """figure => Plotly.toImage(
    {data: figure.data, layout: {...figure.layout, paper_bgcolor: "white"}},
    {format: "png", width: 900, height: figure.layout.height ?? 450},
)"""
STRIPPED = re.compile(r"<(style|svg|script)\b")
"""Elements that GitHub takes out of a notebook's HTML, with what is in them."""
WIDTH = 820
"""CSS pixels of the pictures of HTML: what GitHub shows without scaling."""
_PAGE = '<body style="margin: 8px; background: white; font: 14px sans-serif">{}</body>'
_LABEL = re.compile(r'aria-label="([^"]*)"')
_STYLE = re.compile(r"<style.*?</style>", re.DOTALL)
_MARKUP = re.compile(r"<[^>]*>")
_FOLDED = re.compile(r"<details><summary>(Hint|Solution)[^<]*</summary>(.*?)</details>", re.DOTALL)
_RUN = re.compile(r"\b\d{8}-\d{6}-")
"""The date and time in the name of a run."""
_NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]?\d+)?")
_CODE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Exercise(NamedTuple):
    """Where an exercise stands in its notebook."""

    stub: int
    """Index of the cell that a learner fills in."""
    check: int
    """Index of the cell that judges it."""
    names: tuple[str, ...]
    """The checks that are called, ``MODULE.NAME``."""
    hints: int
    """How many hints are folded beneath."""
    solution: str
    """What takes the place of the stub."""


def source(path: Path) -> NotebookNode:
    """The notebook of a ``py:percent`` file, without outputs; its cell ids do not change from one time to the next."""
    notebook = jupytext.read(path)
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{path.stem}-{number}"
        cell.metadata.pop("lines_to_next_cell", None)
    return notebook


def digest(notebook: NotebookNode) -> str:
    """A digest of the cells without their outputs."""
    return hashlib.sha256(json.dumps([(c.cell_type, c.source) for c in notebook.cells]).encode()).hexdigest()[:16]


def made_from(notebook: NotebookNode, players: Path = PLAYERS) -> str:
    """A digest of what a notebook's outputs depend on: its code, and the bundled players of the games it names."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    found = hashlib.sha256(code.encode())
    for cell in sorted(set(re.findall(r"tiny:([a-z]+-[a-z]+)/", code))):
        for path in sorted(players.glob(f"{cell}/**/*.safetensors")):
            found.update(path.relative_to(players).as_posix().encode() + path.read_bytes())
    return found.hexdigest()[:16]


def take_outputs(fresh: NotebookNode, stored: NotebookNode) -> None:
    """Give the code cells, which are the same, the results of the stored notebook, and its metadata."""
    code = ([cell for cell in one.cells if cell.cell_type == "code"] for one in (fresh, stored))
    for cell, before in zip(*code, strict=True):
        cell.outputs, cell.execution_count = before.outputs, before.execution_count
    fresh.metadata = stored.metadata


def keep_stored(fresh: NotebookNode, stored: NotebookNode) -> None:
    """Give cells back the stored outputs that say the same as the fresh ones; see :func:`_settled`."""
    before = {cell.source: cell.outputs for cell in stored.cells if cell.cell_type == "code"}
    for cell in fresh.cells:
        old = before.get(cell.source) if cell.cell_type == "code" else None
        if old and [_settled(output) for output in old] == [_settled(output) for output in cell.outputs]:
            cell.outputs = old


def _settled(output: NotebookNode) -> Any:
    """An output without what differs from one run to the next: times, run ids, pictures and last digits."""

    def settle(value: Any) -> Any:
        if isinstance(value, dict):
            if "seconds" in (value.get("meta") or ()):
                return "a curve of seconds"
            return {k: settle(v) for k, v in value.items() if not str(k).startswith("image/")}
        if isinstance(value, list):
            return [settle(one) for one in value]
        if isinstance(value, float):
            return f"{value:.4g}"
        if isinstance(value, str):
            return _NUMBER.sub(lambda number: f"{float(number[0]):.4g}", _RUN.sub("", value))
        return value

    shown = {**output.data, _PNG: None} if "data" in output else {"text": output.get("text")}
    return settle({"type": output.output_type, **shown})


def tagged(cell: NotebookNode, tag: str) -> bool:
    return cell.cell_type == "code" and tag in cell.metadata.get("tags", ())


def exercises(notebook: NotebookNode) -> list[Exercise]:
    """The exercises of a notebook, in order.

    Raises:
        ValueError: one lacks its check or its solution; the message names the cell.
    """
    cells = notebook.cells
    stubs = [i for i, cell in enumerate(cells) if tagged(cell, "exercise")]
    found = []
    for stub, end in zip(stubs, [*stubs[1:], len(cells)], strict=True):
        judged = [i for i in range(stub + 1, end) if cells[i].cell_type == "code" and checks(cells[i].source)]
        if not judged:
            raise ValueError(f"{cells[stub].id}: no cell calls check(...) or use(...) after this exercise")
        told = [i for i in range(judged[-1] + 1, end) if cells[i].cell_type == "markdown"]
        folded = _FOLDED.findall(cells[told[0]].source) if told else []
        code = [_CODE.findall(body) for kind, body in folded if kind == "Solution"]
        if len(code) != 1 or len(code[0]) != 1:
            raise ValueError(f"{cells[stub].id}: the next text has not one folded Solution with one python block")
        hints = sum(kind == "Hint" for kind, _ in folded)
        found.append(Exercise(stub, judged[-1], checks(cells[judged[-1]].source), hints, code[0][0].rstrip()))
    return found


def checks(code: str) -> tuple[str, ...]:
    """The names of the checks that a cell calls."""
    return tuple(
        node.args[0].value
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("check", "use")
        and node.args
        and isinstance(node.args[0], ast.Constant)
    )


def solved(notebook: NotebookNode) -> NotebookNode:
    """The same with every stub replaced by its solution."""
    notebook = copy.deepcopy(notebook)
    for exercise in exercises(notebook):
        notebook.cells[exercise.stub].source = exercise.solution
    return notebook


def execute(notebook: NotebookNode, *, fast: bool = False) -> NotebookNode:
    """Run all cells in place, in a fresh kernel started in the notebooks' folder.

    Args:
        fast: with ``LABKIT_FAST=1``, which notebooks take as leave to play and train less.
    """
    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        store_widget_state=False,
        record_timing=False,
        resources={"metadata": {"path": str(FOLDER)}},
    )
    client.execute(env={**os.environ, "LABKIT_FAST": "1"} if fast else dict(os.environ))
    return notebook


def make_static(notebook: NotebookNode) -> None:
    """Make every output legible on a page that runs no script and strips ``<style>`` and ``<svg>``."""
    shown = [(c, o) for c in notebook.cells if c.cell_type == "code" for o in c.outputs if "data" in o]
    outputs = [output for _, output in shown]
    for cell, one in shown:
        if len(one.data) > 1:
            one.data.pop(_WIDGET, None)
        if _PNG in one.data and _PNG not in one.metadata:
            one.metadata[_PNG] = {"alt": f"Drawn by {cell.source.splitlines()[-1]}"}
        if _PLOTLY in one.data:
            one.data[_PLOTLY] = json.loads(json.dumps(one.data[_PLOTLY]), parse_float=_rounded)
    figures = [o for o in outputs if _PLOTLY in o.data and _PNG not in o.data]
    styled = [o for o in outputs if STRIPPED.search(o.data.get(_HTML, ""))]
    if not figures and not styled:
        return
    if CHROMIUM is None:
        print("no Chromium: figures, cards and maps are stored without pictures", file=sys.stderr)
        return
    from playwright.sync_api import sync_playwright
    from plotly.offline import get_plotlyjs

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 100})
        page.set_default_timeout(0)
        for one in styled:
            markup = one.data.pop(_HTML)
            page.set_content(_PAGE.format(markup))
            # A picture cannot be opened: thoughts are shown in it.
            page.evaluate("document.querySelectorAll('.lk-folded').forEach(part => { part.open = true })")
            _store(one, page.screenshot(full_page=True), alt_of_markup(markup))
        page.set_content("")
        page.add_script_tag(content=get_plotlyjs())
        for one in figures:
            figure = one.data[_PLOTLY]
            _store(one, base64.b64decode(page.evaluate(_DRAW, figure).partition(",")[2]), alt_text(figure))
        browser.close()


def _rounded(number: str) -> float:
    """A number of a figure at five digits, a third of its length."""
    return float(f"{float(number):.5g}")


def _store(output: NotebookNode, picture: bytes, alt: str) -> None:
    output.data[_PNG] = base64.b64encode(fewer_colours(picture)).decode("ascii")
    # Where nbconvert's classic page looks for it; its newer one leaves such texts out.
    output.metadata[_PNG] = {"alt": alt}


def fewer_colours(picture: bytes) -> bytes:
    """A PNG of a chart, of cards or a map at a fifth of its size: 64 colours are enough.

    MAXCOVERAGE keeps colours of small areas, such as the star on a map.
    """
    from PIL import Image

    written = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        image.convert("RGB").quantize(64, Image.Quantize.MAXCOVERAGE).save(written, "PNG", optimize=True)
    return written.getvalue()


def alt_of_markup(markup: str) -> str:
    """What a piece of HTML shows, for those who do not see its picture: the labels of its parts, each once."""
    labels = "; ".join(dict.fromkeys(_LABEL.findall(markup)))
    return textwrap.shorten(html.unescape(labels or _words(_STYLE.sub("", markup))), 600)


def alt_text(figure: dict[str, Any]) -> str:
    """What a figure shows, for those who do not see its picture: title, panels, axes, and the names of its lines."""
    layout = figure.get("layout", {})
    titles = [layout.get("title"), *layout.get("annotations", ())]
    axes = [axis.get("title") for name, axis in layout.items() if re.fullmatch(r"[xy]axis\d*", name)]
    lines = [trace.get("name") for trace in figure.get("data", ())]
    groups = [[_words(one) for one in found] for found in (titles, axes, lines)]
    heads = ("Figure", "axes", "shown")
    told = [
        f"{head}: {', '.join(dict.fromkeys(filter(None, group)))}"
        for head, group in zip(heads, groups, strict=True)
        if any(group)
    ]
    return ". ".join(told or ["Figure"]) + "."


def _words(title: Any) -> str:
    """The text of a title, as a string or as Plotly keeps it, without markup."""
    text = title.get("text") if isinstance(title, dict) else title
    return " ".join(_MARKUP.sub(" ", text or "").split())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of notebooks, like 02_virl; default: all")
    parser.add_argument("--solved", type=Path, metavar="DIR", help="write notebooks with the exercises solved here")
    args = parser.parse_args()
    paths = [p for p in sorted(FOLDER.glob("[0-9]*.py")) if not args.names or p.stem in args.names]
    if missing := set(args.names) - {p.stem for p in paths}:
        parser.error(f"no notebook {', '.join(sorted(missing))} in {FOLDER}")
    for path in paths:
        notebook, target = source(path), path.with_suffix(".ipynb")
        if args.solved:
            args.solved.mkdir(parents=True, exist_ok=True)
            nbformat.write(solved(notebook), args.solved / target.name)
            continue
        stored = nbformat.read(target, as_version=4) if target.exists() else None
        made, began = made_from(notebook), time.time()
        if stored and stored.metadata.get("labkit", {}).get("made_from") == made:
            take_outputs(notebook, stored)
        else:
            make_static(execute(notebook))
            if stored:
                keep_stored(notebook, stored)
        notebook.metadata["labkit"] = {"made_from": made}
        nbformat.write(notebook, target)
        print(f"{path.stem}: {time.time() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
