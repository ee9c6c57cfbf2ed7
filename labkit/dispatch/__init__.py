"""Start runs in other processes, follow them, stop them."""
