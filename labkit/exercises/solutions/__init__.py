"""Solutions that stand in for a learner's missing or wrong answer; see :func:`labkit.exercises.use`.

Each is the solution that the notebook shows folded, word for word; a test compares the two.
"""
