"""V-IRL through ``reset`` and ``step``."""

import json
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import labkit.envs.gym  # noqa: F401, registers the ids
from labkit.envs import game, replay, start
from labkit.envs.gym import VIRLEnv
from labkit.envs.reading import LIMIT
from labkit.envs.virl import sources
from labkit.envs.virl.codec import to_plain
from labkit.episode import Episode
from labkit.errors import UsageError

ID = "labkit/VIRL-v0"
SMALL = {"picture": {"size": 64}}


def env_of(**kwargs) -> gymnasium.Env:
    return gymnasium.make(ID, **kwargs)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"modality": modality, "suite": suite, "split": "dev", "walk": walk, **extra}
        for modality, extra in (("text", {"render_mode": "ansi"}), ("picture", {"render_mode": "rgb_array", **SMALL}))
        for suite in ("id", "rule-ood", "visual-ood")
        for walk in ("rail", "free")
        if modality == "picture" or suite != "visual-ood"
    ],
    ids=str,
)
def test_gymnasiums_own_checker_finds_nothing(kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env_of(**kwargs).unwrapped)


def test_a_route_from_start_to_end():
    route = sources.routes("id", "dev")[0]
    env = env_of()
    observation, info = env.reset(seed=0, options={"route": route})
    total, steps, done = 0.0, 0, False
    while not done:
        assert [m["role"] for m in info["messages"]] == ["user"]
        episode = Episode.from_dict(json.loads(json.dumps(info["record"])))
        answer = game("virl-l").expert(episode)
        observation, reward, done, truncated, info = env.step(answer)
        total, steps = total + reward, steps + 1
        assert info["success"] and info["category"] == "correct" and not truncated
    assert total == steps and info["record"]["status"] == "success"
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.unwrapped.step(answer)


def test_two_wrong_answers_end_it():
    env = env_of()
    first, _ = env.reset(seed=1)
    second, reward, terminated, truncated, info = env.step("no idea")
    assert (reward, terminated, truncated, info["tags"]) == (-1.0, False, False, ["bad_json"])
    assert second == f"{first}\n\nassistant: no idea\n\nuser: {info['feedback']}"
    assert env.step("no idea")[1:4] == (-2.0, True, False)
    episode = Episode.from_dict(json.loads(json.dumps(info["record"])))
    assert replay(episode).to_json() == episode.to_json()


def test_seeds_deal_what_the_library_deals():
    dealt = game("virl-l").tasks("rule-ood", "dev", seed=7)
    prompts = [f"user: {start(next(dealt)).position.prompt}" for _ in range(3)]
    env = env_of(suite="rule-ood", split="dev")
    assert [env.reset(seed=7)[0], env.reset()[0], env.reset()[0]] == prompts
    assert env.reset(seed=7)[0] == prompts[0]
    env.reset(options={"actions": "absolute"})
    assert env.reset()[0] == prompts[1]


def test_options_change_one_episode():
    env = env_of()
    assert "x one of left, right" in env.reset(seed=0, options={"actions": "relative"})[0]
    assert "x one of north" in env.reset()[0]
    route = to_plain(sources.routes("id", "test")[3])
    text, info = env.reset(options={"route": route, "walk": "free"})
    assert info["record"]["task"]["deal"]["route"]["id"] == route["id"]
    assert info["record"]["task"]["rule"] == {"actions": "absolute", "walk": "free"}


def test_a_picture_shows_what_the_words_withhold():
    env = env_of(modality="picture", suite="visual-ood", split="test", **SMALL)
    observation, _ = env.reset(seed=0)
    assert observation["image"].shape == (64, 64, 3) and observation["image"].dtype == np.uint8
    assert "Landmarks are in the picture." in observation["prompt"]
    assert len(np.unique(observation["image"])) > 20


def test_text_can_be_rendered_as_views_too():
    env = env_of(render_mode="rgb_array", **SMALL)
    env.reset(seed=0)
    assert env.render().shape == (64, 64, 3)
    env = env_of(render_mode="ansi")
    text, _ = env.reset(seed=0)
    assert env.render() == text


@pytest.mark.parametrize("answer", ["", "\x00\ud800{", "x" * (20 * LIMIT), '{"action": ' + "(" * 5000])
def test_any_answer_is_judged_and_its_observation_fits(answer):
    env = env_of().unwrapped
    env.reset(seed=0)
    observation, reward, terminated, _, info = env.step(answer)
    assert observation in env.observation_space
    assert (info["category"], reward, terminated) == ("unreadable", -1.0, False)


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"modality": "sound"}, "text or picture"),
        ({"suite": "visual-ood"}, "virl-l has no suite"),
        ({"actions": "up"}, "absolute or relative"),
        ({"walk": "fly"}, "rail or free"),
        ({"attempts": 0}, "attempts"),
        ({"data": "/nowhere/at/all"}, "no such folder"),
        ({"render_mode": "human"}, "ansi or rgb_array"),
    ],
)
def test_arguments_that_cannot_be(kwargs, said):
    with pytest.raises(UsageError, match=said):
        VIRLEnv(**kwargs)


@pytest.mark.parametrize(
    "options",
    [{"cards": "3 3 8 8"}, {"route": 7}, {"route": {}}, {"actions": "x"}, {"route": {}, "suite": "id"}],
    ids=str,
)
def test_options_that_cannot_be(options):
    env = env_of().unwrapped
    with pytest.raises(UsageError):
        env.reset(options=options)


def test_the_docstring_has_gymnasiums_headings():
    lines = [line.strip() for line in VIRLEnv.__doc__.splitlines()]
    assert [line[3:] for line in lines if line.startswith("## ")] == [
        "Description",
        "Action Space",
        "Observation Space",
        "Starting State",
        "Rewards",
        "Episode End",
        "Information",
        "Arguments",
        "References",
        "Version History",
    ]
