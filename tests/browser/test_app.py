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
from app.shared.catalogue import Catalogue
from labkit.episode import Episode
from labkit.players.base import Answer, Request
from labkit.players.registry import PlayerInfo

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

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


HAND = "cards=K,6,2,4&rule=eleven-twelve-thirteen"
PLAYERS = {"trap": Trap(), "gated": Gated(), "nasty": Nasty()}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    # Of models only one answers at a time; the gated player must not keep the others waiting.
    infos = [PlayerInfo(name, "script" if name == "gated" else "sft", "scripted") for name in PLAYERS]
    served = main.build(Catalogue(infos, lambda spec, temperature: PLAYERS[spec]))
    _, address, _ = served.launch(prevent_thread_lock=True, **main.launch_options())
    yield address
    served.close()


@pytest.fixture
def ready() -> str:
    # Of the tab of cards, or of the Rule lab: a tab is drawn when it is opened.
    return ".lk-hand svg, .app-cards tbody tr"


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).and_(page.locator(":visible")).first.click()


def seat(page: Page, number: int = 1) -> Locator:
    """A seat of the open tab, from 1."""
    return page.locator(".app-seats:visible .app-seat").nth(number - 1)


def cards(place: Locator) -> Locator:
    return place.locator(".lk-turn")


def own(page: Page) -> Locator:
    return page.locator(".app-own .lk-turn")


def idle(page: Page, number: int = 1) -> Locator:
    """A seat's button, once nothing is played there."""
    button = seat(page, number).get_by_role("button", name="Play", exact=True)
    button.wait_for()
    return button


def formula(page: Page) -> Locator:
    return page.get_by_label("Your turn: a formula")


def try_formula(page: Page, text: str) -> None:
    formula(page).fill(text)
    press(page, "Check")


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.innerText || document.activeElement.tagName").strip()


def test_play_shows_the_attempts_and_calls_out_the_kept_rule(visit):
    page = visit(f"tab=gp&{HAND}&players=trap")
    press(page, "Play")
    expect(cards(seat(page))).to_have_count(3)
    first = cards(seat(page)).first.inner_text()
    assert "wrong numbers" in first and "would be correct under J, Q, K = 10" in first
    expect(seat(page).locator(".app-status")).to_contain_text("return +2")
    idle(page)
    # The first screen holds the fields, the hand and the first card.
    page.evaluate("scrollTo(0, 0)")
    turn = ".app-seats .lk-turn"
    for part in (".lk-hand", ".app-keys", f"{turn} header", f"{turn} .lk-said"):
        box = page.locator(part).and_(page.locator(":visible")).first.bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 720, part


def test_three_players_play_the_same_deal_side_by_side(visit):
    page = visit(f"tab=gp&{HAND}&players=trap,gated,trap")
    PLAYERS["gated"].go_on.clear()
    press(page, "Play all")
    for number in (1, 3):
        expect(cards(seat(page, number))).to_have_count(3)
        idle(page, number)
    expect(cards(seat(page, 2))).to_have_count(1)
    expect(page.get_by_label("Cards").first).to_be_disabled()
    boxes = [seat(page, number).bounding_box() for number in (1, 2, 3)]
    assert boxes[0]["x"] < boxes[1]["x"] < boxes[2]["x"] and len({box["y"] for box in boxes}) == 1
    press(page, "Stop all")
    expect(seat(page, 2).locator(".app-status")).to_contain_text("stopped by you")
    expect(page.get_by_label("Cards").first).to_be_enabled()


