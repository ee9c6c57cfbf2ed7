"""Take the README's screenshots of a running app.

labkit app &
python scripts/shots.py http://127.0.0.1:7860
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

VIEW = {"width": 1280, "height": 720}
SHARP = 2
"""Pixels of a picture for each of the page's."""


def cards(browser: Browser, url: str, theme: str, path: Path) -> None:
    """The first screen with an episode on it: the recorded one, or one that is played now."""
    page = opened(browser, f"{url}?__theme={theme}", theme)
    page.locator("#hand svg").first.wait_for()
    if not page.locator("#turns .lk-turn").count():
        play = page.get_by_role("button", name="Play", exact=True)
        play.click()
        page.locator("#turns .lk-turn").first.wait_for()
        play.and_(page.locator(":enabled")).wait_for(timeout=120_000)
    taken(page, path)


def walk(browser: Browser, url: str, theme: str, path: Path) -> None:
    """The recorded walk at its first corner."""
    page = opened(browser, f"{url}?__theme={theme}&tab=virl", theme, sharp=1.5)
    page.locator("#walk-status [data-step='3']").click()
    page.locator("#walk-turns", has_text="Step 4").wait_for()
    taken(page, path)
    # Street views make a large file; 256 colours, fitted to all that occur, are enough.
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(256, kmeans=3, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def opened(browser: Browser, address: str, theme: str, sharp: float = SHARP) -> Page:
    page = browser.new_page(viewport=VIEW, device_scale_factor=sharp, color_scheme=theme, reduced_motion="reduce")
    page.goto(address, wait_until="domcontentloaded")
    return page


def taken(page: Page, path: Path) -> None:
    page.mouse.move(0, 0)
    page.screenshot(path=path)
    page.close()
    print(path)


SHOTS = {"app.png": (cards, "light"), "app-dark.png": (cards, "dark"), "virl-app.png": (walk, "light")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url", help="address of the running app")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder (default: docs/images)")
    parser.add_argument("--browser", default=shutil.which("chromium"), help="path of Chromium or Chrome")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    flags = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=args.browser, args=flags)
        for name, (shoot, theme) in SHOTS.items():
            shoot(browser, args.url, theme, args.out / name)
        browser.close()


if __name__ == "__main__":
    main()
