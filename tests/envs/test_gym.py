"""The Gymnasium environments: the same game, through ``reset`` and ``step``."""

import copy
import json
import pickle
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import RecordEpisodeStatistics

import labkit.envs.gym  # noqa: F401, registers the ids
from labkit.envs import game, replay, start
from labkit.envs.gym import DialogueEnv, GeneralPointsEnv
from labkit.envs.reading import LIMIT
from labkit.episode import Episode
from labkit.errors import UsageError

ID = "labkit/GeneralPoints-v0"
RIGHT = '{"cards": ["3", "3", "8", "8"], "number": [3, 3, 8, 8], "formula": "8/(3-8/3)=24"}'
SMALL = {"picture": {"size": 64}}


def env_of(**kwargs) -> gymnasium.Env:
    return gymnasium.make(ID, **kwargs)


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"render_mode": "ansi", "attempts": 1},
        {"suite": "rule-ood", "split": "dev"},
        {"faces": {"J": 5, "Q": 5, "K": 5}, "target": 20},
        {"modality": "picture", **SMALL},
        {"modality": "picture", "suite": "visual-ood", "render_mode": "rgb_array", **SMALL},
    ],
    ids=str,
)
def test_gymnasiums_own_checker_finds_nothing(kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env_of(**kwargs).unwrapped)


def test_a_dialogue_of_three_attempts():
    env = env_of(attempts=3)
    first, info = env.reset(seed=0, options={"cards": "3 3 8 8"})
    assert "3, 3, 8, 8" in first
    assert [m["role"] for m in info["messages"]] == ["user"]

    second, reward, terminated, truncated, info = env.step("no idea")
    assert (reward, terminated, truncated) == (-3.0, False, False)
    assert info["category"] == "unreadable" and info["tags"] == ["bad_json"]
    # The dialogue grows: what was said before stays, the answer and what the verifier said of it follow.
    assert second == f"{first}\n\nassistant: no idea\n\nuser: {info['feedback']}"

    # 8 - 3 = 5, 5 + 8 = 13, 13 + 3 = 16: each card once, not 24.
    *_, info = env.step('{"formula": "8-3+8+3"}')
    assert info["category"] == "wrong_value" and info["evidence"]["value"] == "16"

    _, reward, terminated, truncated, info = env.step(RIGHT)
    assert (reward, terminated, truncated, info["success"]) == (5.0, True, False, True)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.unwrapped.step(RIGHT)


def test_the_last_wrong_attempt_terminates_and_costs_one_more():
    env = env_of(attempts=2)
    env.reset(seed=0)
    assert env.step("?")[1:4] == (-3.0, False, False)
    assert env.step("?")[1:4] == (-4.0, True, False)


def test_the_record_replays():
    env = env_of()
    env.reset(seed=3)
    *_, info = env.step(RIGHT)
    episode = Episode.from_dict(json.loads(json.dumps(info["record"])))
    assert len(episode.attempts) == 1 and episode.attempts[0].answer == RIGHT
    assert replay(episode).to_json() == episode.to_json()


def test_seeds_deal_what_the_library_deals():
    dealt = game("gp-l").tasks("rule-ood", "dev", seed=7)
    prompts = [f"user: {start(next(dealt)).position.prompt}" for _ in range(3)]
    env = env_of(suite="rule-ood", split="dev")
    assert [env.reset(seed=7)[0], env.reset()[0], env.reset()[0]] == prompts
    assert env.reset(seed=7)[0] == prompts[0]
    # Options hold for one episode, and do not disturb the deals of the others.
    env.reset(options={"suite": "id"})
    assert env.reset()[0] == prompts[1]


def test_options_change_the_rule_of_one_episode():
    env = env_of()
    text, _ = env.reset(options={"cards": ["K", "Q", "2", "2"], "faces": "eleven-twelve-thirteen", "target": 29})
    assert "Make 29" in text and "K counts as 13" in text
    # 13 + 12 + 2 + 2 = 29
    assert env.step('{"formula": "13+12+2+2=29"}')[4]["success"]
    text, _ = env.reset()
    assert "Make 24" in text and "count as 10" in text


def test_a_picture_shows_the_cards_and_the_words_do_not():
    env = env_of(modality="picture", picture={"size": 96})
    observation, _ = env.reset(seed=1, options={"cards": "K 3 8 A"})
    assert observation["image"].shape == (96, 96, 3) and observation["image"].dtype == np.uint8
    assert "K, 3, 8, A" not in observation["prompt"]
    other, _ = env.reset(options={"cards": "K 3 8 2"})
    assert (other["image"] != observation["image"]).any()
    assert env.step(RIGHT)[4]["category"] == "wrong_cards"


