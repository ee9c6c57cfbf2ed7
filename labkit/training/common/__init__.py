"""What every trainer uses: processes, trained parameters, saved state, trackers, probes."""
