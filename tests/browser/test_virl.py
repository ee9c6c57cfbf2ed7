"""The V-IRL tab in a browser: watching a walk, and walking."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from math import dist
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from app import main
from app.shared.catalogue import Catalogue
from labkit.episode import Episode
from labkit.players import registry

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

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
    return ".app-stage svg"


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).and_(page.locator(":visible")).first.click()


def choose(page: Page, field: str, option: str) -> None:
    page.get_by_label(field, exact=True).and_(page.locator(":visible")).click()
    page.get_by_role("option", name=option).click()


def place(page: Page, number: int = 1) -> Locator:
    """A seat of the tab, or the person's place, whichever is on the screen."""
    return page.locator(".app-seat:visible").nth(number - 1)


def here(page: Page, number: int = 1) -> Locator:
    """What the map says of where the walker is."""
    return place(page, number).locator(".app-stage figcaption strong").first


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.innerText || document.activeElement.tagName").strip()


def test_every_step_of_a_walk_can_be_looked_at(visit):
    # On this route two places lie close together on the map.
    page = visit("tab=virl&players=expert&route=latticeport-eval-0010")
    choose(page, "Speed", "at once")
    press(page, "Play")
    expect(place(page)).to_contain_text("arrived")
    place(page).get_by_role("button", name="3 correct").click()
    expect(here(page)).to_contain_text("Step 3 of")
    # A step has a turn for each attempt.
    turns = place(page).locator(".lk-turn header")
    expect(turns.first).to_contain_text("Step 3 of")
    page.keyboard.press("j")
    expect(turns.first).to_contain_text("Step 4 of")
    assert all("Step 4 of" in said for said in turns.all_inner_texts())
    page.keyboard.press("k")
    expect(turns.first).to_contain_text("Step 3 of")
    # On the map the first place, the two that lie closest together, and the last.
    marks = (
        place(page)
        .locator(".lk-node")
        .evaluate_all("all => all.map(n => ({step: n.dataset.step, at: n.getCTM().e, y: n.getCTM().f}))")
    )
    spots = {int(mark["step"]): (mark["at"], mark["y"]) for mark in marks}
    closest = min(combinations(spots, 2), key=lambda pair: dist(*(spots[step] for step in pair)))
    assert dist(*(spots[step] for step in closest)) < 8, "nearer than half of what takes a click"
    for step in (min(spots), *closest, max(spots)):
        place(page).locator(f".lk-node[data-step='{step}']").click()
        expect(turns.first).to_contain_text(f"Step {step + 1} of")
    # The first screen holds the fields, the walk, the map and the views.
    page.evaluate("scrollTo(0, 0)")
    for part in (".app-walk", ".lk-map svg", ".lk-views img"):
        box = place(page).locator(part).first.bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 720, part


def test_the_expert_walks_to_the_goal(visit):
    page = visit(f"tab=virl&players=expert&route={SHORT}&pace=at once")
    press(page, "Step")
    expect(place(page).locator(".app-steps [data-step]")).to_have_count(2)
    press(page, "Play")
    expect(place(page)).to_contain_text("arrived")
    expect(place(page).locator(".lk-cross")).to_have_count(0)
    expect(place(page).locator(".lk-instruction li[aria-current]")).to_have_count(0)
    choose(page, "Rule for turns", "relative")
    expect(place(page).locator(".app-steps.lk-stale")).to_be_visible()
    expect(here(page)).to_contain_text("Step 1 of")


def test_an_evaluated_route_is_put_on_the_table_by_a_link(visit):
    page = visit("tab=virl&route=latticeport-eval-0063&rail=test/0/0&players=expert&pace=at once")
    rail = page.get_by_label("Rail", exact=True)
    expect(rail).to_have_value("test/0/0")
    expect(page.get_by_label("Route", exact=True)).to_have_value(re.compile("^latticeport-eval-0063"))
    press(page, "Play")
    expect(place(page)).to_contain_text("arrived")
    # A route of the list has the usual rail, which takes no field.
    choose(page, "Route", "16 ·")
    expect(rail).not_to_be_visible()


def test_two_players_walk_side_by_side(visit):
    page = visit(f"tab=virl&players=expert,random&route={SHORT}&pace=at once")
    press(page, "Play all")
    expect(place(page, 1)).to_contain_text("✓ arrived")
    expect(place(page, 2)).to_contain_text("✗ not arrived")
    boxes = [place(page, number).locator(".lk-map svg").bounding_box() for number in (1, 2)]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    place(page, 2).locator("[data-step]").first.click()
    expect(here(page, 2)).to_contain_text("Step 1 of")
    expect(here(page, 1)).not_to_contain_text("Step 1 of")


