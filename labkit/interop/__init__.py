"""Bridges to other packages, and exports.

No module has the name of a package, so that a folder on Python's path never stands in for one. The packages are
imported by what needs them; ``docs/interop.md`` has a command for each.
"""
