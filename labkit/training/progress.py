"""A progress bar with time left, on standard error."""

from __future__ import annotations

import sys

from tqdm import tqdm


class Progress:
    """Counts finished steps or updates of a run."""

    def __init__(self, unit: str, total: int, first: int = 0, *, enabled: bool = True) -> None:
        self._bar = tqdm(total=total, initial=first, unit=f" {unit}", disable=not enabled, dynamic_ncols=True)

    def update(self, done: int, **figures: float) -> None:
        """Move to ``done`` and show the latest figures."""
        self._bar.set_postfix({name: f"{value:.3g}" for name, value in figures.items()}, refresh=False)
        self._bar.update(done - self._bar.n)

    def say(self, line: str) -> None:
        """A line of its own, above the bar."""
        if not self._bar.disable:
            self._bar.write(line, file=sys.stderr)

    def close(self) -> None:
        self._bar.close()
