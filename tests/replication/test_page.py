"""What is drawn and written: the picture's numbers, the page, RESULTS.md."""

import gzip
import json
import re
import runpy
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from labkit.errors import UsageError
from labkit.replication import Archive, load_plan, plans
from labkit.replication.draw import alt_text, draw
from labkit.replication.findings import findings
from labkit.replication.missing import missing_jobs
from labkit.replication.page import Entry, html, pictures
from labkit.replication.report import HEADLINE, results
from labkit.replication.show import show_figure
from labkit.replication.stored import collect
from labkit.runs import Run
from labkit.views.palette import METHODS
from tests.replication.stored_runs import FIGURE, HANDS, RL_HITS, SFT_HITS, lay_out, share_with, train

REPOSITORY = Path(__file__).parents[2]


def _data(repository, name):
    return collect(load_plan(repository / "configs" / "figures" / f"{name}.yaml"), Archive([repository / "results"]))


def _named(figure, name):
    return [t for t in figure.data if t.name == name]


def test_a_figure_is_shown_in_a_notebook(repository, tmp_path, capsys):
    plan = repository / "configs" / "figures" / "05.yaml"
    data = show_figure(plan, Archive([repository / "results"]), "id")
    out = capsys.readouterr().out
    assert out.startswith("Figure 5. Which?\nThe paper: SFT falls.\n")
    # The picture, in the words of a terminal; then one finding a claim, and nothing is missing.
    assert "Figure({" in out and "missing" not in out
    assert out[out.index("•") :].replace("\n  ", " ").splitlines() == [f"• {f.sentence}" for f in findings(data)]
    assert len(findings(data)) == 2
    # No line is broken within a word by a notebook that is 100 characters wide.
    assert max(map(len, out[out.index("•") :].splitlines())) <= 96 < max(len(f.sentence) for f in findings(data))

    assert not show_figure(plan, Archive([tmp_path]))
    out = capsys.readouterr().out
    assert "4 runs or evaluations are missing; `labkit figures 05 --run` makes them." in out
    assert "Figure({" not in out and "•" not in out


def test_a_control_alone_is_no_picture(tmp_path):
    folder = lay_out(tmp_path, f05={**FIGURE, "claims": [{"curve": "RL", "says": "rises"}]})
    figure = load_plan(folder / "05.yaml")
    sft, rl = (next(c for c in figure.curves if c.method == method) for method in ("sft", "rl"))
    train(tmp_path / "runs", sft.config, sft.words(100), SFT_HITS)
    page = Path("docs/results/05.md")
    pages, drawn = results([figure], Archive([tmp_path / "runs"]))
    assert "Not stored yet: `labkit figures 05` says what to run." in pages[page] and not drawn
    train(tmp_path / "runs", rl.config, rl.words(100), RL_HITS)
    pages, drawn = results([figure], Archive([tmp_path / "runs"]))
    assert "Not stored yet" not in pages[page] and [data.figure.id for data in drawn] == ["05"]


def test_every_probe_of_every_seed_is_in_the_picture(repository):
    figure = draw(_data(repository, "05"))
    colours = {"SFT": METHODS["sft"], "RL": METHODS["rl"]}
    for name, suite_y in (("SFT", [[0.25, 0.5, 0.75], [0.5, 0.3, 0.1]]), ("RL", [[0.25, 0.3, 0.4], [0.5, 0.5, 0.55]])):
        seeds = [list(t.y) for t in _named(figure, name) if t.mode == "lines+markers"]
        assert seeds == [pytest.approx(y) for y in (suite_y[0], suite_y[0], suite_y[1], suite_y[1])]
        means = [t for t in _named(figure, name) if t.mode == "markers"]
        assert [list(t.y) for t in means] == [pytest.approx(y) for y in suite_y]
        assert {t.marker.color for t in means} == {colours[name]}
        # One entry in the legend, though there are traces in two panels.
        assert sum(t.showlegend is not False for t in _named(figure, name)) == 1
    bands = [t for t in figure.data if t.fill == "toself"]
    assert len(bands) == 4 and all(min(t.y) >= 0 and max(t.y) <= 1 for t in bands)


