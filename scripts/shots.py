"""Take the README's screenshots of the app, as a newcomer finds it.

    python scripts/shots.py

The app is served for it, with the bundled players and nothing else. A test takes them anew and holds them against the
stored ones.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import sync_playwright

from app import main as app
from app.shared.catalogue import catalogue_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

IMAGES = Path(__file__).parents[1] / "docs" / "images"
VIEW = {"width": 1280, "height": 800}
SHARP = 1.5
"""Pixels of a picture for each of the page's."""
PATIENCE = 300_000
"""Milliseconds that a busy machine is given."""


def finding(page: Page) -> None:
    """The story's third step: three players under the changed rule."""
    page.locator(".app-played:visible").nth(2).wait_for()


def hand(page: Page) -> None:
    """A hand with its recorded episode."""
    page.locator(".app-seat:visible .lk-turn").first.wait_for()


def route(page: Page) -> None:
    """Three players on the picked route."""
    page.locator(".app-stage:visible svg").first.wait_for()
    page.get_by_role("button", name="The paper in one route").click()
    page.locator(".app-seats:visible .app-seat").nth(2).locator(".app-walk").wait_for()


SHOTS = {
    "app.png": ("tab=story&step=3", finding, "light"),
    "app-dark.png": ("tab=gp", hand, "dark"),
    "virl-app.png": ("tab=virl", route, "light"),
}
"""The link, what is done there, and the theme of each picture."""


def take(browser: Browser, url: str, folder: Path) -> Iterator[Path]:
    """Take all pictures of the app at an address."""
    for name, (link, prepare, theme) in SHOTS.items():
        page = browser.new_page(viewport=VIEW, device_scale_factor=SHARP, color_scheme=theme, reduced_motion="reduce")
        page.set_default_timeout(PATIENCE)
        page.goto(f"{url}?{link}&__theme={theme}", wait_until="domcontentloaded")
        prepare(page)
        page.mouse.move(0, 0)
        page.screenshot(path=folder / name)
        page.close()
        # 256 colours, fitted to all that occur, are enough for cards and streets and make a small file.
        with Image.open(folder / name) as picture:
            small = picture.convert("RGB").quantize(256, kmeans=3, dither=Image.Dither.NONE)
        small.save(folder / name, optimize=True)
        yield folder / name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder (default: docs/images)")
    parser.add_argument("--browser", default=shutil.which("chromium"), help="path of Chromium or Chrome")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    page = app.build(catalogue_of())
    _, url, _ = page.launch(prevent_thread_lock=True, **app.launch_options())
    flags = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=args.browser, args=flags)
        for path in take(browser, url, args.out):
            print(path)
        browser.close()
    page.close()


if __name__ == "__main__":
    main()
