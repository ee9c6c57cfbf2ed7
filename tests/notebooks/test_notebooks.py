"""Every notebook runs from a fresh kernel, is in step with its source, and carries nothing it should not."""

import base64
import importlib.util
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter
from PIL import Image

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "notebooks").glob("[0-9]*.py"))

_spec = importlib.util.spec_from_file_location("notebooks_script", ROOT / "scripts" / "notebooks.py")
script = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(script)


def displayed(path: Path) -> list[nbformat.NotebookNode]:
    """The stored outputs of a notebook that are more than a stream of text."""
    stored = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    return [o for c in stored.cells if c.cell_type == "code" for o in c.outputs if "data" in o]


def test_there_are_notebooks():
    assert "00_tour" in [p.stem for p in SOURCES]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_the_stored_notebook_is_its_source_with_outputs(path):
    stored = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    fresh = script.source(path)
    assert [(c.cell_type, c.source) for c in stored.cells] == [(c.cell_type, c.source) for c in fresh.cells], (
        "run `make notebooks`"
    )
    assert all(cell.source.strip() for cell in fresh.cells)
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
def test_a_page_without_scripts_shows_a_picture_of_every_figure_and_no_widget(path):
    data = [output.data for output in displayed(path)]
    assert not [d for d in data if "application/vnd.plotly.v1+json" in d and "image/png" not in d]
    assert not [d for d in data if "application/vnd.jupyter.widget-view+json" in d]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_github_strips_nothing_from_the_stored_html(path):
    """Cards and maps are stored as pictures: without SVG and stylesheet, run-together words would be left of them."""
    markup = "".join(output.data.get("text/html", "") for output in displayed(path))
    assert re.findall(r"<(style|svg|script|iframe|link|canvas)\b", markup) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_every_stored_picture_shows_something_and_is_described(path):
    for output in displayed(path):
        for kind in {"image/png", "image/jpeg"} & set(output.data):
            with Image.open(io.BytesIO(base64.b64decode(output.data[kind]))) as picture:
                assert picture.width >= 200 and picture.height >= 50
                assert len(picture.convert("RGB").getcolors(10_000_000)) > 4
            if kind == "image/png" or "image/png" not in output.data:
                assert len(output.metadata[kind]["alt"]) > 10


@pytest.mark.browser
def test_cards_and_maps_are_stored_as_pictures_of_themselves():
    """The two halves of the picture are red and blue, as its SVG is; the text beside them is described."""
    markup = (
        '<style>.half { width: 400px; height: 60px; float: left }</style><section aria-label="Red &amp; blue">'
        '<svg class="half" role="img" aria-label="red"><rect width="400" height="60" fill="#f00"/></svg>'
        '<svg class="half"><rect width="400" height="60" fill="#00f"/></svg></section>'
    )
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "gone"}}
    output = nbformat.v4.new_output("display_data", {"text/html": markup, "text/plain": "<HTML>", **widget})
    script.make_static(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[output])]))
    assert set(output.data) == {"image/png", "text/plain"}
    with Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))) as picture:
        assert picture.convert("RGB").getpixel((208, 38)) == (255, 0, 0)
        assert picture.convert("RGB").getpixel((608, 38)) == (0, 0, 255)
    assert output.metadata["image/png"]["alt"] == "Red & blue; red"


@pytest.mark.browser
def test_a_thought_is_open_in_its_picture():
    markup = (
        "<style>div { height: 60px; background: #f00 }</style>"
        '<details class="lk-folded"><summary>Thought</summary><div></div></details>'
    )
    output = nbformat.v4.new_output("display_data", {"text/html": markup})
    script.make_static(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[output])]))
    with Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))) as picture:
        assert (255, 0, 0) in [colour for _, colour in picture.convert("RGB").getcolors(10_000)]


@pytest.mark.slow(reason="runs each of the notebooks")
@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_it_runs_from_a_fresh_kernel_in_its_fast_setting(path):
    notebook = script.execute(script.source(path), fast=True)
    assert all(c.execution_count for c in notebook.cells if c.cell_type == "code")


def one_output(text: str, figure: dict, picture: str) -> nbformat.NotebookNode:
    data = {"application/vnd.plotly.v1+json": figure, "image/png": picture, "text/plain": text}
    cell = nbformat.v4.new_code_cell("1", outputs=[nbformat.v4.new_output("display_data", data)])
    return nbformat.v4.new_notebook(cells=[cell])