def test_the_x_axis_can_be_exchanged_for_updates_and_for_id_success(repository):
    figure = draw(_data(repository, "05"))
    buttons = {b.label: b.args for b in figure.layout.updatemenus[0].buttons}
    assert list(buttons) == ["FLOPs", "the paper's FLOPs", "updates", "ID success"]
    means = [i for i, t in enumerate(figure.data) if t.mode == "markers"]
    for label, sft, rl in (
        ("FLOPs", [0, 0.06, 0.12], [0, 0.016, 0.032]),
        # RL trains on 6e6 a token: 0.012 and 0.024, times 1 + 6 / 3 for what the paper's loop reads again.
        ("the paper's FLOPs", [0, 0.06, 0.12], [0, 0.036, 0.072]), ("updates", [0, 10, 20], [0, 2, 4]),
        ("ID success", [0.25, 0.5, 0.75], [0.25, 0.3, 0.4]),
    ):  # fmt: skip
        restyle, relayout, indices = buttons[label]
        assert len(restyle["x"]) == len(indices) == len(figure.data)
        assert all(len(x) == len(figure.data[i].y) for x, i in zip(restyle["x"], indices, strict=True))
        x = dict(zip(indices, restyle["x"], strict=True))
        assert [x[i] for i in means] == [pytest.approx(v) for v in (sft, sft, rl, rl)]
        assert relayout["xaxis.title.text"] == relayout["xaxis2.title.text"]
    assert list(figure.data[means[0]].x) == pytest.approx([0, 0.06, 0.12])
    assert list(draw(_data(repository, "05"), "updates").data[means[0]].x) == [0, 10, 20]


def test_growth_has_bars_besides_that_the_switch_leaves_alone(repository):
    figure = draw(_data(repository, "10"))
    bars = [i for i, t in enumerate(figure.data) if t.type == "bar"]
    # At the RL runs' 3.2e10 FLOPs SFT has not moved yet: its next probe is at 6e10.
    assert [list(figure.data[i].y) for i in bars] == [pytest.approx([0.0]), pytest.approx([5.0])]
    for button in figure.layout.updatemenus[0].buttons:
        assert not set(bars) & set(button.args[2])


def test_the_papers_numbers_stand_beside_ours(repository):
    figure = draw(_data(repository, "06"))
    paper = [(list(t.y), t.marker.symbol) for t in _named(figure, "the paper")]
    assert paper[:2] == [([0.115], "diamond-open"), ([0.034], "diamond-open")]
    assert paper[2][0] == pytest.approx([-8.1])
    bars = {t.name: list(t.y) for t in figure.data if t.type == "bar"}
    assert bars["SFT"] == pytest.approx([share_with("id", "K"), share_with("rule-ood", "K")])


def test_the_config_s_own_settings_are_ringed_in_the_grid(repository):
    data = _data(repository, "grid")
    figure = draw(data)
    rings = _named(figure, "chosen")
    # lr 1e-4 and kl .02, in both panels; drawn a little aside of the other kl.
    assert [round(r.x[0], 5) for r in rings] == [1e-4, 1e-4]
    assert [r.y[0] for r in rings] == pytest.approx([0.4, 0.55])
    lines = [t for t in figure.data if t.mode == "lines+markers"]
    assert [t.name for t in lines] == ["RL, kl 0"] * 2 + ["RL, kl 0.02"] * 2
    assert all(len(t.x) == 2 for t in lines)


def test_the_picture_is_told_in_words(repository):
    told = alt_text(_data(repository, "05"))
    assert "SFT on gp-l id: from 25.0% to 75.0%" in told
    assert "RL on gp-l rule-ood: from 50.0% to 55.0%" in told


def test_nothing_stored_cannot_be_drawn(repository):
    figure = load_plan(repository / "configs" / "figures" / "05.yaml", seeds=(9,))
    with pytest.raises(ValueError, match="nothing is stored of figure 05"):
        draw(collect(figure, Archive([repository / "results"])))


