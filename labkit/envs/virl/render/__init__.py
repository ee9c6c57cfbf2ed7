"""Street views, drawn from a city."""
