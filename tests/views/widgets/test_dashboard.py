"""Learning curves: what is read, how it is drawn, and that a run is followed until it ends."""

import json
import sys
import threading
import time
from importlib.resources import files

import pytest
import yaml
from plotly.graph_objects import Figure
from plotly.offline import get_plotlyjs

from labkit.dispatch import remote
from labkit.dispatch.host import Host
from labkit.envs import game, judge, start
from labkit.errors import UsageError
from labkit.runs import Run
from labkit.views.palette import METHODS
from labkit.views.widgets.curves import panels_of, points_of, runs_of, smoothed
from labkit.views.widgets.dashboard import RunDashboard
from labkit.views.widgets.live import figure_data
from tests.cost import PATIENCE
from tests.tiny_models import trainable

RL = "stage: rl\nname: gp-l-rl\nupdates: 4\n"
SFT = "stage: sft\nname: gp-l-sft\nsteps: 2\n"


def probe(suite: str, value: float, low: float, high: float) -> dict:
    told = {f"eval/{suite}/success": value, f"eval/{suite}/ci95": [low, high], f"eval/{suite}/n": 50}
    return told | {f"eval/{suite}/success/change": 0.1, f"eval/{suite}/success/change_ci95": [0.0, 0.2]}


@pytest.fixture
def rl(tmp_path):
    """Four updates, probed before the first and after the second; episodes stored for that probe only."""
    run = Run.create(tmp_path, "gp-l-rl", RL)
    run.log({"step": 0, "flops": 0.0} | probe("id", 0.4, 0.3, 0.5) | probe("rule-ood", 0.2, 0.1, 0.3))
    for step in range(1, 5):
        said = {"step": step, "rollout/return": float(step), "policy/entropy_avg": 0.1, "seconds": 2.0}
        said |= {"flops": 100.0 * step, "trained_tokens": 10 * step, "sampled_tokens": 30 * step}
        said |= probe("id", 0.6, 0.5, 0.7) | probe("rule-ood", 0.3, 0.2, 0.4) if step == 2 else {}
        run.log(said)
    opened = start(game("gp-l").task(hand=["4", "A", "3", "2"], attempts=1), "someone")
    run.put_episodes("id-2", [judge(opened, "<b>no</b>")])
    run.set_status("finished")
    return run


@pytest.fixture
def sft(tmp_path):
    run = Run.create(tmp_path, "gp-l-sft", SFT)
    for step in (1, 2):
        run.log({"step": step, "loss": 1.0 / step, "flops": 50.0 * step, "trained_tokens": 5, "seconds": 1.0})
    run.set_status("finished")
    return run


def curve(figure, run: Run, metric: str, clickable: bool):
    """The traces of a run in a panel: those with a step behind each point, or the others."""
    found = [t for t in figure.data if tuple(t.meta) == (run.id, metric)]
    return [t for t in found if (t.customdata is not None) == clickable]


def test_panels_are_what_was_logged_probes_first(rl, sft):
    found = panels_of([rl.metrics(), sft.metrics()])
    assert found == ["eval/id/success", "eval/rule-ood/success", "rollout/return", "loss", "policy/entropy_avg"]
    assert panels_of([rl.metrics()], ["seconds", "no/such", "loss"]) == ["seconds"]


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        ("step", [1, 2, 3, 4]),
        ("flops", [100, 200, 300, 400]),
        ("tokens", [40, 80, 120, 160]),
        ("seconds", [2, 4, 6, 8]),
    ],
)
def test_each_axis_is_summed_up_from_the_start(rl, axis, expected):
    assert [p.x for p in points_of(rl.metrics(), "rollout/return", axis)] == expected
    probes = points_of(rl.metrics(), "eval/id/success", axis)
    assert [p.x for p in probes] == [0, expected[1]]
    assert [(p.y, p.ci95, p.n) for p in probes] == [(0.4, (0.3, 0.5), 50), (0.6, (0.5, 0.7), 50)]


def test_what_is_no_number_is_left_out(sft):
    sft.log({"step": 3, "loss": float("nan"), "seconds": 1.0})
    sft.log({"step": 4, "loss": None, "seconds": 1.0})
    sft.log({"step": 5, "loss": 0.25, "seconds": 1.0})
    assert [(p.step, p.x) for p in points_of(sft.metrics(), "loss", "seconds")] == [(1, 1), (2, 2), (5, 5)]


def test_smoothing_is_a_weighted_mean_of_what_came_before():
    assert smoothed([1, 3, 5], 0) == [1, 3, 5]
    # Weights 1/4, 1/2, 1 at the third value.
    assert smoothed([1, 3, 5], 0.5) == pytest.approx([1, (0.5 + 3) / 1.5, (0.25 + 1.5 + 5) / 1.75])
    assert smoothed([7, 7], 0.9) == pytest.approx([7, 7])


def test_the_raw_points_stay_behind_a_smoothed_line(rl):
    figure = RunDashboard(rl).static(smooth=0.5)
    (points,) = curve(figure, rl, "rollout/return", clickable=True)
    (line,) = curve(figure, rl, "rollout/return", clickable=False)
    assert list(points.y) == [1, 2, 3, 4] and points.mode == "markers"
    assert list(line.y) == pytest.approx(smoothed([1, 2, 3, 4], 0.5)) and line.mode == "lines"


def test_a_probe_is_drawn_with_its_interval_and_not_smoothed(rl):
    figure = RunDashboard(rl).static(x="flops", smooth=0.9)
    (line,) = curve(figure, rl, "eval/id/success", clickable=True)
    (band,) = curve(figure, rl, "eval/id/success", clickable=False)
    assert list(line.x) == [0, 200] and list(line.y) == [0.4, 0.6]
    assert list(band.x) == [0, 200, 200, 0] and list(band.y) == [0.5, 0.7, 0.5, 0.3]
    assert list(line.text) == ["40.0% [30.0%, 50.0%], n = 50", "60.0% [50.0%, 70.0%], n = 50"]


def test_a_method_has_its_colour_and_a_second_run_other_dashes(rl, sft, tmp_path):
    again = Run.create(tmp_path, "gp-l-rl-2", RL)
    again.log({"step": 1, "rollout/return": 1.0})
    figure = RunDashboard(rl, sft, again).static()
    lines = {t.meta[0]: t.line for t in figure.data if t.mode == "lines" and t.line.width == 2}
    assert lines[rl.id].color == lines[again.id].color == METHODS["rl"]
    assert lines[sft.id].color == METHODS["sft"]
    assert lines[rl.id].dash != lines[again.id].dash
    entries = [t.name for t in figure.data if t.showlegend]
    assert sorted(entries) == sorted(["gp-l-sft", rl.id, again.id]), "one each; ids where the name is not enough"


def test_the_static_form_is_a_plain_figure_that_needs_no_network(rl):
    figure = RunDashboard(rl).static()
    assert type(figure) is Figure
    page = figure.to_html(include_plotlyjs=False)
    assert "<script src=" not in page


def test_names_of_runs_are_text(tmp_path):
    run = Run.create(tmp_path, "x", "stage: rl\nname: <b>bold</b>\nupdates: 1\n")
    run.log({"step": 1, "rollout/return": 1.0})
    board = RunDashboard(run)
    assert {t.name for t in board.static().data} == {"&lt;b&gt;bold&lt;/b&gt;"}
    assert "&lt;b&gt;bold" in board.widget().children[1].value


def test_runs_are_named_by_themselves_ids_folders_and_globs(rl, sft, tmp_path):
    assert [r.id for r in runs_of(["gp-l-rl"], tmp_path)] == [rl.id]
    assert [r.id for r in runs_of([f"{tmp_path}/*-sft", rl, rl.path, str(rl.path)])] == [sft.id, rl.id]
    assert {r.id for r in runs_of(["*gp-l*"], tmp_path)} == {rl.id, sft.id}
    for none, said in ((["*-dpo"], "no run matches"), (["dpo"], "no run dpo"), ([], "no run to show")):
        with pytest.raises(UsageError, match=said):
            runs_of(none, tmp_path)
    with pytest.raises(UsageError, match="no axis 'hours'; use step, flops"):
        RunDashboard(rl).static(x="hours")
    with pytest.raises(UsageError, match="below 1"):
        RunDashboard(rl).static(smooth=1)


def test_a_run_without_a_line_yet_is_said_so(tmp_path):
    board = RunDashboard(Run.create(tmp_path, "sft", SFT))
    assert [a.text for a in board.static().layout.annotations] == ["nothing logged yet"]
    board.widget()
    board.close()


@pytest.fixture
def live(rl, sft):
    board = RunDashboard(rl, sft)
    yield board, *board.widget().children
    board.close()


def test_the_controls_redraw(live, rl):
    board, controls, state, plot, pick, episodes = live
    x, smooth, *_ = controls.children
    assert "finished, 4 of 4" in state.value and "finished, 2 of 2" in state.value
    x.value, smooth.value = "flops", 0.0
    figure = Figure(plot.figure)
    (line,) = curve(figure, rl, "rollout/return", clickable=False)
    assert list(line.x) == [100, 200, 300, 400] and list(line.y) == [1, 2, 3, 4]
    assert {a.title.text for a in figure.select_xaxes() if a.title.text} == {"FLOPs"}


def test_a_click_on_a_probe_shows_its_episodes_as_text(live, rl):
    board, controls, state, plot, pick, episodes = live
    traces = [tuple(t["meta"]) + ("customdata" in t,) for t in plot.figure["data"]]
    probe = traces.index((rl.id, "eval/id/success", True))
    plot.clicked = [probe, 1, 0]
    head, viewer = episodes.children
    assert "gp-l-rl: id after 2" in head.value and "1 episode" in head.value
    assert "&lt;b&gt;no&lt;/b&gt;" in viewer.children[1].value
    band = traces.index((rl.id, "eval/id/success", False))
    for where in (
        [probe, 2, 1],
        [99, 0, 2],
        [probe - len(traces), 0, 3],
        [probe, -1, 4],
        ["0", 0, 5],
        [band, 0, 6],
        [],
    ):
        plot.clicked = where
    assert episodes.children == (head, viewer), "what is no point opens nothing"


def test_episodes_can_be_chosen_without_a_mouse_and_missing_ones_are_said_so(live, rl):
    board, controls, state, plot, pick, episodes = live
    assert [words for words, _ in pick.options] == ["choose, or click a point", "gp-l-rl: id after 2"]
    pick.value = pick.options[1][1]
    assert len(episodes.children) == 2
    pick.value = None
    assert episodes.children == ()
    board._open((rl.id, "train-3"))
    assert "train after 3: no episodes were stored" in episodes.children[0].value


