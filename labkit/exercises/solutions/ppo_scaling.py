"""The solution of notebooks/06_ppo_scaling that later cells use: the update of notebook 05."""

from labkit.exercises.solutions.ppo_by_hand import update

__all__ = ["update"]
