"""Stop buttons: one flag for each browser window whose player answers, or waits to."""

from __future__ import annotations

import threading


class StopFlags:
    """Flags by session; a run polls its own, the Stop button raises it."""

    def __init__(self) -> None:
        self._flags: dict[str, threading.Event] = {}

    def __len__(self) -> int:
        """How many windows are playing or waiting."""
        return len(self._flags)

    def start(self, session: str) -> None:
        """A fresh flag for a run that is asked for; an older run of the session is told to end."""
        self.stop(session)
        self._flags[session] = threading.Event()

    def running(self, session: str) -> bool:
        """Whether the session's player answers, or waits to."""
        return session in self._flags

    def of(self, session: str) -> threading.Event:
        """The flag of the session's run."""
        return self._flags.setdefault(session, threading.Event())

    def stop(self, session: str) -> None:
        """Raise the session's flag, if it has one, and forget it."""
        flag = self._flags.pop(session, None)
        if flag is not None:
            flag.set()
