"""What the What-if tab shows, with players that answer from a script."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from urllib.parse import parse_qsl

import pytest

from app.general_points.handlers import GeneralPointsHandlers
from app.general_points.settings import GeneralPointsSettings
from app.inspect.handlers import InspectHandlers
from app.inspect.stores import Store
from app.shared.stopping import Line
from app.shared.window import Seat, Shown, Window
from app.whatif.forks import MOST, steps_of
from app.whatif.handlers import WhatIfHandlers
from app.whatif.settings import LONGEST, WhatIfSettings
from app.whatif.sources import at_seat, at_stored, play_again, read_again
from labkit.play import play
from labkit.players.simple import Script
from labkit.runs import Run
from labkit.whatif import Branch, Tree

SETTINGS = GeneralPointsSettings(cards="K 6 2 4", rule="eleven-twelve-thirteen", attempts=3.0, temperature=0.0)
NASTY = "<img src=x onerror=alert(1)> ${x}"


@pytest.fixture
def game(catalogue):
    return GeneralPointsHandlers(catalogue, Line())


@pytest.fixture
def window(trap):
    """The trap's episode: for the other rule, a wrong value, right."""
    episode = play(SETTINGS.task, Script(trap, "trap"))
    return Window(SETTINGS, (Seat("trap", Shown(episode, "live")),), session="s")


@pytest.fixture
def handlers(catalogue, game):
    return WhatIfHandlers(catalogue, Line(), {"gp": lambda query: play_again(game, query)})


@pytest.fixture
def begun(handlers, game, window):
    return handlers.begin(at_seat(game, window, 0, "0.1"), "s")["forks"]


def forked(handlers, forks, **chosen):
    """Press the button, and what the tab shows last."""
    chosen = WhatIfSettings(**{"player": "trap", **chosen})
    pressed = handlers.press(forks, chosen, "s")
    assert pressed["note"] == "", pressed["note"]
    shown = {}
    for updates in handlers.run(forks, chosen, "s"):
        shown |= updates
    return shown


def words(html):
    return " ".join(re.sub("<[^>]+>", " ", html).split())


def test_a_card_opens_its_episode_at_its_turn(handlers, game, window):
    start = at_seat(game, window, 0, "0.1")
    shown = handlers.begin(start, "s")
    assert "Change branch 0 at: Attempt 2" in words(shown["turn"]) and shown["player"] == "trap"
    assert "solved 3 turns, return +2" in words(shown["tree"])
    assert shown["two"].count("<article") == 3 and shown["one"] == ""
    choices = [name for _, name in shown["what"]["choices"]]
    assert choices == ["nothing", "answer", "feedback", "cards", "rule"]
    assert at_seat(game, window, 0, "0.7") is None and at_seat(game, window, 0, None) is None


def test_the_form_begins_with_what_stands_there(handlers, begun, trap):
    answer = handlers.change(begun, WhatIfSettings(what="answer"))
    assert answer["text"]["value"] == trap[1] and answer["text"]["visible"]
    feedback = handlers.change(begun, WhatIfSettings(what="feedback"))
    assert "equals 27" in feedback["text"]["value"]
    rule = handlers.change(begun, WhatIfSettings(what="rule"))
    assert rule["choice"]["choices"] == ["ten", "eleven-twelve-thirteen"] and rule["choice"]["value"] == "ten"
    assert not rule["text"]["visible"]


def test_branches_form_a_tree_that_says_what_was_changed(handlers, begun, trap):
    # In place of the second answer something unreadable; then the script's first answer, which is wrong.
    shown = forked(handlers, begun, what="answer", text=NASTY)
    forks = shown["forks"]
    assert [b.parent for b in forks.tree.branches] == [None, 0] and (forks.shown, forks.beside) == (1, 0)
    assert [a.verdict.category for a in forks.episode.attempts] == ["wrong_numbers", "unreadable", "wrong_numbers"]
    assert "Attempt 2: another answer" in words(shown["tree"]) and "not solved" in words(shown["tree"])
    # The two side by side, and where they part.
    assert shown["one"].count("<article") == 3 and shown["two"].count("<article") == 3
    assert "Their answers part at attempt 2" in words(shown["between"])
    page = "".join(str(shown[name]) for name in ("tree", "one", "two", "between"))
    assert "<img" not in page and "${" not in page and "&lt;img" in page
    # A fork of the fork, by another player: at its second turn the expert answers.
    again = forked(handlers, forks, what="nothing", player="expert")
    tree = again["forks"].tree
    assert [b.parent for b in tree.branches] == [None, 0, 1] and tree.branches[2].episode.success
    assert again["go"]["value"] == "Go on from here"


def test_a_change_of_the_rule_names_its_outcome(handlers, game, window):
    before_all = handlers.begin(at_seat(game, window, 0, "0.0"), "s")["forks"]
    # The script's first answer is right where K counts as 10.
    adapted = forked(handlers, before_all, what="rule", choice="ten")
    assert adapted["forks"].episode.success and "adapted" in adapted["tree"]
    # Each branch can be put on the table with its own rule.
    assert "Put this deal on the table" in adapted["one"] and "rule=eleven-twelve-thirteen" in adapted["one"]
    assert "rule=ten" in adapted["two"] and "players=trap" in adapted["two"]
    # Where K counts as 5 it is wrong, and right under the rule that is trained.
    kept = forked(handlers, before_all, what="rule", choice="J=5,Q=5,K=5")
    assert not kept["forks"].episode.success and "kept the old rule" in kept["tree"]


