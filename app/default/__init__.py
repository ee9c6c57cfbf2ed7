"""The tab of a game that has no tab of its own."""
