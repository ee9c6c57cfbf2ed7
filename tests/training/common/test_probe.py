"""Evaluation inside a run: each probe is compared with the first one, deal by deal."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import yaml

from labkit.envs import cells, register
from labkit.envs.games import Row
from labkit.envs.general_points.cards import numbers_of, split_of, suite_rule
from labkit.evaluation import default
from labkit.evaluation.metrics import Trials
from labkit.evaluation.paired import difference
from labkit.runs import listing
from labkit.training import train
from labkit.training.common.state import TrainState
from labkit.training.rl.loop import _line
from tests.training import small_games

NAME = "eval/id/success"


class Prefix(small_games.Bandit):
    """Two levers; an answer that begins with ``b`` is right, however long it is."""

    def judge(self, episode, answer):
        return replace(super().judge(episode, answer.split(" ")[0]), answer=answer)


def second_answers(episode):
    """The right second answers, which nobody gives where one attempt is allowed."""
    later = episode.attempts[1:2]
    return Trials(sum(a.verdict.success for a in later), len(later))


SECOND = SimpleNamespace(**vars(default) | {"RATES": {"second": second_answers}, "headline": lambda task: "second"})

if "beginning" not in cells():
    register(Row(name="beginning", title="Beginning", cells={"beginning": "Beginning"}, game=Prefix))
    register(Row(name="second", title="Second", cells={"second": "Second"}, game=Prefix, measures=SECOND))


@pytest.fixture(scope="module")
def begin(tmp_path_factory):
    """Trains on the levers, with a probe of 40 deals every tenth update."""
    folder = tmp_path_factory.mktemp("model")
    small_games.saved(folder)
    probe = {"every": 10, "episodes": 40, "suites": ["id"], "split": "train", "seed": 9, "temperature": 1.0}
    config = {"stage": "rl", "model": str(folder), "cell": "beginning", "updates": 20, "episodes": 64, "lr": 0.01}
    config |= {"max_new_tokens": 1, "attempts": 1, "save_every": 5, "checkpoints": [7], "probe": probe}

    def begun(path, *overrides):
        (path / "config.yaml").write_text(yaml.safe_dump(config))
        return train(path / "config.yaml", overrides, out=path / "runs")

    return begun


@pytest.fixture(scope="module")
def whole(begin, tmp_path_factory):
    """A run that nobody interrupted."""
    return begin(tmp_path_factory.mktemp("whole"))


def lines(run):
    """What is said of probes, by step."""
    return {m["step"]: {k: v for k, v in m.items() if k.startswith("eval/")} for m in run.metrics()}


def solved(run, step):
    return [e.success for e in run.episodes(f"id-{step}")]


def test_each_probe_is_compared_with_the_first_on_the_same_deals(whole):
    found = lines(whole)
    first, middle, last = (solved(whole, step) for step in (0, 10, 20))
    assert len(first) == 40 and sum(first) < sum(middle) < sum(last), "a poor example"
    assert sorted(found[0]) == [f"eval/id/{name}" for name in ("ci95", "n", "success")]
    assert not found[1] and not found[11]
    for step, now in ((10, middle), (20, last)):
        change = (sum(now) - sum(first)) / 40
        assert found[step][f"{NAME}/change"] == pytest.approx(change)
        before, after = (list(whole.episodes(f"id-{s}")) for s in (0, step))
        assert [e.task.id for e in before] == [e.task.id for e in after]
        assert found[step][f"{NAME}/change_ci95"] == pytest.approx(difference(before, after).ci95)
        low, high = found[step][f"{NAME}/change_ci95"]
        assert low < change < high


def test_a_probe_without_anything_to_measure_logs_no_number_and_training_goes_on(begin, tmp_path):
    run = begin(tmp_path, "cell=second", "updates=1", "probe.every=1")
    assert lines(run) == {0: {"eval/id/n": 0}, 1: {"eval/id/n": 0}}


def test_an_unchanged_policy_has_not_changed_and_the_pairs_say_so(whole, begin, tmp_path):
    model = whole.checkpoint(7)
    found = lines(begin(tmp_path, f"model={model}", "lr=1e-12", "updates=1", "probe.every=1"))[1]
    low, high = found[f"{NAME}/change_ci95"]
    assert found[f"{NAME}/change"] == 0
    # Deal by deal nothing moved, while each probe alone is only known to .15 or so either way.
    own_low, own_high = found["eval/id/ci95"]
    assert own_high - own_low > 0.25, "a poor example"
    assert low < 0 < high and high - low < 0.5 * (own_high - own_low)


def test_a_run_that_goes_on_is_compared_with_its_own_beginning(whole, begin, tmp_path, monkeypatch):
    save = TrainState.save

    def cut(self, step, **more):
        save(self, step, **more)
        if step == 15:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrainState, "save", cut)
        begin(tmp_path)
    (run,) = listing(tmp_path / "runs")
    assert max(lines(run)) == 15
    run = train(resume=run.id, out=tmp_path / "runs")
    assert lines(run) == lines(whole)


def test_a_suite_may_name_a_split_of_its_own(tmp_path):
    config = {"stage": "sft", "model": "tiny:gp-l/init", "cell": "gp-l", "steps": 1, "batch_size": 2, "lr": 1e-5}
    probe = {"every": 1, "episodes": 6, "suites": ["id", "rule-ood", "id@train"], "split": "test"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**config, "probe": probe}))
    run = train(tmp_path / "config.yaml", out=tmp_path / "runs")
    for name, suite, split in (("id", "id", "test"), ("rule-ood", "rule-ood", "test"), ("id@train", "id", "train")):
        episodes = list(run.episodes(f"{name}-1"))
        assert len(episodes) == run.metrics()[-1][f"eval/{name}/n"] == 6
        assert {e.task.suite for e in episodes} == {suite}
        dealt = {split_of(numbers_of([rank for rank, _ in e.task.deal["cards"]], suite_rule(suite))) for e in episodes}
        assert dealt == {split}


def test_the_line_of_an_update_shows_the_change():
    played = {"rollout/success": 0.5, "rollout/return": 1.0, "policy/entropy_avg": 0.1, "seconds": 2.0}
    probed = {NAME: 0.625, "eval/id/ci95": [0.4, 0.8], "eval/id/n": 40}
    assert "id/success 62.5% ·" in _line(2, {**played, **probed})
    probed |= {f"{NAME}/change": 0.125, f"{NAME}/change_ci95": [-0.025, 0.25]}
    assert "id/success 62.5% (+12.5 [-2.5, +25.0]) ·" in _line(2, {**played, **probed})
