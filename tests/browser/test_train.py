"""A small run started, watched from a second window and stopped, in a browser."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from app import main
from app.shared.catalogue import Catalogue
from app.train.trainer import Trainer
from labkit.runs import Run
from tests.cost import PATIENCE

expect = pytest.importorskip("playwright.sync_api").expect
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def trainer(tmp_path_factory) -> Iterator[Trainer]:
    trainer = Trainer(tmp_path_factory.mktemp("trained") / "runs")
    yield trainer
    trainer.stop()


@pytest.fixture(scope="module")
def url(trainer) -> Iterator[str]:
    served = main.build(Catalogue([]), [], trainer)
    _, address, _ = served.launch(prevent_thread_lock=True, **main.launch_options())
    yield address
    served.close()


@pytest.fixture
def ready() -> str:
    return ".app-empty, .app-note"


def test_a_run_is_started_watched_from_another_window_and_stopped(visit, trainer):
    page = visit("tab=train&recipe=gp-l/sft&length=1000")
    expect(page.get_by_text("Press Start to train the recipe")).to_be_visible()
    page.get_by_role("button", name="Start", exact=True).click()
    standing = page.locator(".app-note", has_text="of 1000")
    expect(standing).to_contain_text("is running")
    other = visit("tab=train")
    expect(other.locator(".app-note", has_text="of 1000")).to_contain_text("is running")
    # The curves appear with the first step, and nobody has to reload the page.
    expect(page.locator(".app-curves .main-svg").first).to_be_visible()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(standing).to_contain_text("is stopped")
    # Its process ends a moment after it has said so.
    end = time.monotonic() + PATIENCE
    while trainer.busy:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert Run(trainer.out / trainer.run).status["status"] == "stopped"
