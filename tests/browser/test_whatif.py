"""An answer taken apart and an episode forked, in a browser: with a script and with a bundled model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from app import main
from app.shared.catalogue import Catalogue
from labkit.players import registry
from labkit.players.base import Answer, Request
from labkit.players.registry import PlayerInfo

if TYPE_CHECKING:
    from playwright.sync_api import Page

expect = pytest.importorskip("playwright.sync_api").expect
pytestmark = pytest.mark.browser

MODEL = "tiny:gp-l/sft"
NASTY = "<img src=x onerror=\"document.title='broken'\"> ${document.title='broken'}"
WRONG, RIGHT = "13+6+2*4=24", "(13-4)*2+6=24"


class Listener:
    """Gives the same wrong answer until a feedback tells it the right one."""

    name = "listener"

    def answer(self, turns: list[Request]) -> list[Answer]:
        told = [attempt.verdict.feedback for attempt in turns[0].episode.position.attempts]
        formula = RIGHT if any(RIGHT in sentence for sentence in told) else WRONG
        return [Answer(json.dumps({"cards": ["K", "6", "2", "4"], "number": [13, 6, 2, 4], "formula": formula}))]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    infos = [PlayerInfo("listener", "script", "scripted"), registry.info(MODEL)]
    load = registry.load
    served = main.build(
        Catalogue(infos, lambda spec, temperature: Listener() if spec == "listener" else load(spec, temperature=0.0))
    )
    _, address, _ = served.launch(prevent_thread_lock=True, **main.launch_options())
    yield address
    served.close()


@pytest.fixture
def ready() -> str:
    return ".lk-hand svg, .app-empty, .app-tree"


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).and_(page.locator(":visible")).first.click()


def test_a_fork_shows_what_another_feedback_does(visit):
    page = visit("tab=gp&cards=K,6,2,4&rule=eleven-twelve-thirteen&attempts=3&players=listener")
    press(page, "Play")
    # The same failure three times is one line, which opens.
    folded = page.locator(".lk-repeated:visible")
    expect(folded.locator("summary").first).to_contain_text("Attempts 2 to 3 fail as attempt 1 did")
    expect(page.locator(".lk-turn:visible")).to_have_count(1)
    page.get_by_role("button", name="Play", exact=True).and_(page.locator(":visible")).first.wait_for()
    page.locator('[data-fork="0.0"]:visible').click()
    tree = page.locator(".app-tree li")
    expect(tree).to_have_count(1)
    page.get_by_label("Change", exact=True).click()
    page.get_by_role("option", name="another feedback").click()
    text = page.locator(".app-whatif textarea:visible")
    expect(text).to_have_value("The formula equals 27, not 24. Try again.")
    text.fill(f"{NASTY} Say {RIGHT}")
    press(page, "Go on from here")
    # Both branches side by side: one failed three times, the other is right at its second attempt.
    expect(tree).to_have_count(2)
    expect(tree.nth(1)).to_contain_text("solved 2 turns, return +4")
    expect(page.locator(".app-branches .lk-episode")).to_have_count(2)
    assert page.title() == "labkit" and page.locator(".app-tree img, .app-branches img").count() == 0
    press(page, "Copy link")
    page.wait_for_url("**/?tab=whatif*")
    again = visit(page.url.partition("?")[2], width=390)
    press(again, "Play the forks of this link")
    expect(again.locator(".app-tree li").nth(1)).to_contain_text("solved 2 turns, return +4")
    wide = again.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert wide, "nothing scrolls sideways on a phone"


def test_an_answer_shows_its_tokens_to_the_mouse_and_the_keyboard(visit):
    page = visit(f"tab=gp&cards=2,3,J,7&rule=eleven-twelve-thirteen&players={MODEL}")
    page.locator("[data-ask]:visible > summary").first.click()
    tokens = page.locator(".lk-tokens:visible").first.locator("span")
    expect(tokens.first).to_be_visible()
    told = "el => getComputedStyle(el, '::after').content"
    assert tokens.first.evaluate(told) in ("none", "normal")
    tokens.first.focus()
    assert " p " in tokens.first.evaluate(told)
    page.keyboard.press("Tab")
    assert " p " in tokens.nth(1).evaluate(told) and tokens.first.evaluate(told) in ("none", "normal")
    # Another number is the colour.
    shades = "all => all.map(el => getComputedStyle(el).getPropertyValue('--lk-shade'))"
    before = tokens.evaluate_all(shades)
    page.get_by_label("undecided (entropy)").and_(page.locator(":visible")).first.check()
    assert tokens.evaluate_all(shades) != before
