"""Pictures in the browser: cards in words or in a picture, and a photograph of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from app import main
from app.shared.catalogue import Catalogue
from labkit.envs import game
from labkit.envs.general_points.render.picture import Picture, draw
from labkit.players.base import Answer, Request
from labkit.players.registry import PlayerInfo

if TYPE_CHECKING:
    from playwright.sync_api import Page

expect = pytest.importorskip("playwright.sync_api").expect
pytestmark = pytest.mark.browser


class Looks:
    """Always right; reads pictures of 96 pixels."""

    name, picture = "looks", {"size": 96}

    def answer(self, turns: list[Request]) -> list[Answer]:
        return [Answer(game(turn.episode.task.cell).expert(turn.episode)) for turn in turns]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    served = main.build(Catalogue([PlayerInfo("looks", "sft", "scripted")], lambda spec, temperature: Looks()))
    _, address, _ = served.launch(prevent_thread_lock=True, **main.launch_options())
    yield address
    served.close()


@pytest.fixture
def ready() -> str:
    # Of the tab of cards, or of the Rule lab: a tab is drawn when it is opened.
    return ".lk-hand, .app-cards tbody tr"


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_label(label, exact=True).and_(page.locator(":visible")).first.click()
    page.get_by_role("option", name=option, exact=True).and_(page.locator(":visible")).first.click()


def test_cards_are_shown_in_a_picture_and_the_player_sees_its_own(visit, tmp_path: Path) -> None:
    page = visit("tab=gp&cards=K,6,2,4&rule=ten")
    expect(page.locator(".lk-hand svg").first).to_be_visible()
    choose(page, "Cards are shown", "in a picture")
    expect(page.locator(".lk-hand figure img")).to_be_visible()
    expect(page.get_by_label("Suits", exact=True)).to_be_visible()
    page.get_by_role("button", name="Play", exact=True).and_(page.locator(":visible")).first.click()
    card = page.locator(".app-seats:visible .lk-turn").first
    card.get_by_text("Prompt as sent").click()
    seen = card.locator(".lk-message img")
    expect(card.get_by_text("96 × 96 pixels, as the player sees it")).to_be_visible()
    assert seen.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [96, 96]
    page.screenshot(path=tmp_path / "picture.png")


def test_a_photograph_goes_to_the_verifier_without_an_upload(visit, tmp_path: Path) -> None:
    file = tmp_path / "cards.jpg"
    draw([("3", "H"), ("3", "S"), ("8", "D"), ("8", "C")], Picture(size=900, tilt=8)).save(file)
    page = visit("tab=rules")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_label("Photograph of the cards").set_input_files(file)
    expect(page.get_by_alt_text("your photograph of cards")).to_be_visible()
    page.get_by_label("Cards on it").fill("3 3 8 8")
    page.get_by_role("button", name="Judge").click()
    expect(page.locator(".lk-turn").and_(page.locator(":visible")).first).to_contain_text("correct")
    page.get_by_label("Your answer: a formula").fill("3+3+8+8")
    page.get_by_role("button", name="Judge").click()
    expect(page.locator(".lk-turn").and_(page.locator(":visible")).first).to_contain_text("wrong value")
    assert not any("upload" in url for url in asked)
    page.screenshot(path=tmp_path / "photo.png", full_page=True)


def test_too_large_a_photograph_stays_in_the_browser(visit, tmp_path: Path) -> None:
    file = tmp_path / "large.jpg"
    file.write_bytes(bytes(9 * 2**20))
    page = visit("tab=rules")
    page.get_by_label("Photograph of the cards").set_input_files(file)
    expect(page.get_by_text("larger than 8 MB; choose a smaller one")).to_be_visible()
