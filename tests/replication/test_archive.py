"""Runs are found by what they ran, and kept without what nobody reads."""

import json

import pytest
import yaml

from labkit.errors import UsageError
from labkit.replication import Archive, keep, load_plan
from labkit.replication.archive import recipe_of
from labkit.replication.missing import missing_jobs
from labkit.replication.plan import Evaluation
from labkit.runs import Run
from tests.replication.stored_runs import FIGURE, RL, SFT, dealt, evaluate, every, hand_of, lay_out, train

HITS = {0: {"id": 10, "rule-ood": 20}, 10: {"id": 20, "rule-ood": 12}, 20: {"id": 30, "rule-ood": 4}}


@pytest.fixture
def world(tmp_path):
    """A plan with SFT, RL from Init, and RL from SFT's step 10."""
    plan = {
        **FIGURE,
        "seeds": [100],
        "curves": [
            *FIGURE["curves"],
            {"name": "on", "method": "rl", "config": "gp-l/rl.yaml", "start": {"curve": "SFT", "step": 10}},
        ],
    }
    return tmp_path, load_plan(lay_out(tmp_path, f05=plan) / "05.yaml")


def _train(root, curve, *more, hits=HITS, seed=100):
    steps = hits if curve.method == "sft" else {0: hits[0], 2: hits[10], 4: hits[20]}
    return train(root, curve.config, [*curve.words(seed), *more], steps)


def test_a_recipe_is_what_is_learnt_not_how_it_is_carried_out():
    plain = recipe_of(SFT)
    assert recipe_of({**SFT, "name": "x", "checkpoints": [5], "save_every": 7, "micro_batch_tokens": 99}) == plain
    # A default that is written out is no difference.
    assert recipe_of({**SFT, "loss": "cross-entropy"}) == plain
    for key, value in {"lr": 2e-3, "seed": 1, "steps": 21, "model": "tiny:base", "kl": 0.1, "probe": None}.items():
        assert recipe_of({**SFT, key: value}) != plain
    assert recipe_of({**RL, "batch": 7}) == recipe_of(RL)
    with pytest.raises(UsageError, match="no stage 'eval'"):
        recipe_of({"stage": "eval"})


def test_a_run_is_found_whatever_its_id_and_only_under_its_seed_and_settings(world):
    root, figure = world
    sft = figure.curves[0]
    run = _train(root / "runs", sft, "name=other")
    archive = Archive([root / "runs"])
    assert archive.trained(archive.asked(sft, 100)).id == run.id
    assert archive.trained(archive.asked(sft, 101)) is None
    assert archive.trained(archive.asked(figure.curves[1], 100)) is None


def test_a_run_that_did_not_end_does_not_count_and_one_that_collapsed_does(world):
    root, figure = world
    sft = figure.curves[0]
    run = _train(root / "runs", sft)
    for status, more, counts in (
        ("stopped", {}, False), ("failed", {}, False), ("stopped", {"reason": "entropy"}, True), ("finished", {}, True),
    ):  # fmt: skip
        run.set_status(status, **more)
        archive = Archive([root / "runs"])
        assert (archive.trained(archive.asked(sft, 100)) is not None) == counts


def test_a_run_that_goes_on_from_another_is_known_by_that_ones_recipe(world):
    root, figure = world
    sft, _, on = figure.curves
    first = _train(root / "runs", sft)
    for name in (
        f"run:{first.id}@10",
        f"runs/{first.id}/checkpoints/step-10",
        f"/far/away/{first.id}/checkpoints/step-10",
    ):
        run = _train(root / "runs", on, f"model={name}")
        archive = Archive([root / "runs"])
        assert archive.trained(archive.asked(on, 100)).id == run.id
        run.set_status("failed")
    for name in (f"run:{first.id}@20", "run:elsewhere@10", "tiny:gp-l/init"):
        _train(root / "runs", on, f"model={name}")
        archive = Archive([root / "runs"])
        assert archive.trained(archive.asked(on, 100)) is None
    # Without a step it is the last one.
    assert archive.origin(f"run:{first.id}") == archive.origin(f"run:{first.id}@20")


def test_an_evaluation_is_found_by_who_played_and_how(world):
    root, figure = world
    asked = Evaluation(suites=("id",), split="test", attempts=None)
    run = _train(root / "runs", figure.curves[0])
    hands = {"id": {hand_of(t) for t in every("id")}}
    for settings in (
        {"split": "dev"},
        {"episodes": 50},
        {"seed": 3},
        {"attempts": 2},
        {"faces": "J=5"},
        {"temperature": 1.0},
    ):
        evaluate(root / "runs", f"run:{run.id}@20", hands, **settings)
    assert Archive([root / "runs"]).evaluated(f"run:{run.id}", asked, "gp-l") == {}
    right = evaluate(root / "runs", f"run:{run.id}", hands)
    found = Archive([root / "runs"]).evaluated(f"run:{run.id}@20", asked, "gp-l")
    assert {suite: r.id for suite, r in found.items()} == {"id": right.id}
    # One that samples is asked for by its temperature, and not taken for a greedy one.
    sampling = asked.model_copy(update={"temperature": 1.0})
    (sampled,) = Archive([root / "runs"]).evaluated(f"run:{run.id}", sampling, "gp-l").values()
    assert sampled.config["temperature"] == 1.0
    cool = asked.model_copy(update={"temperature": 0.5})
    assert Archive([root / "runs"]).evaluated(f"run:{run.id}", cool, "gp-l") == {}


