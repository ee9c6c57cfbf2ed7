"""Rewards to advantages on one small rollout, for each kind of credit, with numbers worked out by hand."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from labkit.errors import UsageError
from labkit.rollout import gather
from labkit.training.rl.credit import KINDS, Credit, Kind, assign
from tests.test_rollout import answer, attempt, played
from tests.training import small_games

# Rewards at scale .2: the first deal is solved at the second attempt, or at the first; the second deal never is.
SLOW = [(answer([9], [3, 4]), attempt(-5.0)), (answer([9, 3, 4, 9], [5]), attempt(10.0, success=True))]
FAST = [(answer([9], [5]), attempt(10.0, success=True))]
LOST = [(answer([9], [3]), attempt(-5.0)), (answer([9, 3, 9], [3, 3, 3]), attempt(-5.0, -5.0))]


def rollout(values=(0.5, 0.25, 1.0, 2.0, 0.0, 1.0, 0.5, 0.25, -1.0, 0.0, 0.5, 1.0)):
    made = gather([played(0, SLOW), played(1, FAST), played(2, LOST), played(3, LOST)])
    rest = list(values)
    for row in made.rows:
        row.arrays["value"] = np.array([rest.pop(0) for _ in row.turn], np.float32)
    assert not rest
    return made


def found(name, of):
    return [[round(float(x), 5) for x in row.arrays[name]] for row in of.rows]


def assigned(kind, **settings):
    settings = {"normalise": False, "gamma": 0.5, "lam": 0.5, "reward_scale": 0.2, **settings}
    made = rollout()
    assign(made, Credit(kind=kind, **settings), group=2)
    return made


@pytest.mark.parametrize("kind", ["ppo", "ppo-turn"])
def test_ppo_gives_every_token_of_a_turn_the_gae_of_the_turn(kind):
    # SLOW: rewards -1, 2; values .5, 1. delta = (-1 + .5 - .5, 2 - 1) = (-1, 1); A_0 = -1 + .25 = -.75.
    # FAST: reward 2, value 2. LOST: rewards -1, -2; values 0, 1 and then -1, 0:
    # delta = (-1 + .5 - 0, -2 - 1) = (-.5, -3), A_0 = -1.25; then (-1 + 0 + 1, -2) = (0, -2), A_0 = -.5.
    made = assigned(kind)
    assert found("advantage", made) == [[-0.75, -0.75, 1], [0], [-1.25, -3, -3, -3], [-0.5, -2, -2, -2]]
    assert found("return", made) == [[-0.25, -0.25, 2], [2], [-1.25, -2, -2, -2], [-1.5, -2, -2, -2]]


def test_reinforce_has_the_discounted_reward_from_there_on_and_no_critic():
    made = assigned("reinforce")
    assert found("advantage", made) == [[0, 0, 2], [2], [-2, -2, -2, -2], [-2, -2, -2, -2]]
    assert all("return" not in row.arrays for row in made.rows)


def test_groups_compare_whole_episodes_of_one_deal():
    # Returns 1 and 2 in the first group, -3 and -3 in the second.
    assert found("advantage", assigned("grpo")) == [[-0.5] * 3, [0.5], [0] * 4, [0] * 4]
    assert found("advantage", assigned("rloo")) == [[-1] * 3, [1], [0] * 4, [0] * 4]
    # Their standard deviation is sqrt(1/2).
    scaled = found("advantage", assigned("grpo", scale=True))
    assert scaled[1] == [pytest.approx(0.5 / (0.5**0.5 + 1e-4), abs=1e-4)]


@pytest.mark.parametrize("kind", ["grpo", "rloo"])
def test_a_group_in_which_all_did_alike_says_nothing_even_when_normalised(kind):
    # There are more turns below the mean than above; over turns it would not be 0.
    made = assigned(kind, normalise=True)
    advantage = found("advantage", made)
    assert advantage[2] == advantage[3] == [0] * 4
    # Over the four episodes: (-a, a, 0, 0) has standard deviation a / sqrt(2).
    assert advantage[1] == [pytest.approx(2**0.5, abs=1e-3)]
    assert advantage[0] == [pytest.approx(-(2**0.5), abs=1e-3)] * 3


def test_bilevel_gives_tokens_of_a_turn_credit_of_their_own():
    # SLOW, valued at the last tokens .25 and 1: delta = (-1 + .5 - .25, 2 - 1) = (-.75, 1); A = (-.5, 1).
    # Its first token: 1 x .25 - .5 + 1 x .5 x (-.5) = -.5.
    made = assigned("ppo-bilevel", token_gamma=1.0, token_lam=0.5)
    assert found("advantage", made)[:2] == [[-0.5, -0.5, 1], [0]]
    assert found("return", made)[0] == [0.0, -0.25, 2.0]
    # LOST the first: last tokens 0 and .25: delta = (-1 + .125 - 0, -2 - .25) = (-.875, -2.25); A_0 = -1.4375.
    # Its second turn, values 1, .5, .25: .25 - .5 - 1.125 = -1.375, then .5 - 1 - .6875 = -1.1875.
    assert found("advantage", made)[2] == [-1.4375, -1.1875, -1.375, -2.25]


@pytest.mark.parametrize("kind", ["ppo", "reinforce"])
def test_normalised_advantages_have_mean_0_and_deviation_1_over_turns(kind):
    made = assigned(kind, normalise=True)
    of_turns = made.over_turns("advantage")[made.mask_EK]
    assert of_turns.mean() == pytest.approx(0, abs=1e-6)
    assert of_turns.std() == pytest.approx(1, abs=1e-4)


def test_a_new_kind_of_credit_is_one_row_of_the_table(tmp_path, monkeypatch):
    """REINFORCE with the mean reward of the group's turns as its baseline: advantages of turns, no critic."""

    def against_group(made, credit, group):
        reward_EK, mask_EK = torch.from_numpy(made.reward_EK), torch.from_numpy(made.mask_EK)
        by_group = reward_EK.unflatten(0, (-1, group))
        counts = mask_EK.unflatten(0, (-1, group)).sum((1, 2), keepdim=True)
        return ((by_group - by_group.sum((1, 2), keepdim=True) / counts).flatten(0, 1) * mask_EK), None

    with pytest.raises(UsageError, match="did you mean group-turns"):
        monkeypatch.setitem(KINDS, "group-turns", Kind("turn", "group", against_group))
        Credit.parse({"kind": "grup-turns"})
    made = rollout()
    assign(made, Credit(kind="group-turns", normalise=False), group=2)
    # Rewards of the first group: -5, 10, 10, mean 5; of the second: -5, -10, -5, -10, mean -7.5.
    assert found("advantage", made) == [[-10, -10, 5], [5], [2.5, -2.5, -2.5, -2.5], [2.5, -2.5, -2.5, -2.5]]
    with pytest.raises(UsageError, match="set group to 2"):
        small_games.config(credit={"kind": "group-turns"})
    settings = small_games.config(credit={"kind": "group-turns"}, group=4, episodes=16, attempts=2, updates=1)
    it = small_games.learner(small_games.saved(tmp_path), settings)
    before = small_games.weights(it.policy)
    it.update(0)
    assert (small_games.weights(it.policy) - before).abs().max() > 1e-3


