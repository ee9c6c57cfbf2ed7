"""labkit: a lab for post-training, in which SFT and RL are played, measured and taken apart.

An environment deals a task, a player answers, a verifier judges, the verdict goes back into the dialogue, and
the whole exchange is one :class:`~labkit.episode.Episode`. Trainers, evaluations, notebooks and the app all
read and write Episodes.
"""

import os

# OpenMP threads that wait should sleep, not spin: on a machine that does other things too, spinning makes small
# models several times slower. Read when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
