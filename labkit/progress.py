"""Progress with time left, on standard error: a bar on a terminal, now and then a line in a file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from tqdm import tqdm

EVERY = 10.0
"""Seconds between lines where there is no terminal."""


class _Lines:
    """A file as tqdm writes to it: what is drawn over itself on a terminal becomes a line."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        if text.strip():
            self._file.write(f"{text.strip()}\n")

    def flush(self) -> None:
        self._file.flush()


class Progress:
    """Counts finished steps or updates of a run."""

    def __init__(self, unit: str, total: int, first: int = 0, *, enabled: bool = True) -> None:
        self._drawn = sys.stderr.isatty()
        if self._drawn:
            look: dict[str, Any] = {"dynamic_ncols": True}
        else:
            told = "{n_fmt}/{total_fmt}{unit}, {elapsed} gone, {remaining} left{postfix}"
            look = {"file": _Lines(sys.stderr), "mininterval": EVERY, "miniters": 1, "bar_format": told}
        self._bar = tqdm(total=total, initial=first, unit=f" {unit}", disable=not enabled, **look)

    def start(self) -> None:
        """Count time from now: the probe before the first step says nothing about how long steps take."""
        self._bar.unpause()

    def update(self, done: int, **figures: float) -> None:
        """Move to ``done`` and show the latest figures."""
        self._bar.set_postfix({name: f"{value:.3g}" for name, value in figures.items()}, refresh=False)
        self._bar.update(done - self._bar.n)

    def say(self, line: str) -> None:
        """A line of its own, above the bar."""
        if not self._bar.disable:
            self._bar.write(line, file=sys.stderr)

    def close(self) -> None:
        if not (self._drawn or self._bar.disable):
            # What has been told already is not told again.
            self._bar.leave = self._bar.n > self._bar.last_print_n
        self._bar.close()


@contextmanager
def no_bars() -> Iterator[None]:
    """Without bars of transformers' own, such as that of writing a checkpoint."""
    # Not at the top: whoever only counts does without its second and a half of imports.
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
