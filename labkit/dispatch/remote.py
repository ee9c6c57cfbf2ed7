"""Send runs to a host, follow them, stop, resume and fetch them.

A sent run belongs to the host: it goes on when the connection is lost or the laptop closed. What is known of it here
is a copy of its folder, fetched as it grows, so it is a run like any other: played, inspected, plotted.

    from labkit.dispatch import host, remote
    sent = remote.send(["configs/experiments/gp-l/rl.yaml"], host.load("h800"))[0]
    for metrics in sent.follow():
        print(metrics["step"], metrics["rollout/success"])
    sent.fetch()
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

import labkit
from labkit.config import read
from labkit.counting import counted
from labkit.dispatch import environment
from labkit.dispatch.environment import Environment
from labkit.dispatch.host import Host
from labkit.dispatch.transport import Transport, Unreachable, connect
from labkit.errors import UsageError
from labkit.players.registry import resolve_checkpoint
from labkit.runs.store import ROOT, Run, write_json
from labkit.training import stages

PACKAGE = Path(labkit.__file__).parent
ENDED = ("finished", "stopped", "failed")
SPARE = 2 * 2**30
"""Bytes that a host has to have free besides what is sent."""
PATIENCE = (1.0, 60.0)
"""Seconds before a lost connection is tried again: at first, and at most."""


class SentRun:
    """A run on a host, and the copy of its folder here.

    Args:
        host: where it is, or the way there.
        run: its id, or the beginning or the end of one.
        out: the folder of runs that the copy lies in.

    Raises:
        UsageError: the host has no such run, or cannot be reached.
    """

    def __init__(self, host: Host | Transport, run: str, out: str | Path = ROOT) -> None:
        self._way = connect(host) if isinstance(host, Host) else host
        self.status: dict[str, Any] = self._way.ask("state", run)
        """How it stood when the host was last asked: ``run``, ``status`` (queued, running, finished, stopped or
        failed), ``reason`` and ``step``."""
        self.run = Run(Path(out) / self.status["run"])
        """The copy; its folder is missing until something was fetched."""

    @property
    def alive(self) -> bool:
        """Whether it was queued or running when the host was last asked."""
        return self.status["status"] not in ENDED

    def refresh(self) -> dict[str, Any]:
        """Ask how the run stands, and bring its copy up to date, all but checkpoints; returns the status."""
        status = self._way.ask("state", self.run.id)
        self._pull(without=("checkpoints", "state"))
        self._settle(status)
        return status

    def fetch(self) -> Run:
        """Bring the copy up to date, checkpoints included. A checkpoint appears once it has arrived completely."""
        self.refresh()
        arriving = self.run.path / "arriving"
        self._way.pull(f"runs/{self.run.id}/checkpoints", arriving, without=())
        (self.run.path / "checkpoints").mkdir(parents=True, exist_ok=True)
        for folder in [p for p in arriving.glob("step-*") if p.name[5:].isdigit()]:
            there = self.run.path / "checkpoints" / folder.name
            shutil.rmtree(there, ignore_errors=True)
            folder.rename(there)
        shutil.rmtree(arriving, ignore_errors=True)
        return self.run

    def follow(self, every: float = 2.0, say: Callable[[str], object] | None = None) -> Iterator[dict[str, Any]]:
        """Yield each line of metrics as it is fetched, from the first one, until the run has ended.

        A connection that is lost is tried again until it is back; nothing is lost or yielded twice.

        Args:
            every: seconds between looks.
            say: called with remarks: that the run waits, that the connection is lost.
        """
        say = say or (lambda text: None)
        shown, wait, waiting = 0, PATIENCE[0], False
        while True:
            try:
                status = self.refresh()
            except Unreachable as error:
                say(f"{error}; the run goes on, trying again in {wait:.0f} s")
                time.sleep(wait)
                wait = min(2 * wait, PATIENCE[1])
                continue
            wait = PATIENCE[0]
            if status["status"] == "queued" and not waiting:
                waiting = True
                say(f"{self.run.id} waits: {status['reason'] or 'another run comes first'}")
            lines = self.run.metrics()
            yield from lines[shown:]
            shown = max(shown, len(lines))
            if not self.alive:
                return
            time.sleep(every)

    def stop(self) -> dict[str, Any]:
        """Interrupt the run, as Ctrl-C does, and wait until it has ended; returns its status."""
        self._way.ask("stop", self.run.id)
        return self.refresh()

    def resume(self) -> dict[str, Any]:
        """Continue a run that was stopped or failed, with the code and settings it was sent with."""
        self.status = self._way.ask("resume", self.run.id)
        return self.status

    def _pull(self, without: Sequence[str]) -> None:
        self._way.pull(f"runs/{self.run.id}", self.run.path, without=(*without, "arriving"))
        # A run that is queued has no folder yet.
        if self.run.path.is_dir() and not any(self.run.path.iterdir()):
            self.run.path.rmdir()

    def _settle(self, status: dict[str, Any]) -> None:
        """Make the copy's status that of the host: a run that was killed could not write its own."""
        self.status = status
        if (self.run.path / "config.yaml").exists() and self.run.status["status"] != status["status"]:
            write_json(
                self.run.path / "status.json",
                {
                    **self.run.status,
                    "status": status["status"],
                    "reason": status["reason"],
                    "host": self._way.host.name,
                },
            )


