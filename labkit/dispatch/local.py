"""Training runs in the background: start one from Python, follow its metrics, stop it.

A run is a process of its own (``labkit train``), so a notebook or the app stays responsive, and a run that fails
leaves them alive. Its folder is the only thing that is shared with it. It ends with the process that started it
(:mod:`labkit.dispatch.tether`).
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from labkit.config import read
from labkit.dispatch.tether import GRACE
from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.runs.store import ROOT, Run, find, listing

PATIENCE = 600.0
"""Seconds within which a run must make its folder; importing torch takes a few, minutes on an overloaded machine."""

_started: dict[tuple[Path, str], BackgroundRun] = {}
"""The latest run of each folder and name that this process has started. It also keeps them alive: a run is stopped
when the pipe to it is closed."""


def command(words: Iterable[str]) -> list[str]:
    """The command line of ``labkit WORDS`` as a process that ends with this one, once its standard input is closed."""
    return [sys.executable, "-m", "labkit.dispatch.tether", "labkit", *words]


def foreground(words: Iterable[str]) -> int:
    """Run ``labkit WORDS`` in its own process and wait for it; all that it prints goes to standard error.

    Ctrl-C interrupts it, and is raised here once it has ended.

    Returns:
        Its exit status.
    """
    process = subprocess.Popen(command(words), stdin=subprocess.PIPE, stdout=2, start_new_session=True)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise


class BackgroundRun:
    """A training run in its own process. Its state is saved when it is stopped, and ``resume`` continues it.

    It stops when this process ends: at the restart or shutdown of a notebook kernel too, and when the kernel is
    killed. A second run of the same name and folder stops the first once its own settings are accepted, so that a cell
    can be run again.

    Args:
        config: YAML of a stage.
        overrides: ``key=value`` pairs.
        resume: the id of a run to continue, instead of a config.
        out: where run folders are made.
        device: ``cpu``, ``cuda`` or ``mps``; the default of ``labkit train`` if not given.

    Raises:
        UsageError: the config is wrong, or there is no such device; the message is that of ``labkit train``.
    """

    def __init__(
        self,
        config: str | Path | None = None,
        overrides: Iterable[str] = (),
        *,
        resume: str | None = None,
        out: str | Path = ROOT,
        device: str | None = None,
    ) -> None:
        overrides = list(overrides)
        key = Path(out).resolve(), _name(config, overrides, resume, out)
        before = _started.get(key)
        if before and resume is not None and before.run.path.samefile(find(resume, out).path):
            # `labkit train` does not resume a run that is still running.
            before.stop()
        words = ["train", "--out", str(out)]
        words += [str(config)] if config is not None else []
        words += ["--resume", resume] if resume is not None else []
        words += ["--device", device] if device is not None else []
        words += [part for override in overrides for part in ("--set", override)]
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 (open as long as the run)
        self._stopped = False
        began = time.time()
        self._process = subprocess.Popen(
            command(words),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            start_new_session=True,
        )
        # The folder is made once the config, the device and the trackers are known to be right.
        self.run: Run = self._find(Path(out), began)
        if before:
            before.stop()
        _started[key] = self

    def _find(self, out: Path, began: float) -> Run:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            # Checked before the folders are read, so that the folder of a run that has just ended is found.
            ended = not self.alive
            for run in listing(out):
                status = run.status
                # Process ids are reused: an old run may have had this one.
                if status.get("pid") == self._process.pid and status["time"] >= began:
                    return run
            if ended:
                raise UsageError(self._last_line())
            time.sleep(0.05)
        self.stop()
        raise UsageError(f"labkit train made no folder in {out} within {PATIENCE:.0f} s")

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def follow(self, every: float = 0.5) -> Iterator[dict[str, Any]]:
        """Yield each line of metrics as it is written, from the first one, until the run ends.

        Interrupting a notebook cell that follows a run ends the cell, and the run goes on: follow it again, or
        :meth:`stop` it.

        Args:
            every: seconds between looks at the file.
        """
        shown = 0
        while True:
            # Checked before the file is read, so that the last lines of a run that has just ended are read.
            alive = self.alive
            lines = self.run.metrics()
            yield from lines[shown:]
            shown = max(shown, len(lines))
            if not alive:
                return
            time.sleep(every)

    def episodes(self, step: int, name: str = "train") -> list[Episode]:
        """The episodes of a finished step: ``train`` for those trained on, ``id`` or ``rule-ood`` for a probe's."""
        return list(self.run.episodes(f"{name}-{step}"))

    def stop(self) -> None:
        """Interrupt the run, as Ctrl-C does, and wait until it has ended; ``resume`` continues it."""
        if self.alive:
            self._stopped = True
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(GRACE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def wait(self) -> Run:
        """Wait for the run to end, and return it.

        Raises:
            UsageError: the run failed; the message is the last line of its standard error.
        """
        if self._process.wait() not in (0, 130, -signal.SIGINT) and not self._stopped:
            raise UsageError(self._last_line())
        return self.run

    def _last_line(self) -> str:
        """The last line on standard error of the run, which has ended."""
        status = self._process.returncode
        if status < 0:
            return f"labkit train was killed (signal {-status}); 9 usually means that memory ran out"
        self._errors.seek(0)
        lines = [line for line in self._errors.read().splitlines() if line.strip()]
        return lines[-1].removeprefix("labkit: ") if lines else f"labkit train ended with status {status}"


def _name(config: str | Path | None, overrides: list[str], resume: str | None, out: str | Path) -> str:
    """The name that a run is about to have: the setting ``name``, or its stage's default, which is the stage."""
    data = find(resume, out).config if resume is not None else read(config, overrides) if config is not None else {}
    return str(data.get("name") or data.get("stage"))
