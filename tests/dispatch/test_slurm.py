"""Jobs on a real Slurm of one node, with the stand-in for the training command."""

import pytest

from labkit.dispatch import agent
from tests.dispatch import slurm, test_agent
from tests.dispatch.test_agent import sent, starts, until

pytestmark = pytest.mark.skipif(bool(slurm.lacking()), reason=slurm.lacking() or "-")

folder = test_agent.folder
SLURM = {"launcher": "slurm", "slurm": ["--cpus-per-task=2", "--time=10"]}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = slurm.Slurm(tmp_path_factory.mktemp("slurm"))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def configured(cluster, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", str(cluster.config))


def test_a_job_goes_through_the_queue_to_its_end_once(folder):
    (state,) = agent.start(folder, sent(folder, "one", "quick", **SLURM))
    assert state["new"] and not agent.start(folder, "one")[0]["new"]
    found = until(folder, state["run"], "finished")
    assert found["reason"] is None and len(starts(folder, state["run"])) == 2


def test_a_job_that_waits_says_why_and_can_be_stopped(folder):
    first = agent.start(folder, sent(folder, "first", **SLURM))[0]["run"]
    second = agent.start(folder, sent(folder, "second", **SLURM))[0]["run"]
    until(folder, first, "running")
    waiting = agent.state(folder, second)
    assert waiting["status"] == "queued" and waiting["reason"].startswith("Slurm: ")
    assert agent.stop(folder, second)["status"] == "stopped"
    assert not (folder / "runs" / second).exists() and agent.state(folder, first)["status"] == "running"


def test_a_stopped_job_was_interrupted_and_resumes_as_itself(folder):
    (state,) = agent.start(folder, sent(folder, "one", **SLURM))
    until(folder, state["run"], "running")
    assert agent.stop(folder, state["run"])["status"] == "stopped"
    own = agent._read(folder / "runs" / state["run"] / "status.json")
    assert own["status"] == "stopped" and "reason" not in own
    agent.resume(folder, state["run"])
    until(folder, state["run"], "finished")
    assert [line.split()[1] for line in starts(folder, state["run"])] == ["False", "True", "ended"]


def test_a_job_that_slurm_ended_says_what_slurm_says(folder, cluster):
    (state,) = agent.start(folder, sent(folder, "one", **SLURM))
    until(folder, state["run"], "running")
    number = agent._read(folder / "jobs" / "one" / "start.json")["slurm"]
    cluster.says("scancel", "--signal=KILL", "--full", number)
    cluster.says("scancel", number)
    found = until(folder, state["run"], "stopped", "failed")
    assert found["status"] == "stopped" and "Slurm: " in found["reason"]
    assert agent._read(folder / "runs" / state["run"] / "status.json")["status"] == "stopped"


def test_what_sbatch_refuses_is_said(folder):
    with pytest.raises(SystemExit, match="sbatch: .*partition"):
        agent.start(folder, sent(folder, "one", launcher="slurm", slurm=["--partition=nowhere"]))
    assert agent.states(folder) == []
