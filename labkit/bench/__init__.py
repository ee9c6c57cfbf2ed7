"""Benches: how fast the lab is, beside the plain way of doing the same on the same machine."""
