"""Occlusion maps of players whose eyes are known."""

import json

import numpy as np
import pytest
from PIL import Image

from labkit.cli import main
from labkit.envs import game, prompt, start
from labkit.envs.general_points.render.picture import Picture, draw
from labkit.errors import UsageError
from labkit.evaluation.occlusion import occlusion, overlaid
from labkit.players import Answer, registry

RANKS = ("3", "7", "K", "A")


class Reads:
    """Compares each quarter of the picture with that of the whole one, and names a 2 where they differ."""

    name, picture = "reads", {"size": 64}

    def answer(self, turns):
        return [Answer(self._answer(turn)) for turn in turns]

    def _answer(self, turn):
        message = prompt(turn.episode)[0]
        seen = np.asarray(game("gp-vl").draw(message.picture), dtype=int)
        cards = turn.episode.task.deal["cards"]
        true = np.asarray(draw([tuple(card) for card in cards], Picture(size=64)), dtype=int)
        wrong = [np.abs(seen - true)[:, 16 * n : 16 * n + 16].sum() > 0 for n in range(4)]
        named = ["2" if bad else rank for bad, (rank, _) in zip(wrong, cards, strict=True)]
        return json.dumps({"cards": named, "number": [1, 2, 3, 4], "formula": "1+2" if wrong[2] else "1+1"})


def deal():
    return start(game("gp-vl").task(hand=RANKS, picture={"size": 64}))


def test_a_patch_counts_where_it_changes_what_is_named():
    found = occlusion(Reads(), deal(), grid=4)
    assert found.fields["cards"] == list(RANKS)
    # A row of cards takes the middle third: rows 1 and 2 of 4 hold cards, one a column; the others only table, in the
    # colour that a patch has.
    expected = np.zeros((4, 4))
    expected[1:3] = 0.25
    assert np.array_equal(found.changed["cards"], expected)
    assert not found.changed["number"].any()
    formula = np.zeros((4, 4))
    formula[1:3, 2] = 1
    assert np.array_equal(found.changed["formula"], formula)


def test_the_map_lies_on_the_picture():
    episode = deal()
    changed = occlusion(Reads(), episode, grid=4).changed["formula"]
    image, dim = (np.asarray(overlaid(episode, found), dtype=int) for found in (changed, np.zeros((4, 4))))
    plain = np.asarray(game("gp-vl").draw(episode.position.picture["recipe"]), dtype=int)
    assert image.shape == plain.shape and (dim <= plain).all()
    redder = (image[..., 0] - image[..., 1]) - (dim[..., 0] - dim[..., 1])
    patch = np.zeros((64, 64), dtype=bool)
    patch[16:48, 32:48] = True
    assert (redder[patch] > 60).all() and np.array_equal(image[~patch], dim[~patch])


def test_where_there_is_no_picture_that_is_said():
    in_words = start(next(game("gp-l").tasks("id")))
    with pytest.raises(UsageError, match="gp-l shows no pictures"):
        occlusion(Reads(), in_words)
    with pytest.raises(UsageError, match="gp-l shows no pictures"):
        overlaid(in_words, np.zeros((4, 4)))
    with pytest.raises(UsageError, match="2 to 32 patches along a side, not 64"):
        occlusion(Reads(), deal(), grid=64)


def test_the_command_draws_a_map_for_each_field(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(registry.SIMPLE, "reads", (Reads, "quarters"))
    words = f"play gp-vl --player reads --cards 3,7,K,A --occlusion 4 --out {tmp_path} --json"
    assert main(words.split()) == 0
    out, err = capsys.readouterr()
    assert "cards: another answer under 8 of 16 patches" in err and "number: another answer under 0 of 16" in err
    [run] = tmp_path.iterdir()
    assert {path.name for path in run.glob("occlusion-*")} == {
        f"occlusion-{n}.png" for n in ("cards", "number", "formula")
    }
    assert Image.open(run / "occlusion-cards.png").size == (64, 64)
    assert json.loads(out)["status"] == "exhausted"
    for words in ("play gp-l --player random --occlusion 4", "play gp-vl --occlusion 4"):
        assert main([*words.split(), "--out", str(tmp_path)]) == 2
        assert "--occlusion asks a player about a picture" in capsys.readouterr().err
