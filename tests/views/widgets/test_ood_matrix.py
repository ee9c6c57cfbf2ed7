"""The table of players and suites: its numbers, its pairs, its text, and the cell that opens."""

import json
from dataclasses import replace
from importlib.resources import files

import pytest

from labkit.envs import game, judge, start
from labkit.errors import UsageError
from labkit.evaluation import evaluate, measure
from labkit.evaluation.metrics import wilson
from labkit.evaluation.paired import difference
from labkit.evaluation.seeds import pooled
from labkit.players.simple import Random
from labkit.runs import Run
from labkit.views.widgets.ood_matrix import OODMatrix

RIGHT = '{"cards": ["4","A","3","2"], "number": [4,1,3,2], "formula": "4*1*3*2=24"}'
HOSTILE = "<img src=x onerror=alert(1)>"


def result(player: str, suite: str, solved: str, seed: int = 0):
    """One deal for each mark of ``solved``: ``+`` solved, ``-`` not."""
    episodes = []
    for index, mark in enumerate(solved):
        task = game("gp-l").task(hand=["4", "A", "3", "2"], attempts=1)
        task = replace(task, suite=suite, index=index, seed=seed)
        episodes.append(judge(start(task, player), RIGHT if mark == "+" else "no"))
    return measure(episodes)


@pytest.fixture
def results():
    return [
        result("tiny:gp-l/init", "id", "++++++++----------------"),
        result("tiny:gp-l/init", "rule-ood", "++++++++++++------------"),
        result(f"sft {HOSTILE}", "id", "++++++++++++++++++++----"),
        result(f"sft {HOSTILE}", "rule-ood", "+-----------------------"),
        result("tiny:gp-l/rl", "id", "++++++++--+-------------"),
    ]


@pytest.fixture
def matrix(results):
    return OODMatrix(results)


def cells(page) -> list[list[str]]:
    return [[c.text for c in row.all("td")] for row in page.all("tbody")[0].all("tr")]


def test_rows_and_columns_are_in_the_order_given(matrix):
    assert matrix.players == ["tiny:gp-l/init", f"sft {HOSTILE}", "tiny:gp-l/rl"]
    assert matrix.suites == ["id", "rule-ood"]


def test_a_cell_has_the_rate_its_interval_and_n(matrix):
    assert matrix.value("tiny:gp-l/init", "id") == (8 / 24, 24, wilson(8 / 24, 24))
    assert matrix.value("tiny:gp-l/rl", "rule-ood") is None


def test_a_change_is_paired_with_the_first_row(matrix, results):
    change = matrix.change(f"sft {HOSTILE}", "id")
    assert change.value == pytest.approx(12 / 24)
    assert change == difference(results[0].episodes, results[2].episodes)
    assert matrix.change("tiny:gp-l/init", "id") is None


def test_other_deals_are_not_paired(results):
    elsewhere = result("rl", "id", "+" * 24, seed=1)
    matrix = OODMatrix([results[0], elsewhere])
    assert matrix.change("rl", "id") is None
    assert "not paired" in matrix.static().data


def test_the_table_is_text_with_inline_styles_only(matrix, parse):
    html = matrix.static().data
    page = parse(html)
    assert not page.all("style") and not page.all("script") and not page.all("img") and not page.all("button")
    assert "class=" not in html
    assert [h.text for h in page.all("tbody")[0].all("th")] == [
        "■ tiny:gp-l/init",
        f"■ sft {HOSTILE}",
        "■ tiny:gp-l/rl",
    ]
    assert [h.text for h in page.all("thead")[0].all("th")] == ["player", "idsuccess", "rule-oodsuccess"]


