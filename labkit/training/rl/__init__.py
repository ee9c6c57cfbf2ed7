"""Stage ``rl``: policy gradients on sequential revision."""
