"""Learners' copies: nothing is answered in them, and nothing that a learner wrote is ever overwritten."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.notebooks.test_notebooks import ROOT, SOURCES, script

# The script imports its neighbour by the name that it has in its folder.
sys.modules.setdefault("notebooks", script)
_spec = importlib.util.spec_from_file_location("class_copies", ROOT / "scripts" / "class_copies.py")
class_copies = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(class_copies)

TEXT = "# %% [markdown]\n# # Title\n\n# %%\nanswer = {}\n"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "00_demo.py"
    path.write_text(TEXT.format("None"))
    return path


def test_a_copy_has_every_cell_of_its_source_and_no_output(tmp_path):
    assert class_copies.fill(tmp_path, SOURCES) == []
    for path in SOURCES:
        copy = nbformat.read(tmp_path / f"{path.stem}.ipynb", as_version=4)
        assert [c.source for c in copy.cells] == [c.source for c in script.source(path).cells]
        code = [c for c in copy.cells if c.cell_type == "code"]
        assert code and not [c for c in code if c.outputs or c.execution_count]


def test_a_second_start_keeps_a_learners_work_and_brings_back_what_was_deleted(written, tmp_path):
    folder = tmp_path / "class"
    class_copies.fill(folder, [written])
    copy = folder / "00_demo.ipynb"
    work = nbformat.read(copy, as_version=4)
    work.cells[1].source = "answer = 'mine'"
    nbformat.write(work, copy)
    before = copy.read_bytes()
    assert class_copies.fill(folder, [written]) == []
    assert copy.read_bytes() == before
    copy.unlink()
    class_copies.fill(folder, [written])
    assert "mine" not in copy.read_text()


def test_a_new_version_is_told_and_put_beside_on_request(written, tmp_path):
    folder = tmp_path / "class"
    class_copies.fill(folder, [written])
    copy = folder / "00_demo.ipynb"
    before = copy.read_bytes()
    written.write_text(TEXT.format("0"))
    (line,) = class_copies.fill(folder, [written])
    assert "00_demo.ipynb has a new version; your copy is kept" in line and "--new" in line
    assert list(folder.iterdir()) == [copy]
    for new in (True, True, False):
        (line,) = class_copies.fill(folder, [written], new=new)
        (beside,) = set(folder.iterdir()) - {copy}
        assert beside.name in line
        assert nbformat.read(beside, as_version=4).cells[1].source == "answer = 0"
    assert copy.read_bytes() == before


def test_a_file_that_is_no_notebook_is_kept_too(written, tmp_path):
    (tmp_path / "00_demo.ipynb").write_text("my notes")
    assert len(class_copies.fill(tmp_path, [written])) == 1
    assert (tmp_path / "00_demo.ipynb").read_text() == "my notes"


def test_git_leaves_the_learners_folder_alone():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    asked = ["git", "check-ignore", "class/00_tour.ipynb"]
    assert subprocess.run(asked, cwd=ROOT, capture_output=True).returncode == 0


def test_the_folder_to_hand_out_holds_copies_without_results_and_what_they_read(tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    class_copies.stick(tmp_path / "stick", SOURCES[:1])
    found = {p.relative_to(tmp_path / "stick").as_posix() for p in (tmp_path / "stick").rglob("*.ipynb")}
    assert found == {"class/00_tour.ipynb"}
    for name in ("Makefile", "notebooks/00_tour.py", "configs/figures/05.yaml", "docs/metrics.md"):
        assert (tmp_path / "stick" / name).read_bytes() == (ROOT / name).read_bytes()
    with pytest.raises(SystemExit, match="exists; remove it"):
        class_copies.stick(tmp_path / "stick", SOURCES[:1])
