"""The verbs of the command line; each module has ``configure(parser)`` and ``run(args) -> status``.

A module's docstring is its help: the first line says what it does, the rest shows examples.
"""