def test_what_lacks_is_said_as_the_command_that_makes_it(world):
    root, figure = world
    sft, rl, on = figure.curves
    config = sft.config.parent
    jobs = missing_jobs(figure, Archive([root / "runs"]), root / "runs")
    assert [(j.curve, j.ready) for j in jobs] == [("SFT", True), ("RL", True), ("on", False)]
    # SFT must leave the checkpoint from which the third goes on.
    assert jobs[0].words[3:] == ("seed=100", "probe.split=test", "checkpoints=[10]", "--out", str(root / "runs"))
    assert "model=run:ID@10" in jobs[2].words
    first = _train(root / "runs", sft)
    first.checkpoint(10).mkdir()
    _train(root / "runs", rl)
    (job,) = missing_jobs(figure, Archive([root / "runs"]), root / "runs")
    assert job.ready
    (word,) = [w for w in job.words if w.startswith("model=")]
    # The named checkpoint is the one that there is, from wherever the command is given.
    assert (job.curve, word.endswith(f"runs/{first.id}/checkpoints/step-10")) == ("on", True)
    _train(root / "runs", on, word)
    assert missing_jobs(figure, Archive([root / "runs"]), root / "runs") == []
    assert config.is_dir()


def test_a_source_whose_weights_are_gone_is_trained_again(world):
    root, figure = world
    for curve in figure.curves[:2]:
        keep(_train(root / "runs", curve), root / "results")
    jobs = missing_jobs(figure, Archive([root / "results"]), root / "runs")
    assert [(j.curve, j.words[0], j.ready) for j in jobs] == [("SFT", "train", True), ("on", "train", False)]


def test_an_interrupted_run_goes_on(world):
    root, figure = world
    run = _train(root / "runs", figure.curves[0])
    run.set_status("stopped")
    (run.path / "state").mkdir()
    job = missing_jobs(figure, Archive([root / "runs"]), root / "runs")[0]
    assert job.words == ("train", "--resume", run.id, "--out", str(root / "runs"))


def test_a_kept_run_is_lean_and_reads_as_the_same(world):
    root, figure = world
    run = _train(root / "runs", figure.curves[0])
    run.put_episodes("train-20", run.episodes("id-0"))
    (run.path / "state").mkdir()
    (run.path / "state" / "model.safetensors").write_bytes(b"0" * 100)
    kept = keep(run, root / "results")
    assert kept.config == run.config
    assert kept.metrics() == run.metrics()
    assert sorted(p.name for p in kept.path.iterdir()) == [
        "config.yaml",
        "environment.json",
        "episodes",
        "metrics.jsonl.gz",
        "status.json",
    ]
    assert kept.episode_names() == ["id-0", "id-20", "rule-ood-0", "rule-ood-20"]
    assert list(kept.episodes("id-20")) == list(run.episodes("id-20"))
    assert [e.success for e in kept.episodes("id-20")] == [True] * 30 + [False] * (len(dealt("id")) - 30)
    assert "pid" not in kept.status and "host" not in kept.status and kept.status["status"] == "finished"
    # Kept twice, the same bytes.
    before = {p: p.read_bytes() for p in kept.path.rglob("*") if p.is_file()}
    assert {p: p.read_bytes() for p in keep(run, root / "results").path.rglob("*") if p.is_file()} == before


def test_a_kept_run_says_nothing_of_the_machines_folders(world):
    root, figure = world
    run = _train(root / "runs", figure.curves[2], f"model={root}/runs/20260101-000000-toy-sft/checkpoints/step-10")
    environment = json.loads((run.path / "environment.json").read_text())
    environment["command"] = [
        "/home/someone/.venv/bin/labkit",
        "train",
        "/home/someone/configs/rl.yaml",
        "--set",
        "lr=1e-4",
    ]
    (run.path / "environment.json").write_text(json.dumps(environment))
    kept = keep(run, root / "results")
    assert yaml.safe_load((kept.path / "config.yaml").read_text())["model"] == "run:20260101-000000-toy-sft@10"
    assert json.loads((kept.path / "environment.json").read_text())["command"] == [
        "labkit",
        "train",
        "rl.yaml",
        "--set",
        "lr=1e-4",
    ]
    assert not any(str(root) in p.read_text() for p in kept.path.iterdir() if p.suffix in (".yaml", ".json"))


def test_a_training_run_can_be_kept_without_episodes_and_an_evaluation_cannot(world):
    root, figure = world
    kept = keep(_train(root / "runs", figure.curves[0]), root / "results", episodes=False)
    assert kept.episode_names() == [] and len(kept.metrics()) == 21
    judged = evaluate(root / "runs", "tiny:gp-l/init", {"id": set()})
    with pytest.raises(UsageError, match="has only episodes"):
        keep(judged, root / "results", episodes=False)


def test_only_a_run_that_has_ended_is_kept(world):
    root, figure = world
    run = _train(root / "runs", figure.curves[0])
    run.set_status("stopped")
    with pytest.raises(UsageError, match="only a run that has come to its end"):
        keep(run, root / "results")
    run.set_status("finished")
    kept = keep(run, root / "results")
    with pytest.raises(UsageError, match=r"kept in .* already"):
        keep(Run(kept.path), root / "results")
