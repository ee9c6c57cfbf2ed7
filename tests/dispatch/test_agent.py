"""The agent on a host: real processes, with a stand-in for the training command that needs no torch."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from labkit.dispatch import agent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="hosts run Linux")

JOB = """
import json, os, pathlib, sys, time
words = sys.argv[2:]
config = pathlib.Path(words[4]).read_text() if "--run-id" in words else ""
run = pathlib.Path("runs") / words[-1]
resumed = "--resume" in words
if config == "wrong":
    sys.exit("labkit: no such setting")
run.mkdir(exist_ok=True)
(run / "config.yaml").write_text(config)
with (run / "starts").open("a") as starts:
    starts.write(f"{time.time()} {resumed}\\n")
def status(word):
    (run / "status.json").write_text(json.dumps({"status": word, "pid": os.getpid()}))
status("running")
try:
    if not resumed and config != "quick":
        while True:
            time.sleep(0.05)
except KeyboardInterrupt:
    status("stopped")
    sys.exit(130)
status("finished")
with (run / "starts").open("a") as starts:
    starts.write(f"{time.time()} ended\\n")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(agent, "POLL", 0.05)
    package = tmp_path / "host" / "code" / "c0de" / "labkit"
    (package / "dispatch").mkdir(parents=True)
    (package / "__main__.py").write_text(JOB)
    shutil.copy(agent.__file__, package / "dispatch" / "agent.py")
    agent.check(tmp_path / "host")
    yield tmp_path / "host"
    for state in agent.states(tmp_path / "host"):
        agent.stop(tmp_path / "host", state["run"])


def sent(folder, key, config="slow", **changes):
    job = {"name": key, "code": "c0de", "launch": [], "device": "cpu", "machines": 1, "launcher": "ssh"}
    (folder / "jobs" / key).mkdir()
    (folder / "jobs" / key / "job.json").write_text(json.dumps({**job, "setup": None, "slurm": [], **changes}))
    (folder / "jobs" / key / "config.yaml").write_text(config)
    return key


def until(folder, run, *wanted):
    """Wait until a run has come to one of these states; a test that hangs is ended from outside."""
    while (state := agent.state(folder, run))["status"] not in wanted or (
        state["status"] == "running" and not (folder / "runs" / state["run"] / "status.json").exists()
    ):
        time.sleep(0.02)
    return state


def starts(folder, run):
    return (folder / "runs" / run / "starts").read_text().splitlines()


def test_a_job_runs_once_however_often_it_is_sent(folder):
    (first,) = agent.start(folder, sent(folder, "one", "quick"))
    assert first["new"] and first["status"] in ("queued", "running", "finished")
    (again,) = agent.start(folder, "one")
    assert not again["new"] and again["run"] == first["run"]
    until(folder, first["run"], "finished")
    assert agent.start(folder, "one")[0]["status"] == "finished"
    assert len(starts(folder, first["run"])) == 2
    assert [p.name for p in (folder / "runs").iterdir()] == [first["run"]]


def test_jobs_of_a_folder_run_one_after_another_in_their_order(folder):
    keys = [sent(folder, f"job-{n}", "quick") for n in (3, 1, 2)]
    runs = [state["run"] for state in agent.start(folder, *keys)]
    for run in runs:
        until(folder, run, "finished")
    times = [[float(line.split()[0]) for line in starts(folder, run)] for run in runs]
    assert times[0][1] <= times[1][0] <= times[1][1] <= times[2][0]


def test_two_people_who_send_the_same_at_once_start_it_once(folder):
    keys = [sent(folder, f"job-{n}", "quick") for n in range(3)]
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(agent.start(folder, *keys))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({tuple(state["run"] for state in answer) for answer in answers}) == 1
    assert sum(state["new"] for answer in answers for state in answer) == 3
    for state in answers[0]:
        until(folder, state["run"], "finished")
        assert len(starts(folder, state["run"])) == 2


def test_a_stopped_run_was_interrupted_and_resumes_as_itself(folder):
    (state,) = agent.start(folder, sent(folder, "one"))
    until(folder, state["run"], "running")
    assert agent.stop(folder, state["run"])["status"] == "stopped"
    # The command wrote that itself, so it was not killed.
    assert json.loads((folder / "runs" / state["run"] / "status.json").read_text())["status"] == "stopped"
    resumed = agent.resume(folder, "one")
    assert resumed["run"] == state["run"]
    until(folder, state["run"], "finished")
    assert [line.split()[1] for line in starts(folder, state["run"])] == ["False", "True", "ended"]
    assert agent.resume(folder, "one")["status"] == "finished"


