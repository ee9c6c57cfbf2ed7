"""Every notebook runs from a fresh kernel, is in step with its source, and carries nothing it should not."""

import importlib.util
import json
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "notebooks").glob("[0-9]*.py"))

_spec = importlib.util.spec_from_file_location("notebooks_script", ROOT / "scripts" / "notebooks.py")
script = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(script)


def test_there_are_notebooks():
    assert "00_tour" in [p.stem for p in SOURCES]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_the_stored_notebook_is_its_source_with_outputs(path):
    stored = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    fresh = script.source(path)
    assert [(c.cell_type, c.source) for c in stored.cells] == [(c.cell_type, c.source) for c in fresh.cells], (
        "run `make notebooks`"
    )
    outputs = [o for c in stored.cells if c.cell_type == "code" for o in c.outputs]
    assert outputs
    assert not [o for o in outputs if o.output_type == "error"]
    assert "widgets" not in stored.metadata


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_the_stored_notebook_is_small_and_tells_nothing_of_this_machine(path):
    text = path.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert len(text) < 1_000_000
    assert not re.search(r'"/(home|root|work|Users|tmp)/', text)
    assert json.loads(text)["metadata"]["kernelspec"]["name"] == "python3"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_it_runs_from_a_fresh_kernel(path):
    notebook = script.execute(script.source(path), timeout=300)
    assert all(c.execution_count for c in notebook.cells if c.cell_type == "code")
