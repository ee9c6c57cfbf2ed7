"""The episode viewer: leafing, filtering, and the plain form that stays in a saved notebook."""

import pytest

from labkit.envs import game, judge, start
from labkit.errors import UsageError
from labkit.views.widgets.episodes import EpisodeViewer

RIGHT = '{"cards": ["4","A","3","2"], "number": [4,1,3,2], "formula": "4*1*3*2=24"}'


@pytest.fixture
def viewer():
    opened = start(game("gp-l").task(hand=["4", "A", "3", "2"], attempts=2), "someone")
    lost = judge(judge(opened, "no"), "no again")
    late = judge(judge(opened, "hm"), RIGHT)
    return EpisodeViewer([lost, late, judge(opened, RIGHT)])


def test_episodes_are_chosen_by_how_they_went(viewer):
    assert viewer.outcomes() == ("all", "exhausted", "success", "correct", "unreadable")
    assert viewer.select("all") == (0, 1, 2)
    assert viewer.select("success") == (1, 2)
    assert viewer.select("unreadable") == (0, 1)


def test_the_widget_leafs_and_filters(viewer):
    bar, body = viewer.widget().children
    outcome, back, place, of, on = bar.children
    assert "no again" in body.value and back.disabled and not on.disabled
    on.click()
    assert "hm" in body.value and place.value == 2 and not back.disabled
    outcome.value = "success"
    assert of.value == "of 2" and place.value == 1 and "hm" in body.value
    on.click()
    assert on.disabled and "hm" not in body.value


def test_the_static_form_is_plain_html(viewer):
    html = viewer.static(1).data
    assert "hm" in html and "<style>" in html
    assert "<script" not in html and "http://" not in html.replace("http://www.w3.org/2000/svg", "")
    with pytest.raises(IndexError):
        viewer.static(3)


def test_nothing_to_show_says_what_to_do():
    with pytest.raises(UsageError, match="play some first"):
        EpisodeViewer([])
