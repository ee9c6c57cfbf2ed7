"""What a notebook says has come out is what it stores: each number of a "Result" stands in the outputs above it."""

import importlib.util
import re
import sys

import nbformat
import pytest

from tests.notebooks.test_notebooks import ROOT, SOURCES, script

sys.modules.setdefault("notebooks", script)
_spec = importlib.util.spec_from_file_location("notebook_sizes", ROOT / "scripts" / "notebook_sizes.py")
notebook_sizes = importlib.util.module_from_spec(_spec)
sys.modules["notebook_sizes"] = notebook_sizes
_spec.loader.exec_module(notebook_sizes)

_NUMBER = re.compile(r"[-−]?\d[\d,]*(?:\.\d+)?")


def numbers(text: str) -> set[str]:
    """The numbers of a text as they are written, without separators of thousands; a plus is no part of one."""
    return {number.replace(",", "").replace("−", "-") for number in _NUMBER.findall(text)}


def unsupported(cells: list[nbformat.NotebookNode]) -> list[tuple[str, set[str]]]:
    """Results whose numbers are in no text output above them in their section, with those numbers."""
    found, printed = [], ""
    for cell in cells:
        if cell.cell_type == "code":
            for output in cell.outputs:
                printed += output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
            continue
        for paragraph in re.split(r"\n\s*\n", cell.source):
            if paragraph.startswith("## "):
                printed = ""
            if paragraph.startswith("**Result.**"):
                missing = numbers(paragraph) - numbers(printed)
                found += [(paragraph, missing)] if missing else []
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_every_number_of_a_result_stands_in_the_outputs_above_it(path):
    assert unsupported(nbformat.read(path.with_suffix(".ipynb"), as_version=4).cells) == []


def test_a_result_that_no_longer_holds_is_noticed():
    def cells(result: str) -> list:
        output = nbformat.v4.new_output("stream", name="stdout", text="SFT 1,016 hands, -5.6% [-9.0%, -2.1%]\n")
        code, text = nbformat.v4.new_code_cell("1", outputs=[output]), nbformat.v4.new_markdown_cell(result)
        return [nbformat.v4.new_markdown_cell("## Head"), code, text]

    assert unsupported(cells("**Result.** SFT loses: −5.6 points of 1,016.")) == []
    (_, missing) = unsupported(cells("**Result.** SFT gains 5.6 points of 1,016 [-9.0, -2.2]."))[0]
    assert missing == {"5.6", "-2.2"}
    assert unsupported(cells("## New section\n\n**Result.** -5.6 points."))


TOLD = {
    "00_tour": 1,
    "01_general_points": 3,
    "03_sequential_revision": 4,
    "05_ppo_by_hand": 5,
    "07_rule_ood": 1,
    "10_when_rl_fails": 1,
    "12_failure_clinic": 5,
    "13_heavy_runs": 3,
}
"""How many results these tell at least."""


@pytest.mark.parametrize("name", TOLD)
def test_results_are_told(name):
    text = (ROOT / "notebooks" / f"{name}.py").read_text(encoding="utf-8")
    assert text.count("**Result.**") >= TOLD[name]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_no_section_is_longer_than_a_class_can_read(path):
    over = [
        section
        for section in notebook_sizes.sections(script.source(path))
        if section.words > notebook_sizes.WORDS
        or section.lines > notebook_sizes.LINES
        or section.longest > notebook_sizes.CELL
    ]
    assert over == []


def test_prose_and_code_are_counted_by_section(tmp_path):
    path = tmp_path / "00_demo.py"
    path.write_text(
        "# %% [markdown]\n# Two words.\n#\n# ## One\n# three more words\n#\n# <details><summary>Hint</summary>\n"
        "# not counted\n#\n# </details>\n\n# %%\na = 1\n\nb = 2\n\n"
        '# %% tags=["exercise"]\nc = None\n\n# %% [markdown]\n# ### Two\n\n# %%\nd = 4\n'
    )
    Section = notebook_sizes.Section
    assert notebook_sizes.sections(script.source(path)) == [
        Section("", 2, 0, 0),
        Section("One", 3, 2, 2),
        Section("Two", 0, 1, 1),
    ]