def test_numbers_are_always_printed_and_marked_where_clear_of_zero(matrix, parse):
    rows = cells(parse(matrix.static().data))
    assert rows[0][0].startswith("33.3% [18.0, 53.3]") and rows[0][0].endswith("n = 24")
    assert rows[1][0].startswith("▲ 83.3%") and "+50.0 [" in rows[1][0]
    assert rows[1][1].startswith("▼ 4.2%") and "−45.8 [−" in rows[1][1]
    # One deal more of 24: an interval that holds 0.
    assert rows[2][0].startswith("37.5%") and "+4.2 [−" in rows[2][0]
    assert rows[2][1] == "not played"
    turned = cells(parse(matrix.static(change=True).data))
    assert turned[1][0].startswith("▲ +50.0 [") and "83.3%" in turned[1][0]
    assert turned[0][0].startswith("the reference") and "33.3%" in turned[0][0]


def test_colours_are_of_the_change_with_white_at_zero(matrix, parse):
    def ground(cell) -> str:
        return cell.attributes["style"].split("background:")[1][:7]

    rows = [[ground(c) for c in row.all("td") if "background" in c.attributes["style"]]
            for row in parse(matrix.static().data).all("tbody")[0].all("tr")]  # fmt: skip
    assert rows[0] == ["#FFFFFF", "#FFFFFF"]
    (up_red, up_blue), (down_red, down_blue) = ((int(c[1:3], 16), int(c[5:], 16)) for c in rows[1])
    assert up_blue > up_red and down_red > down_blue


def test_a_stored_evaluation_is_measured_again(results, tmp_path):
    run = Run.create(tmp_path, "eval-gp-l", "cell: gp-l\n")
    for one in results[:2]:
        run.put_episodes(one.suite, one.episodes)
    with pytest.raises(UsageError, match="no finished evaluation"):
        OODMatrix([run])
    told = {one.suite: one.to_dict() for one in results[:2]}
    (run.path / "results.json").write_text(json.dumps({"suites": told}))
    for given in (run, str(run.path)):
        matrix = OODMatrix([given])
        assert matrix.value("tiny:gp-l/init", "rule-ood").value == 0.5


@pytest.fixture
def seeds():
    """A row of one Init and a row of three seeds that disagree: 12, 16 and 20 of 24 deals."""
    init = result("tiny:gp-l/init", "id", "+" * 8 + "-" * 16)
    return init, [result(f"run:{n}", "id", "+" * n + "-" * (24 - n)) for n in (12, 16, 20)]


def test_seeds_of_a_named_row_are_pooled(seeds, parse):
    init, trained = seeds
    matrix = OODMatrix({"Init": [init], "RL": trained})
    assert matrix.players == ["Init", "RL"] and matrix.value("Init", "id") == (8 / 24, 24, wilson(8 / 24, 24))
    assert matrix.value("RL", "id").value == pytest.approx(16 / 24)
    change = matrix.change("RL", "id")
    assert change.value == pytest.approx(8 / 24)
    assert change == pooled([(init.episodes, one.episodes) for one in trained]).change
    # Seeds 4/24 apart: their mean is known to within t(2) = 4.30 times (4/24) / sqrt(3) at best.
    widths = [interval[1] - interval[0] for interval in (change.ci95, matrix.value("RL", "id").ci95)]
    one = OODMatrix({"Init": [init], "RL": trained[1:2]})
    assert widths[0] > one.change("RL", "id").ci95[1] - one.change("RL", "id").ci95[0]
    assert widths[1] > wilson(16 / 24, 24)[1] - wilson(16 / 24, 24)[0]
    told = cells(parse(matrix.static().data))[1][0]
    assert told.startswith(("66.7% [", "▲ 66.7% ["))
    assert told.endswith("n = 24, 3 seeds")
    assert len(matrix.episodes("RL", "id")) == 72 and not matrix.episodes("RL", "id")[0].success


def test_rows_of_as_many_seeds_are_compared_seed_for_seed(seeds):
    init, trained = seeds
    two = OODMatrix({"SFT": trained[:2], "RL": trained[1:]})
    pairs = [(trained[0].episodes, trained[1].episodes), (trained[1].episodes, trained[2].episodes)]
    assert two.change("RL", "id") == pooled(pairs).change
    assert two.change("RL", "id").value == pytest.approx(4 / 24)
    # Two against three cannot be paired.
    assert OODMatrix({"SFT": trained[:2], "RL": trained}).change("RL", "id") is None
    elsewhere = result("run:9", "id", "+" * 24, seed=1)
    with pytest.raises(UsageError, match="RL on id are not of the same deals"):
        OODMatrix({"RL": [trained[0], elsewhere]})


