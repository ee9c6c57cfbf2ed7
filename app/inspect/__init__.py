"""The Inspect tab: stored episodes, filtered, counted, opened and compared."""
