"""Documents with pictures: the cards that a text document lists are shown instead.

======= ===========================================================================================
kind    what it teaches
======= ===========================================================================================
read    a picture of cards -> their names
number  a picture and a rule for face cards -> names and numbers, as the answer's first two fields
answer  a picture and a rule -> the whole JSON answer
revise  the same with wrong answers and the verifier's feedback in between
text    a document of the text mixture, so that nothing is forgotten
======= ===========================================================================================

What the text mixture withholds is withheld here too (:mod:`labkit.training.sft.mixture.cards`), since documents are
made from its own. Suits of one picture are all black or all red. Place, size and tilt of the cards vary: a tower that
only ever saw one place and size reads nothing else.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

from PIL import Image
from pydantic import Field

from labkit.config import Config
from labkit.envs.general_points.cards import RANKS, SUITS
from labkit.envs.general_points.render.picture import Picture, draw
from labkit.episode import Message
from labkit.models.chat import Dialogue
from labkit.training.sft import mixture
from labkit.training.sft.mixture import cards

_SHOWN = ("in the picture", "see the picture", "as shown", "those of the picture")
_READ = (
    "Which cards are in the picture?",
    "Name the cards.",
    "Cards?",
    "What cards do you see, from left to right?",
    "Read the cards of the picture.",
)
_READ_JSON = ('JSON with "cards":', "Write the cards in JSON.", 'Give "cards".')
_COUNTS = {2: 1, 3: 2, 4: 8, 5: 1}
"""How often a picture to be read has so many cards."""


class Pictures(Config):
    """How the pictures of pre-training are drawn."""

    red: float = Field(0.0, ge=0, le=1)
    """Share of the pictures whose suits are red; the others are black. The dial of visual OOD: with none, red cards are
    read as far as what is known of black ones carries."""
    scale: tuple[float, float] = (0.75, 1.0)
    """Size of the cards, from and to; 1 is as large as the layout lets them be."""
    shift: float = Field(0.1, ge=0, le=0.3)
    """The cards are moved by at most this share of the picture's side, up or down and to the left or right, and no
    further to a side than leaves all of them whole."""
    tilt: float = Field(8.0, ge=0, le=30)
    """Degrees by which a card leans, at most; half of the pictures have none."""
    grid: float = Field(0.1, ge=0, le=1)
    """Share of the pictures whose cards lie in a grid, not in a row."""


class Shares(Config):
    """How often each kind of document is drawn."""

    read: float = Field(0.15, ge=0)
    number: float = Field(0.4, ge=0)
    answer: float = Field(0.1, ge=0)
    revise: float = Field(0.05, ge=0)
    text: float = Field(0.3, ge=0)


def documents(seed: int, step: int, count: int, size: int, shares: Shares, how: Pictures) -> list[Dialogue]:
    """The documents of a training step, counted from 0; the same arguments give the same documents.

    Args:
        size: side of the pictures in pixels.
    """
    rngs = [random.Random(f"pictures/{seed}/{step}/{i}") for i in range(count)]
    return [document(rng, size, shares, how) for rng in rngs]


def document(rng: random.Random, size: int, shares: Shares, how: Pictures) -> Dialogue:
    """One document."""
    kinds = shares.model_dump()
    kind = rng.choices(list(kinds), weights=list(kinds.values()))[0]
    if kind == "text":
        return mixture.document(rng)
    if kind == "read":
        return _read(rng, size, how)
    made = {"number": cards.map_json, "answer": cards.in_json, "revise": cards.revise}[kind](rng)
    return _shown(rng, made, size, how)


def _read(rng: random.Random, size: int, how: Pictures) -> Dialogue:
    count = rng.choices(list(_COUNTS), weights=list(_COUNTS.values()))[0]
    ranks = [rng.choice("JQK") if rng.random() < 0.35 else rng.choice(RANKS) for _ in range(count)]
    if rng.random() < 0.5:
        question, answer = rng.choice(_READ), ", ".join(ranks)
    else:
        question, answer = rng.choice(_READ_JSON), json.dumps({"cards": ranks})
    return Dialogue((Message("user", question, recipe(rng, ranks, size, how)), Message("assistant", answer)), (1,))


def _shown(rng: random.Random, made: Dialogue, size: int, how: Pictures) -> Dialogue:
    """A text document whose cards are in a picture: the list of them in its question becomes words that say so."""
    ranks = json.loads(made.messages[-1].text)["cards"]
    question, *others = made.messages
    listed = ", ".join(ranks)
    asked = question.text.replace(listed, rng.choice(_SHOWN), 1)
    first = Message("user", asked, recipe(rng, ranks, size, how))
    return made._replace(messages=(first, *others))


def recipe(rng: random.Random, ranks: list[str], size: int, how: Pictures) -> dict[str, Any]:
    """How to draw cards of these ranks: what :func:`drawn` takes."""
    suits = SUITS["red" if rng.random() < how.red else "black"]
    scale = rng.uniform(*how.scale)
    tilt = rng.uniform(0, how.tilt) if rng.random() < 0.5 else 0.0
    layout = "grid" if rng.random() < how.grid else "row"
    # What is left beside the cards of a row when they are smaller than they could be.
    beside = min(how.shift, 0.02 + 0.48 * (1 - 0.94 * scale) / len(ranks))
    down = how.shift if layout == "row" else min(how.shift, 0.02)
    return {
        "cards": [[rank, rng.choice(suits)] for rank in ranks],
        "size": size,
        "layout": layout,
        "card_scale": round(scale, 2),
        "tilt": round(tilt, 1),
        "seed": rng.randrange(1000),
        "shift": [round(size * rng.uniform(-beside, beside)), round(size * rng.uniform(-down, down))],
    }


def drawn(recipe: Mapping[str, Any]) -> Image.Image:
    """The picture of a recipe of :func:`recipe`: a hand as the game draws it, moved by ``shift`` pixels."""
    knobs = {k: v for k, v in recipe.items() if k not in ("cards", "shift")}
    picture = Picture.from_dict(knobs)
    image = draw([(rank, suit) for rank, suit in recipe["cards"]], picture)
    right, down = recipe["shift"]
    moved = Image.new("RGB", image.size, picture.background)
    moved.paste(image, (right, down))
    return moved
