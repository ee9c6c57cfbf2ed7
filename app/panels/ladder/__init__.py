"""One deal, played by every checkpoint on the way of a run."""