def test_a_person_against_a_player_has_a_score(visit):
    page = visit(f"tab=gp&{HAND}&players=trap,nasty")
    score = page.get_by_role("region", name="Score")
    try_formula(page, "(13-4)*2+6")
    expect(own(page)).to_have_count(1)
    assert score.count() == 0
    press(page, "Play all")
    # Deals, you solved, the player solved, only you, only the player.
    for name, counts in (("trap", "1 1 1 0 0"), ("nasty", "1 1 0 1 0")):
        row = score.locator("tbody tr").filter(has=page.get_by_role("rowheader", name=name))
        expect(row.locator("td")).to_have_text(counts.split())
    score.locator("summary").click()
    expect(score.get_by_role("rowheader", name="K 6 2 4")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    press(page, "Reset the score")
    expect(score).to_have_count(0)


def test_seats_come_and_go_and_each_has_its_own_player(visit):
    page = visit(f"tab=gp&{HAND}&players=trap")
    page.get_by_role("radio", name="2", exact=True).and_(page.locator(":visible")).check()
    expect(seat(page, 2)).to_be_visible()
    seat(page, 2).get_by_label("Player 2").click()
    page.get_by_role("option", name="nasty").click()
    seat(page, 2).get_by_role("button", name="Play", exact=True).click()
    expect(cards(seat(page, 2))).to_have_count(5)
    assert cards(seat(page, 1)).count() == 0
    page.get_by_role("radio", name="1", exact=True).and_(page.locator(":visible")).check()
    expect(page.locator(".app-seats:visible .app-seat")).to_have_count(1)


@pytest.mark.parametrize("players", ["nasty", "nasty,nasty,nasty"])
def test_nothing_scrolls_sideways(visit, players):
    page = visit(f"tab=gp&players={players}&attempts=1")
    seat(page).get_by_role("button", name="Play", exact=True).click()
    expect(cards(seat(page))).to_have_count(1)
    for width in (1280, 1024, 768, 390):
        page.set_viewport_size({"width": width, "height": 720})
        for tab in ("V-IRL", "Rule lab", "Guide", "GeneralPoints"):
            page.get_by_role("tab", name=tab).click()
            assert page.evaluate("document.documentElement.scrollWidth") == width, (width, tab)


def test_a_phone_shows_play_on_its_first_screen_and_all_of_the_rule_lab(visit):
    page = visit("tab=gp", width=390, height=844)
    box = idle(page).bounding_box()
    assert box["y"] + box["height"] <= 844
    page.get_by_role("tab", name="Rule lab").click()
    answer = page.get_by_label("Answer: a formula, or JSON", exact=True)
    answer.fill("(13-4)*2+6")
    row = page.locator("tr", has_text="J, Q, K = 11, 12, 13")
    expect(row.locator(".lk-ok")).to_be_visible()
    for cell in page.locator(".app-cards:visible td").all():
        cell.scroll_into_view_if_needed()
        box = cell.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390


def test_model_text_stays_text(visit):
    page = visit("tab=gp&cards=3,8,3,8&rule=ten&players=nasty&attempts=2")
    press(page, "Play")
    expect(cards(seat(page))).to_have_count(2)
    assert seat(page).locator(".lk-answer").first.inner_text() == NASTY
    assert page.title() == "labkit" and seat(page).locator("img").count() == 0


def test_a_person_solves_3_3_8_8(visit):
    page = visit("tab=gp&cards=3,3,8,8&rule=ten")
    for count, wrong in enumerate(("3*3+8+8", "8*8/3-3"), 1):
        try_formula(page, wrong)
        expect(own(page)).to_have_count(count)
    press(page, "Show a solution")
    page.get_by_text("One solution: 8/(3-8/3)").wait_for()
    formula(page).fill("")
    typed = ""
    for key, sign in zip("8÷(3−8÷(⌫3)", "8/(3-8/(\b3)", strict=True):
        press(page, key)
        typed = typed[:-1] if sign == "\b" else typed + sign
        expect(formula(page)).to_have_value(typed)
    formula(page).press("Enter")
    page.get_by_text("Correct: solved in 3 attempts, return +3.").wait_for()
    expect(own(page)).to_have_count(3)
    press(page, "Start over")
    expect(own(page)).to_have_count(0)


def test_a_changed_rule_changes_the_deal_and_marks_the_old_episode(visit):
    page = visit(f"tab=gp&{HAND}&players=trap")
    press(page, "Play")
    expect(cards(seat(page))).to_have_count(3)
    idle(page)
    page.get_by_label("Rule", exact=True).and_(page.locator(":visible")).click()
    page.get_by_role("option", name="my own numbers").click()
    page.get_by_label("K", exact=True).fill("5")
    page.locator(".lk-hand").get_by_text("J counts as 11, Q counts as 12, K counts as 5.").wait_for()
    seat(page).locator(".lk-stale").wait_for()
    page.get_by_role("button", name="K=5", exact=True).wait_for()
    field = page.get_by_label("Cards").first
    field.fill("8 J 3")
    expect(page.locator(".lk-hand svg")).to_have_count(3)
    field.fill("8 J 3 0")
    page.get_by_text("is not a card").wait_for()


def test_a_number_out_of_range_is_said_and_the_other_controls_go_on(visit):
    page = visit(f"tab=gp&{HAND}&players=trap")
    attempts = page.get_by_label("Attempts").first
    for field, wrong, said in (
        (attempts, "20", "Attempts must be a whole number from 1 to 10, not 20"),
        (page.get_by_label("Temperature").first, "5", "Temperature must be a number from 0 to 2, not 5"),
        (page.get_by_label("Seed").first, "-1", "Seed must be a whole number from 0 to"),
        (page.get_by_label("Target").first, "0", "Target must be a whole number from 1 to 999, not 0"),
    ):
        before = field.input_value()
        field.fill(wrong)
        page.get_by_text(said).wait_for()
        press(page, "Play")
        expect(idle(page)).to_be_enabled()
        field.fill(before)
        expect(page.get_by_text(said)).to_have_count(0)
    attempts.fill("20")
    page.get_by_text("Attempts must be a whole number").wait_for()
    press(page, "No face card")
    expect(page.get_by_label("Cards").first).not_to_have_value("K 6 2 4")
    attempts.fill("3")
    press(page, "Play")
    expect(cards(seat(page)).first).to_be_visible()


def test_stop_ends_inside_an_answer_and_keeps_what_was_played(visit):
    PLAYERS["gated"].go_on.clear()
    page = visit(f"tab=gp&{HAND}&players=gated")
    press(page, "Play")
    expect(cards(seat(page))).to_have_count(1)
    press(page, "Stop")
    seat(page).get_by_text("stopped by you").wait_for()
    assert cards(seat(page)).count() <= 2
    seat(page).get_by_label("Player 1").click()
    page.get_by_role("option", name="trap").click()
    seat(page).get_by_text("Played with another player").wait_for()
    press(page, "Play")
    expect(cards(seat(page))).to_have_count(3)


def test_the_keyboard_keeps_its_place(visit):
    PLAYERS["gated"].go_on.clear()
    page = visit(f"tab=gp&{HAND}&players=gated")
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to Play", "the first stop of the page"
    page.keyboard.press("Enter")
    assert focused(page) == "Play"
    page.keyboard.press("Enter")
    expect(cards(seat(page))).to_have_count(1)
    assert focused(page) == "Stop"
    page.keyboard.press("Enter")
    idle(page)
    assert focused(page) == "Play"


def test_opened_parts_stay_open_while_cards_come_in(visit):
    PLAYERS["gated"].go_on.clear()
    page = visit(f"tab=gp&{HAND}&players=gated")
    press(page, "Play")
    expect(cards(seat(page))).to_have_count(1)
    seat(page).get_by_text("Prompt as sent (1 message)").click()
    PLAYERS["gated"].go_on.set()
    expect(cards(seat(page))).to_have_count(3)
    part = seat(page).locator("details").filter(has_text="Prompt as sent (1 message)")
    assert part.get_attribute("open") is not None
    cards(seat(page)).first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Attempt 2 of 5: wrong value"


def test_two_windows_do_not_see_each_other(visit):
    mine, yours = visit(f"tab=gp&{HAND}&players=trap"), visit("tab=gp&cards=3,8,3,8&rule=ten&players=trap")
    press(mine, "Play")
    expect(cards(seat(mine))).to_have_count(3)
    try_formula(yours, "3*3+8+8")
    expect(own(yours)).to_have_count(1)
    assert cards(seat(yours)).count() == 0 and own(mine).count() == 0


def test_the_link_brings_the_deal_back_and_the_file_holds_the_episode(visit):
    page = visit("tab=gp&cards=K,3,8,8&rule=ten&seed=9&players=trap,nasty")
    try_formula(page, "3*8+10-8")
    expect(own(page)).to_have_count(1)
    press(page, "Copy link")
    # The address that was opened holds the same keys.
    page.get_by_text("Link copied.").or_(page.get_by_text("The address bar holds the link.")).first.wait_for()
    assert {k: v[0] for k, v in parse_qs(urlsplit(page.url).query).items()} == {
        "tab": "gp", "temperature": "0.6", "cards": "K 3 8 8", "rule": "ten", "seed": "9", "players": "trap,nasty",
    }  # fmt: skip
    with page.expect_download() as download:
        press(page, "Export JSON")
    [line] = download.value.path().read_text(encoding="utf-8").splitlines()
    episode = Episode.from_json(line)
    # 3*8 + 10 - 8 = 26.
    assert episode.player == "you" and episode.attempts[0].verdict.evidence["value"] == "26"


def test_rule_lab_judges_under_every_rule(visit):
    page = visit("tab=rules")
    rows = page.locator(".app-cards:visible tbody tr")
    rows.first.wait_for()
    assert [row.split("\t")[2] for row in rows.all_inner_texts()] == [
        "✓ correct",
        "✗ wrong numbers",
        "✗ wrong numbers",
    ]
    page.get_by_label("Answer: a formula, or JSON", exact=True).fill("(13-4)*2+6")
    page.locator("tr", has_text="J, Q, K = 11, 12, 13").locator(".lk-ok").wait_for()


def luminance(colour: str) -> float:
    red, green, blue = (int(c) / 255 for c in colour[colour.index("(") + 1 : -1].split(",")[:3])
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_in_both_themes(visit, theme):
    page = visit(f"__theme={theme}&tab=gp&{HAND}&players=trap", theme=theme)
    press(page, "Play")
    expect(cards(seat(page))).to_have_count(3)
    background = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (background < 0.1) == (theme == "dark")
    for part in (".lk-turn", ".lk-said > span", ".lk-inside summary", ".lk-fields th", "[role=tab].selected"):
        text = luminance(page.evaluate("s => getComputedStyle(document.querySelector(s)).color", part))
        light, dark = max(text, background), min(text, background)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, part
