"""How much sampling reuses and shares."""

from __future__ import annotations

from enum import IntEnum


class Level(IntEnum):
    """Each level does what the lower ones do, and more. All give the same tokens where the model allows them."""

    PLAIN = 0
    """A full forward pass for each token, over rows of equal length: no cache, no padding."""
    CACHED = 1
    """Keys and values are kept; rows of unequal length are padded on the left."""
    PREFIXES = 2
    """A shared prefix is read once, and rows of the call before are reused."""
    DRAFTS = 3
    """Draft tokens are read with the token before them; wrong ones stay in the cache, masked."""
