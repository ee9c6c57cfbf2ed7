"""Whether policies learn small games, by every kind of credit."""

import numpy as np
import pytest

from labkit.training.rl import update as update_module
from labkit.training.rl.credit import assign
from tests.training import small_games
from tests.training.small_games import KINDS, config, learner, of_kind


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return small_games.saved(tmp_path_factory.mktemp("model"))


def success(loaded, updates, **settings):
    """Share of successes in the last four updates."""
    it = learner(loaded, config(**settings))
    return np.mean([it.update(update)[0]["rollout/success"] for update in range(updates)][-4:])


@pytest.mark.parametrize("kind", KINDS)
def test_it_finds_the_right_lever_whatever_the_seed(loaded, kind):
    # One of 18 tokens is right.
    found = [success(loaded, 18, seed=seed, **of_kind(kind)) for seed in range(5)]
    assert min(found) > 0.8, found


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_to_name_the_highest_card(loaded, kind):
    # Always naming the same card is right three times in ten; more takes reading the cards.
    assert success(loaded, 40, cell="highest", lr=0.01, **of_kind(kind)) > 0.5


def test_it_learns_from_the_feedback_on_several_attempts(loaded):
    assert success(loaded, 30, attempts=2, max_new_tokens=2, kl=0.01, entropy=0.01) > 0.6


@pytest.mark.parametrize("kind", KINDS)
def test_with_the_sign_turned_round_it_unlearns(loaded, kind, monkeypatch):
    def turned(rollout, credit, group):
        assign(rollout, credit, group)
        for row in rollout.rows:
            row.arrays["advantage"] = -row.arrays["advantage"]

    monkeypatch.setattr(update_module, "assign", turned)
    assert success(loaded, 18, **of_kind(kind)) < 0.05