class _Page(HTMLParser):
    """What a page would fetch, and its text."""

    def __init__(self):
        super().__init__()
        self.fetched, self.tags, self.words = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.fetched += [v for k, v in attrs if k in ("src", "href")]

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_fetches_nothing_holds_plotly_once_and_escapes(repository, tmp_path):
    wicked = {**FIGURE, "title": "<img src=x onerror=alert(1)>", "seeds": [100, 101, 102]}
    figure = load_plan(lay_out(tmp_path, f05=wicked) / "05.yaml")
    archive = Archive([repository / "results"])
    entries = [Entry(_data(repository, "06"), []), Entry(collect(figure, archive), missing_jobs(figure, archive))]
    text = html(entries)
    page = _Page()
    page.feed(text)
    assert page.fetched == []
    assert text.count("plotly.js v") == 1
    assert "img" not in page.tags
    assert page.tags.count("figure") == 2
    # The third seed is missing, of both methods, and is said as commands.
    assert sum("labkit train" in w and "seed=102" in w for w in page.words) == 1
    assert "SFT, gp-l" in page.words


def test_still_pictures_have_no_buttons_and_curves_have_one_for_each_axis(repository):
    found = pictures(_data(repository, "05"))
    assert list(found) == ["05.svg", "05-paper.svg", "05-updates.svg", "05-id.svg"]
    assert all(not f.layout.updatemenus for f in found.values())
    assert list(pictures(_data(repository, "06"), "png")) == ["06.png"]


def _write_results(folder):
    """The pages that the script writes, by path."""
    runpy.run_path(str(REPOSITORY / "scripts" / "results.py"))["main"](["--text"])
    written = [folder / "RESULTS.md", *sorted((folder / "docs" / "results").rglob("*.md"))]
    return {path: path.read_text(encoding="utf-8") for path in written}


def test_results_numbers_are_those_of_an_independent_reading(here):
    pages = _write_results(here)
    line = re.compile(r"\* (\w+), gp-l, (id|rule-ood), seed (\d+): ([\d.]+)%, n (\d+); `labkit[^`]*`; (.*)")
    sources = here / "docs" / "results" / "sources"
    text = "\n".join(page for path, page in pages.items() if path.parent == sources)
    found = line.findall(text)
    # Figures 05 and 10 show SFT and RL, two seeds and suites each; 06 the seed of SFT that was evaluated on every hand.
    assert len(found) == 4 * 4 + 2
    for method, suite, seed, value, n, links in found:
        paths = {word: sources / path for word, path in re.findall(r"\[(\w+)\]\(([^)]+)\)", links)}
        assert paths["run"].is_dir()
        if paths["numbers"].name == f"{suite}.jsonl.gz":
            assert "player: run:" in paths["config"].read_text()
            assert value == f"{100 * share_with(suite, 'K'):.1f}"
            continue
        assert f"seed: {seed}\n" in paths["config"].read_text()
        with gzip.open(paths["numbers"], "rt") as handle:
            won = [json.loads(episode)["status"] == "success" for episode in handle]
        assert (len(won), f"{100 * sum(won) / len(won):.1f}") == (int(n), value)
        assert paths["numbers"].name == f"{suite}-{20 if method == 'SFT' else 4}.jsonl.gz"
    rows = [
        [c.strip() for c in row.split("|")[1:-1]]
        for name in ("05", "06", "10")
        for row in pages[here / "docs" / "results" / f"{name}.md"].splitlines()
        if row.startswith("| SFT, gp-l | rule-ood")
    ]
    probed, every_one, again = rows
    assert every_one[2] == "success, 1 attempt, every one" and every_one[6] == "100"
    assert probed[2:4] == ["success, 1 attempt", "10.0%"] and probed[5:7] == [str(HANDS), "100, 101"]
    assert again == probed


def test_results_links_lead_somewhere_and_say_what_is_missing(here):
    pages = _write_results(here)
    for path, text in pages.items():
        for target in re.findall(r"(?<!!)\[[\w ,]+\]\(([^)]+)\)", text):
            # The page on evaluation is the repository's own.
            assert (path.parent / target).exists() or target == "docs/evaluation.md", (path, target)
        assert "!\\[" not in text
    # One SFT run of Figure 6 is not evaluated on every hand; without weights it is to be trained again first.
    six, five = (pages[here / "docs" / "results" / f"{name}.md"] for name in ("06", "05"))
    assert "2 runs or evaluations are not stored yet; `labkit figures 06` tells which." in six
    assert five.count("](../../results/figures/05.svg)") == 1
    # The first page has no run and no command of a number: they are one click away.
    assert "labkit train" not in pages[here / "RESULTS.md"] and "/config.yaml" not in pages[here / "RESULTS.md"]


