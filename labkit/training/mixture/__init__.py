"""The pre-training mixture: what the tiny foundation model knows of the world before any post-training.

Every document is a short chat, and loss falls on what an assistant should say. :mod:`cards` and :mod:`streets`
write the kinds and say what is kept out of them; the shares are here.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from labkit.training.examples import Dialogue
from labkit.training.mixture import cards, streets

SHARES: dict[Callable[[random.Random], Dialogue], float] = {
    cards.solve: 0.25,
    cards.targets: 0.04,
    cards.evaluate: 0.03,
    cards.map_faces: 0.16,
    cards.compose: 0.04,
    cards.in_json: 0.13,
    cards.revise: 0.07,
    streets.bearing: 0.03,
    streets.walk: 0.07,
    streets.sentence: 0.04,
    streets.step: 0.04,
    streets.in_json: 0.07,
    streets.revise: 0.03,
}
"""How often each kind is drawn."""


def document(rng: random.Random) -> Dialogue:
    """One document of the mixture."""
    kind = rng.choices(list(SHARES), weights=list(SHARES.values()))[0]
    return kind(rng)


def documents(seed: int, step: int, count: int) -> list[Dialogue]:
    """The documents of a training step; the same arguments give the same documents."""
    return [document(random.Random(f"mixture/{seed}/{step}/{i}")) for i in range(count)]


def vocabulary() -> list[str]:
    """Texts whose words the tokenizer must know although no document holds them: the games' own prompts."""
    return [*cards.vocabulary(), *streets.vocabulary()]
