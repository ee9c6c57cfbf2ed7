"""What the tabs share: settings, seats, players, the queue, and the pieces of a tab."""