def test_the_table_of_signs_has_the_rates_beside_the_headline(repository, tmp_path):
    figure = load_plan(repository / "configs" / "figures" / "06.yaml")
    signed = replace(figure, plan=figure.plan.model_copy(update={"signs": True}))
    archive = Archive([repository / "results"])
    pages, _ = results([signed], archive)
    table = pages[Path("RESULTS.md")].partition("## How to read")[0]
    header, _, row = (line for line in table.splitlines() if line.startswith("|"))
    names = [cell.strip() for cell in header.split("|")[1:-1]]
    told = dict(zip(names, (cell.strip() for cell in row.split("|")[1:-1]), strict=True))
    gap = 100 * (share_with("rule-ood", "K") - share_with("rule-ood", "A"))
    assert told["change"] == "SFT against Init, gp-l rule-ood" and told["seeds"] == "1"
    # The evaluation names no temperature, which is greedy decoding; a probe has its own, whatever training samples at.
    assert told["temperature"] == "0"
    (end, *_), *_ = (ends for ends in _data(repository, "06").ends.values() if ends)
    probed = {"temperature": 1.0, "probe": {"temperature": 0.2}}
    for config, temperature in (({"temperature": 0.6}, 0.6), (probed, 0.2)):
        run = Run.create(tmp_path, "sampled", yaml.safe_dump(config))
        assert replace(end, run=run).temperature == temperature
    # With one attempt the first is all there is.
    assert told["headline"] == told["success at the first attempt"]
    assert told["headline"].startswith(f"{gap:+.1f}".replace("-", "−"))
    assert "numbers right in first answers" in names
    assert "SFT against" not in results([figure], archive)[0][Path("RESULTS.md")]


def test_a_headline_is_printed_only_if_the_stored_runs_show_it(repository, tmp_path):
    figure, path = load_plan(repository / "configs" / "figures" / "05.yaml"), tmp_path / "headline.yaml"
    archive = Archive([repository / "results"])
    held = {"figure": "05", "cell": "gp-l", "curve": "SFT", "than": "start", "says": "falls"}
    path.write_text(yaml.safe_dump({"statements": [{"says": "SFT falls.", "holds": [held]}]}))
    with pytest.raises(UsageError, match=r"the stored runs do not show that SFT falls .*'SFT falls\.'"):
        # Two seeds decide nothing.
        results([figure], archive, path)
    path.write_text(yaml.safe_dump({"statements": [{"says": "Nothing is claimed.", "holds": []}]}))
    assert "**Nothing is claimed.**" in results([figure], archive, path)[0][Path("RESULTS.md")]


def test_results_are_the_same_whatever_the_order_of_the_folder(here):
    first = _write_results(here)
    assert _write_results(here) == first
    assert not [path for path, text in first.items() if str(here) in text]


@pytest.mark.slow(reason="computes every interval of every figure")
def test_the_repositorys_results_are_what_the_script_makes_of_the_stored_runs(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    figures = [load_plan(path) for path in plans().values()]
    pages, drawn = results(figures, Archive(["results"]), HEADLINE)
    stored = {path for path in [Path("RESULTS.md"), *Path("docs/results").rglob("*.md")] if path.is_file()}
    assert stored == pages.keys(), "run `make results` and commit what it writes"
    for path, text in pages.items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: run `make results` and commit what it writes"
    for data in drawn:
        assert (REPOSITORY / "results" / "figures" / f"{data.figure.id}.svg").is_file()


def test_the_repositorys_stored_runs_are_small_and_hold_no_weights():
    files = [p for p in (REPOSITORY / "results").rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) < 36_000_000
    assert not [p for p in files if p.suffix in (".safetensors", ".pt", ".bin")]
