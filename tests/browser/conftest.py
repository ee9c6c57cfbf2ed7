"""A window on a served app, in which nothing may go wrong unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from labkit.envs import games
from tests.cost import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module", autouse=True)
def games_of_a_clone() -> Iterator[None]:
    """Serve the games that a user finds, and none that the modules of other tests have registered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(games, "_ROWS", [row for row in games.rows() if row.name in ("gp", "virl")])
        yield


@pytest.fixture
def visit(chromium: Browser, url: str, ready: str) -> Iterator[Callable[..., Page]]:
    """Open the app in a new window; a request that leaves the machine or a script error fails the test.

    The module gives ``url``, where its app is served, and ``ready``, a selector of what is waited for.
    """
    contexts, wrong = [], []

    def opened(query: str = "", *, width: int = 1280, height: int = 720, theme: str = "light") -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.on(
            "request",
            lambda r: None if urlsplit(r.url).hostname in ("127.0.0.1", "", None) else wrong.append(r.url),
        )
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.goto(f"{url}?{query}", wait_until="domcontentloaded")
        page.locator(ready).first.wait_for(state="attached")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []
