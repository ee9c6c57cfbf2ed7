"""The Train tab: a run is started, watched and stopped, here and on a host; names are escaped, lengths bounded."""

import json
import sys
import time
from urllib.parse import parse_qsl

import pytest
import yaml

from app.inspect.stores import Store
from app.train import handlers as handling
from app.train import settings as choosing
from app.train.handlers import TrainHandlers
from app.train.recipes import Recipe, recipes
from app.train.settings import TrainSettings
from app.train.trainer import Followed, Trainer
from labkit.dispatch import host as hosts
from labkit.dispatch import remote
from labkit.runs import Run
from tests.cost import PATIENCE
from tests.tiny_models import trainable

NASTY = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return trainable(tmp_path_factory.mktemp("model") / "small")


@pytest.fixture
def recipe(model, tmp_path, monkeypatch):
    """A recipe of updates that take a moment each."""
    config = {"stage": "rl", "name": "small", "model": str(model), "cell": "gp-l", "updates": 900, "episodes": 4}
    config |= {"attempts": 2, "max_new_tokens": 4, "lr": 1e-3, "save_every": 1, "stop": {"spread": 0, "patience": 1000}}
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(config))
    for module in (handling, choosing):
        monkeypatch.setattr(module, "recipes", lambda: {"small/rl": Recipe(path, "updates", 900)})
    return path


@pytest.fixture
def tab(tmp_path):
    trainer = Trainer(tmp_path / "runs")
    yield TrainHandlers([], trainer, Followed(trainer.out))
    trainer.stop()


def until(true):
    end = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def stored(root, name, config, *metrics, **status):
    """A run as it lies in a store, under a name of its own."""
    run = Run(root / name)
    run.path.mkdir(parents=True)
    (run.path / "config.yaml").write_text(yaml.safe_dump(config))
    (run.path / "status.json").write_text(json.dumps({"status": "finished", **status}))
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in metrics))
    return run


def test_recipes_start_from_bundled_models_and_have_a_length():
    found = recipes()
    assert {"gp-l/rl", "gp-l/sft", "virl-l/rl", "virl-l/sft"} <= found.keys()
    assert not any("authors" in name or "lora" in name or "qwen" in name for name in found)
    assert found["gp-l/rl"][1:] == ("updates", yaml.safe_load(found["gp-l/rl"].path.read_text())["updates"], True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"length": 901}, "at most 900 updates"),
        ({"length": 0}, "from 1 to"),
        ({"length": None}, "is empty"),
        ({"seed": -1}, "Seed"),
        ({"recipe": "../../etc/passwd"}, "no recipe"),
        ({"recipe": NASTY}, "&lt;img"),
    ],
)
def test_what_is_out_of_bounds_does_not_start(tab, recipe, changes, said):
    problem = tab.start(TrainSettings(**{"recipe": "small/rl", **changes}))["problem"]
    assert said in problem and "<img" not in problem
    assert not tab.trainer.busy


def test_a_run_is_started_seen_from_another_window_and_stopped(tab, recipe):
    assert tab.start(TrainSettings(recipe="small/rl", seed=3, length=900))["problem"] == ""
    assert "trains" in tab.start(TrainSettings(recipe="small/rl"))["problem"] or tab.trainer.starting
    run = until(lambda: tab.trainer.run)
    # Another window, which has a link only.
    query = dict(parse_qsl(tab.link(TrainSettings(recipe="small/rl", run=run, x="tokens"))["carrier"][1:]))
    opened = until(lambda: "of 900" in (found := tab.open(query))["standing"] and found["lamps"] and found)
    assert opened["run"]["value"] == run and opened["x"] == "tokens" and opened["stop"]["interactive"]
    assert "is running" in opened["standing"] and opened["timer"].active
    assert opened["curves"]["value"].data, "curves are drawn"
    assert f"run={run}" in opened["newest"] and "Signs of collapse" in opened["lamps"]
    stopped = tab.stop(TrainSettings(run=run))
    assert "is stopped" in stopped["standing"] and not tab.trainer.busy and not stopped["timer"].active
    found = Run(tab.trainer.out / run)
    assert (found.config["seed"], found.config["updates"]) == (3, 900)


def test_a_config_that_cannot_run_is_told(tab, recipe):
    recipe.write_text(recipe.read_text() + "episods: 3\n")
    tab.start(TrainSettings(recipe="small/rl"))
    until(lambda: not tab.trainer.busy)
    assert "did you mean &#x27;episodes&#x27;" in tab.show(TrainSettings())["standing"]


def test_lamps_tell_health_from_collapse(tab):
    config = {"stage": "rl", "name": "a", "updates": 2, "stop": {"kl": 0.5}}
    update = {"policy/entropy_avg": 0.2, "objective/kl": 0.7, "rollout/return_std": 1.0, "rollout/success": 0.5}
    stored(tab.trainer.out, "a", config, {"step": 1, **update})
    lamps = tab.show(TrainSettings(run="a"))["lamps"]
    assert "Entropy: 0.2 (nats a token, at least 0.001): <strong>healthy" in lamps
    assert "0.7 (nats a token, at most 0.5): <strong>beyond" in lamps and "KL to the initial policy rose" in lamps
    # A run without a KL has no lamp for it.
    stored(tab.trainer.out, "b", config, {"step": 1, **{k: v for k, v in update.items() if k != "objective/kl"}})
    assert "KL to the initial policy: not watched" in tab.show(TrainSettings(run="b"))["lamps"]


def test_names_and_reasons_are_escaped_and_paths_are_no_runs(tab, tmp_path):
    stored(tab.trainer.out, "a", {"stage": "sft", "name": NASTY, "steps": NASTY}, {"step": 1}, reason=NASTY)
    shown = tab.show(TrainSettings(run="a"))
    assert "&lt;img" in shown["standing"]
    assert not any("<img" in str(value) for value in (shown["standing"], shown["lamps"], shown["newest"]))
    stored(tmp_path, "outside", {"stage": "sft"}, {"step": 1})
    assert "Waiting" in tab.show(TrainSettings(run="../outside"))["standing"]


def test_an_invalid_link_is_told_and_opens_the_rest(tab):
    opened = tab.open({"tab": "train", "store": NASTY, "x": "moons", "seed": "7", "host": "nowhere"})
    assert all(name in opened["notice"] for name in ("store", "x", "host")) and "<img" not in opened["notice"]
    assert (opened["seed"], opened["x"], opened["host"]) == (7, "step", "")
    assert tab.open({"tab": "inspect"}).keys() == {"filled"}, "nothing is read for another tab"


def test_a_run_on_a_host_is_followed_and_stopped(tab, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(hosts, "HOSTS", tmp_path / "hosts")
    hosts.HOSTS.mkdir()
    (hosts.HOSTS / "here.yaml").write_text(
        yaml.safe_dump({"folder": str(tmp_path / "there"), "python": sys.executable})
    )
    [sent] = remote.send([recipe], hosts.load("here"), out=tmp_path / "elsewhere")
    chosen = TrainSettings(host="here", run=sent.run.id)
    assert sent.run.id in [value for _, value in tab.choose(chosen)["run"]["choices"]]
    shown = until(lambda: "update" in (found := tab.show(chosen))["standing"] and found["lamps"] and found)
    assert "is running" in shown["standing"] and shown["stop"]["interactive"]
    tab.stop(chosen)
    until(lambda: "is stopped" in tab.show(chosen)["standing"])
    assert sent.refresh()["status"] == "stopped"
    assert "choose one of the list" in tab.choose(TrainSettings(host="../h"))["problem"]


def test_the_stores_of_the_page_are_offered(tmp_path):
    results = Store(tmp_path / "results")
    stored(results.root, "old", {"stage": "sft", "steps": 1}, {"step": 1, "loss": 0.5})
    tab = TrainHandlers([results], Trainer(tmp_path / "runs"), Followed(tmp_path / "runs"))
    assert list(tab.stores) == ["results", "runs"]
    listed = tab.choose(TrainSettings(store="results"))["run"]
    assert listed["choices"][1:] == [("old (finished)", "old")]


def test_the_tab_opens_on_the_newest_run(tmp_path):
    """Stored runs stand in for new ones as long as there are none."""
    results, runs = Store(tmp_path / "results"), tmp_path / "runs"
    for name in ("20260101-000000-first", "20260102-000000-second"):
        stored(results.root, name, {"stage": "sft", "steps": 1}, {"step": 1, "loss": 0.5})
    tab = TrainHandlers([results], Trainer(runs), Followed(runs))
    opened = tab.open({"tab": "train"})
    assert opened["store"] == "results" and opened["run"]["value"] == "20260102-000000-second"
    assert "second" in opened["standing"] and opened["curves"]["visible"]
    stored(runs, "20250101-000000-own", {"stage": "rl", "updates": 1}, {"step": 1})
    opened = tab.open({"tab": "train"})
    assert opened["store"] == "runs" and "own" in opened["standing"]


def test_without_a_run_the_tab_says_how_to_get_one(tab):
    assert "Press Start" in tab.open({"tab": "train"})["standing"]
