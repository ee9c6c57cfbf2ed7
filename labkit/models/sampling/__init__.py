"""Sampling from a model: batched decoding with prefix caches and draft tokens."""
