"""Runs in the background: real processes, followed through their folders."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from labkit.dispatch.local import BackgroundRun, foreground
from labkit.errors import UsageError
from labkit.runs import Run

CONFIG = """
stage: rl
name: behind
model: {model}
cell: gp-l
updates: {updates}
episodes: 4
attempts: 2
max_new_tokens: 4
lr: 1.0e-3
save_every: 1
stop: {{spread: 0, patience: 1000}}
"""


@pytest.fixture
def config(model, tmp_path):
    def write(updates):
        path = tmp_path / "config.yaml"
        path.write_text(CONFIG.format(model=model, updates=updates))
        return path

    return write


def test_a_run_is_followed_line_by_line_to_its_end(config, tmp_path):
    behind = BackgroundRun(config(3), ["seed=5", "name=other"], out=tmp_path / "runs")
    steps = [m["step"] for m in behind.follow(every=0.05)]
    assert steps == [1, 2, 3]
    assert not behind.alive
    run = behind.wait()
    assert run.status["status"] == "finished"
    assert run.id.endswith("-other") and run.config["seed"] == 5
    assert [e.task.cell for e in behind.episodes(2)] == ["gp-l"] * 4


def test_a_run_is_stopped_and_goes_on(config, tmp_path):
    behind = BackgroundRun(config(1000), out=tmp_path / "runs")
    lines = behind.follow(every=0.02)
    assert [next(lines)["step"], next(lines)["step"]] == [1, 2]
    assert behind.alive
    behind.stop()
    assert not behind.alive
    run = behind.wait()
    assert run.status["status"] == "stopped"
    reached = run.metrics()[-1]["step"]
    assert 2 <= reached < 1000
    again = BackgroundRun(resume=run.id, out=tmp_path / "runs")
    assert again.run.id == run.id
    while again.run.metrics()[-1]["step"] < reached + 2:
        assert again.alive
        time.sleep(0.02)
    again.stop()
    assert [m["step"] for m in run.metrics()] == list(range(1, run.metrics()[-1]["step"] + 1))


def test_a_wrong_config_is_said_as_labkit_train_says_it(config, tmp_path):
    path = config(3)
    with pytest.raises(UsageError, match="did you mean 'episodes'") as error:
        BackgroundRun(path, ["episods=8"], out=tmp_path / "runs")
    assert str(error.value).startswith(str(path))
    assert not (tmp_path / "runs").exists()


def test_it_runs_on_the_device_that_is_asked_for(config, tmp_path):
    with pytest.raises(UsageError, match="no device 'cuda:99'"):
        BackgroundRun(config(1), out=tmp_path / "runs", device="cuda:99")
    assert not (tmp_path / "runs").exists()
    run = BackgroundRun(config(1), out=tmp_path / "runs", device="cpu").wait()
    assert run.status["status"] == "finished"
    command = json.loads((run.path / "environment.json").read_text())["command"]
    assert command[command.index("--device") + 1] == "cpu"


def test_a_run_that_fails_says_why(config, tmp_path):
    behind = BackgroundRun(config(3), ["model=nowhere/at-all"], out=tmp_path / "runs")
    with pytest.raises(UsageError, match="nowhere/at-all"):
        behind.wait()
    assert behind.run.status["status"] == "failed"


class Process:
    """As long as it takes to look for a folder, a process of this number that has just ended."""

    pid = os.getpid()
    returncode = 0

    def poll(self):
        return 0


def test_a_run_of_long_ago_that_had_the_same_process_number_is_not_taken_for_it(tmp_path):
    old = Run.create(tmp_path, "old", "stage: rl\n")
    status = {"status": "running", "pid": Process.pid, "host": os.uname().nodename, "time": time.time() - 3600}
    (old.path / "status.json").write_text(json.dumps(status))
    behind = BackgroundRun.__new__(BackgroundRun)
    behind._process, behind._errors = Process(), (tmp_path / "errors").open("w+")
    with behind._errors, pytest.raises(UsageError, match="ended with status 0"):
        behind._find(tmp_path, began=time.time() - 1)
    # One that has just ended is found, even so.
    new = Run.create(tmp_path, "new", "stage: rl\n")
    assert behind._find(tmp_path, began=time.time() - 1).id == new.id


def test_a_run_that_the_system_killed_is_not_taken_for_one_that_was_stopped(config, tmp_path):
    behind = BackgroundRun(config(1000), out=tmp_path / "runs")
    os.kill(behind.run.status["pid"], signal.SIGKILL)
    with pytest.raises(UsageError, match="signal 9"):
        behind.wait()
    assert behind.run.status["status"] == "stopped"


def test_it_can_be_stopped_where_interrupts_are_ignored(config, tmp_path, monkeypatch):
    """As below a shell's ``&``."""
    monkeypatch.setattr("labkit.dispatch.local.GRACE", 0.5)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        behind = BackgroundRun(config(1000), out=tmp_path / "runs")
    finally:
        signal.signal(signal.SIGINT, before)
    next(behind.follow(every=0.02))
    behind.stop()
    assert not behind.alive
    assert behind.wait().status["status"] == "stopped"


