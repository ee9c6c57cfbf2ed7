"""The app in a browser, with scripted players: what a person sees and can do."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from app import main
from app.players import Catalogue
from labkit.episode import Episode
from labkit.players.base import Answer, Request
from labkit.players.registry import PlayerInfo

if TYPE_CHECKING:
    from playwright.sync_api import Page

expect = pytest.importorskip("playwright.sync_api").expect
pytestmark = pytest.mark.browser

FORMULAS = ("10+6+2*4=24", "13+6+2*4=24", "(13-4)*2+6=24")
NASTY = (
    "<img src=x onerror=\"document.title='broken'\"> ${document.title='broken'} {{title}} 2*3*4 a_b_c $x$ 😀 "
    + "9" * 3000
)


class Trap:
    """Answers K 6 2 4 as K = 10, then wrongly, then rightly."""

    name = "trap"

    def answer(self, turns: list[Request]) -> list[Answer]:
        tried = len(turns[0].episode.position.attempts)
        number = [13 if tried else 10, 6, 2, 4]
        return [Answer(json.dumps({"cards": ["K", "6", "2", "4"], "number": number, "formula": FORMULAS[tried % 3]}))]


class Gated(Trap):
    """Waits before each answer after the first, until it may go on or is told to stop."""

    name = "gated"

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.should_stop = lambda: False

    def answer(self, turns: list[Request]) -> list[Answer]:
        while turns[0].episode.position.attempts and not self.go_on.is_set() and not self.should_stop():
            time.sleep(0.01)
        return super().answer(turns)


class Nasty:
    name = "nasty"

    def answer(self, turns: list[Request]) -> list[Answer]:
        return [Answer(NASTY)]


PLAYERS = {"trap": Trap(), "gated": Gated(), "nasty": Nasty()}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    infos = [PlayerInfo(spec=name, kind="sft", summary="scripted", path=None, card=None) for name in PLAYERS]
    served = main.build(Catalogue(infos, lambda spec, temperature: PLAYERS[spec]))
    _, address, _ = served.launch(prevent_thread_lock=True, **main.launch_options())
    yield address
    served.close()


@pytest.fixture
def ready() -> str:
    return "#hand svg"


def click(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).first.click()


def cards(page: Page, count: int, place: str = "#turns") -> None:
    page.wait_for_function(f"document.querySelectorAll('{place} .lk-turn').length === {count}")


def try_formula(page: Page, formula: str) -> None:
    page.get_by_label("Your turn: a formula").fill(formula)
    click(page, "Check")


def test_play_shows_the_attempts_and_calls_out_the_kept_rule(visit):
    page = visit()
    click(page, "Play")
    cards(page, 3)
    first = page.locator("#turns .lk-turn").first
    assert "wrong numbers" in first.inner_text() and "would be correct under J, Q, K = 10" in first.inner_text()
    assert "return +2" in page.locator("#status").inner_text()
    page.get_by_role("button", name="Play", exact=True).and_(page.locator(":enabled")).wait_for()
    # The first screen holds the controls, the hand and the first card.
    page.evaluate("scrollTo(0, 0)")
    for part in ("#hand", "#formula", "#turns .lk-turn header", "#turns .lk-turn .lk-said"):
        box = page.locator(part).first.bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 720, part


def test_nothing_scrolls_sideways(visit):
    page = visit("a=nasty&turns=1")
    click(page, "Play")
    cards(page, 1)
    for width in (1280, 1024, 768):
        page.set_viewport_size({"width": width, "height": 720})
        for tab in ("V-IRL", "Rule lab", "How to read this", "GeneralPoints"):
            page.get_by_role("tab", name=tab).click()
            assert page.evaluate("document.documentElement.scrollWidth") == width, tab


def test_model_text_stays_text(visit):
    page = visit("cards=3,8,3,8&rule=ten&a=nasty&turns=2")
    click(page, "Play")
    cards(page, 2)
    assert page.locator("#turns .lk-answer").first.inner_text() == NASTY
    assert page.title() == "labkit" and page.locator("#turns img").count() == 0


def test_a_person_solves_3_3_8_8(visit):
    page = visit("cards=3,3,8,8&rule=ten")
    for wrong in ("3*3+8+8", "8*8/3-3"):
        try_formula(page, wrong)
        page.locator("#own-note").get_by_text("Try again").wait_for()
        page.wait_for_function("n => document.querySelector('#own-turns').innerText.includes(n)", arg=wrong)
    click(page, "Show a solution")
    page.get_by_text("One solution: 8/(3-8/3)").wait_for()
    page.get_by_label("Your turn: a formula").fill("")
    typed = ""
    for key, sign in zip("8÷(3−8÷(⌫3)", "8/(3-8/(\b3)", strict=True):
        click(page, key)
        typed = typed[:-1] if sign == "\b" else typed + sign
        expect(page.get_by_label("Your turn: a formula")).to_have_value(typed)
    page.get_by_label("Your turn: a formula").press("Enter")
    page.get_by_text("Correct: solved in 3 attempts, return +3.").wait_for()
    cards(page, 3, "#own-turns")


def test_a_changed_rule_changes_the_deal_and_marks_the_old_episode(visit):
    page = visit()
    click(page, "Play")
    cards(page, 3)
    page.get_by_label("Rule").click()
    page.get_by_role("option", name="my own numbers").click()
    page.get_by_label("K", exact=True).fill("5")
    page.locator("#hand").get_by_text("J counts as 11, Q counts as 12, K counts as 5.").wait_for()
    page.locator("#turns .lk-stale").wait_for()
    page.get_by_role("button", name="K=5", exact=True).wait_for()
    page.get_by_label("Cards").fill("8 J 3")
    page.wait_for_function("document.querySelectorAll('#hand svg').length === 3")
    page.get_by_label("Cards").fill("8 J 3 11")
    page.get_by_text("'11' is not a card").wait_for()


def test_stop_ends_inside_an_answer_and_keeps_what_was_played(visit):
    page = visit("a=gated")
    click(page, "Play")
    cards(page, 1)
    assert page.get_by_role("button", name="Play", exact=True).is_disabled()
    click(page, "Stop")
    page.locator("#status").get_by_text("stopped by you").wait_for()
    assert page.locator("#turns .lk-turn").count() <= 2
    page.get_by_label("Player").click()
    page.get_by_role("option", name="trap").click()
    click(page, "Play")
    cards(page, 3)


def test_opened_parts_stay_open_while_cards_come_in(visit):
    PLAYERS["gated"].go_on.clear()
    page = visit("a=gated")
    click(page, "Play")
    cards(page, 1)
    page.get_by_text("Prompt as sent (1 message)").click()
    PLAYERS["gated"].go_on.set()
    cards(page, 3)
    assert (
        page.locator("#turns details").filter(has_text="Prompt as sent (1 message)").get_attribute("open") is not None
    )
    page.locator("#turns .lk-turn").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Attempt 2 of 5: wrong value"


def test_two_windows_do_not_see_each_other(visit):
    # An order of cards that no recording has: the other window begins empty.
    mine, yours = visit(), visit("cards=3,8,3,8&rule=ten")
    click(mine, "Play")
    cards(mine, 3)
    try_formula(yours, "3*3+8+8")
    cards(yours, 1, "#own-turns")
    assert yours.locator("#turns .lk-turn").count() == 0 and mine.locator("#own-turns .lk-turn").count() == 0


def test_the_link_brings_the_deal_back_and_the_file_holds_the_episode(visit):
    page = visit("cards=K,3,8,8&rule=ten&seed=9")
    try_formula(page, "3*8+10-8")
    cards(page, 1, "#own-turns")
    click(page, "Copy link")
    page.wait_for_function("location.search.includes('tab=gp')")
    assert {k: v[0] for k, v in parse_qs(urlsplit(page.url).query).items()} == {
        "tab": "gp", "cards": "K,3,8,8", "rule": "ten", "target": "24", "seed": "9", "turns": "5", "T": "0",
        "a": "trap",
    }  # fmt: skip
    with page.expect_download() as download:
        click(page, "Export JSON")
    [line] = download.value.path().read_text(encoding="utf-8").splitlines()
    episode = Episode.from_json(line)
    # 3*8 + 10 - 8 = 26.
    assert episode.player == "you" and episode.attempts[0].verdict.evidence["value"] == "26"


def test_rule_lab_judges_under_every_rule(visit):
    page = visit("tab=rules")
    rows = page.locator(".app-table tbody tr").filter(has=page.locator(".lk-mark"))
    rows.first.wait_for()
    assert [row.split("\t")[2] for row in rows.all_inner_texts()] == [
        "✓ correct",
        "✗ wrong numbers",
        "✗ wrong numbers",
    ]
    page.get_by_label("Answer: a formula, or JSON").fill("(13-4)*2+6")
    page.locator("tr", has_text="J, Q, K = 11, 12, 13").locator(".lk-ok").wait_for()


def luminance(colour: str) -> float:
    red, green, blue = (int(c) / 255 for c in colour[colour.index("(") + 1 : -1].split(",")[:3])
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_in_both_themes(visit, theme):
    page = visit(f"__theme={theme}", theme=theme)
    click(page, "Play")
    cards(page, 3)
    background = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (background < 0.1) == (theme == "dark")
    for part in (".lk-turn", ".lk-said > span", ".lk-inside summary", ".lk-fields th", "[role=tab].selected"):
        text = luminance(page.evaluate("s => getComputedStyle(document.querySelector(s)).color", part))
        light, dark = max(text, background), min(text, background)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, part
