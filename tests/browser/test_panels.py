"""The panels of a game's tab in a browser, with scripted players."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from app import main
from app.shared.catalogue import Catalogue
from labkit.episode import Sample
from labkit.players.base import Answer, Request
from labkit.players.registry import PlayerInfo
from labkit.players.simple import Expert

if TYPE_CHECKING:
    from playwright.sync_api import Page

expect = pytest.importorskip("playwright.sync_api").expect
pytestmark = pytest.mark.browser


class Solver:
    """Solves the deals with an even place in the stream, or all."""

    def __init__(self, name: str) -> None:
        self.name = name

    def answer(self, turns: Sequence[Request]) -> list[Answer]:
        # With a sample, as a checkpoint's answers have.
        sample = Sample(9, 90, 0.1, 0.0, -1.0, truncated=False)
        right = [replace(answer, sample=sample) for answer in Expert().answer(turns)]
        odd = [self.name == "half" and turn.episode.task.index % 2 == 1 for turn in turns]
        return [Answer("no") if wrong else answer for wrong, answer in zip(odd, right, strict=True)]


def checkpoint(name: str, stage: str, start: str | None) -> PlayerInfo:
    card = {"run": f"run-of-{name}", "steps": 1, "config": {"stage": stage, "cell": "gp-l", "model": start}}
    return PlayerInfo(name, "script", "scripted", None, card)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    infos = [checkpoint("all", "rl", "half"), checkpoint("half", "sft", None)]
    served = main.build(Catalogue(infos, lambda spec, temperature: Solver(spec)))
    _, address, _ = served.launch(prevent_thread_lock=True, **main.launch_options())
    yield address
    served.close()


@pytest.fixture
def ready() -> str:
    return ".app-panel"


def fits(page: Page) -> None:
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_link_plays_many_deals_and_a_click_opens_one_with_both_players(visit):
    page = visit("tab=gp&rule=ten&attempts=1&temperature=0&players=all,half&many=6&play=1")
    panel = page.locator(".app-panel")
    expect(panel.get_by_text("12 of 12 episodes ended")).to_be_visible()
    bars = panel.locator(".app-figures li")
    expect(bars.nth(0)).to_contain_text("6 of 6")
    expect(bars.nth(1)).to_contain_text("3 of 6")
    # Three of three that differ are lost: 2 / 2**3.
    expect(panel.locator(".app-pairs")).to_contain_text("half wins 0, loses 3, ties 3; exact McNemar: p = 0.25.")
    expect(page.locator(".app-seats .lk-turn:visible")).to_have_count(0)
    panel.locator(".app-rows button").first.click()
    expect(panel.locator(".app-side")).to_have_count(2)
    expect(panel.locator(".app-side .lk-turn")).to_have_count(2)
    fits(page)
    # The deal on the table, in a window of its own: what was played here stays.
    with page.context.expect_page() as other:
        panel.get_by_role("link", name="Put this deal on the table").click()
    expect(other.value.get_by_label("Cards", exact=True)).to_have_value(
        panel.locator(".app-opened h3").first.inner_text()
    )
    expect(other.value.locator(".app-seats .app-seat:visible")).to_have_count(2)
    page.get_by_role("radio", name="One deal").and_(page.locator(":visible")).check()
    expect(panel).to_have_count(0)
    expect(page.locator(".app-seats:visible").get_by_role("button", name="Play", exact=True).first).to_be_visible()


def test_the_slider_goes_along_the_checkpoints_of_a_run(visit):
    page = visit("tab=gp&cards=3,3,8,8&rule=ten&attempts=1&temperature=0&ladder=run-of-all&play=1")
    panel = page.locator(".app-panel")
    stops = panel.locator(".app-stops li")
    expect(stops).to_have_count(2)
    expect(stops.nth(1)).to_contain_text("solved")
    expect(panel.locator(".app-curve")).to_contain_text("of the 1 deal played here")
    expect(stops.nth(0)).to_have_attribute("aria-current", "step")
    panel.get_by_role("slider", name="Checkpoint").focus()
    page.keyboard.press("ArrowRight")
    expect(stops.nth(1)).to_have_attribute("aria-current", "step")
    expect(panel.locator(".app-status strong").first).to_have_text("all")
    expect(panel.locator(".lk-turn")).to_have_count(1)
    fits(page)
    page.get_by_role("radio", name="Many deals").and_(page.locator(":visible")).check()
    expect(panel.get_by_label("Split")).to_be_visible()
    expect(panel.locator(".app-board")).to_have_count(0)


def test_a_duel_tells_no_name_before_the_guess(visit):
    page = visit("tab=gp&rule=ten&attempts=1&temperature=0&duel=1&play=1")
    panel = page.locator(".app-panel")
    guess = panel.get_by_role("button", name="Left was trained with RL")
    expect(guess).to_be_enabled()
    expect(panel.locator(".app-side .lk-turn")).to_have_count(2)
    assert "half" not in panel.inner_html() and "half" not in page.url
    fits(page)
    guess.click()
    expect(panel.locator(".app-note").first).to_contain_text("was all, trained with RL; the other was half.")
    expect(panel.locator(".app-side h3", has_text="half")).to_have_count(1)
