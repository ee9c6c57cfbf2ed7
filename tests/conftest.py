"""What every test runs under: one thread, no network but loopback, and Chromium where there is one."""

import os

# Set before any test module imports torch, transformers or gradio, which read them at import.
os.environ.update(
    OMP_NUM_THREADS="1",
    TOKENIZERS_PARALLELISM="false",
    HF_HUB_OFFLINE="1",
    TRANSFORMERS_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    GRADIO_ANALYTICS_ENABLED="False",
    JUPYTER_PLATFORM_DIRS="1",
)

import ipaddress
import shutil
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests.cost import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
INSTALL_CHROMIUM = "no Chromium; on Debian or Ubuntu: sudo apt-get install chromium fonts-dejavu-core"

# The same examples on every machine and in every run; no deadline, since a busy machine is not a bug.
settings.register_profile("labkit", derandomize=True, deadline=None)
settings.load_profile("labkit")


def _refuse_the_network(event: str, args: tuple[Any, ...]) -> None:
    """Fail a connection that leaves this machine, as it would fail for a user who is offline."""
    if event != "socket.connect" or not isinstance(args[1], tuple):
        return
    host = args[1][0]
    if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
        raise ConnectionRefusedError(f"tests run offline, and this one wants {host}")


sys.addaudithook(_refuse_the_network)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason=INSTALL_CHROMIUM))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = sum("browser" in getattr(report, "keywords", ()) for report in terminalreporter.stats.get("skipped", ()))
    if CHROMIUM is None and skipped:
        terminalreporter.write_line(f"{skipped} browser tests were skipped: {INSTALL_CHROMIUM}", yellow=True)


@pytest.fixture(scope="module")
def chromium() -> "Iterator[Browser]":
    """A headless Chromium. One for each module, because Playwright's event loop runs while it is open and
    would break the `asyncio.run` of a module that comes after."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=1000 * PATIENCE)
    flags = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-quic", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()