def test_times_run_ids_and_last_digits_make_no_difference_to_a_stored_notebook():
    def curves(run: str, success: float, seconds: float) -> dict:
        return {"data": [{"meta": [run, "success"], "y": [success]}, {"meta": [run, "seconds"], "y": [seconds]}]}

    stored = one_output("mean 0.123456 of 20260101-120000-rl", curves("20260101-120000-rl", 0.5, 3.0), "old")
    again = one_output("mean 0.123457 of 20260202-130000-rl", curves("20260202-130000-rl", 0.5, 4.0), "new")
    script.keep_stored(again, stored)
    assert again.cells[0].outputs == stored.cells[0].outputs
    for text, success in (("mean 0.13 of 20260101-120000-rl", 0.5), ("mean 0.123456 of 20260101-120000-rl", 0.6)):
        changed = one_output(text, curves("20260101-120000-rl", success, 3.0), "new")
        script.keep_stored(changed, stored)
        assert changed.cells[0].outputs[0].data["image/png"] == "new"


def test_a_notebook_is_made_again_when_its_cells_or_its_players_change(tmp_path):
    weights = tmp_path / "gp-l" / "init" / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"old")
    plays, reads = (
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)]) for code in ("load('tiny:gp-l/init')", "1")
    )
    before = [script.made_from(n, tmp_path) for n in (plays, reads)]
    assert [script.made_from(n, tmp_path) for n in (plays, reads)] == before
    weights.write_bytes(b"new")
    assert script.made_from(plays, tmp_path) != before[0] and script.made_from(reads, tmp_path) == before[1]
    reads.cells[0].source = "2"
    assert script.made_from(reads, tmp_path) != before[1]


def test_a_change_of_text_alone_executes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "00_demo.py"
    path.write_text("# %% [markdown]\n# Old.\n\n# %%\nprint(1 + 1)\n")
    monkeypatch.setattr(script, "FOLDER", tmp_path)
    monkeypatch.setattr("sys.argv", ["notebooks.py"])
    script.main()
    path.write_text(path.read_text().replace("Old.", "New."))
    with monkeypatch.context() as no_kernel:
        no_kernel.setattr(script, "execute", lambda notebook: pytest.fail("executed"))
        script.main()
        made = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
        assert made.cells[0].source == "New."
        assert made.cells[1].outputs[0].text == "2\n" and made.cells[1].execution_count == 1
    path.write_text(path.read_text().replace("1 + 1", "1 + 2"))
    script.main()
    made = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    assert made.cells[1].outputs[0].text == "3\n"


@pytest.mark.browser
def test_a_figure_is_stored_with_a_picture():
    figure = {"data": [{"type": "scatter", "x": [0, 1], "y": [0, 1]}], "layout": {"height": 300}}
    output = nbformat.v4.new_output("display_data", {"application/vnd.plotly.v1+json": figure})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[output])])
    script.make_static(notebook)
    with Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))) as picture:
        assert picture.size == (900, 300)
        assert len(picture.convert("RGB").getcolors(100_000)) > 10
    page, _ = HTMLExporter(template_name="classic").from_notebook_node(notebook)
    assert f'alt="{script.alt_text(figure)}"' in page


def test_the_picture_of_a_figure_is_told_in_words():
    figure = {
        "data": [{"type": "scatter", "name": "RL"}, {"type": "scatter", "name": "RL"}, {"type": "bar"}],
        "layout": {
            "title": {"text": "Success<br><sup>of 500 hands</sup>"},
            "annotations": [{"text": "changed rule"}, {"text": ""}],
            "xaxis": {"title": {"text": "attempts"}},
            "yaxis2": {"title": "success"},
        },
    }
    told = script.alt_text(figure)
    assert told == "Figure: Success of 500 hands, changed rule. axes: attempts, success. shown: RL."
    assert script.alt_text({"data": [], "layout": {}}) == "Figure."


def test_figures_of_a_notebook_offer_no_upload():
    """Whatever of labkit.views a notebook uses for widgets: its own figures have no button that sends them away."""
    code = (
        "import labkit.views.widgets.predict, plotly.graph_objects as go, plotly.io as pio, json;"
        "bundle = pio.renderers['plotly_mimetype'].to_mimebundle(go.Figure().to_dict());"
        "from labkit.views.widgets.live import figure_data;"
        "print(json.dumps([*bundle.values(), figure_data(go.Figure())]))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for figure in json.loads(printed):
        assert figure["config"]["showSendToCloud"] is False and figure["config"]["displaylogo"] is False


def test_notebooks_for_teachers_have_the_solutions_in_place(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["notebooks.py", "--solved", str(tmp_path), "00_tour"])
    script.main()
    (made,) = tmp_path.iterdir()
    code = [c.source for c in nbformat.read(made, as_version=4).cells if c.cell_type == "code"]
    assert 'attempt = "8/(3-8/3)"' in code
    assert not [c for c in code if c.startswith("attempt = None")]
