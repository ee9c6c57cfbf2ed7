"""An episode as JSON, Markdown, a page and a picture; a run as pages."""

import json
import re
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt
from PIL import Image

from labkit.cli import main
from labkit.envs import game, start
from labkit.episode import Episode
from labkit.interop.documents import markdown
from tests.conftest import CHROMIUM
from tests.interop.conftest import ODD, RIGHT, WRONG, played


def test_json_is_the_record(export, run, tmp_path):
    out = tmp_path / "e.json"
    said = export("episode", "eval-gp-l/id/1", "--out", out)
    assert (said["name"], said["number"]) == ("id", 1)
    assert Episode.from_dict(json.loads(out.read_text())) == list(run.episodes("id"))[1]


def test_markdown_shows_every_text_word_for_word():
    episode = played(WRONG, ODD, RIGHT)
    blocks = [token.content[:-1] for token in MarkdownIt().parse(markdown(episode)) if token.type == "fence"]
    feedback = [attempt.verdict.feedback for attempt in episode.attempts]
    answers = [WRONG, feedback[0], ODD, feedback[1], RIGHT, feedback[2]]
    assert blocks == [episode.position.prompt, *answers]
    headings = re.findall("^#+ (.*)$", re.sub("(?s)```.*?\n```", "", markdown(played(WRONG, RIGHT))), re.MULTILINE)
    assert headings[1:] == ["Attempt 1: ✗ wrong value, reward −1", "Attempt 2: ✓ correct, reward +5"]
    assert "not over" not in markdown(episode) and "return +1" in markdown(episode)


def test_markdown_holds_its_pictures():
    shown = markdown(start(game("gp-vl").task(hand=["3", "3", "8", "8"])))
    assert re.search(r"!\[.*\]\(data:image/png;base64,iVBOR", shown)


class Links(HTMLParser):
    """What a page refers to."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found += [(tag, value) for name, value in attrs if name in ("src", "href")]


def test_a_site_refers_to_nothing_but_its_own_pages(export, tmp_path):
    folder = tmp_path / "site"
    assert export("site", "eval-gp-l", "--out", folder)["episodes"] == 2
    pages = sorted(folder.rglob("*.html"))
    assert [page.relative_to(folder).as_posix() for page in pages] == [
        "episodes/0.html",
        "episodes/1.html",
        "index.html",
    ]
    assert sorted(file for file in folder.rglob("*") if file.is_file()) == pages
    for page in pages:
        html = page.read_text()
        for tag, address in Links(html).found:
            assert tag == "a" and (page.parent / address).is_file(), (page, address)
        assert not re.search(r"@import|url\((?!['\"]?data:)|fetch\(|XMLHttp", html)
    # What a player wrote is text there, not markup.
    assert "<b>&amp;" not in pages[0].read_text()


def test_a_site_takes_no_folder_that_exists(run, tmp_path, capsys):
    (tmp_path / "site").mkdir()
    words = ["export", "site", "eval-gp-l", "--runs", str(run.path.parent), "--out", str(tmp_path / "site")]
    assert main(words) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("eval-gp-l", "write RUN/NAME/NUMBER"),
        ("eval-gp-l/id/2", "no episode 2; they are counted from 0"),
        ("eval-gp-l/ood/0", "no episode file of eval-gp-l 'ood'"),
        ("eval-gp-x/id/0", "no run eval-gp-x"),
    ],
)
def test_an_episode_that_is_not_there_is_said(run, tmp_path, capsys, place, said):
    words = ["export", "episode", place, "--runs", str(run.path.parent), "--out", str(tmp_path / "x.md")]
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_the_file_may_be_left_out_where_there_is_one(export, run, tmp_path):
    assert export("episode", "eval-gp-l/0", "--out", tmp_path / "x.json")["name"] == "id"
    # A run may also be named by its folder.
    assert export("episode", f"{run.path}/id/0", "--out", tmp_path / "x.json")["number"] == 0


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium; sudo apt-get install chromium")
def test_a_picture_shows_the_whole_page(export, tmp_path):
    heights = []
    for number in (0, 1):
        export("episode", f"eval-gp-l/id/{number}", "--out", tmp_path / "x.png")
        with Image.open(tmp_path / "x.png") as picture:
            assert picture.format == "PNG" and picture.width == 1800
            heights.append(picture.height)
    # Three turn cards need more room than two.
    assert heights[0] > heights[1] > 600


# Behind the test of the picture, which starts a Playwright of its own: two at once are one too many.
@pytest.mark.browser
def test_the_filters_of_a_site(chromium, export, tmp_path):
    export("site", "eval-gp-l", "--out", tmp_path / "site")
    page = chromium.new_page()
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(error))
    page.goto((tmp_path / "site/index.html").as_uri())
    page.select_option("select[name=status]", "exhausted")
    assert page.inner_text("output") == "1 of 2 episodes"
    page.set_viewport_size({"width": 390, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") == 390, "a phone's page is as wide as the phone"
    page.click("tbody tr:not([hidden]) a")
    assert page.locator(".lk-turn").count() == 2
    page.go_back()
    page.wait_for_function("document.querySelector('output').textContent == '1 of 2 episodes'")
    assert errors == [] and not [url for url in asked if not url.startswith(("file:", "data:"))]
    page.close()
