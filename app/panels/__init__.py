"""Ways to play in a game's tab besides a single deal."""
