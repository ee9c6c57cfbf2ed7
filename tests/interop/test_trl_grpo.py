"""TRL's trainer as a baseline: what it is given is what was played, and it learns from the sampled tokens only."""

import sys
from itertools import groupby
from pathlib import Path

import pytest

from labkit.envs import game, judge, prompt, start
from labkit.interop.trl_grpo import trainer
from labkit.models.chat import render
from labkit.models.loader import load
from labkit.players.registry import resolve_checkpoint
from labkit.training.rl.config import RLConfig

ROOT = Path(__file__).parents[2]
SETTINGS = {"stage": "rl", "model": "tiny:gp-l/init", "updates": 1, "episodes": 4, "group": 2, "attempts": 3}
SETTINGS |= {"max_new_tokens": 256, "lr": 1e-4, "credit": {"kind": "grpo"}, "critic": "none"}


def test_without_trl_the_script_says_what_is_missing(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "trl", None)
    config = tmp_path / "config.yaml"
    config.write_text(RLConfig.parse(SETTINGS).to_yaml())
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.setattr(sys, "argv", ["trl_grpo.py", str(config), "--out", str(tmp_path / "out")])
    import trl_grpo

    assert trl_grpo.main() == 2
    assert "pip install trl" in capsys.readouterr().err


def test_an_episode_is_one_completion_of_which_the_answers_are_learnt(tmp_path):
    pytest.importorskip("trl", reason="no trl; pip install 'labkit[test]' -c constraints.txt")
    loaded, config = load(resolve_checkpoint(SETTINGS["model"])), RLConfig.parse(SETTINGS)
    training = trainer(loaded, config, tmp_path)
    tasks = [t for t, _ in zip(game("gp-l").tasks("id", "train", attempts=3), range(2), strict=False)]
    chats = [[{"role": "user", "content": start(t).position.prompt}] for t in tasks for _ in range(2)]
    found = training.rollout_func(chats, training)
    several = 0
    for number, task in enumerate(t for t in tasks for _ in range(2)):
        episode = start(task)
        assert found["prompt_ids"][number] == list(render(loaded, prompt(episode)))
        marked = zip(found["completion_ids"][number], found["env_mask"][number], strict=True)
        pieces = [(own, [i for i, _ in piece]) for own, piece in groupby(marked, key=lambda pair: pair[1])]
        # The player's first, and last.
        assert [own for own, _ in pieces] == [1, 0] * (len(pieces) // 2) + [1]
        for own, ids in pieces:
            text = loaded.tokenizer.decode(ids, skip_special_tokens=True)
            if own:
                episode = judge(episode, text)
            else:
                assert prompt(episode)[-1].text in text
        assert episode.done
        assert found["rewards"][number] == pytest.approx(0.2 * episode.reward)
        several += len(pieces) > 1
    assert several


def test_it_trains(tmp_path):
    pytest.importorskip("trl", reason="no trl; pip install 'labkit[test]' -c constraints.txt")
    loaded = load(resolve_checkpoint(SETTINGS["model"]))
    before = [p.detach().clone() for p in loaded.model.parameters()]
    training = trainer(loaded, RLConfig.parse({**SETTINGS, "episodes": 8, "group": 4}), tmp_path)
    training.train()
    logged = training.state.log_history[0]
    assert logged["reward"] == pytest.approx(logged["rewards/earned/mean"])
    assert max((a - b).abs().max() for a, b in zip(before, loaded.model.parameters(), strict=True)) > 5e-5