MODULE = """
from labkit.training.rl.credit import KINDS, Kind, reward_to_go
KINDS["own"] = Kind("token", None, reward_to_go)
"""
PARSE = """
from labkit.training.rl.credit import Credit
print(Credit.parse({"kind": "own"}).kind)
"""


@pytest.mark.parametrize("named", [True, False])
def test_a_kind_of_a_named_module_is_known_where_nothing_else_has_imported_the_module(tmp_path, named):
    (tmp_path / "own_credit.py").write_text(MODULE)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    env = {**os.environ, "PYTHONPATH": path, "LABKIT_MODULES": "own_credit" if named else ""}
    done = subprocess.run([sys.executable, "-c", PARSE], env=env, capture_output=True, text=True)
    if named:
        assert done.stdout == "own\n"
    else:
        assert "the kinds are ppo, ppo-turn, " in done.stderr.splitlines()[-1]


def test_weights_say_what_counts_alike():
    assert found("weight", assigned("ppo")) == [[1, 1, 1], [1], [1] * 4, [1] * 4]
    third, quarter = 0.33333, 0.25
    assert found("weight", assigned("ppo", mean_over="turn")) == [[0.5, 0.5, 1], [1], *[[1, third, third, third]] * 2]
    assert found("weight", assigned("ppo", mean_over="episode")) == [[third] * 3, [1], [quarter] * 4, [quarter] * 4]


def test_an_episode_without_a_turn_still_counts_against_its_group():
    never = played(1, [(answer([9] * 50, []), attempt(-5.0, -10.0))])
    made = gather([played(0, FAST), never])
    assign(made, Credit(kind="rloo", normalise=False, reward_scale=0.2), group=2)
    # Returns 2 and -3.
    assert found("advantage", made) == [[5]]
