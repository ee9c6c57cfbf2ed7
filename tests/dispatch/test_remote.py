"""Runs on a host behind a real OpenSSH server: sent, followed, cut off, killed, resumed and fetched."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from labkit import cli
from labkit.dispatch import host as hosts
from labkit.dispatch import remote
from labkit.dispatch.transport import Unreachable
from labkit.errors import UsageError
from labkit.runs import Run
from labkit.training import train
from tests.dispatch import loopback

pytestmark = pytest.mark.skipif(bool(loopback.lacking()), reason=loopback.lacking() or "-")

CONFIG = {"stage": "rl", "name": "far", "cell": "gp-l", "updates": 3, "episodes": 4, "attempts": 2, "lr": 1e-3}
CONFIG |= {"max_new_tokens": 4, "save_every": 1, "stop": {"spread": 0, "patience": 1000}, "seed": 3}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    made = loopback.Server(tmp_path_factory.mktemp("ssh"))
    yield made
    for file in made.folder.glob("*.yaml"):
        with contextlib.suppress(UsageError):
            host = hosts.load(str(file)).model_copy(update={"ssh": None})
            for state in remote.listing(host):
                remote.SentRun(host, state["run"], made.folder / "stopped").stop()
    made.close()


@pytest.fixture
def config(model, tmp_path):
    def write(name="far", **changes):
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump({**CONFIG, "model": str(model), "name": name, **changes}))
        return path

    return write


def weights(run):
    (last,) = [path for step, path in run.checkpoints().items() if step == max(run.checkpoints())]
    return load_file(last / "model.safetensors")


def test_a_sent_run_is_followed_fetched_and_ends_in_the_weights_of_a_local_one(server, model, config, tmp_path):
    """On two processes there, and one here."""
    host = server.load("pair", processes=2)
    (sent,) = remote.send([config()], host, out=tmp_path)
    assert [m["step"] for m in sent.follow(every=0.2)] == [1, 2, 3]
    assert sent.status["status"] == "finished" and not sent.alive
    # Metrics and episodes came; a checkpoint comes on request.
    assert len(list(sent.run.episodes("train-2"))) == 4 and not sent.run.checkpoints()
    run = sent.fetch()
    assert run.status["status"] == "finished" and run.config["processes"] == 2
    assert run.id.endswith("-far") and not (run.path / "arriving").exists()
    alone, before = weights(train(config(), out=tmp_path / "here")), load_file(model / "model.safetensors")
    for name, weight in weights(run).items():
        torch.testing.assert_close(weight, alone[name], atol=1e-5, rtol=1e-4)
    assert max(float((weight - before[name]).abs().max()) for name, weight in alone.items()) > 1e-3
    # A run like any other, from the code and the model that were sent.
    there = Path(host.folder)
    assert run.config["model"].startswith("data/") and (there / run.config["model"] / "config.json").is_file()
    assert [p.name for p in (there / "code").iterdir()] == [remote.content_hash(remote.PACKAGE)]
    assert cli.main(["runs", "show", run.id, "--out", str(tmp_path)]) == 0


def test_a_run_survives_a_kill_and_a_lost_connection_and_ends_as_if_nothing_had_happened(server, config, tmp_path):
    proxy = loopback.Proxy(server.port)
    host = server.load("shaky", proxy.port)
    long = {"updates": 80, "save_every": 10}
    (sent,) = remote.send([config(**long)], host, out=tmp_path)
    followed = sent.follow(every=0.05)
    next(followed)
    status = json.loads((Path(host.folder) / "runs" / sent.run.id / "status.json").read_text())
    assert status["status"] == "running"
    os.kill(status["pid"], signal.SIGKILL)
    list(followed)
    assert sent.status["status"] == sent.run.status["status"] == "stopped" and "killed" in sent.run.status["reason"]
    said = []

    def heal(text):
        said.append(text)
        proxy.mode = "open"

    sent.resume()
    for mode in ("closed", "silent"):
        proxy.mode, proxy.cut = mode, 0
        followed = sent.follow(every=0.05, say=heal)
        assert next(followed)["step"] == 1 and proxy.cut
        assert len(said) == 1 and "no connection" in said.pop() and proxy.mode == "open"
    assert [m["step"] for m in followed] == list(range(2, 81))
    assert sent.status["status"] == "finished"
    uninterrupted = weights(train(config(**long), out=tmp_path / "here"))
    for name, weight in weights(sent.fetch()).items():
        assert torch.equal(weight, uninterrupted[name])
    proxy.close()


def test_a_queue_that_is_sent_twice_runs_everything_once(server, config, tmp_path, capsys):
    host = server.host("queue")
    # The second goes on from the first, which is nowhere but there.
    configs = [config("first", updates=1), config("second", updates=1, model="run:first"), config("third", updates=1)]
    words = ["send", *map(str, configs), "--to", host, "--out", str(tmp_path), "--json"]
    assert cli.main(words) == 0
    runs = [run["run"] for run in json.loads(capsys.readouterr().out)["runs"]]
    assert cli.main(words) == 0
    out, err = capsys.readouterr()
    assert [run["run"] for run in json.loads(out)["runs"]] == runs and err.count("was sent before") == 3
    assert cli.main(["runs", "follow", runs[2], "--to", host, "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    assert cli.main(["runs", "list", "--to", host, "--json"]) == 0
    states = json.loads(capsys.readouterr().out)
    assert {state["run"]: state["status"] for state in states} == dict.fromkeys(runs, "finished")
    folder = Path(hosts.load(host).folder)
    assert sorted(p.name for p in (folder / "runs").iterdir()) == sorted(runs)
    assert len(list((folder / "code").iterdir())) == 1
    assert cli.main(["runs", "fetch", runs[1], "--to", host, "--out", str(tmp_path)]) == 0
    assert Run(tmp_path / runs[1]).checkpoints()
    assert cli.main(["runs", "resume", runs[1], "--to", host, "--out", str(tmp_path)]) == 0
    assert "finished" in capsys.readouterr().out


@pytest.fixture
def small_disk(server):
    """A disk of 100 MB as the host's folder."""
    folder = server.folder / "there" / "full"
    folder.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_named_and_the_run_resumes_when_there_is_room(server, small_disk, config, tmp_path, monkeypatch):
    host = server.load("full")
    with pytest.raises(UsageError, match=r"full has 0\.1 GiB free .* 2\.0 are needed"):
        remote.send([config()], host, out=tmp_path)
    monkeypatch.setattr(remote, "SPARE", 0)
    (sent,) = remote.send([config(updates=60)], host, out=tmp_path)
    followed = sent.follow(every=0.05)
    next(followed)
    with (small_disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(2**20))
    steps = [m["step"] for m in followed]
    assert sent.status["status"] in ("stopped", "failed")
    assert any(words in sent.status["reason"] for words in ("disk is full", "No space left"))
    assert not steps or steps[-1] < 60
    (small_disk / "filler").unlink()
    sent.resume()
    assert [m["step"] for m in sent.follow(every=0.2)] == list(range(1, 61))
    assert sent.status["status"] == "finished"


