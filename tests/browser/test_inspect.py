"""The Inspect tab in a browser, on a store that the test plays: find failures, open them, share what is seen."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from app import main
from app.inspect.stores import Store
from app.shared.catalogue import Catalogue
from labkit.envs import game
from labkit.episode import Episode
from labkit.play import play
from labkit.players.simple import Expert, Random, Script
from labkit.runs import Run

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

expect = pytest.importorskip("playwright.sync_api").expect
pytestmark = pytest.mark.browser

NASTY = "<img src=x onerror=\"document.title='broken'\"> ${document.title='broken'} " + "9" * 300
HAND = ["3", "3", "8", "8"]
WIDTHS = (1280, 1024, 768, 390)


def dealt(count: int, first: int = 0) -> list:
    tasks = game("gp-l").tasks("rule-ood", seed=1, first=first)
    return [next(tasks) for _ in range(count)]


@pytest.fixture(scope="module")
def live(tmp_path_factory) -> Run:
    """A run that goes on, beside an evaluation of the expert, one of random answers, and a walk."""
    root = tmp_path_factory.mktemp("stored") / "runs"
    players = {"a-expert": Expert(), "b-random": Random()}
    for name, player in players.items():
        run = Run.create(root, name, "stage: eval\n", id=name)
        run.add_episodes("rule-ood", [play(task, player) for task in dealt(25)])
        run.set_status("finished")
    walk = Run.create(root, "walk", "stage: eval\n", id="c-walk")
    walk.add_episodes("id", [play(next(game("virl-l").tasks("id", seed=1)), Expert())])
    walk.set_status("finished")
    going = Run.create(root, "going", "stage: eval\n", id="d-going")
    going.add_episodes("id", [script(NASTY)])
    return going


def script(*answers: str) -> Episode:
    return play(game("gp-l").task(hand=HAND, attempts=len(answers)), Script(answers, "scripted"))


@pytest.fixture(scope="module")
def url(live, tmp_path_factory) -> Iterator[str]:
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    served = main.build(Catalogue([]), [Store(live.path.parent, writable=True)])
    _, address, _ = served.launch(prevent_thread_lock=True, **main.launch_options())
    yield address
    served.close()
    os.environ.pop("XDG_CACHE_HOME")
    if before is not None:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture
def ready() -> str:
    return ".app-rows"


def rows(page: Page) -> Locator:
    return page.locator(".app-rows tbody tr")


def bar(page: Page, title: str, value: str) -> Locator:
    return page.locator(f'[data-facet="{title}"] button').filter(has_text=value)


def going(live: Run) -> int:
    """Episodes of the run that goes on, to which a test adds one."""
    return sum(1 for _ in live.episodes("id"))


def found(page: Page) -> Locator:
    return page.locator(".app-found")


def told(count: int) -> str:
    """What the page says when it shows all of ``count`` episodes."""
    return f"{count} of {count} episode{'s' if count > 1 else ''},"


def test_a_failure_is_found_by_bars_and_opens_as_its_turn_cards(visit, live):
    page = visit("tab=inspect")
    # 25 deals twice, a walk, and the run that goes on.
    everything = 51 + going(live)
    expect(found(page)).to_contain_text(f"{everything} of {everything} episodes")
    bar(page, "Player", "random").click()
    expect(found(page)).to_contain_text(f"25 of {everything} episodes")
    bar(page, "How the episode ended", "exhausted").click()
    failed = rows(page).first
    expect(failed).to_contain_text("not solved")
    failed.click()
    cards = page.locator(".app-opened .lk-turn")
    expect(cards).to_have_count(5)
    expect(page.locator(".app-opened .lk-hand svg")).to_have_count(4)
    first = page.locator(".app-opened").get_attribute("data-opened")
    page.get_by_role("button", name="Next →").click()
    expect(page.locator(".app-opened")).not_to_have_attribute("data-opened", first)
    # The bars by which it was found can be lifted one by one.
    page.locator(".app-conditions button").filter(has_text="exhausted").click()
    expect(bar(page, "How the episode ended", "exhausted")).to_have_attribute("aria-pressed", "false")


def test_the_link_brings_every_choice_back(visit):
    page = visit("tab=inspect&player=expert&suite=rule-ood&open=a-expert/rule-ood/3&sort=most-turns")
    expect(found(page)).to_contain_text("25 of ")
    expect(page.locator(".app-opened .lk-turn")).to_have_count(1)
    expect(page.get_by_label("Order")).to_have_value("most turns first")
    page.get_by_role("button", name="Close").click()
    page.get_by_label("Answer or note contains").fill("zzz")
    expect(page.locator(".app-empty:visible")).to_contain_text("No episode meets these conditions")
    page.locator("button", has_text="Copy link").and_(page.locator(":visible")).click()
    page.wait_for_url("**text=zzz**")
    assert "player=expert" in page.url and "open=" not in page.url
    again = page.context.new_page()
    again.goto(page.url)
    expect(again.get_by_label("Answer or note contains")).to_have_value("zzz")
    expect(again.locator(".app-conditions")).to_contain_text("expert")


def test_model_text_stays_text_and_a_live_run_is_followed(visit, live):
    page = visit("tab=inspect&run=d-going")
    before = going(live)
    expect(found(page)).to_contain_text(told(before))
    expect(found(page)).to_contain_text("d-going goes on")
    rows(page).first.click()
    assert page.locator(".app-opened .lk-answer").inner_text() == NASTY
    assert page.title() == "labkit" and page.locator(".app-opened img").count() == 0
    live.add_episodes("id", [script("one", "two")])
    expect(found(page)).to_contain_text(told(before + 1))
    # What was open stays open.
    expect(page.locator(".app-opened .lk-answer")).to_have_count(1)


def test_the_keyboard_filters_and_opens(visit):
    page = visit("tab=inspect&run=b-random")
    button = bar(page, "How the episode ended", "exhausted")
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(button).to_be_focused()
    rows(page).first.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".app-opened .lk-turn")).to_have_count(5)


def test_a_walk_opens(visit):
    page = visit("tab=inspect&cell=virl-l")
    rows(page).first.click()
    expect(page.locator(".app-opened .lk-map svg").first).to_be_visible()
    expect(page.locator(".app-opened .lk-mark").first).to_contain_text("arrived")


def test_the_deals_are_saved_to_a_file(visit):
    page = visit("tab=inspect&run=b-random")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save these deals").click()
    assert download.value.suggested_filename == "deals.jsonl"
    lines = download.value.path().read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["task"]["deal"] for line in lines] == [
        json.loads(json.dumps(task.deal)) for task in dealt(25)
    ]


def test_a_note_is_written_under_an_open_episode_and_its_tag_is_a_bar(visit, live):
    page = visit("tab=inspect&run=a-expert&open=a-expert/rule-ood/3")
    page.get_by_label("Note", exact=True).fill(NASTY)
    page.get_by_label("Tags of the note").fill("Neat, short")
    page.get_by_role("button", name="Save note").click()
    noted = page.locator(".app-opened .app-noted")
    expect(noted).to_have_text(f"neat short {NASTY}")
    expect(page.get_by_label("Tags of the note")).to_have_value("neat short")
    assert page.title() == "labkit" and page.locator(".app-inspect img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") == 1280
    bar(page, "Tags of notes", "neat").click()
    expect(found(page)).to_contain_text("1 of 25 episodes")
    # Another window has the note in its form.
    again = page.context.new_page()
    again.goto(f"{page.url.partition('?')[0]}?tab=inspect&note_tag=neat&open=a-expert/rule-ood/3")
    expect(again.get_by_label("Note", exact=True)).to_have_value(NASTY)
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_label("Note", exact=True)).not_to_be_visible()
    (live.path.parent / "a-expert" / "notes.jsonl").unlink()


def test_nothing_scrolls_sideways(visit):
    page = visit("tab=inspect&open=d-going/id/0")
    expect(page.locator(".app-opened .lk-turn")).to_have_count(1)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") == width, width


def test_a_phone_shows_the_table_first_and_the_bars_on_request(visit):
    page = visit("tab=inspect&cell=gp-l", width=390, height=844)
    bars = page.locator("[data-facet='Player']")
    expect(bars).not_to_be_visible()
    box = rows(page).first.bounding_box()
    assert box["y"] + box["height"] <= 844
    page.locator("summary", has_text="Filters").click()
    expect(bars).to_be_visible()
    bar(page, "Player", "random").click()
    expect(found(page)).to_contain_text("25 of ")
    expect(bars).to_be_visible()
    page.locator("summary", has_text="Filters").click()
    rows(page).first.click()
    opened = page.locator(".app-opened")
    expect(opened).to_be_in_viewport()
    assert opened.bounding_box()["width"] <= 390


def test_two_runs_are_compared_and_two_episodes_open_side_by_side(visit):
    page = visit("tab=inspect&run=b-random&other=a-expert")
    expect(page.get_by_label("Compare with")).to_have_value("a-expert · 25")
    compared = page.locator(".app-compare")
    expect(compared).to_contain_text("exact McNemar: p < 0.001")
    # The expert solves what can be solved; a random player never does better.
    expect(compared).to_contain_text("loses 0")
    compared.get_by_role("button", name="only B solves").click()
    expect(compared.get_by_role("button", name="only B solves")).to_have_attribute("aria-pressed", "true")
    rows(page).first.click()
    episodes = page.locator(".app-opened .lk-episode")
    expect(episodes).to_have_count(2)
    left, right = (episodes.nth(n).bounding_box() for n in (0, 1))
    assert left["y"] == right["y"] and left["x"] + left["width"] <= right["x"]
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") == width, width
