"""Resuming a run: with its own settings, its own data, and a state that can be read."""

import json

import pytest
import yaml

from labkit import cli
from labkit.errors import UsageError
from labkit.runs import find
from labkit.training import train
from labkit.training.common.state import TrainState
from tests import tiny_models
from tests.training import small_games

CHAT = '{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "you"}]}\n'


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    return str(tiny_models.save(folder, tiny_models.llama(), tiny_models.tokenizer()))


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def cut(base, tmp_path, runs, monkeypatch):
    """An SFT run on a file, interrupted after its first step; returns its config file."""
    (tmp_path / "d.jsonl").write_text(CHAT * 3)
    config = {"stage": "sft", "name": "cut", "model": base, "data": str(tmp_path / "d.jsonl"), "steps": 3}
    config |= {"batch_size": 2, "lr": 1e-3, "save_every": 1, "checkpoints": [1], "lora": {"rank": 2}}
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(config))
    interrupt(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(path, out=runs)
    monkeypatch.undo()
    return path


def interrupt(monkeypatch):
    """Interrupt the next run once its state is saved."""
    save = TrainState.save

    def saved(self, step, **more):
        save(self, step, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainState, "save", saved)


def refused(runs, capsys, *arguments):
    """What `labkit train --resume` says, in one line, with status 2."""
    capsys.readouterr()
    assert cli.main(["train", *map(str, arguments), "--out", str(runs)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("batch_size=1", "batch_size is 2 there, not 1"),
        ("lora.rank=3", "lora.rank is 2 there, not 3"),
        ("seed=1", "seed is 0 there, not 1"),
        ("steps=30", "steps is 3 there, not 30"),
    ],
)
def test_another_setting_beside_resume_is_refused_with_the_way_out(cut, runs, capsys, setting, says):
    run = find("cut", runs)
    line = refused(runs, capsys, "--resume", "cut", "--set", setting)
    assert says in line and f"--set model=run:{run.id}" in line
    assert len(run.metrics()) == 1 and run.status["status"] == "stopped"


def test_another_config_beside_resume_is_refused_and_the_same_one_is_not(cut, runs, capsys, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(cut.read_text().replace("save_every: 1", "save_every: 2"))
    assert "save_every is 1 there, not 2" in refused(runs, capsys, other, "--resume", "cut")
    other.write_text("stage: rl\nmodel: x\nupdates: 1\nlr: 1\n")
    assert "--set model=run:" in refused(runs, capsys, other, "--resume", "cut")
    run = train(cut, ["seed=0"], resume="cut", out=runs)
    assert [m["step"] for m in run.metrics()] == [1, 2, 3]


def test_a_reinforcement_run_keeps_its_settings_too(tmp_path, runs, capsys, monkeypatch):
    small_games.saved(tmp_path / "model")
    config = small_games.config(model=str(tmp_path / "model"), episodes=4, updates=3, save_every=1, name="rl")
    (tmp_path / "c.yaml").write_text(config.to_yaml())
    interrupt(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "c.yaml", out=runs)
    monkeypatch.undo()
    assert "credit.gamma is 0.9 there, not 0.5" in refused(runs, capsys, "--resume", "rl", "--set", "credit.gamma=0.5")
    assert "lr is 0.02 there, not 1.0" in refused(
        runs, capsys, tmp_path / "c.yaml", "--resume", "rl", "--set", "lr=1.0"
    )


def test_a_finished_run_says_how_to_train_on_with_other_settings(cut, runs, capsys):
    train(resume="cut", out=runs)
    assert "is finished; nothing to resume" in refused(runs, capsys, "--resume", "cut")
    assert "model=run:" in refused(runs, capsys, "--resume", "cut", "--set", "steps=9")


@pytest.mark.parametrize("change", ["a record more", "a letter"])
def test_a_data_file_that_has_changed_is_refused(cut, runs, capsys, tmp_path, change):
    data = tmp_path / "d.jsonl"
    data.write_text(CHAT * 4 if change == "a record more" else CHAT * 2 + CHAT.replace("you", "yov"))
    assert f"{data} has changed since" in refused(runs, capsys, "--resume", "cut")
    data.write_text(CHAT * 3)
    assert len(train(resume="cut", out=runs).metrics()) == 3


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.safetensors", lambda content: content[: len(content) // 2]),
        ("model.safetensors", lambda content: b""),
        ("optimizer.safetensors", lambda content: content[:-1]),
        ("optimizer.safetensors", lambda content: b"version https://git-lfs.github.com/spec/v1\n"),
        ("state.json", lambda content: content[:10]),
        ("state.json", lambda content: None),
    ],
)
def test_a_damaged_state_file_is_named_with_the_checkpoint_to_start_from(cut, runs, capsys, name, damage):
    run = find("cut", runs)
    path = run.path / "state" / name
    content = damage(path.read_bytes())
    path.write_bytes(content) if content is not None else path.unlink()
    line = refused(runs, capsys, "--resume", "cut")
    assert f"{path} is damaged" in line and f"model=run:{run.id}@1" in line


def test_the_size_and_the_hash_of_the_data_are_recorded(cut, runs, tmp_path):
    found = json.loads((find("cut", runs).path / "data.json").read_text())
    assert found["bytes"] == 3 * len(CHAT)
    assert len(found["sha256"]) == 64 and found["path"] == str(tmp_path / "d.jsonl")


def test_training_wants_a_config_or_a_run():
    with pytest.raises(UsageError, match="name a config"):
        train()