def test_a_host_that_cannot_be_reached_or_lacks_something_says_so(server, config, tmp_path):
    nobody = server.load("nobody", loopback.free_port())
    with pytest.raises(Unreachable, match="no connection to nobody: ssh: connect .* refused"):
        remote.send([config()], nobody)
    wrong = server.load("wrong", python="/no/python")
    with pytest.raises(UsageError, match="wrong: .*no/python.*check python and setup"):
        remote.send([config()], wrong)
    # An interpreter without packages: isolated from its environment's.
    bare = server.load("bare", python=f"{sys.executable} -S")
    with pytest.raises(UsageError, match="has no torch, transformers"):
        remote.send([config()], bare)
    gpus = tmp_path / "accelerate.yaml"
    gpus.write_text("num_processes: 8\n")
    with pytest.raises(UsageError, match="asks for 8"):
        remote.send([config()], server.load("gpus", accelerate=str(gpus)))


def test_a_host_without_slurm_says_so(server, config, tmp_path):
    # With no program on its path, Slurm is missing whether this machine has it or not.
    with pytest.raises(UsageError, match="no sbatch; install it there"):
        remote.send([config()], server.load("slurm", launcher="slurm", setup=f"export PATH={tmp_path}"))


def test_a_wrong_config_is_refused_before_anything_is_sent(server, config, tmp_path, capsys):
    host = server.host("untouched")
    assert cli.main(["send", str(config(episods=3)), "--to", host]) == 2
    assert "did you mean 'episodes'" in capsys.readouterr().err
    assert cli.main(["send", str(config(model="nowhere/at/all")), "--to", host]) == 2
    assert not Path(hosts.load(host).folder).exists()
    assert cli.main(["runs", "follow", "x"]) == 2 and "--to" in capsys.readouterr().err
    assert cli.main(["runs", "stop", "--to", host]) == 2 and "name one run" in capsys.readouterr().err
    assert cli.main(["runs", "query", "--to", host]) == 2 and "fetch" in capsys.readouterr().err


def test_this_machine_is_a_host_too(config, tmp_path):
    """What `labkit send --to local` does, with a folder of its own."""
    (tmp_path / "near.yaml").write_text(yaml.safe_dump({"folder": str(tmp_path / "near"), "python": sys.executable}))
    host = hosts.load(str(tmp_path / "near.yaml"))
    (sent,) = remote.send([config(updates=2)], host, out=tmp_path / "runs")
    assert [m["step"] for m in sent.follow(every=0.1)] == [1, 2]
    assert max(sent.fetch().checkpoints()) == 2


def test_a_content_hash_is_of_names_and_contents_and_no_bytecode(tmp_path):
    def folder(name, **files):
        (tmp_path / name / "code").mkdir(parents=True)
        for file, text in files.items():
            (tmp_path / name / "code" / file).write_text(text)
        return tmp_path / name / "code"

    one = folder("one", a="x", b="y")
    assert remote.content_hash(one) == remote.content_hash(folder("two", b="y", a="x"))
    assert remote.content_hash(one) != remote.content_hash(folder("three", a="x", c="y"))
    assert remote.content_hash(one) != remote.content_hash(folder("four", a="x", b="z"))
    before = remote.content_hash(one)
    (one / "__pycache__").mkdir()
    (one / "__pycache__" / "a.pyc").write_text("bytecode")
    assert remote.content_hash(one) == before
