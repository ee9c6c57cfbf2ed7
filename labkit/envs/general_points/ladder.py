"""The visual shifts of ``gp-vl``, from the pictures of ``id`` (a row of four large black cards) outwards."""

from __future__ import annotations

from typing import Any

from labkit.envs.ladder import Rung


def rungs(cell: str) -> tuple[Rung, ...]:
    """All rungs. Distances: cards in red, share of a card's size that is gone, degrees, cards lying face down, standard
    deviation of the noise, share of a card that is covered; layouts and hands count from the plain one."""
    drawn: dict[str, tuple[str, dict[Any, float]]] = {
        "layout": ("layout", {"fan": 1, "grid": 2}),
        "glyphs": ("glyphs", {"serif": 1, "hand": 2}),
        "tilt": ("tilt", {degrees: degrees for degrees in (2, 4, 8, 15, 30)}),
        "backs": ("backs", {count: count for count in (1, 2, 4, 8)}),
        "noise": ("noise", {sigma: sigma for sigma in (0.1, 0.2, 0.3, 0.5)}),
        "occlusion": ("occlusion", {share: share for share in (0.1, 0.2, 0.3, 0.5)}),
        "size": ("card_scale", {scale: round(1 - scale, 2) for scale in (0.9, 0.8, 0.7, 0.5)}),
    }
    return (
        *(Rung("suit", str(count), count, {"red": count}) for count in (1, 2, 3, 4)),
        *(
            Rung(axis, str(step), distance, {"picture": {knob: step}})
            for axis, (knob, steps) in drawn.items()
            for step, distance in steps.items()
        ),
    )
