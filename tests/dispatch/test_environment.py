"""Hosts with ``install``: an environment is made there once, by content, behind a real OpenSSH server.

labkit's own requirements take minutes, so a package of a few lines stands in for them. It holds nothing but a link to
the packages of this environment, so that a run in the one that is made can train.
"""

import re
import subprocess
import sys
import sysconfig
import threading

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from labkit.dispatch import agent, environment, remote
from labkit.dispatch.host import Host
from labkit.errors import UsageError
from tests.dispatch import loopback, test_remote
from tests.wheels import write_wheel

server, config = test_remote.server, test_remote.config
over_ssh = pytest.mark.skipif(bool(loopback.lacking()), reason=loopback.lacking() or "-")


@over_ssh
def test_an_environment_is_made_once_and_runs_train_in_it(server, config, tmp_path):
    bare, wheels, requirements = server.folder / "bare", server.folder / "wheels", tmp_path / "requirements.txt"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    wheels.mkdir()
    requirements.write_text("stand-in==1.0\n")
    python = f"{bare}/bin/python"
    with pytest.raises(UsageError, match="has no torch, .*install: true"):
        remote.send([config()], server.load("made", python=python))
    host = server.load("made", python=python, install=str(requirements), wheelhouse=str(wheels))
    with pytest.raises(UsageError, match="No matching distribution found for stand-in"):
        remote.send([config()], host)
    assert remote.listing(host) == []
    write_wheel(wheels, "stand-in", {"beside.pth": sysconfig.get_path("purelib")})
    said = []
    (sent,) = remote.send([config(updates=1)], host, out=tmp_path, say=said.append)
    assert sum("making the environment" in line for line in said) == 1
    assert [m["step"] for m in sent.follow(every=0.2)] == [1]
    assert sent.status["status"] == "finished"
    (made,) = (server.folder / "there" / "made" / "envs").iterdir()
    before = (made / "venv" / "pyvenv.cfg").stat().st_mtime_ns
    said.clear()
    (again,) = remote.send([config(updates=1, seed=4)], host, out=tmp_path, say=said.append)
    assert not [line for line in said if "environment" in line] and again.run.id != sent.run.id
    again.stop()
    # The interpreter that is asked has no packages; the run goes on in its own environment.
    again.resume()
    assert [m["step"] for m in again.follow(every=0.2)] == [1] and again.status["status"] == "finished"
    assert (made / "venv" / "pyvenv.cfg").stat().st_mtime_ns == before


@pytest.mark.skipif(sys.platform != "linux", reason="hosts run Linux")
def test_two_senders_make_an_environment_once(tmp_path):
    place = tmp_path / "envs" / "k3y"
    place.mkdir(parents=True)
    (place / "requirements.txt").write_text("stand-in==1.0\n")
    (place / "constraints.txt").write_text("")
    write_wheel(tmp_path, "stand-in")
    senders = [threading.Thread(target=agent.install, args=(tmp_path, "k3y", str(tmp_path))) for _ in range(2)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    log = (place / "log").read_text()
    assert log.count("Looking in links") == log.count("Successfully installed stand-in-1.0") == 1
    assert agent.check(tmp_path)["environments"] == ["k3y"]


def test_true_means_labkits_own_requirements_at_the_versions_that_are_pinned():
    files = environment.wanted(Host(name="h", install=True)).files
    names = {canonicalize_name(Requirement(line).name) for line in files["requirements.txt"].splitlines()}
    pinned = set(re.findall(r"^([\w.-]+)==", files["constraints.txt"], re.MULTILINE))
    assert set(agent.PACKAGES) <= names and names <= {canonicalize_name(name) for name in pinned}


def test_an_environment_is_known_by_its_content(tmp_path):
    def key(text="numpy\n", name="a.txt", **more):
        (tmp_path / name).write_text(text)
        return environment.wanted(Host(name="h", install=str(tmp_path / name), **more)).key

    same = [key(), key(name="b.txt")]
    others = [key("numpy<3\n"), key(wheelhouse="~/wheels"), key(python="python3.12"), key(setup="module load python")]
    assert same[0] == same[1] and len({same[0], *others}) == 5
    assert environment.wanted(Host(name="h")) is None


def test_a_host_that_cannot_be_installed_says_so(tmp_path):
    with pytest.raises(UsageError, match=r"wheelhouse = .*set that too"):
        Host.parse({"name": "h", "wheelhouse": "~/wheels"})
    with pytest.raises(UsageError, match=r"cannot read .*absent.txt: No such file.*requirements file"):
        environment.wanted(Host(name="h", install=str(tmp_path / "absent.txt")))