class Job(NamedTuple):
    """A run before it is sent."""

    key: str
    """The hash of all that it depends on."""
    description: dict[str, Any]
    config: str
    """YAML, with paths of the host."""
    data: dict[str, Path]
    """What its config names here, by where it will be below the host's folder."""


def send(
    configs: Sequence[str | Path],
    host: Host,
    overrides: Iterable[str] = (),
    *,
    out: str | Path = ROOT,
    say: Callable[[str], object] | None = None,
) -> list[SentRun]:
    """Send the runs of some configs; the host does them one after another.

    What was sent before, with the same code, data and settings, is not sent or started again.

    Args:
        configs: YAML files of stages.
        overrides: ``key=value`` pairs, for all of them.
        out: the folder of runs, for ``model: run:ID`` and for what is fetched.
        say: called with remarks.

    Raises:
        UsageError: a config is wrong, the host cannot be reached, or it lacks something.
    """
    say = say or (lambda text: None)
    overrides = list(overrides)
    code = content_hash(PACKAGE)
    wanted = environment.wanted(host)
    jobs = [_job(read(config, overrides), str(config), host, code, Path(out), wanted) for config in configs]
    way = connect(host)
    there = way.ask("check")
    if wanted:
        there = _install(way, there, wanted, say)
    _check(there, host, jobs)
    _push(way, there, code, jobs, say)
    started = way.ask("start", *(job.key for job in jobs))
    for status in started:
        if not status["new"]:
            say(f"{status['run']} was sent before and is {status['status']}")
    return [SentRun(way, status["run"], out) for status in started]


def listing(host: Host) -> list[dict[str, Any]]:
    """How all runs that were sent to a host stand, the newest first."""
    return connect(host).ask("states")


def content_hash(path: Path) -> str:
    """The hash of a file or of a folder's files, their names included; bytecode is left out."""
    total = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        if "__pycache__" in file.parts:
            continue
        with file.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
        total.update(f"{file.relative_to(path.parent).as_posix()} {digest}\n".encode())
    return total.hexdigest()[:16]


def _job(data: dict[str, Any], where: str, host: Host, code: str, runs: Path, wanted: Environment | None) -> Job:
    """A config as a job: checked, with the host's processes, and with paths of the host."""
    launch = host.launch()
    settings = stages.parse({**data, "processes": launch.processes}, where)
    config, files = settings.model_dump(mode="json"), {}
    for key, path in _local(config, runs):
        target = f"data/{content_hash(path)}"
        files[target] = path
        config[key] = f"{target}/{path.name}"
    if host.accelerate:
        path = Path(host.accelerate)
        target = f"data/{content_hash(path)}"
        files[target] = path
        options = ["-m", "accelerate.commands.launch", "--config_file", f"{target}/{path.name}"]
    elif launch.processes > 1:
        options = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(launch.processes)]
    else:
        options = []
    description = {
        "name": settings.name,
        "code": code,
        "launch": options,
        "device": "cuda" if launch.cuda else "cpu",
        "machines": launch.machines,
        "launcher": host.launcher,
        "setup": host.setup,
        "slurm": [f"--{name}={value}" for name, value in host.slurm.items()],
    }
    if wanted:
        description["python"] = wanted.python
    if launch.machines > 1:
        description["slurm"] += [f"--nodes={launch.machines}", "--ntasks-per-node=1"]
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    key = hashlib.sha256(json.dumps([description, text], sort_keys=True).encode()).hexdigest()[:16]
    return Job(key, description, text, files)


