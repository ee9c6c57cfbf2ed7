"""A child process that ends when its parent does: ``python -m labkit.dispatch.tether MODULE [ARGUMENT ...]``.

The parent keeps the write end of a pipe that is this process's standard input. The operating system closes it when the
parent ends, however it ends: by itself, by a signal, or killed. Another process may have inherited the write end (a
fork of a notebook kernel), so the parent's process id is watched as well. The module is then interrupted as Ctrl-C
does it, and killed if it takes longer than ``GRACE``.
"""

from __future__ import annotations

import os
import runpy
import select
import signal
import sys
import threading
import time

GRACE = 30.0
"""Seconds between the interrupt and the kill."""
EVERY = 1.0
"""Seconds between looks at the parent's process id."""


def watch(parent: int) -> None:
    """Wait until ``parent`` has ended, then end this process."""
    while os.getppid() == parent and not select.select([0], [], [], EVERY)[0]:
        pass
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(GRACE)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    # A process started by a shell's `&` inherits ignored interrupts; this one must be stopped by them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=watch, args=(os.getppid(),), daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
