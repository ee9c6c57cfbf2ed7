"""Controls that never look: noise in place of pictures, and a rule by words alone."""

from dataclasses import replace

import numpy as np
import pytest

from labkit.envs import game, judge, prompt, start
from labkit.envs.virl import words
from labkit.envs.virl.walk import rail_of
from labkit.errors import UsageError
from labkit.players import Answer, Request, registry
from labkit.players.blind import Blind
from labkit.players.simple import Words
from tests import vision_models

SMALL = {"picture": {"size": 64}}


class Looks:
    """Keeps what it was sent."""

    name, temperature = "looks", 0.5

    def answer(self, turns):
        self.texts = [[m.text for m in prompt(t.episode)] for t in turns]
        self.pictures = [
            [np.asarray(game(t.episode.task.cell).draw(m.picture)) for m in prompt(t.episode) if m.picture]
            for t in turns
        ]
        return [Answer("{}") for _ in turns]


def seen(*episodes):
    looks = Looks()
    Blind(looks).answer([Request(episode) for episode in episodes])
    return [pictures[0] for pictures in looks.pictures]


@pytest.mark.parametrize("cell", ["gp-vl", "virl-vl"])
def test_noise_of_the_pictures_size_stands_in_its_place(cell):
    episode = start(next(game(cell).tasks("id", **SMALL)))
    [noise] = seen(episode)
    assert noise.shape == (64, 64, 3)
    # Of bytes drawn evenly the mean is 127.5 and the standard deviation 73.9; that of 12,288 is within 4 sigma of it.
    assert abs(noise.mean() - 127.5) < 4 * 73.9 / 12288**0.5 and noise.std() == pytest.approx(73.9, abs=2)
    true = np.asarray(game(cell).draw(episode.position.picture["recipe"])).astype(float)
    assert abs(np.corrcoef(noise.ravel(), true.ravel())[0, 1]) < 4 / 12288**0.5


def test_the_noise_belongs_to_the_deal_and_the_position():
    playing = game("virl-vl")
    one, two = (start(task) for task, _ in zip(playing.tasks("id", **SMALL), range(2), strict=False))
    onward = judge(one, playing.expert(one))
    again = judge(one, "no answer")
    pictures = seen(one, two, onward, again, start(one.task))
    alike = [[np.array_equal(a, b) for b in pictures] for a in pictures]
    assert alike == [[i == j or {i, j} <= {0, 3, 4} for j in range(5)] for i in range(5)]


def test_words_and_the_rest_of_the_player_stay():
    episode = start(next(game("gp-vl").tasks("id", **SMALL)))
    episode = judge(episode, "no answer")
    looks = Looks()
    blind = Blind(looks)
    blind.answer([Request(episode)])
    assert looks.texts == [[m.text for m in prompt(episode)]] and len(looks.texts[0]) == 3
    assert (blind.name, blind.temperature) == ("blind:looks", 0.5)
    assert not hasattr(blind, "should_stop")
    # A text cell has nothing to hide.
    text = start(next(game("gp-l").tasks("id")))
    blind.answer([Request(text)])
    assert looks.pictures == [[]]


def test_a_blind_model_goes_by_its_name():
    blind = registry.load("blind:tiny:gp-l/init", temperature=0.3)
    assert isinstance(blind, Blind) and (blind.name, blind.temperature) == ("blind:tiny:gp-l/init", 0.3)
    assert registry.load("dark=blind:tiny:gp-l/init").name == "dark"
    assert registry.load("blind:mine=tiny:gp-l/init").name == "blind:mine"
    assert registry.info("blind:mine=tiny:gp-l/init").path == registry.info("tiny:gp-l/init").path
    found = registry.info("blind:tiny:gp-l/init")
    assert found.path == registry.info("tiny:gp-l/init").path and "noise" in found.summary
    for spec in ("blind:expert", "blind:words"):
        with pytest.raises(UsageError, match="is not a model"):
            registry.info(spec)


def test_a_vision_model_reads_the_noise(tmp_path):
    """A model of a real architecture: in its context stands another picture, and as many tokens for it."""
    path = str(vision_models.llava(tmp_path / "llava"))
    seeing, blind = (registry.load(f"{prefix}{path}", max_new_tokens=4) for prefix in ("", "blind:"))
    assert blind.picture == seeing.picture == {"size": 56}
    episodes = [
        start(task) for task, _ in zip(game("gp-vl").tasks("id", picture=blind.picture), range(2), strict=False)
    ]
    requests = [Request(episode) for episode in episodes]
    clear, dark, again = (player.answer(requests) for player in (seeing, blind, blind))
    keys = [[answer.tokens.pictures[0].key for answer in answers] for answers in (clear, dark, again)]
    assert keys[1] == keys[2] and len({*keys[0], *keys[1]}) == 4
    assert [a.tokens.context.tolist() for a in clear] == [a.tokens.context.tolist() for a in dark]
    # A second attempt goes on from the same noise.
    onward = [Request(judge(e, a.text), (a,)) for e, a in zip(episodes, dark, strict=True)]
    assert [a.tokens.pictures[0].key for a in blind.answer(onward)] == keys[1]


class TestWords:
    @pytest.mark.parametrize("cell", ["virl-l", "virl-vl"])
    @pytest.mark.parametrize("suite", ["id", "rule-ood"])
    def test_only_the_last_leg_is_left_open(self, cell, suite):
        """Elsewhere the rule is always right; there, the second attempt is."""
        playing, player = game(cell), Words()
        settings = SMALL if playing.pictured else {}
        missed = 0
        for task, _ in zip(playing.tasks(suite, "test", **settings), range(8 if settings else 60), strict=False):
            episode = start(task)
            while not episode.done:
                [answer] = player.answer([Request(episode)])
                episode = judge(episode, answer.text)
            assert episode.success
            last = episode.positions[-1].state["sentence"]
            for position in episode.positions:
                wrong = len(position.attempts) - 1
                missed += wrong
                assert wrong == 0 or position.state["sentence"] == last
        assert missed

    def test_the_rule_knows_nothing_but_words(self):
        """Another truth behind the same prompt changes no answer."""
        episode = start(next(game("virl-l").tasks("id", "test")))
        while not episode.done:
            state = episode.position.state
            hidden = state | {"action": "?", "other_action": "?", "landmarks": [], "heading": 0, "place": [0, 0]}
            hidden |= {"step": 0, "steps": 1, "sentence": 0, "instruction": "?"}
            other = replace(episode, positions=(*episode.positions[:-1], replace(episode.position, state=hidden)))
            assert words.answer(other) == words.answer(episode)
            episode = judge(episode, game("virl-l").expert(episode))

    def test_it_stops_where_most_training_routes_have_stopped(self):
        """From :data:`words.LAST_LEG` points of the last leg on, more routes end than go on; before, fewer."""
        ends, there = [0] * 6, [0] * 6
        for task, _ in game("virl-l").enumerate_tasks("id", "train"):
            steps = rail_of(task).steps
            points = sum(s.sentence == steps[-1].sentence for s in steps) - 1
            ends[points] += 1
            for n in range(points + 1):
                there[n] += 1
        assert [ends[n] > there[n] / 2 for n in range(6)] == [n >= words.LAST_LEG for n in range(6)]

    def test_where_words_say_nothing_there_is_no_rule(self):
        with pytest.raises(UsageError, match="gp-vl has no rule by words alone"):
            Words().answer([Request(start(next(game("gp-vl").tasks("id", **SMALL))))])
        with pytest.raises(UsageError, match="on the rail only"):
            Words().answer([Request(start(next(game("virl-l").tasks("id", walk="free"))))])
