"""The V-IRL tab in a browser: watching a walk, and walking."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from app import main
from app.players import Catalogue
from labkit.episode import Episode
from labkit.players import registry

if TYPE_CHECKING:
    from playwright.sync_api import Page

expect = pytest.importorskip("playwright.sync_api").expect
pytestmark = pytest.mark.browser

SHORT = "latticeport-eval-0016"
"""A route of two legs."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    served = main.build(Catalogue([registry.info(spec) for spec in ("expert", "random")]))
    _, address, _ = served.launch(prevent_thread_lock=True, **main.launch_options())
    yield address
    served.close()


@pytest.fixture
def ready() -> str:
    return "#walk-stage svg"


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).and_(page.locator(":visible")).click()


def choose(page: Page, field: str, option: str) -> None:
    page.get_by_label(field, exact=True).and_(page.locator(":visible")).click()
    page.get_by_role("option", name=option).click()


def facing(page: Page) -> str:
    return page.locator("#walk-stage figcaption strong").first.inner_text()


def test_a_recorded_walk_is_there_at_once_and_every_step_can_be_looked_at(visit):
    page = visit("tab=virl")
    expect(page.locator("#walk-status")).to_contain_text("recorded")
    page.locator("#walk-status").get_by_role("button", name="3 correct").click()
    expect(page.locator("#walk-stage figcaption strong").first).to_contain_text("Step 3 of")
    # A step has a turn for each attempt.
    turns = page.locator("#walk-turns .lk-turn header")
    expect(turns.first).to_contain_text("Step 3 of")
    page.keyboard.press("j")
    expect(turns.first).to_contain_text("Step 4 of")
    assert all("Step 4 of" in said for said in turns.all_inner_texts())
    page.keyboard.press("k")
    expect(turns.first).to_contain_text("Step 3 of")
    page.locator("#walk-stage .lk-node").first.click()
    expect(turns.first).to_contain_text("Step 1 of")
    # The first screen holds the controls, the walk, the map and the views.
    for part in ("#walk-status", "#walk-stage svg", "#walk-stage img"):
        box = page.locator(part).first.bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 720, part


def test_the_expert_walks_to_the_goal(visit):
    page = visit(f"tab=virl&a=expert&route={SHORT}")
    choose(page, "Speed", "at once")
    press(page, "Step")
    expect(page.locator("#walk-status [data-step]")).to_have_count(2)
    press(page, "Play")
    expect(page.locator("#walk-status")).to_contain_text("arrived")
    expect(page.locator("#walk-stage .lk-cross")).to_have_count(0)
    expect(page.locator("#walk-stage .lk-instruction li[aria-current]")).to_have_count(0)
    choose(page, "Rule: turns are told as", "relative")
    expect(page.locator("#walk-status .lk-stale")).to_be_visible()
    expect(page.locator("#walk-stage figcaption strong").first).to_contain_text("Step 1 of")


def test_a_person_walks_with_buttons_and_keys(visit):
    page = visit(f"tab=virl&route={SHORT}&rule=relative")
    press(page, "Walk it yourself")
    press(page, "stop S")
    expect(page.locator("#walk-status")).to_contain_text("wrong action, −1")
    expect(page.locator("#walk-stage .lk-cross")).to_have_count(1)
    # Keys typed into a field are the field's.
    page.get_by_label("Attempts", exact=True).and_(page.locator(":visible")).focus()
    page.keyboard.press("s")
    keys = {"left": "ArrowLeft", "right": "ArrowRight", "slightly left": "q", "slightly right": "e"}
    page.locator("#walk-stage").click(position={"x": 5, "y": 5})
    said = page.locator("#walk-stage li[aria-current]").inner_text()
    page.keyboard.press(next(keys[word] for word in sorted(keys, key=len, reverse=True) if word in said))
    expect(page.locator("#walk-stage figcaption strong").first).to_contain_text("Step 2 of")
    expect(page.locator("#walk-status")).to_contain_text("Correct, +1")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#walk-stage figcaption strong").first).to_contain_text("Step 3 of")
    assert page.evaluate("scrollY") == 0
    press(page, "Copy link")
    page.wait_for_function("location.search.includes('walk=')")
    asked = {k: v[0] for k, v in parse_qs(urlsplit(page.url).query).items()}
    assert (asked["route"], asked["rule"], asked["walk"]) == (SHORT, "relative", "rail")
    with page.expect_download() as download:
        press(page, "Export JSON")
    [line] = download.value.path().read_text(encoding="utf-8").splitlines()
    episode = Episode.from_json(line)
    assert episode.player == "you"
    assert [a.verdict.success for a in episode.attempts] == [False, True, True]


@pytest.mark.parametrize("width", [1600, 1024, 420])
def test_nothing_scrolls_sideways(visit, width):
    page = visit("tab=virl", width=width, height=900)
    press(page, "Walk it yourself")
    page.locator(".app-pad").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_pictures_and_free_walks(visit):
    page = visit("tab=virl&cell=virl-vl&walk=free&a=random&route=oldwick-eval-0001")
    expect(page.locator("#walk-stage figcaption").nth(1)).to_contain_text("Landmarks are in the picture.")
    press(page, "Step")
    page.locator("#walk-turns .lk-turn").wait_for()
    page.locator("#walk-turns summary", has_text="Prompt as sent").click()
    assert page.locator("#walk-turns .lk-message img").first.evaluate("i => i.naturalWidth") == 320
