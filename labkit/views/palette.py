"""Colours with a meaning, the same in every figure and widget, distinct for every kind of colour vision.

The hues are those of Okabe and Ito (2008). Lines and borders keep a contrast of 3:1 on white and on the dark grey of
a dark theme; their lighter orange (#E69F00) does not, so SFT is the darker one.
"""

from __future__ import annotations

import re

METHODS = {"init": "#767676", "sft": "#D55E00", "rl": "#0072B2"}
"""The start of training (grey), supervised fine-tuning (orange), reinforcement learning (blue)."""

OTHERS = ("#009E73", "#CC79A7", "#56B4E9", "#B8860B")
"""Colours for other series, in order: green, pink, sky, and a dark yellow."""

LOSS, GAIN = METHODS["sft"], METHODS["rl"]
"""The two ends of the colour scale of changes; its middle is white."""

_RL = frozenset({"rl", "ppo", "grpo", "rloo", "reinforce", "dapo"})
_INIT = frozenset({"init", "base", "pretrain"})
_SFT = frozenset({"sft", "dft"})


def method_of(*names: str) -> str | None:
    """``init``, ``sft`` or ``rl``, from the first of some names (player, run, stage) that contains one; else None."""
    # The last part of a path comes first: a folder of RL runs may contain their Init.
    for part in (part for name in names for part in reversed(re.split("[/\\\\]", name))):
        words = set(re.split("[^a-z]+", part.lower()))
        # A run from an Init may be named after both; its own method counts.
        for method, signs in (("rl", _RL), ("sft", _SFT), ("init", _INIT)):
            if words & signs:
                return method
    return None


def color_of(*names: str, other: int = 0) -> str:
    """The colour of the method that :func:`method_of` finds.

    Args:
        other: index into :data:`OTHERS`, used if no name contains a method.
    """
    method = method_of(*names)
    return METHODS[method] if method else OTHERS[other % len(OTHERS)]


def rgba(color: str, alpha: float) -> str:
    """``#RRGGBB`` as CSS with an opacity from 0 to 1."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


def diverging(value: float, largest: float) -> str:
    """The background of a signed number: white at 0, blue above, orange below, always light enough for black text.

    Args:
        largest: the absolute value with the strongest colour; above 0.
    """
    share = min(abs(value) / largest, 1.0)
    end = GAIN if value > 0 else LOSS
    mixed = (round(255 + (int(end[i : i + 2], 16) - 255) * 0.55 * share) for i in (1, 3, 5))
    return "#{:02X}{:02X}{:02X}".format(*mixed)
