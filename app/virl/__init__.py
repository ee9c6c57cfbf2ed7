"""The V-IRL tab."""
