"""A class copy in a real JupyterLab, in a real browser: nothing is answered, all cells run, and work is kept."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING

import pytest

from tests.cost import PATIENCE
from tests.notebooks.test_class_copies import class_copies

if TYPE_CHECKING:
    from playwright.sync_api import Browser

expect = pytest.importorskip("playwright.sync_api").expect

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "notebooks" / "05_ppo_by_hand.py"
BARS = "plot => plot.calcdata.map(bars => bars.map(bar => bar.s))"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """The address of a class copy in a JupyterLab whose root is a folder of its own."""
    class_copies.fill(tmp_path / "class", [SOURCE])
    for folder in ("configs", "results"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    # Cells off the screen are in the page too, where the test looks for them.
    settings = tmp_path / "settings" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"windowingMode": "none"}', encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["lab", "--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0"]
    words += ["--IdentityProvider.token=", f"--ServerApp.root_dir={tmp_path}"]
    own = {"JUPYTER_CONFIG_DIR": str(tmp_path / "config"), "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"),
           "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces"), "LABKIT_FAST": "1"}  # fmt: skip
    with (tmp_path / "lab.log").open("w") as log:
        command = [sys.executable, "-m", "jupyter", *words]
        server = subprocess.Popen(command, env={**os.environ, **own}, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}/lab"
        end = monotonic() + PATIENCE
        while True:
            try:
                urllib.request.urlopen(url, timeout=PATIENCE).close()
                break
            except OSError:
                assert server.poll() is None and monotonic() < end, (tmp_path / "lab.log").read_text()
                sleep(0.5)
        yield f"{url}/tree/class/{SOURCE.stem}.ipynb"
    finally:
        server.terminate()
        server.wait()


def is_saved(copy: Path) -> bool:
    """Whether the file holds a whole notebook that ran to its end: Lab may be writing it, and saves by itself too."""
    try:
        cells = json.loads(copy.read_text(encoding="utf-8"))["cells"]
    except json.JSONDecodeError:
        return False
    return all(cell["execution_count"] for cell in cells if cell["cell_type"] == "code")


@pytest.mark.slow(reason="starts JupyterLab and runs a notebook in it")
@pytest.mark.browser
def test_a_class_copy_is_run_saved_and_kept(lab: str, chromium: Browser, tmp_path: Path) -> None:
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(1000 * PATIENCE)
    page.goto(lab)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    assert page.locator(".jp-OutputArea-output").count() == 0, "a result stands below its question"
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    # Lab stops at an error, so a last cell with a number says that none was met.
    expect(page.locator(".jp-CodeCell .jp-InputPrompt").last).to_have_text(
        re.compile(r"\[\d+\]:"), timeout=1000 * PATIENCE
    )

    moved = page.locator(".jp-OutputArea-child").filter(has=page.locator(".widget-slider"))
    plot, of_lambda = moved.locator(".js-plotly-plot"), moved.locator(".noUi-handle").nth(1)
    errors, advantages = plot.evaluate(BARS)
    assert len(errors) == len(advantages) > 0 and errors != advantages
    of_lambda.scroll_into_view_if_needed()
    box = of_lambda.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] - 60, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    # A smaller lambda: the one-step errors stay, the advantages move.
    end = monotonic() + PATIENCE
    while (now := plot.evaluate(BARS))[1] == advantages:
        assert monotonic() < end, "the figure does not follow its slider"
        sleep(0.2)
    assert now[0] == errors

    copy = tmp_path / "class" / f"{SOURCE.stem}.ipynb"
    page.keyboard.press("Control+s")
    end = monotonic() + PATIENCE
    while not is_saved(copy):
        assert monotonic() < end, "the notebook is not saved"
        sleep(0.2)
    page.close()
    saved = copy.read_text(encoding="utf-8")
    # A second start: what Lab saved counts as a copy of the same source, and stays.
    assert class_copies.fill(copy.parent, [SOURCE]) == []
    assert copy.read_text(encoding="utf-8") == saved
