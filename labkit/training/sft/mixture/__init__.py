"""The pre-training mixture: what the tiny foundation model knows of the world before any post-training.

Every document is a short chat, and loss falls on what an assistant should say. :mod:`cards` and :mod:`streets`
write the kinds and say what is kept out of them; the shares are here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from labkit.models.chat import Dialogue
from labkit.training.sft.mixture import cards, streets

SHARES: dict[Callable[[random.Random], Dialogue], float] = {
    cards.solve: 0.38,
    cards.evaluate: 0.02,
    cards.map_faces: 0.08,
    cards.map_json: 0.14,
    cards.in_json: 0.19,
    cards.revise: 0.09,
    streets.bearing: 0.005,
    streets.repeat: 0.005,
    streets.read: 0.015,
    streets.walk: 0.015,
    streets.sentence: 0.02,
    streets.step: 0.02,
    streets.in_json: 0.01,
    streets.revise: 0.01,
}
"""How often each kind is drawn."""
FIRST: dict[Callable[[random.Random], Dialogue], float] = {
    streets.repeat: 0.6,
    streets.read: 0.2,
    streets.bearing: 0.05,
    cards.map_faces: 0.15,
}
"""How often in the first :data:`FIRST_STEPS` steps: short documents that are answered by copying and looking up. A
model that can do that learns to read a page of instructions; one that has to learn both at once takes many times
as long."""
FIRST_STEPS = 200


def document(rng: random.Random, shares: Mapping[Callable[[random.Random], Dialogue], float] = SHARES) -> Dialogue:
    """One document."""
    kind = rng.choices(list(shares), weights=list(shares.values()))[0]
    return kind(rng)


def documents(seed: int, step: int, count: int) -> list[Dialogue]:
    """The documents of a training step, counted from 0; the same arguments give the same documents."""
    shares = FIRST if 0 <= step < FIRST_STEPS else SHARES
    return [document(random.Random(f"mixture/{seed}/{step}/{i}"), shares) for i in range(count)]


def vocabulary() -> list[str]:
    """Texts whose words the tokenizer must know although no document holds them: the games' own prompts."""
    return [*cards.vocabulary(), *streets.vocabulary()]
