"""labkit: a lab for post-training, in which SFT and RL are played, measured and taken apart.

An environment deals a task, a player answers, a verifier judges, the verdict goes back into the dialogue, and
the whole exchange is one :class:`~labkit.episode.Episode`. Trainers, evaluations, notebooks and the app all
read and write Episodes.
"""

__version__ = "0.1.0"
