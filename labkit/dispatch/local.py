"""Runs in the background: start one from Python, follow what it writes, stop it.

A run is a process of its own (``labkit train``), so that a notebook or the app stays responsive, and one that
dies leaves the other alive. It is followed through its folder, which is all that it shares.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.runs.store import ROOT, Run, listing

GRACE = 30.0
"""Seconds that a run has to end after an interrupt."""
PATIENCE = 600.0
"""Seconds that a run has to make its folder; importing torch takes a few, and minutes on a machine at its limits."""


def run_verb(words: Sequence[str]) -> int:
    """Run ``labkit WORDS`` to its end in a process of its own, and return its exit status.

    What it prints as its result goes to standard error. On Ctrl-C, which the process gets as well, it is waited for, so
    that it can keep its state.
    """
    with subprocess.Popen([sys.executable, "-m", "labkit", *words], stdout=sys.__stderr__.fileno()) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise


class BackgroundRun:
    """A run that goes on by itself.

    Args:
        config: a YAML file of a stage.
        overrides: ``key=value`` pairs.
        resume: the id of a run to go on with, instead of a config.
        out: where run folders are made.
        device: ``cpu``, ``cuda`` or ``mps``; what ``labkit train`` takes by itself if not given.

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
        command = [sys.executable, "-m", "labkit", "train", "--out", str(out)]
        command += [str(config)] if config is not None else []
        command += ["--resume", resume] if resume is not None else []
        command += ["--device", device] if device is not None else []
        command += [part for override in overrides for part in ("--set", override)]
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 (open as long as the run)
        self._stopped = False
        began = time.time()
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=self._errors, start_new_session=True
        )
        self.run = self._find(Path(out), began)

    def _find(self, out: Path, began: float) -> Run:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            # Asked first, so that the folder of a run that has just ended is found.
            ended = not self.alive
            for run in listing(out):
                status = run.status
                # Process numbers come again: a run of long ago may have had this one.
                if status.get("pid") == self._process.pid and status["time"] >= began:
                    return run
            if ended:
                raise UsageError(self._said())
            time.sleep(0.05)
        self.stop()
        raise UsageError(f"labkit train has made no folder in {out} within {PATIENCE:.0f} s")

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def follow(self, every: float = 0.5) -> Iterator[dict[str, Any]]:
        """Each line of metrics as it is written, from the first one on, until the run ends."""
        shown = 0
        while True:
            # Asked first, so that the last lines of a run that has just ended are read.
            alive = self.alive
            lines = self.run.metrics()
            yield from lines[shown:]
            shown = max(shown, len(lines))
            if not alive:
                return
            time.sleep(every)

    def episodes(self, step: int, name: str = "train") -> list[Episode]:
        """The episodes of a finished step: ``train`` those it learnt from, ``id`` or ``rule-ood`` those of a probe."""
        return list(self.run.episodes(f"{name}-{step}"))

    def stop(self) -> None:
        """Interrupt the run, as Ctrl-C does; its state is kept, and ``resume`` goes on from it."""
        if self.alive:
            self._stopped = True
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(GRACE)
            except subprocess.TimeoutExpired:
                # Whoever was started with interrupts ignored (a shell's ``&``) has children that ignore them too.
                self._process.kill()
                self._process.wait()

    def wait(self) -> Run:
        """The run, once it has ended.

        Raises:
            UsageError: it failed; the message is its last line.
        """
        if self._process.wait() not in (0, 130, -signal.SIGINT) and not self._stopped:
            raise UsageError(self._said())
        return self.run

    def _said(self) -> str:
        """The last line that the run, which has ended, wrote on standard error."""
        status = self._process.returncode
        if status < 0:
            return f"labkit train was killed (signal {-status}); 9 as a rule means that memory ran out"
        self._errors.seek(0)
        lines = [line for line in self._errors.read().splitlines() if line.strip()]
        return lines[-1].removeprefix("labkit: ") if lines else f"labkit train ended with status {status}"
