"""A class in a browser: the teacher opens a question, a phone votes, the teacher reveals, the phone shows it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app import main
from app.classroom.poll import Poll
from app.classroom.questions import questions
from app.classroom.tab import Classroom
from app.shared.catalogue import catalogue_of
from tests.cost import PATIENCE

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    expect.set_options(timeout=1000 * PATIENCE)
    classroom = Classroom(Poll(questions()), ["http://192.0.2.7:7860"], True)
    served = main.build(catalogue_of(), [], classroom=classroom)
    _, address, _ = served.launch(prevent_thread_lock=True, **main.launch_options(classroom=classroom))
    yield address
    served.close()


@pytest.fixture
def ready() -> str:
    return ".app-class h2, .app-story-steps button"


def test_a_class_predicts_and_is_told(visit, url, request):
    teacher = visit("tab=class")
    expect(teacher.locator(".app-address")).to_contain_text("192.0.2.7:7860/class")
    phone = teacher.context.browser.new_context(viewport={"width": 390, "height": 844}).new_page()
    request.addfinalizer(phone.context.close)
    wrong: list[str] = []
    phone.on("pageerror", lambda error: wrong.append(str(error)))
    phone.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    phone.goto(f"{url}class")
    expect(phone.locator("h1")).to_have_text("Look at the teacher’s screen")

    teacher.get_by_role("button", name="Open the vote").click()
    for choice in ("SFT", "Init and SFT"):
        phone.get_by_role("button", name=choice, exact=True).click()
        expect(phone.locator('[aria-pressed="true"]')).to_have_text(choice)
    expect(phone.get_by_role("status")).to_contain_text("Your vote is in")
    expect(teacher.locator(".app-votes")).to_have_text("1 vote")
    expect(teacher.locator(".app-class .app-bars")).to_have_count(0)
    teacher.get_by_role("button", name="Show votes").click()
    expect(teacher.locator(".app-class .app-bars b")).to_have_text(["0", "0", "1", "0"])

    teacher.get_by_role("button", name="Reveal").click()
    expect(teacher.locator(".app-class .app-bars .lk-ok")).to_contain_text("Init and SFT")
    expect(phone.locator("main")).to_contain_text("You voted “Init and SFT”. That is right.")
    expect(phone.locator(".app-bars b")).to_have_text(["0", "0", "1", "0"])
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth") and wrong == []

    teacher.get_by_role("button", name="Next question").click()
    expect(phone.locator("h1")).to_have_text("Look at the teacher’s screen")
    expect(teacher.locator(".app-votes")).to_have_text("not open yet")


def test_a_stand_tells_both_stories_by_itself_without_the_tabs(visit):
    page = visit("tab=story&projector=1&kiosk=1")
    for game in ("Make 24 (GeneralPoints)", "Find the way (V-IRL)"):
        expect(page.get_by_label(game)).to_be_checked()
    expect(page.get_by_role("tablist")).to_be_hidden()
    expect(page.locator(".app-header")).to_be_hidden()
