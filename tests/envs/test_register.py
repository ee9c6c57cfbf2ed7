"""A game of one's own beside the built-in cells."""

from dataclasses import replace

import pytest

from labkit.envs import game, games, register
from labkit.envs.games import Row
from labkit.errors import UsageError
from labkit.play import play_many
from labkit.players.base import Answer
from labkit.training.rl.config import RLConfig
from tests.training.small_games import Bandit


@pytest.fixture
def lever(monkeypatch):
    monkeypatch.setattr(games, "_ROWS", list(games._ROWS))
    register(Row(name="lever", title="Lever", cells={"lever": "Lever"}, game=Bandit))
    return game("lever")


class Always:
    name = "always"

    def __init__(self, text):
        self.text = text

    def answer(self, turns):
        return [Answer(self.text) for _ in turns]


def test_a_registered_game_is_played_like_the_others(lever):
    assert game("lever") is lever
    tasks = [task for task, _ in zip(lever.tasks("id", attempts=2), range(3), strict=False)]
    assert [p.episode.reward for p in play_many(tasks, Always("b"))] == [5.0] * 3
    # Wrong twice, and the attempts used up.
    assert [p.episode.reward for p in play_many(tasks, Always("a"))] == [-3.0] * 3


def test_it_can_be_trained_on_and_is_named_among_the_cells(lever):
    assert RLConfig.parse({"stage": "rl", "model": "m", "updates": 1, "lr": 1.0, "cell": "lever"}).cell == "lever"
    with pytest.raises(UsageError, match="did you mean lever"):
        game("levver")
    with pytest.raises(UsageError, match="virl-vl, .*lever; LABKIT_MODULES has to name the module"):
        game("anagram")


@pytest.mark.parametrize("name", ["gp-l", "virl-vl", "lever"])
def test_a_name_is_given_once(lever, name):
    before = game(name)
    with pytest.raises(UsageError, match=f"a cell '{name}' already"):
        register(Row(name="other", title="Other", cells={"fresh": "Fresh", name: "Other"}, game=Bandit))
    assert game(name) is before
    with pytest.raises(UsageError, match="no cell 'fresh'"):
        game("fresh")


class NoExpert(Bandit):
    expert = property()
    """Asking for it is an AttributeError, as if the class had none."""


class NoPenalty(Bandit):
    def tasks(self, suite, split="all", **settings):
        for task in super().tasks(suite, split, **settings):
            yield replace(task, reward={})


@pytest.mark.parametrize(
    ("incomplete", "said"),
    [(NoExpert, "'fresh', NoExpert, has no expert;"), (NoPenalty, "'fresh' has no 'exhausted'")],
)
def test_an_incomplete_game_is_refused_with_what_is_missing(lever, incomplete, said):
    with pytest.raises(UsageError, match=said):
        register(Row(name="other", title="Other", cells={"fresh": "Fresh"}, game=incomplete))
    with pytest.raises(UsageError, match="no cell 'fresh'"):
        game("fresh")


def test_a_game_without_pictures_draws_none(lever):
    """A class that does not inherit from the protocol, with all its names but ``draw``."""
    names = {name: getattr(Bandit, name) for name in dir(Bandit) if name[:2] != "__" and name != "draw"}
    plain = type("Plain", (), {**names, "__init__": Bandit.__init__})
    register(Row(name="other", title="Other", cells={"fresh": "Fresh"}, game=plain))
    assert not hasattr(game("fresh"), "draw") and game("fresh").cell == "fresh"


def test_places_key_the_noise_of_a_share_like_that_of_the_whole(tmp_path):
    from labkit.players.checkpoint import Checkpoint
    from tests.training import small_games

    player = Checkpoint(small_games.saved(tmp_path), name="m", temperature=1.0, max_new_tokens=2)
    tasks = [task for task, _ in zip(game("bandit").tasks("id", attempts=3), range(6), strict=False)]
    whole = {p.index: [a.text for a in p.answers] for p in play_many(tasks, player, key=(7,))}
    share = play_many(tasks[1::2], player, key=(7,), places=range(1, 6, 2))
    assert {p.index: [a.text for a in p.answers] for p in share} == {n: whole[n] for n in (1, 3, 5)}