def test_what_cannot_be_shown_says_so(results):
    with pytest.raises(UsageError, match="evaluate a player first"):
        OODMatrix([])
    with pytest.raises(UsageError, match="two results of tiny:gp-l/init on id"):
        OODMatrix([results[0], results[0]])


def test_a_cell_opens_its_episodes_failures_first(matrix):
    switch, table, episodes = matrix.widget().children
    table.pressed = [2, 1]
    head, viewer = episodes.children
    assert "on id" in head.value and "&lt;img" in head.value
    assert [e.success for e in matrix.episodes(f"sft {HOSTILE}", "id")] == [False] * 4 + [True] * 20
    assert "not solved" in viewer.children[1].value
    for pressed in ([99, 2], [-1, 3], ["0", 4], []):
        table.pressed = pressed
    assert episodes.children == (head, viewer), "what is no cell opens nothing"


def test_the_switch_shows_changes(matrix, parse):
    switch, table, _ = matrix.widget().children
    assert cells(parse(table.html))[1][0].startswith("▲ 83.3%")
    switch.value = True
    assert cells(parse(table.html))[1][0].startswith("▲ +50.0")
    assert [b.attributes["data-cell"] for b in parse(table.html).all("button")] == list("01234")


@pytest.mark.browser
def test_the_page_tells_which_cell_was_pressed_and_keeps_the_place(chromium, matrix):
    script = files("labkit.views.widgets").joinpath("static", "cells.js").read_text(encoding="utf-8")
    page = chromium.new_page()
    pressed = page.evaluate(
        """async ([script, before, after]) => {
            const url = URL.createObjectURL(new Blob([script], {type: "text/javascript"}));
            const cells = (await import(url)).default;
            const listeners = {}, state = {html: before}, saved = [];
            const model = {
                get: name => state[name],
                set: (name, value) => { state[name] = value; },
                save_changes: () => saved.push(state.pressed[0]),
                on: (event, told) => { listeners[event] = told; },
            };
            const el = document.createElement("div");
            document.body.append(el);
            cells.render({model, el});
            el.querySelector("strong").click();
            const button = el.querySelector('[data-cell="3"]');
            button.focus();
            button.click();
            el.querySelector("th").click();
            state.html = after;
            listeners["change:html"]();
            return [saved, document.activeElement.dataset.cell, document.activeElement.innerText.slice(0, 7)];
        }""",
        [script, matrix._table(False, live=True), matrix._table(True, live=True)],
    )
    assert pressed == [[0, 3], "3", "▼ −45.8"]
    page.close()


def test_the_headline_of_routes_has_the_rates_without_survivors_beside_it(parse):
    asked = evaluate(Random(), "virl-l", "rule-ood", split="test", episodes=4, ask_every_position=True)
    shown = cells(parse(OODMatrix([asked]).static().data))[0][0]
    for name, label in (
        ("turns_first_attempt", "turns right at the first attempt"),
        ("first_position", "first position right at the first attempt"),
        ("every_position", "every position asked once, right"),
    ):
        assert f"{label}: {asked.details[name].value:.1%}" in shown
    # Runs of before have no such play.
    old = OODMatrix([evaluate(Random(), "virl-l", "rule-ood", split="test", episodes=4)])
    assert "every position asked once, right: not measured" in cells(parse(old.static().data))[0][0]


def test_few_seeds_are_said_to_be_about_deals_only(seeds):
    init, trained = seeds
    said = "about these deals only"
    assert said in OODMatrix([init, trained[0]]).static().data
    assert said in OODMatrix({"Init": [init], "RL": trained[:2]}).static().data
    assert said not in OODMatrix({"Init": [init], "RL": trained}).static().data