def test_what_the_form_cannot_do_is_said_beside_it(handlers, begun):
    for chosen, message in (
        (WhatIfSettings(what="rule", choice="twelve"), "no face rule"),
        (WhatIfSettings(what="cards", text="Z Z"), "Z"),
        (WhatIfSettings(what="answer", text="x" * (LONGEST + 1)), "at most 4,000"),
        (WhatIfSettings(what="colour"), "no &#x27;colour&#x27; to change"),
        (WhatIfSettings(temperature=9), "Temperature must be"),
        (WhatIfSettings(seed=-1), "Seed must be"),
    ):
        assert message in handlers.press(begun, chosen, "s")["note"]
    assert not handlers.running("s")
    full = replace(begun, tree=Tree(tuple([Branch(begun.episode)] * MOST)))
    assert f"{MOST} branches" in handlers.press(full, WhatIfSettings(player="trap"), "s")["note"]


def test_a_player_that_fails_leaves_the_tree_as_it_is(handlers, begun):
    chosen = WhatIfSettings(player="broken")
    handlers.press(begun, chosen, "s")
    shown = {}
    for updates in handlers.run(begun, chosen, "s"):
        shown |= updates
    assert "torn" in shown["note"] and "<b>" not in shown["note"] and not handlers.running("s")
    assert len(shown["forks"].tree.branches) == 1


def test_the_same_button_stops(handlers, begun):
    chosen = WhatIfSettings(player="trap")
    handlers.press(begun, chosen, "s")
    assert handlers.running("s")
    stopped = handlers.press(begun, chosen, "s")
    assert stopped["go"]["value"] == "Go on from here" and not handlers.running("s")
    assert list(handlers.run(begun, chosen, "s")) == []


def test_a_click_looks_at_a_branch_or_puts_it_beside(handlers, begun):
    forks = forked(handlers, begun, what="answer", text="?")["forks"]
    beside = handlers.pick(forks, '["beside", 0]', "s")["forks"]
    assert (beside.shown, beside.beside) == (1, None)
    back = handlers.pick(forks, '["show", 0]', "s")["forks"]
    assert (back.shown, back.beside, back.turn) == (0, None, (0, 2))
    for sent in (None, "", "[]", '["show", 9]', '["show", true]', '["drop", 0]', '["show"]', "[" * 4000):
        assert handlers.pick(forks, sent, "s") == {}
    turned = handlers.turn(forks, "0", "0.0", "s")["forks"]
    assert (turned.shown, turned.turn) == (0, (0, 0))
    assert handlers.turn(forks, "7", "0.0", "s") == {} and handlers.turn(forks, "0", "x", "s") == {}


def test_a_link_plays_the_branch_again(handlers, begun):
    forks = forked(handlers, begun, what="answer", text="?")["forks"]
    forks = forked(handlers, forks, what="rule", choice="ten", player="expert", temperature=0.5, seed=3)["forks"]
    query = dict(parse_qsl(handlers.link(forks)["carrier"][1:]))
    opened = handlers.open(query)
    assert opened["again"]["visible"] and not opened["forks"].tree.branches
    assert handlers.again(opened["forks"], "t")["note"] == ""
    shown = {}
    for updates in handlers.rebuild(opened["forks"], "t"):
        shown |= updates
    assert shown["forks"].tree == forks.tree and shown["seed"] == 3
    # The tree that is built again has the same link.
    assert handlers.link(shown["forks"]) == handlers.link(forks)


@pytest.mark.parametrize(
    "forks", ["x", "{}", "[1]", "[[0,0]]", '[["0",0,"answer","?","trap",0,0]]', '[[0,0,"answer","?","trap",9,0]]',
              '[[0,0,"answer","?","trap",0,-1]]', "[" * 5000, json.dumps([[0, 0, "nothing", "", "trap", 0, 0]] * MOST)],
)  # fmt: skip
def test_an_invalid_link_is_refused(handlers, forks):
    with pytest.raises(ValueError):
        steps_of(forks)
    assert (
        "no forks that can be played" in handlers.open({"tab": "whatif", "source": "tab=gp", "forks": forks})["notice"]
    )
    assert "notice" in handlers.open({"tab": "whatif", "source": "tab=etc", "forks": "[]"})
    assert handlers.open({"tab": "gp", "source": "tab=gp"}) == {}


def test_what_cannot_be_played_again_has_no_link(handlers, game, window):
    stale = replace(window, settings=replace(SETTINGS, cards="A 2 3 4"))
    forks = handlers.begin(at_seat(game, stale, 0, "0.0"), "s")["forks"]
    assert "Export JSON" in handlers.link(forks)["note"]
    assert Tree.from_json(handlers.export(forks)["carrier"]) == forks.tree


def test_a_stored_episode_is_forked_and_found_again(catalogue, game, window, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run = Run.create(tmp_path / "runs", "a", "stage: eval\n", id="20260101-a")
    run.add_episodes("id", [window.seats[0].episode])
    run.set_status("finished")
    store = Store(tmp_path / "runs")
    assert store.index(600) is not None
    inspect = InspectHandlers([store], catalogue)
    start = at_stored(inspect, "runs", "20260101-a/id/0", "0.2")
    assert start.turn == (0, 2) and start.episode == window.seats[0].episode
    assert at_stored(inspect, "runs", "20260101-a/id/4", "0.2") is None
    assert at_stored(inspect, "runs", "../../etc/0", "0.2") is None
    handlers = WhatIfHandlers(catalogue, Line(), {"inspect": lambda query: read_again(inspect, query)})
    forks = forked(handlers, handlers.begin(start, "s")["forks"], what="answer", text="?")["forks"]
    opened = handlers.open(dict(parse_qsl(handlers.link(forks)["carrier"][1:])))["forks"]
    handlers.again(opened, "t")
    *_, shown, _ = handlers.rebuild(opened, "t")
    assert shown["forks"].tree == forks.tree
