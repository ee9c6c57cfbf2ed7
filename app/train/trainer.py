"""The one run that the server trains, and the runs of hosts that it follows. Both go on without any page.

A run is a process of its own that ends with the server (:class:`labkit.dispatch.local.BackgroundRun`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from labkit.dispatch import host as hosts
from labkit.dispatch.local import BackgroundRun
from labkit.dispatch.remote import SentRun
from labkit.errors import UsageError
from labkit.runs.store import ROOT


class Trainer:
    """Trains one run at a time.

    Args:
        out: the folder that runs are made in.
        start: what starts one.
    """

    def __init__(self, out: Path = ROOT, start: Callable[..., BackgroundRun] = BackgroundRun) -> None:
        self.out, self._start = out, start
        self._lock = threading.Lock()
        self._starting = False
        self._current: BackgroundRun | None = None
        self.problem = ""
        """Why the last run could not be started."""

    @property
    def busy(self) -> bool:
        """Whether a run trains or is about to."""
        return self._starting or (self._current is not None and self._current.alive)

    @property
    def starting(self) -> bool:
        """Whether a run has been asked for and has no folder yet."""
        return self._starting

    @property
    def run(self) -> str | None:
        """The id of the newest run that was started here."""
        return self._current.run.id if self._current else None

    def start(self, config: Path, overrides: Sequence[str]) -> None:
        """Start a run; it appears in the folder of runs after some seconds.

        Raises:
            UsageError: another one trains.
        """
        with self._lock:
            if self.busy:
                raise UsageError(f"{self.run or 'a run'} trains; stop it first, or wait until it has ended")
            self._starting, self.problem = True, ""
        threading.Thread(target=self._begin, args=(config, list(overrides)), daemon=True).start()

    def _begin(self, config: Path, overrides: list[str]) -> None:
        try:
            self._current = self._start(config, overrides, out=self.out)
        except UsageError as error:
            self.problem = str(error)
        finally:
            self._starting = False

    def stop(self) -> None:
        """Stop the run that trains, and wait until it has ended."""
        if self._current:
            self._current.stop()


class Followed:
    """Keeps copies of hosts' runs up to date while somebody looks at them.

    Args:
        out: the folder of the copies.
    """

    WATCHED = 30.0
    """Seconds after the last look in which a copy is still kept up to date."""
    EVERY = 2.0
    """Seconds between two requests to a host."""

    def __init__(self, out: Path = ROOT) -> None:
        self.out = out
        self._looked: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()
        self.said: dict[tuple[str, str], dict[str, Any]] = {}
        """How each run stood when its host was last asked; or ``error``."""

    def look(self, host: str, run: str) -> None:
        """Note that a run is looked at, and begin to follow it if nobody does."""
        with self._lock:
            begun = (host, run) in self._looked
            self._looked[host, run] = time.monotonic()
        if not begun:
            threading.Thread(target=self._follow, args=(host, run), daemon=True).start()

    def _follow(self, host: str, run: str) -> None:
        key = host, run
        while time.monotonic() - self._looked[key] < self.WATCHED:
            try:
                sent = SentRun(hosts.load(host), run, self.out)
                self.said[key] = sent.refresh()
                if not sent.alive:
                    break
            except UsageError as error:
                # A lost connection among others; the next look tries again.
                self.said[key] = {"error": str(error)}
            time.sleep(self.EVERY)
        with self._lock:
            del self._looked[key]