def test_a_second_run_of_a_name_stops_the_first_and_no_other(config, tmp_path):
    first = BackgroundRun(config(1000), ["name=same"], out=tmp_path / "runs")
    other = BackgroundRun(config(1000), ["name=other"], out=tmp_path / "runs")
    second = BackgroundRun(config(1000), ["name=same"], out=tmp_path / "runs")
    assert not first.alive and other.alive and second.alive
    assert first.wait().status["status"] == "stopped"
    assert second.run.id != first.run.id
    # Continued by its id, it is still the run of that name.
    second.stop()
    third = BackgroundRun(resume=second.run.id, out=tmp_path / "runs")
    fourth = BackgroundRun(config(1000), ["name=same"], out=tmp_path / "runs")
    assert not third.alive and fourth.alive
    for run in (other, fourth):
        run.stop()


def test_a_second_run_that_is_refused_leaves_the_first_alone(config, tmp_path):
    out = tmp_path / "runs"
    first = BackgroundRun(config(1000), ["name=same"], out=out)
    with pytest.raises(UsageError, match="did you mean 'episodes'"):
        BackgroundRun(config(1000), ["name=same", "episods=8"], out=out)
    with pytest.raises(UsageError, match="no device 'cuda:99'"):
        BackgroundRun(config(1000), ["name=same"], out=out, device="cuda:99")
    assert first.alive
    # It is still known by its name: continued by its id while it runs, it is stopped, and goes on in a new process.
    again = BackgroundRun(resume=first.run.id, out=out)
    assert not first.alive and again.alive and again.run.id == first.run.id
    again.stop()


PARENT = """
import os, sys, time
from labkit.dispatch.local import BackgroundRun
behind = BackgroundRun(sys.argv[1], out=sys.argv[2])
if sys.argv[3] == "exit":
    sys.exit()
# A worker of the parent's, which holds the same pipe.
worker = os.fork() if sys.argv[3] == "fork" else None
if worker != 0:
    print(worker or 0, flush=True)
time.sleep(10**6)
"""


@pytest.mark.parametrize("how", ["exit", "terminate", "kill", "fork"])
def test_a_run_ends_with_the_process_that_started_it(config, tmp_path, how):
    """The parent exits, is terminated, or is killed; in the last case a worker of the parent's outlives it."""
    arguments = [str(config(900)), str(tmp_path / "runs"), how]
    parent = subprocess.Popen([sys.executable, "-c", PARENT, *arguments], stdout=subprocess.PIPE, text=True)
    worker = int(parent.stdout.readline() or 0)
    if how != "exit":
        parent.send_signal(signal.SIGTERM if how == "terminate" else signal.SIGKILL)
    parent.wait()
    (path,) = (tmp_path / "runs").iterdir()
    try:
        while json.loads((path / "status.json").read_text())["status"] == "running":
            time.sleep(0.05)
    finally:
        if worker:
            os.kill(worker, signal.SIGKILL)
        parent.stdout.close()
    # Left alone, it would have finished.
    run = Run(path)
    assert run.status["status"] == "stopped"
    assert len(run.metrics()) < 900


def test_a_command_in_the_foreground_returns_its_status_and_prints_to_standard_error(capfd):
    assert foreground(["solve", "3", "3", "8", "8"]) == 0
    assert foreground(["solve", "1", "1", "1", "1"]) == 1
    assert foreground(["solve", "x"]) == 2
    out, err = capfd.readouterr()
    assert out == "" and "8/(3-8/3)" in err and "no solution" in err
    assert err.count("labkit: ") == 1


def test_an_interrupt_of_a_command_in_the_foreground_reaches_it(config, tmp_path):
    script = f"""
import signal
from labkit.dispatch.local import foreground
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    foreground(["train", {str(config(900))!r}, "--out", {str(tmp_path / "runs")!r}])
except KeyboardInterrupt:
    raise SystemExit(77)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    while not list((tmp_path / "runs").glob("*/metrics.jsonl")):
        assert parent.poll() is None
        time.sleep(0.05)
    parent.send_signal(signal.SIGINT)
    assert parent.wait() == 77
    (path,) = (tmp_path / "runs").iterdir()
    assert json.loads((path / "status.json").read_text())["status"] == "stopped"