class Training:
    """A run in the background, as far as a dashboard knows one."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.alive = True
        self.stopped = threading.Event()

    def stop(self) -> None:
        self.alive = False
        self.run.set_status("stopped")
        self.stopped.set()


def until(holds) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it has not come"
        time.sleep(0.02)


def test_a_run_that_trains_is_followed_until_it_is_stopped(tmp_path):
    run = Run.create(tmp_path, "sft", SFT)
    training = Training(run)
    board = RunDashboard(training, every=0.05)
    controls, state, plot, *_ = board.widget().children
    stop = controls.children[3]
    assert "training, 0 of 2" in state.value and not stop.disabled and board.following
    for step in (1, 2):
        run.log({"step": step, "loss": 1.0 / step, "seconds": 1.0})
        until(lambda step=step: plot.figure["data"] and len(plot.figure["data"][0]["x"]) == step)
    stop.click()
    assert training.stopped.wait(PATIENCE)
    until(lambda: "stopped, 2 of 2" in state.value and stop.disabled)
    assert not board.following


def test_the_last_line_of_a_run_is_shown(tmp_path, monkeypatch):
    run = Run.create(tmp_path, "sft", SFT)
    training = Training(run)
    run.log({"step": 1, "loss": 1.0})
    board = RunDashboard(training, every=0.05)
    look = board.refresh

    def look_and_end() -> None:
        look()
        if training.alive and threading.current_thread() is not threading.main_thread():
            run.log({"step": 2, "loss": 0.5})
            training.alive = False

    monkeypatch.setattr(board, "refresh", look_and_end)
    board.widget()
    until(lambda: board._plot.figure["data"][0]["x"] == [1, 2])


def test_a_run_that_comes_to_fit_a_glob_later_is_taken_in(rl, tmp_path):
    board = RunDashboard(f"{tmp_path}/*-*l", every=0.05)
    other = RunDashboard(rl)
    _, state, plot, *_ = board.widget().children
    assert "gp-l-rl" in state.value and board.following, "others may come"
    later = Run.create(tmp_path, "virl-l-rl", RL.replace("gp-l", "virl-l"))
    later.log({"step": 1, "rollout/return": 7.0})
    Run.create(tmp_path, "gp-l-sft", SFT)
    until(lambda: any(t["meta"][0] == later.id for t in plot.figure["data"]))
    assert "virl-l-rl" in state.value and "sft" not in state.value, "what does not fit stays out"
    later.log({"step": 2, "rollout/return": 8.0})
    until(lambda: any(list(t["x"]) == [1, 2] for t in plot.figure["data"] if t["meta"][0] == later.id))
    board.close()
    assert not board.following and not other.following
    assert {t.meta[0] for t in RunDashboard(f"{tmp_path}/*-*l").static().data} == {rl.id, later.id}
    assert {t.meta[0] for t in other.static().data} == {rl.id}


def test_what_is_shown_stays_when_a_glob_fits_nothing_any_longer(rl, tmp_path):
    board = RunDashboard(f"{tmp_path}/*-rl")
    rl.path.rename(tmp_path / "away")
    with pytest.raises(UsageError, match="no run matches"):
        RunDashboard(f"{tmp_path}/*-rl")
    board._look_for_more()
    assert [s.run.id for s in board.sources] == [rl.id]


def test_a_closed_dashboard_looks_no_more(tmp_path):
    run = Run.create(tmp_path, "sft", SFT)
    board = RunDashboard(Training(run), every=0.05)
    before = threading.active_count()
    board.widget()
    assert threading.active_count() == before + 1
    board.close()
    until(lambda: threading.active_count() == before)
    assert not board.following


def test_runs_of_others_have_no_stop_button(live):
    assert [b.description for b in live[1].children[2:]] == ["Refresh"]


@pytest.mark.browser
def test_the_page_draws_each_figure_whole_and_tells_which_point_was_clicked(chromium, rl):
    page = chromium.new_page()
    seen = page.evaluate(
        """async ([script, library, before, after]) => {
            const url = URL.createObjectURL(new Blob([script], {type: "text/javascript"}));
            const live = (await import(url)).default;
            const listeners = {}, state = {library, figure: before}, saved = [];
            const model = {
                get: name => state[name],
                set: (name, value) => { state[name] = value; },
                save_changes: () => saved.push(state.clicked.slice(0, 2)),
                on: (event, told) => { listeners[event] = told; },
            };
            const el = document.createElement("div");
            document.body.append(el);
            await live.render({model, el});
            const plot = el.querySelector(".js-plotly-plot"), counts = [plot.data.length];
            state.figure = after;
            await listeners["change:figure"]();
            counts.push(plot.data.length);
            plot.emit("plotly_click", {points: [{curveNumber: 1, pointNumber: 0}]});
            const buttons = [...plot.querySelectorAll(".modebar-btn")].map(b => b.dataset.title);
            return [counts, plot.data[1].x, saved, buttons, plot.innerText.includes("Loading")];
        }""",
        [
            files("labkit.views.widgets").joinpath("static", "figure.js").read_text(encoding="utf-8"),
            get_plotlyjs(),
            {"data": [], "layout": {}},
            figure_data(RunDashboard(rl).static()),
        ],
    )
    counts, x, saved, buttons, loading = seen
    assert counts == [0, len(RunDashboard(rl).static().data)] and x == [0, 2]
    assert saved == [[1, 0]]
    assert not [b for b in buttons if "hare" in b or "loud" in b], "nothing is offered to be sent away"
    assert not loading
    page.close()


def test_a_notebook_stores_the_figure_beside_the_widget(rl, monkeypatch):
    sent = []
    monkeypatch.setattr("labkit.views.widgets.dashboard.show", lambda widget, fallback: sent.append(fallback))
    board = RunDashboard(rl)
    board._ipython_display_()
    board.close()
    (fallback,) = sent
    assert fallback["text/plain"] == "RunDashboard: gp-l-rl"
    assert len(json.dumps(fallback)) < 100_000
    assert {tuple(t["meta"])[1] for t in fallback["application/vnd.plotly.v1+json"]["data"]} >= {"eval/id/success"}


def test_runs_of_a_host_are_copied_while_the_dashboard_is_open(tmp_path):
    """A real run on this machine as a host, sent and followed as from elsewhere."""
    trainable(tmp_path / "model")
    config = {"stage": "rl", "model": str(tmp_path / "model"), "cell": "gp-l", "updates": 3, "episodes": 4, "lr": 1e-3}
    config |= {"attempts": 1, "max_new_tokens": 4, "stop": {"spread": 0, "patience": 1000}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    host = Host.parse({"name": "here", "folder": str(tmp_path / "there"), "python": sys.executable})
    [sent] = remote.send([tmp_path / "c.yaml"], host, out=tmp_path / "sender")
    for _ in sent.follow(every=0.1):
        pass
    board = RunDashboard(sent.run.id, host=host, root=tmp_path / "watcher")
    board.widget()
    assert [len(source.run.metrics()) for source in board.sources] == [3]
    assert "finished, 3 of 3" in board._state.value
    assert (tmp_path / "watcher" / sent.run.id / "metrics.jsonl").is_file()
    board.close()
    with pytest.raises(UsageError, match="no run"):
        RunDashboard("nonsense", host=host, root=tmp_path / "watcher")
