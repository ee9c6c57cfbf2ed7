"""Documents with pictures say what the pictures show, and hold back what the text mixture holds back."""

import json
import random

import numpy as np
import pytest

from labkit.envs.general_points.cards import FACES
from labkit.envs.general_points.render.picture import Picture, draw
from labkit.training.sft.mixture.pictures import Pictures, Shares, documents, drawn, recipe

PLAIN = Pictures(scale=(1.0, 1.0), shift=0.0, tilt=0.0, grid=0.0)


def some(count=300, **how):
    return documents(0, 0, count, 96, Shares(), Pictures(**how))


def pictured(made):
    return [d for d in made if d.messages[0].picture is not None]


def test_the_same_arguments_give_the_same_documents():
    assert some(20) == some(20) and some(20) != documents(1, 0, 20, 96, Shares(), Pictures())


def test_answers_name_the_cards_of_the_picture():
    made = pictured(some())
    assert 180 < len(made) < 240
    for document in made:
        shown = [rank for rank, _ in document.messages[0].picture["cards"]]
        answer = document.messages[-1].text
        named = json.loads(answer)["cards"] if answer.startswith("{") else answer.split(", ")
        assert named == shown
        # The question does not give them away.
        assert ", ".join(shown) not in document.messages[0].text
        assert all(message.picture is None for message in document.messages[1:])


@pytest.mark.parametrize(("red", "low", "high"), [(0.0, 0, 0), (0.3, 0.2, 0.4), (1.0, 1, 1)])
def test_the_share_of_red_pictures_is_a_setting(red, low, high):
    suits = [{suit for _, suit in d.messages[0].picture["cards"]} for d in pictured(some(red=red))]
    assert all(found <= {"H", "D"} or found <= {"S", "C"} for found in suits)
    assert low <= np.mean([found <= {"H", "D"} for found in suits]) <= high


def test_the_changed_rule_and_hands_that_make_24_are_held_back():
    for document in pictured(some()):
        answer = document.messages[-1].text
        if not answer.startswith("{"):
            continue
        fields = json.loads(answer)
        ranks, numbers = fields["cards"], fields.get("number", [])
        values = dict(zip(ranks, numbers, strict=False))
        if set("JQK") <= values.keys():
            assert {face: values[face] for face in "JQK"} != FACES["eleven-twelve-thirteen"]
        if len(ranks) == 4 and "formula" in fields:
            assert not fields["formula"].endswith("=24")


def test_without_jitter_a_picture_is_the_games_own():
    made = recipe(random.Random(0), ["K", "3", "8", "J"], 96, PLAIN)
    cards = [tuple(card) for card in made["cards"]]
    assert np.array_equal(np.asarray(drawn(made)), np.asarray(draw(cards, Picture(size=96))))


def test_cards_move_and_none_is_cut_off():
    """White paper is on every picture as much as on one that is not moved, and not always in the same rows."""
    how = Pictures(scale=(0.8, 0.8), shift=0.2, tilt=0.0, grid=0.0)
    rows = set()
    for seed in range(30):
        made = recipe(random.Random(seed), ["5", "5", "5", "5"], 96, how)
        moved, still = (np.asarray(drawn({**made, "shift": s})).min(-1) > 230 for s in (made["shift"], [0, 0]))
        assert moved.sum() == still.sum()
        rows.add(int(np.flatnonzero(moved.any(1))[0]))
    assert len(rows) > 10
