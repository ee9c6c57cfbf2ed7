"""Gymnasium makes every cell by its name, alone and as a vector, and its checker passes."""

import warnings

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

import labkit.envs.gym  # noqa: F401, registers the ids
from labkit.envs import game

CELLS = ("gp-l", "gp-vl", "virl-l", "virl-vl")
# 8/(3-8/3) = 8/(1/3) = 24.
RIGHT = '{"cards": ["3", "3", "8", "8"], "number": [3, 3, 8, 8], "formula": "8/(3-8/3)=24"}'
APART = {"vectorization_mode": "async", "vector_kwargs": {"shared_memory": False}}
"""Each environment in a process of its own."""
ANSWERS = (RIGHT, "é ☃ \udc80 \0", "")


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_is_made_by_its_name(cell):
    env = gymnasium.make(f"labkit/{cell}-v0")
    # The picture cells show an image beside the prompt.
    assert isinstance(env.observation_space, gymnasium.spaces.Dict) is cell.endswith("-vl")
    _, info = env.reset(seed=5)
    assert info["record"]["task"]["cell"] == cell
    assert info["record"]["task"]["index"] == next(game(cell).tasks("id", seed=5)).index


@pytest.mark.parametrize("cell", ["gp-l", "virl-l"])
def test_the_checker_has_nothing_to_say(cell):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(f"labkit/{cell}-v0").unwrapped)


@pytest.mark.parametrize("mode", [{"vectorization_mode": "sync"}, APART], ids=["sync", "async"])
def test_a_vector_of_dialogues(mode):
    envs = gymnasium.make_vec("labkit/gp-l-v0", num_envs=3, **mode)
    try:
        asked, _ = envs.reset(seed=2, options={"cards": "3 3 8 8"})
        assert len(asked) == 3 and all("Cards: 3, 3, 8, 8" in text for text in asked)
        said, rewards, ended, cut, infos = envs.step(ANSWERS)
    finally:
        envs.close()
    # Right +5; the other two cannot be read, -3 (paper, appendix A.3).
    assert rewards.tolist() == [5, -3, -3]
    assert ended.tolist() == [True, False, False] and not cut.any()
    assert infos["category"].tolist() == ["correct", "unreadable", "unreadable"]
    # Whatever characters an answer has, the next observation holds it.
    assert f"assistant: {ANSWERS[1]}\n\nuser: " in said[1]


def test_a_vector_of_pictures_in_processes_of_their_own():
    envs = gymnasium.make_vec("labkit/gp-vl-v0", num_envs=2, attempts=1, picture={"size": 64}, **APART)
    try:
        shown, _ = envs.reset(seed=[4, 5])
    finally:
        envs.close()
    for place, seed in enumerate((4, 5)):
        alone, _ = gymnasium.make("labkit/gp-vl-v0", attempts=1, picture={"size": 64}).reset(seed=seed)
        assert shown["prompt"][place] == alone["prompt"]
        assert (shown["image"][place] == alone["image"]).all()


def test_shared_memory_is_refused():
    with pytest.raises(ValueError, match="shared_memory=False"):
        gymnasium.make_vec("labkit/gp-l-v0", num_envs=2, vectorization_mode="async")
