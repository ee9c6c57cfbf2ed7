"""The run store: one folder a run, and queries over them."""

from labkit.runs.store import Run, find, listing

__all__ = ["Run", "find", "listing"]
