"""The story in a browser, with the bundled players: its four steps, by mouse, by keyboard, on a phone, live."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from app import main
from app.shared.catalogue import catalogue_of
from app.story.chapters import CHANGED
from app.story.numbers import NUMBERS
from tests.cost import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Page

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    expect.set_options(timeout=1000 * PATIENCE)
    served = main.build(catalogue_of())
    _, address, _ = served.launch(prevent_thread_lock=True, **main.launch_options())
    yield address
    served.close()


@pytest.fixture
def ready() -> str:
    return ".app-story-steps button"


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).and_(page.locator(":visible")).click()


def at(page: Page, step: int) -> None:
    """Wait for a step of the story."""
    expect(page.locator('.app-story-steps [aria-pressed="true"]')).to_have_attribute("data-step", str(step))


def bar(page: Page, player: int, word: str) -> str:
    """The length of a bar as it is written behind it."""
    line = page.locator(".app-seats:visible .app-seat").nth(player).locator(".app-bars li", has_text=word)
    return line.first.locator("b").inner_text()


def test_the_story_is_the_first_screen_and_shows_the_finding_in_four_steps(visit):
    page = visit()
    expect(page.get_by_role("tab", name="The finding")).to_have_attribute("aria-selected", "true")
    seats = page.locator(".app-seats:visible .app-seat")
    expect(seats).to_have_count(3)
    expect(seats.nth(1)).to_contain_text("arrived")
    expect(seats.nth(2)).to_contain_text("arrived")
    assert [bar(page, player, "north") for player in (1, 2)] == [">99%", "97%"]
    expect(page.locator(".app-story")).to_contain_text("This route was picked to show the difference")

    press(page, "Change the rule")
    at(page, 2)
    expect(page.locator(".app-rule-now")).to_contain_text("left, right, slightly left, slightly right")
    expect(page.locator(".app-played:visible")).to_have_count(0)
    page.get_by_label("SFT", exact=True).check()
    press(page, "Reveal")

    at(page, 3)
    expect(page.locator(".app-told")).to_contain_text("You guessed SFT. Init and SFT fail on this route.")
    expect(seats.nth(1)).to_contain_text("not arrived")
    expect(seats.nth(1)).to_contain_text("what the trained rule asks for")
    expect(seats.nth(2)).to_contain_text("what the changed rule asks for")
    assert bar(page, 1, "north") == "92%" and bar(page, 1, "right") == "2%"
    assert bar(page, 2, "right") == "74%" and bar(page, 2, "north") == "0%"

    press(page, "Count all routes")
    at(page, 4)
    figure = page.locator(".app-figures figure", has_text="Changed rule")
    for name in NUMBERS["virl-l"].names:
        count = NUMBERS["virl-l"].row(CHANGED, name, NUMBERS["virl-l"].temperature).tally
        line = figure.locator("li").filter(has=page.get_by_text(name, exact=True))
        expect(line.locator("small")).to_have_text(count)
    expect(figure.locator("li", has_text="Init, temperature 0.3")).to_be_visible()

    press(page, "Now the other game")
    at(page, 1)
    expect(page.locator(".app-deal-shown .lk-cards")).to_be_visible()


def test_the_story_can_be_told_by_keyboard(visit):
    page = visit("tab=story")
    expect(page.locator(".app-played:visible")).to_have_count(3)
    page.locator(".app-story-steps [data-step='2']").focus()
    page.keyboard.press("Enter")
    at(page, 2)
    # The step that is open keeps the focus; from there it is on to the guess and to the button.
    page.wait_for_function("document.activeElement.dataset.step === '2'")
    while page.evaluate("document.activeElement.type") != "checkbox":
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_label("Init", exact=True)).to_be_checked()
    while page.evaluate("document.activeElement.innerText") != "Reveal":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    at(page, 3)
    expect(page.locator(".app-told")).to_contain_text("You guessed Init.")
    # The button that leads on keeps the focus, so that it can be pressed again.
    page.keyboard.press("Enter")
    at(page, 4)


@pytest.mark.parametrize("cell", NUMBERS)
def test_no_step_scrolls_sideways_on_a_phone(visit, cell):
    page = visit(f"tab=story&cell={cell}", width=390, height=844)
    for step in range(1, 5):
        page.locator(f".app-story-steps [data-step='{step}']").click()
        at(page, step)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        button = page.locator("button.app-play:visible").first.bounding_box()
        assert button["x"] + button["width"] <= 390 and button["y"] + button["height"] <= 844, "below the first screen"
        wide = page.locator(":is(.app-figures li, .app-bars li, .app-rule):visible")
        assert all(box["x"] + box["width"] <= 390 for box in (line.bounding_box() for line in wide.all()))


def test_the_players_play_live_what_was_recorded(visit):
    page = visit("tab=story&step=3")
    expect(page.locator(".app-who-plays:visible", has_text="recorded")).to_have_count(3)
    press(page, "Play it live")
    expect(page.locator(".app-who-plays:visible", has_text="live")).to_have_count(3)
    expect(page.get_by_role("button", name="Play it live", exact=True)).to_be_visible()
    seats = page.locator(".app-seats:visible .app-seat")
    expect(seats.nth(1)).to_contain_text("not arrived")
    expect(seats.nth(2)).to_contain_text("arrived")
    # At temperature 0 the answers are those that were recorded, and so are the bars.
    assert bar(page, 1, "north") == "92%" and bar(page, 2, "right") == "74%"
