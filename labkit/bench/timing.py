"""Timing for the benches: the same work done our way and the plain way, on the same machine.

Rounds alternate, so that other work on the machine slows both ways alike. Rates are medians over the rounds, and a
ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from labkit.counting import counted

Work = Callable[[int], int]
"""Does the work of a round (its number is given) and returns how many units that was."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    bench: str
    what: str
    unit: str
    rate: float
    """Units a second, our way."""
    plain_rate: float
    """Units a second, the plain way, in the same rounds."""
    ratio: float
    """Our rate over the plain one; above 1 is faster."""
    plain: str
    """What the plain way is."""
    rounds: int
    peak_mib: float | None
    """Peak resident memory of the process while our way ran, in MiB; None where the system does not report it."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare(bench: str, what: str, unit: str, ours: Work, plain: Work, how: str, rounds: int = 3) -> Row:
    """Time our way and the plain way in turns."""
    return compare_all(bench, what, unit, ours, {how: plain}, rounds)[0]


def compare_all(bench: str, what: str, unit: str, ours: Work, others: Mapping[str, Work], rounds: int = 3) -> list[Row]:
    """Time our way and each of the other ways in turns; a row for each of the others."""
    rates, peaks = [], []
    other_rates: dict[str, list[float]] = {how: [] for how in others}
    for number in range(rounds):
        reset_peak()
        rates.append(rate(ours, number))
        peaks.append(peak_mib())
        for how, other in others.items():
            other_rates[how].append(rate(other, number))
    peak = max((p for p in peaks if p is not None), default=None)
    rows = []
    for how, plain_rates in other_rates.items():
        ratio = median(a / b for a, b in zip(rates, plain_rates, strict=True))
        rows.append(Row(bench, what, unit, median(rates), median(plain_rates), ratio, how, rounds, peak))
    return rows


def rate(work: Work, number: int) -> float:
    """Units a second of one round."""
    began = time.perf_counter()
    units = work(number)
    return units / (time.perf_counter() - began)


def reset_peak() -> None:
    """Reset the peak of resident memory to the present value (Linux only)."""
    clear = Path("/proc/self/clear_refs")
    if os.access(clear, os.W_OK):
        clear.write_text("5", encoding="ascii")


def peak_mib() -> float | None:
    """The peak of resident memory: since :func:`reset_peak` on Linux, since the start on other Unixes."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    if sys.platform == "win32":
        return None
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def machine() -> dict[str, Any]:
    """The machine and the versions of this process."""
    torch = sys.modules.get("torch")
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": f"{torch.__version__}, {counted(torch.get_num_threads(), 'thread')}" if torch else None,
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