def test_a_person_walks_with_buttons_and_keys(visit):
    page = visit(f"tab=virl&route={SHORT}&actions=relative&players=expert")
    page.get_by_role("button", name="Walk it yourself").focus()
    page.keyboard.press("Enter")
    page.locator(".app-pad").wait_for()
    assert focused(page) == "End your walk", "the keyboard keeps its place"
    press(page, "stop S")
    expect(place(page)).to_contain_text("wrong action, −1")
    expect(place(page).locator(".lk-cross")).to_have_count(1)
    page.wait_for_function("document.activeElement.dataset.action === 'stop()'")
    # Keys typed into a field are the field's.
    page.get_by_label("Attempts", exact=True).and_(page.locator(":visible")).focus()
    page.keyboard.press("s")
    keys = {"left": "ArrowLeft", "right": "ArrowRight", "slightly left": "q", "slightly right": "e"}
    place(page).locator(".app-stage").click(position={"x": 5, "y": 5})
    said = place(page).locator("li[aria-current]").inner_text()
    page.keyboard.press(next(keys[word] for word in sorted(keys, key=len, reverse=True) if word in said))
    expect(here(page)).to_contain_text("Step 2 of")
    expect(place(page)).to_contain_text("Correct, +1")
    page.keyboard.press("ArrowUp")
    expect(here(page)).to_contain_text("Step 3 of")
    assert page.evaluate("scrollY") == 0
    press(page, "Copy link")
    # The address that was opened holds the same keys.
    page.get_by_text("Link copied.").or_(page.get_by_text("The address bar holds the link.")).first.wait_for()
    asked = {k: v[0] for k, v in parse_qs(urlsplit(page.url).query).items()}
    assert (asked["route"], asked["actions"], asked["players"]) == (SHORT, "relative", "expert")
    with page.expect_download() as download:
        press(page, "Export JSON")
    [line] = download.value.path().read_text(encoding="utf-8").splitlines()
    episode = Episode.from_json(line)
    assert episode.player == "you"
    assert [a.verdict.success for a in episode.attempts] == [False, True, True]
    press(page, "End your walk")
    expect(place(page).get_by_role("button", name="Play", exact=True)).to_be_visible()


@pytest.mark.parametrize("width", [1600, 1024, 390])
@pytest.mark.parametrize("players", ["expert", "expert,random,expert"])
def test_nothing_scrolls_sideways(visit, width, players):
    page = visit(f"tab=virl&players={players}", width=width, height=900)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    press(page, "Walk it yourself")
    page.locator(".app-pad").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_fields_lie_on_the_page_and_their_values_beside_the_arrows(visit, width):
    page = visit("tab=virl&players=expert", width=width, height=900)
    for tab, short in (("V-IRL", {"Walk", "Observations", "Speed"}), ("GeneralPoints", {"Cards are shown"})):
        page.get_by_role("tab", name=tab).click()
        page.locator(".app-settings:visible").wait_for()
        for field in page.locator(".app-fields :is(input:not([type=radio]), button):visible").all():
            box = field.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= width, field.evaluate("f => f.outerHTML")
        lists = page.locator(".app-fields input[role=combobox]:visible").all()
        assert short < {field.get_attribute("aria-label") for field in lists}
        for field in lists:
            name, box = field.get_attribute("aria-label"), field.bounding_box()
            arrow = field.locator("xpath=..").locator("svg.dropdown-arrow").bounding_box()["x"]
            # The value is written from the left edge, and is cut off where the padding begins.
            padding, size = field.evaluate(
                """field => {
                    const {font, paddingRight} = getComputedStyle(field);
                    const pen = Object.assign(document.createElement("canvas").getContext("2d"), {font});
                    return [parseFloat(paddingRight), pen.measureText(field.value).width];
                }"""
            )
            assert box["x"] + box["width"] - padding <= arrow, name
            assert name not in short or size + padding <= box["width"], name


def test_pictures_and_free_walks(visit):
    page = visit("tab=virl&cell=virl-vl&walk=free&players=random&route=oldwick-eval-0001")
    captions = place(page).locator("figcaption")
    expect(captions.filter(has_text="Landmarks are in the picture.")).to_be_visible()
    press(page, "Step")
    place(page).locator(".lk-turn").first.wait_for()
    place(page).locator("summary", has_text="Prompt as sent").first.click()
    assert place(page).locator(".lk-message img").first.evaluate("i => i.naturalWidth") == 320


def test_the_first_screen_names_the_picked_route_and_counts_all_routes(visit):
    page = visit("tab=virl")
    expect(page.locator(".app-picked")).to_contain_text("A picked route")
    expect(page.locator(".app-picked")).to_contain_text("Routes completed, of")
    press(page, "The paper in one route")
    expect(page.locator(".app-seats:visible .app-seat")).to_have_count(3)
