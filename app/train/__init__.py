"""The Train tab: start, watch and stop a run."""
