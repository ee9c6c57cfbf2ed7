"""The ways to a host: commands and copies over ssh and rsync, or on this machine."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from labkit.dispatch.host import Host
from labkit.errors import UsageError

AGENT = Path(__file__).with_name("agent.py")
OPTIONS = tuple("-o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=5 -o ServerAliveCountMax=3".split())
"""No questions, and a connection over which nothing comes any more ends after 15 seconds. ssh takes the first value of
an option, so a host's own ``ssh_options`` come before these."""


class Unreachable(UsageError):
    """No connection to the host, or it was lost. The run there is not affected."""


class Transport(Protocol):
    """A host as the place that requests and files go to."""

    host: Host

    def ask(self, action: str, *words: str) -> Any:
        """Have the host's agent do something; returns its answer.

        Raises:
            Unreachable: there is no connection.
            UsageError: the agent refuses, or cannot be run.
        """

    def push(self, source: Path, target: str, *, like: str | None = None) -> None:
        """Copy the contents of a folder into one below the host's; files equal to those of ``like`` are not sent."""

    def pull(self, source: str, target: Path, *, without: Sequence[str] = ()) -> None:
        """Copy the contents of a folder below the host's, but for some of its entries, and drop what is gone there.

        Nothing is copied where there is no such folder.
        """


def connect(host: Host) -> Transport:
    """The way to a host."""
    return _Here(host) if host.ssh is None else _Ssh(host)


def _answer(done: subprocess.CompletedProcess[str], host: Host) -> Any:
    """The answer of the agent.

    Raises:
        UsageError: it gave none, or an error.
    """
    try:
        # A login shell may print something first.
        answer = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        why = done.stderr.strip().splitlines()[-1:] or [f"{host.python} ended with status {done.returncode}"]
        raise UsageError(f"{host.name}: {why[0]}; check python and setup in the host's file") from None
    if isinstance(answer, dict) and "error" in answer:
        raise UsageError(f"{host.name}: {answer['error']}")
    return answer


def _shell(host: Host, action: str, words: Sequence[str]) -> str:
    """The command line that runs the agent from its standard input. The interpreter is not quoted, for its ``~``."""
    command = f"exec {host.python} - {shlex.join([action, host.folder, *words])}"
    return f"{host.setup} && {command}" if host.setup else command


class _Ssh:
    """OpenSSH and rsync."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._ssh = ["ssh", *host.ssh_options, *OPTIONS]
        for program in ("ssh", "rsync"):
            if shutil.which(program) is None:
                raise UsageError(f"{program} is not installed; on Debian or Ubuntu: apt-get install {program}")

    def ask(self, action: str, *words: str) -> Any:
        command = [*self._ssh, str(self.host.ssh), _shell(self.host, action, words)]
        done = subprocess.run(command, input=AGENT.read_text(encoding="utf-8"), capture_output=True, text=True)
        if done.returncode == 255:
            raise self._lost(done.stderr)
        return _answer(done, self.host)

    def push(self, source: Path, target: str, *, like: str | None = None) -> None:
        known = ["--link-dest", f"../../{like}"] if like else []
        self._rsync(["--exclude=__pycache__", *known, f"{source}/", self._place(target)])

    def pull(self, source: str, target: Path, *, without: Sequence[str] = ()) -> None:
        target.mkdir(parents=True, exist_ok=True)
        excluded = [f"--exclude=/{name}" for name in without]
        self._rsync(["--delete", "--partial-dir=.part", *excluded, self._place(source) + "/", str(target)])

    def _place(self, path: str) -> str:
        # rsync's remote side starts in the home folder.
        return f"{self.host.ssh}:{self.host.folder.removeprefix('~/')}/{path}"

    def _rsync(self, words: Sequence[str]) -> None:
        command = ["rsync", "-a", "--mkpath", "--timeout=60", "-e", shlex.join(self._ssh), *words]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 23 and "No such file or directory" in done.stderr:
            return
        if done.returncode in _LOST:
            raise self._lost(done.stderr)
        if done.returncode not in (0, _VANISHED):
            lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"status {done.returncode}"]
            raise UsageError(f"{self.host.name}: {lines[0]}")

    def _lost(self, stderr: str) -> Unreachable:
        lines = [line for line in stderr.splitlines() if line.strip() and not line.startswith("Warning:")]
        return Unreachable(f"no connection to {self.host.name}: {lines[0] if lines else 'it was closed'}")


_LOST = (10, 12, 30, 35, 255)
"""rsync's exit statuses for errors of the connection."""
_VANISHED = 24
"""rsync's exit status where a file was replaced while it was copied: a run that writes."""


class _Here:
    """This machine."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._folder = Path.home() / Path(host.folder).expanduser()

    def ask(self, action: str, *words: str) -> Any:
        done = subprocess.run(
            ["bash", "-c", _shell(self.host, action, words)],
            cwd=Path.home(),
            input=AGENT.read_text(encoding="utf-8"),
            capture_output=True,
            text=True,
        )
        return _answer(done, self.host)

    def push(self, source: Path, target: str, *, like: str | None = None) -> None:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, self._folder / target, ignore=ignored, dirs_exist_ok=True)

    def pull(self, source: str, target: Path, *, without: Sequence[str] = ()) -> None:
        there = self._folder / source
        if not there.is_dir():
            return

        def ignored(folder: str, names: list[str]) -> set[str]:
            # A file that is being written has another name until it is complete.
            part = {name for name in names if name.endswith(".part")}
            return part | (set(without) & set(names) if Path(folder) == there else set())

        for name in {p.name for p in target.iterdir()} - {p.name for p in there.iterdir()} if target.is_dir() else ():
            if name not in without:
                shutil.rmtree(target / name) if (target / name).is_dir() else (target / name).unlink()
        shutil.copytree(there, target, ignore=ignored, dirs_exist_ok=True, copy_function=_replace)


def _replace(source: str, target: str) -> None:
    """Copy a file as rsync does: who reads the copy sees the old one or the new one, whole. One that has vanished
    meanwhile is left out."""
    part = Path(f"{target}.part")
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(source, part)
        part.replace(target)