def _local(config: dict[str, Any], runs: Path) -> Iterator[tuple[str, Path]]:
    """The settings that name something on this machine, with its place."""
    model = config.get("model")
    if model is not None and not model.startswith("tiny:"):
        try:
            place = resolve_checkpoint(model, runs=runs)
        except UsageError:
            # A run that is not here may be on the host.
            if not model.startswith("run:"):
                raise
            place = model
        if isinstance(place, Path):
            yield "model", place.resolve()
    if config.get("data") is not None:
        path = Path(config["data"])
        if not path.exists():
            raise UsageError(f"data: there is no {path}")
        yield "data", path.resolve()


def _check(there: dict[str, Any], host: Host, jobs: Sequence[Job]) -> None:
    """Raise a UsageError if the host lacks something."""
    wanted = [*(["rsync"] if host.ssh else []), *(["sbatch"] if host.launcher == "slurm" else [])]
    lacking = [program for program in wanted if program not in there["programs"]]
    if there["system"] != "linux":
        raise UsageError(f"{host.name} runs {there['system']}; runs are sent to Linux only")
    if lacking:
        raise UsageError(f"{host.name} has no {' and no '.join(lacking)}; install it there")
    if there["missing"]:
        raise UsageError(
            f"{host.name}: {host.python} (Python {there['python']}) has no {', '.join(there['missing'])}; "
            "in the host's file, name an interpreter that has labkit's packages with python or setup, or write "
            "install: true"
        )
    size = sum(_size(path) for path in {path for job in jobs for path in job.data.values()})
    if there["free"] < size + SPARE:
        free, wanted_bytes = there["free"] / 2**30, (size + SPARE) / 2**30
        raise UsageError(f"{host.name} has {free:.1f} GiB free in {there['folder']} and {wanted_bytes:.1f} are needed")
    launch = host.launch()
    here = launch.processes // launch.machines
    if launch.cuda and host.launcher == "ssh" and len(there["gpus"]) < here:
        raise UsageError(f"{host.name} has {counted(len(there['gpus']), 'GPU')}; {host.accelerate} asks for {here}")


def _install(
    way: Transport, there: dict[str, Any], wanted: Environment, say: Callable[[str], object]
) -> dict[str, Any]:
    """Have the host make an environment if it lacks it; returns what the host has, with that environment's packages."""
    python = f"{there['folder']}/{wanted.python}"
    if wanted.key not in there["environments"]:
        say(f"making the environment envs/{wanted.key} on {way.host.name}, which takes minutes")
        with tempfile.TemporaryDirectory() as folder:
            for name, text in wanted.files.items():
                (Path(folder) / name).write_text(text, encoding="utf-8")
            way.push(Path(folder), f"envs/{wanted.key}")
        way.ask("install", wanted.key, *([way.host.wheelhouse] if way.host.wheelhouse else []))
    return connect(way.host.model_copy(update={"python": shlex.quote(python)})).ask("check")


def _push(way: Transport, there: dict[str, Any], code: str, jobs: Sequence[Job], say: Callable[[str], object]) -> None:
    """Bring code, data and jobs to the host, what it lacks of them."""
    unique = f"{os.getpid()}-{time.time_ns()}"
    if code not in there["code"]:
        say("sending the code")
        like = f"../code/{there['code'][0]}/labkit" if there["code"] else None
        part = f"code/{code}.{unique}"
        way.push(PACKAGE, f"{part}/labkit", like=like)
        way.ask("keep", part, f"code/{code}")
    for target, path in {t: p for job in jobs for t, p in job.data.items()}.items():
        if target.removeprefix("data/") in there["data"]:
            continue
        say(f"sending {path}")
        part = f"{target}.{unique}"
        if path.is_dir():
            way.push(path, f"{part}/{path.name}")
        else:
            with tempfile.TemporaryDirectory() as folder:
                shutil.copy2(path, folder)
                way.push(Path(folder), part)
        way.ask("keep", part, target)
    for job in jobs:
        with tempfile.TemporaryDirectory() as folder:
            write_json(Path(folder) / "job.json", job.description)
            (Path(folder) / "config.yaml").write_text(job.config, encoding="utf-8")
            way.push(Path(folder), f"jobs/{job.key}")


def _size(path: Path) -> int:
    return sum(p.stat().st_size for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file())
