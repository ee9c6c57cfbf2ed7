"""Many deals, played by all players that sit at the table."""