def test_text_can_be_rendered_as_cards_too():
    env = env_of(render_mode="rgb_array")
    env.reset(seed=0)
    frame = env.render()
    assert frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3 and len(np.unique(frame)) > 3


def test_ansi_is_the_dialogue():
    env = env_of(render_mode="ansi")
    text, _ = env.reset(seed=0)
    assert env.render() == text


@pytest.mark.parametrize("answer", ["", "\x00\ud800{", "x" * (20 * LIMIT), '{"formula": ' + "(" * 5000])
def test_any_answer_is_judged_and_its_observation_fits(answer):
    env = env_of().unwrapped
    env.reset(seed=0)
    observation, reward, terminated, _, info = env.step(answer)
    assert observation in env.observation_space
    assert (info["category"], reward, terminated) == ("unreadable", -3.0, False)


def test_statistics_wrapper_finds_its_key_free():
    env = RecordEpisodeStatistics(env_of(attempts=1))
    env.reset(seed=0)
    *_, info = env.step("?")
    assert info["episode"]["r"] == -4.0


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"modality": "sound"}, "text or picture"),
        ({"suite": "visual-ood"}, "gp-l has no suite"),
        ({"target": 0}, "target"),
        ({"attempts": 0}, "attempts"),
        ({"render_mode": "human"}, "ansi or rgb_array"),
    ],
)
def test_arguments_that_cannot_be(kwargs, said):
    with pytest.raises(UsageError, match=said):
        GeneralPointsEnv(**kwargs)


@pytest.mark.parametrize(
    "options",
    [
        {"card": "3 3 8 8"},
        {"cards": "3 3 8 Z"},
        {"cards": "3 3 8 8", "suite": "id"},
        {"target": -1},
        {"faces": "eleven"},
    ],
    ids=str,
)
def test_options_that_cannot_be(options):
    env = env_of().unwrapped
    with pytest.raises(UsageError):
        env.reset(options=options)


def test_the_docstring_has_gymnasiums_headings():
    headings = [line.strip()[3:] for line in GeneralPointsEnv.__doc__.splitlines() if line.strip().startswith("## ")]
    assert headings == [
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


def after(env, resets=2, **options):
    """Names of the tasks that the next resets deal."""
    return [Episode.from_dict(env.reset(options=options)[1]["record"]).task.id for _ in range(resets)]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))], ids=["copy", "pickle"])
@pytest.mark.parametrize("kwargs", [{"split": "dev"}, {"modality": "picture", **SMALL}], ids=["text", "picture"])
def test_a_copy_goes_on_by_itself_from_where_it_was_made(copied, kwargs):
    env = env_of(attempts=2, **kwargs)
    env.reset(seed=5)
    env.reset()
    env.step("?")
    twin = copied(env)
    # Both are in the middle of the second deal: another wrong answer ends each, and neither ends the other's.
    for each in (env, twin):
        assert each.step("?")[1:3] == (-4.0, True)
    assert after(env) + after(env, suite="rule-ood") == after(twin) + after(twin, suite="rule-ood")
    # Each counts its deals for itself.
    assert after(env, 3)[0] == after(twin, 1)[0]


def test_the_next_deal_does_not_depend_on_what_was_dealt_elsewhere_in_between():
    env, other = env_of(), env_of()
    env.reset(seed=4)
    other.reset(seed=4)
    after(other, 3, suite="rule-ood")
    assert after(env) == after(other)
    # Deal 0 came with the seed, deals 1 and 2 above.
    third = next(game("gp-l").tasks("id", seed=4, first=3))
    assert after(env, 1) == [third.id]


def test_any_cell_is_an_environment():
    env = DialogueEnv("virl-l", {"suite": "id", "split": "dev"}, {"attempts": 1}, "ansi")
    first, _ = env.reset(seed=2)
    assert first == env.render() and "Instruction" in first
    assert env.step("?")[1:3] == (-2.0, True)
    with pytest.raises(UsageError, match="no reset option 'route'"):
        env.reset(options={"route": 3})
    with pytest.raises(UsageError, match="no cell 'gp'"):
        DialogueEnv("gp", {"suite": "id"})
