"""The bars of failures: their counts, the conditions that a press adds and takes away, and what the page may send."""

import pytest

from labkit.envs import game, judge, start
from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.runs import Run
from labkit.runs.index import Index
from labkit.views.widgets.failures import FailureBrowser

HOSTILE = "<img src=x onerror=alert(1)>"
TAG = "<img/src=x>"
RIGHT = '{"cards": ["4","A","3","2"], "number": [4,1,3,2], "formula": "4*1*3*2=24"}'
MISSED = '{"cards": ["4","A","3","2"], "number": [4,1,3,2], "formula": "4+1+3+2=10"}'


@pytest.fixture
def browser(tmp_path):
    """Four wrong answers: in the first attempt two unreadable ones and one of 10, in the second one of 10."""
    opened = start(game("gp-l").task(hand=["4", "A", "3", "2"], attempts=2), HOSTILE)
    answers = [(HOSTILE, MISSED), ("no", RIGHT), (MISSED, RIGHT), (RIGHT,)]
    run = Run.create(tmp_path / "runs", "eval", "stage: eval\n")
    for told in answers:
        episode = opened
        for answer in told:
            episode = judge(episode, answer)
        run.add_episodes("rule-ood", [Episode.from_json(episode.to_json().replace('"bad_json"', f'"{TAG}"'))])
    with Index(tmp_path / "runs", cache=tmp_path / "cache") as index:
        yield FailureBrowser(index, success=False)


def counts(browser, field, **chosen):
    return {f.value: (f.attempts, f.episodes) for f in browser.counts(field, chosen)}


def test_answers_are_counted_under_the_conditions_on_other_fields(browser):
    assert counts(browser, "category") == {"unreadable": (2, 2), "wrong_value": (2, 2)}
    assert counts(browser, "attempt") == {0: (3, 3), 1: (1, 1)}
    assert counts(browser, "category", attempt=1) == {"wrong_value": (1, 1)}
    assert counts(browser, "category", category="unreadable") == counts(browser, "category")
    assert len(browser.episodes()) == 3 and len(browser.episodes({"attempt": 1})) == 1


def test_a_pressed_bar_is_a_condition_until_it_is_pressed_again(browser, parse):
    field, bars, told, viewer = browser.widget().children
    field.value = "attempt"
    bars.pressed = [1, 1]
    assert parse(told.value).text == "attempt 2: 1 answer in 1 episode"
    # Its own condition leaves the bars of a field as they are; other fields are counted under it.
    assert [b.attributes["aria-pressed"] for b in parse(bars.html).all("button")] == ["false", "true"]
    field.value = "category"
    assert [row.text for row in parse(bars.html).all("tbody")[0].all("tr")] == ["☐ wrong value11"]
    field.value = "attempt"
    bars.pressed = [1, 2]
    assert parse(told.value).text == "all: 4 answers in 3 episodes"
    for pressed in ([9, 3], [-1, 4], ["0", 5], []):
        bars.pressed = pressed
    assert parse(told.value).text == "all: 4 answers in 3 episodes"
    assert "<img" not in viewer.children[0].children[1].value


def test_the_static_form_has_no_buttons(browser, parse):
    page = parse(browser.static("category").data)
    assert not page.all("button")
    assert [row.text for row in page.all("table")[0].all("tr")] == [
        "verdictanswersepisodes",
        "unreadable22",
        "wrong value22",
    ]


def test_what_a_stored_file_says_is_text(browser, parse):
    field, bars, told, _ = browser.widget().children
    assert field.value == "tag"
    tags = [row.all("th")[0].text for row in parse(bars.html).all("tbody")[0].all("tr")]
    bars.pressed = [tags.index(f"☐ {TAG}"), 1]
    assert parse(told.value).text == f"failure tag {TAG}: 2 answers in 2 episodes"
    assert TAG not in bars.html + told.value + browser.static().data


def test_nothing_to_count_says_what_to_do(browser):
    with pytest.raises(UsageError, match="widen the conditions"):
        FailureBrowser(browser._index, cell="virl-l")
