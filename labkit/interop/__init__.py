"""Bridges to other packages: each module is named after the package that it serves, and imports it where it is used.

``docs/interop.md`` has a command for each.
"""
