"""What a call costs, in a unit that is as slow as the machine is at that moment, and how long tests wait."""

import gc
import time
from collections.abc import Callable

PATIENCE = 600.0
"""Seconds that a page, a thread or another process may take. Only a test that fails waits so long."""


def loops(call: Callable[[], object], rounds: int = 3) -> float:
    """CPU time of a call over that of a plain loop of 65,536 steps, the quickest of each; they take turns.

    Such a loop takes 2 ms or 10, as the machine and its other work have it, so a limit in loops holds on any. The
    collector waits meanwhile: what it takes grows with all that earlier tests left behind.
    """
    theirs, ours = [], []
    collects = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            theirs.append(_seconds(_loop))
            ours.append(_seconds(call))
    finally:
        if collects:
            gc.enable()
    return min(ours) / min(theirs)


def _loop() -> None:
    total = 0
    for number in range(65_536):
        total += number


def _seconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began