def test_a_job_that_waits_can_be_stopped_and_holds_up_nobody(folder):
    states = agent.start(
        folder, *(sent(folder, f"job-{n}", config) for n, config in enumerate(["slow", "slow", "quick"]))
    )
    first, second, third = (state["run"] for state in states)
    until(folder, first, "running")
    assert agent.state(folder, second)["status"] == "queued"
    stopped = agent.stop(folder, second)
    assert (stopped["status"], stopped["reason"]) == ("stopped", "it had not begun")
    agent.stop(folder, first)
    until(folder, third, "finished")
    assert not (folder / "runs" / second).exists()


@pytest.mark.parametrize("victims", ["command", "all"])
def test_a_run_that_was_killed_is_not_said_to_run(folder, victims):
    """By hand, for want of memory, or with the whole host: then no process is left to write it down."""
    (state,) = agent.start(folder, sent(folder, "one"))
    until(folder, state["run"], "running")
    status = folder / "runs" / state["run"] / "status.json"
    pids = agent._alive()[str(folder / "jobs" / "one")]
    for pid in pids if victims == "all" else [json.loads(status.read_text())["pid"]]:
        os.kill(pid, signal.SIGKILL)
    found = until(folder, state["run"], "stopped", "failed")
    assert found["status"] == "stopped" and "killed" in found["reason"]
    # And the run's own record says so too, for whoever reads the folder.
    assert json.loads(status.read_text())["status"] == "stopped"
    agent.resume(folder, state["run"])
    until(folder, state["run"], "finished")


def test_another_process_with_the_same_number_is_not_taken_for_the_run(folder):
    (state,) = agent.start(folder, sent(folder, "one"))
    until(folder, state["run"], "running")
    agent.stop(folder, state["run"])
    (folder / "jobs" / "one" / "launch.json").write_text(json.dumps({"pid": os.getpid()}))
    status = folder / "runs" / state["run"] / "status.json"
    status.write_text(json.dumps({"status": "running", "pid": os.getpid()}))
    assert agent.state(folder, state["run"])["status"] == "stopped"
    agent.stop(folder, state["run"])


def test_workers_that_outlive_their_launcher_are_ended(folder):
    worker = "import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
    worker += " start_new_session=True); os._exit(3)"
    (state,) = agent.start(folder, sent(folder, "one", launch=["-c", worker]))
    until(folder, state["run"], "failed")
    assert str(folder / "jobs" / "one") not in agent._alive()


def test_a_run_that_never_began_says_what_its_command_said(folder):
    (state,) = agent.start(folder, sent(folder, "one", "wrong"))
    found = until(folder, state["run"], "failed")
    assert found["reason"] == "no such setting"


def test_a_full_disk_is_named(folder, monkeypatch):
    (state,) = agent.start(folder, sent(folder, "one"))
    until(folder, state["run"], "running")
    monkeypatch.setattr(agent, "FULL", 2**62)
    for pid in agent._alive()[str(folder / "jobs" / "one")]:
        os.kill(pid, signal.SIGKILL)
    assert "disk is full" in until(folder, state["run"], "stopped")["reason"]


def test_ids_are_new_whatever_the_clock_says(folder, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda *args: "19700101-000000")
    first = agent.start(folder, sent(folder, "a", "quick", name="same"))[0]["run"]
    second = agent.start(folder, sent(folder, "b", "quick", name="same"))[0]["run"]
    assert first == "19700101-000000-same" and second == "19700101-000000-same-2"
    with pytest.raises(SystemExit, match="could be any of"):
        agent.state(folder, "19700101")
    with pytest.raises(SystemExit, match="no run nothing"):
        agent.state(folder, "nothing")


def test_what_arrived_first_stays(folder):
    for name in ("x.1", "x.2"):
        (folder / "data" / name).mkdir()
        (folder / "data" / name / "who").write_text(name)
        agent.keep(folder, f"data/{name}", "data/x")
    assert (folder / "data" / "x" / "who").read_text() == "x.1"
    assert [p.name for p in (folder / "data").iterdir()] == ["x"]


def test_it_runs_from_standard_input_and_answers_in_json(folder):
    source = Path(agent.__file__).read_text(encoding="utf-8")

    def ask(*words):
        done = subprocess.run([sys.executable, "-", *words], input=source, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    found = ask("check", str(folder))
    assert found["missing"] == [] and found["free"] > 0 and found["code"] == ["c0de"]
    assert ask("states", str(folder)) == []
    assert ask("state", str(folder), "x") == {"error": "no run x was sent there"}
