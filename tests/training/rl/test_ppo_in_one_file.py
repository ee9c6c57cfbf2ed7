"""The flat file: one update of it gives the trainer's weights, and its advantages are those worked out by hand."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from labkit.models.loader import load
from labkit.players.registry import resolve_checkpoint
from labkit.training.rl import ppo_in_one_file as flat
from labkit.training.rl.loop import make_player
from tests.training import small_games
from tests.training.small_games import config, learner, weights


def shared(settings, **more):
    """The trainer's settings for those of the flat file."""
    same = ("cell", "seed", "episodes", "max_new_tokens", "clip", "value_coefficient", "epochs", "minibatches", "lr")
    values = {name: getattr(settings, name) for name in (*same, "critic_lr", "grad_clip")}
    credit = {"kind": "ppo", **{name: getattr(settings, name) for name in ("gamma", "lam", "reward_scale")}}
    return config(**values, credit=credit, critic="shared", attempts=None, batch=settings.episodes, **more)


def both(loaded, settings, trained):
    """Weights after an update of the trainer and of the flat file, from the same model and value head; and before."""
    fresh = loaded.model
    start = {name: w.clone() for name, w in fresh.state_dict().items()}
    it = learner(loaded, trained, fresh=fresh)
    head = flat.make_value_head(fresh.get_output_embeddings().weight.shape[1])
    head.load_state_dict(it.policy.value_head.layers.state_dict())
    before = weights(it.policy)
    metrics, rollout = it.update(0)
    trainer = weights(it.policy)

    fresh.load_state_dict(start)
    player = make_player(trained, dataclasses.replace(loaded, model=fresh))
    groups = [{"params": fresh.parameters()}, {"params": head.parameters(), "lr": settings.critic_lr}]
    optimizer = torch.optim.AdamW(groups, lr=settings.lr, weight_decay=0.0)
    turns = flat.play(player, settings, 0)
    assert [[t.reward for t in episode] for episode in turns] == [
        [settings.reward_scale * a.reward for a in episode.attempts] for episode in rollout.episodes
    ]
    flat.update_policy(fresh, head, optimizer, turns, settings, 0)
    return before, trainer, torch.cat([weights(fresh), weights(head)]), metrics


@pytest.mark.parametrize("seed", [0, 1])
def test_an_update_gives_the_trainers_weights_on_a_small_game(tmp_path, seed):
    settings = flat.Settings(
        cell="highest", seed=seed, episodes=24, max_new_tokens=3, epochs=3, minibatches=2, lr=2e-3, clip=0.02, chunk=5
    )
    loaded = small_games.saved(tmp_path, seed)
    before, trainer, ours, metrics = both(loaded, settings, shared(settings, micro_batch_tokens=60))
    # The clip cuts, and several turns share an episode: nothing of the update is left out.
    assert metrics["policy/clipfrac_avg"] > 0.05 and metrics["rollout/turns"] > 1.2
    assert (trainer - before).abs().max() > 5e-3
    torch.testing.assert_close(ours, trainer, atol=5e-6, rtol=0)


def test_an_update_gives_the_trainers_weights_on_the_bundled_init():
    settings = flat.Settings(episodes=12, epochs=2, clip=0.05)
    loaded = load(resolve_checkpoint(settings.model))
    before, trainer, ours, metrics = both(loaded, settings, shared(settings))
    assert metrics["rollout/turns"] > 1.5
    moved = (trainer - before).abs()
    assert moved.max() > 4e-4
    # AdamW divides a gradient by its size: where that is near its epsilon, rounding says how far a weight goes.
    far = (ours - trainer).abs() > 5e-6
    assert far.float().mean() < 1e-4
    assert (ours - trainer).abs().max() < settings.lr


def test_advantages_worked_out_by_hand():
    # gamma .5, lambda .5. First episode: rewards -1, 2, values .5, 1: delta = (-1 + .5 - .5, 2 - 1) = (-1, 1), so
    # A = (-1 + .25, 1) and R = (-.25, 2). Second: reward 2, value 2: A = 0, R = 2.
    made = [[(-1.0, 0.5), (2.0, 1.0)], [(2.0, 2.0)]]
    episodes = [[flat.Turn(np.zeros(1), np.zeros(1), reward, value=value) for reward, value in e] for e in made]
    flat.estimate_advantages(episodes, gamma=0.5, lam=0.5)
    assert [[t.target for t in e] for e in episodes] == [[-0.25, 2.0], [2.0]]
    raw = np.array([-0.75, 1.0, 0.0])
    normalised = (raw - raw.mean()) / (raw.std() + 1e-5)
    assert [t.advantage for e in episodes for t in e] == pytest.approx(list(normalised))


def test_it_is_short_and_imports_none_of_the_trainers_rooms():
    text = Path(flat.__file__).read_text()
    assert len(text.splitlines()) <= 250
    imports = [line for line in text.splitlines() if line.startswith(("import ", "from "))]
    assert not [line for line in imports if "labkit.training" in line or "labkit.rollout" in line]
