"""The folders of runs that the Inspect tab shows, and their indexes, which are read in the background."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from app.shared.catalogue import public
from labkit.errors import UsageError
from labkit.runs import listing
from labkit.runs.index import Index
from labkit.runs.store import ROOT

RESULTS = Path(__file__).parents[2] / "results"


class Store:
    """A folder of runs. Its index is opened by the first who asks.

    Args:
        root: the folder.
        writable: whether visitors may write notes into its runs.
    """

    def __init__(self, root: Path, *, writable: bool = False) -> None:
        self.root, self.name, self.writable = root, root.resolve().name, writable
        self._index: Index | None = None
        self._begun = False
        self._lock, self._over = threading.Lock(), threading.Event()
        self.message = "Reading the stored episodes …"
        """What the page says as long as there is no index."""
        self.failed = False

    def index(self, seconds: float = 0.0) -> Index | None:
        """The index, if it has been read or is within some seconds."""
        with self._lock:
            if not self._begun:
                self._begun = True
                threading.Thread(target=self._read, daemon=True).start()
        self._over.wait(seconds)
        return self._index

    def _read(self) -> None:
        try:
            self._index = Index(self.root, progress=self._progress)
        except UsageError as error:
            self.message, self.failed = public(str(error)), True
        finally:
            self._over.set()

    def _progress(self, read: int, total: int) -> None:
        self.message = f"Reading the stored episodes, once: {read // 10**6:,} of {total // 10**6:,} MB …"

    def running(self) -> set[str]:
        """The ids of the runs that go on."""
        return {run.id for run in listing(self.root) if run.status["status"] == "running"}


def stores_of(writable: Iterable[str | Path] = (), roots: Iterable[Path] = (ROOT, RESULTS)) -> Sequence[Store]:
    """The folders that are there; the first is shown first. Of two of one name only the first is shown.

    Args:
        writable: folders in whose runs visitors may write notes; they come before the others.
        roots: folders that are shown if they are there.

    Raises:
        UsageError: a writable one is no folder, or has the name of another writable one.
    """
    found: dict[str, Store] = {}
    for folder in map(Path, writable):
        store = Store(folder, writable=True)
        if not folder.is_dir():
            raise UsageError(f"there is no folder {folder} to write notes into; name a folder of runs")
        if found.setdefault(store.name, store) is not store:
            raise UsageError(f"two folders for notes are called {store.name}; name one of them")
    for store in map(Store, filter(Path.is_dir, roots)):
        found.setdefault(store.name, store)
    return [*found.values()]
