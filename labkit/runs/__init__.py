"""The run store: one folder a run, and queries over the episodes in them.

* :class:`Run`, :func:`find`, :func:`listing`: a run's folder, and the runs below a folder.
* :class:`CannotWrite`: raised when the disk is full; what was stored before is whole.
* :class:`labkit.runs.index.Index`: every stored answer as a row, to filter, sort, count and search. It needs NumPy, so
  it is not imported here.
"""

from labkit.runs.store import CannotWrite, Run, find, listing

__all__ = ["CannotWrite", "Run", "find", "listing"]
