"""Trackers: what TensorBoard reads back is what the run's own file says."""

import sys

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from labkit.errors import UsageError
from labkit.runs import listing
from labkit.training import train
from labkit.training.common.state import TrainState
from tests.tiny_models import trainable
from tests.training import small_games


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    small_games.saved(folder)
    return str(folder)


def written(folder, **settings):
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def reinforced(model, **changes):
    config = {"stage": "rl", "model": model, "cell": "bandit", "updates": 4, "episodes": 8, "max_new_tokens": 1}
    return {**config, "lr": 1e-2, "save_every": 2, "trackers": ["tensorboard"], **changes}


def read_back(run):
    """Of each scalar its steps and values, as TensorBoard shows them."""
    events = EventAccumulator(str(run.path / "trackers" / "labkit"), size_guidance={"scalars": 0}).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def own(run):
    """The same of the run's own file."""
    found = {}
    for line in run.metrics():
        for name, value in line.items():
            if name != "step" and not isinstance(value, list):
                found.setdefault(name, []).append((line["step"], pytest.approx(value, rel=1e-6)))
    return found


def test_every_number_is_there_under_its_name_and_step(model, tmp_path):
    run = train(written(tmp_path, **reinforced(model)), out=tmp_path / "runs")
    found = read_back(run)
    assert [step for step, _ in found["rollout/return"]] == [1, 2, 3, 4]
    assert found == own(run)


def test_a_supervised_run_and_its_probes_too(tmp_path):
    trainable(tmp_path / "model")
    small = {"steps": 2, "batch_size": 2, "lr": 1e-3, "probe": {"every": 2, "episodes": 2}}
    path = written(tmp_path, stage="sft", model=str(tmp_path / "model"), trackers=["tensorboard"], **small)
    run = train(path, out=tmp_path / "runs")
    found = read_back(run)
    assert [step for step, _ in found["eval/id/success"]] == [0, 2]
    assert found == own(run)


def test_steps_that_are_done_again_are_there_once(model, tmp_path, monkeypatch):
    path = written(tmp_path, **reinforced(model))
    save, count = TrainState.save, 0

    def cut(self, step, **more):
        nonlocal count
        count += 1
        if count == 2:
            raise KeyboardInterrupt
        return save(self, step, **more)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrainState, "save", cut)
        train(path, out=tmp_path / "runs")
    (run,) = listing(tmp_path / "runs")
    # Four were done and logged, two saved.
    assert [m["step"] for m in run.metrics()] == [1, 2, 3, 4]
    run = train(resume=run.id, out=tmp_path / "runs")
    assert len(list((run.path / "trackers" / "labkit").iterdir())) == 2
    found = read_back(run)
    assert [step for step, _ in found["loss/policy_avg"]] == [1, 2, 3, 4]
    assert found == own(run)


def test_without_trackers_there_is_nothing_of_them(model, tmp_path):
    run = train(written(tmp_path, **reinforced(model, updates=1, trackers=[])), out=tmp_path / "runs")
    assert not (run.path / "trackers").exists()


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio"])
def test_a_missing_package_is_named_before_anything_is_done(model, tmp_path, monkeypatch, name):
    # As if it were not installed.
    monkeypatch.setitem(sys.modules, name, None)
    path = written(tmp_path, **reinforced(model, trackers=[name]))
    with pytest.raises(UsageError, match=f"{name} is not installed; `pip install {name}`"):
        train(path, out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_an_unknown_tracker_is_refused(model, tmp_path):
    with pytest.raises(UsageError, match=r"trackers.*'tensorbord'"):
        train(written(tmp_path, **reinforced(model, trackers=["tensorbord"])), out=tmp_path / "runs")
