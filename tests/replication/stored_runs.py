"""Stored runs with known numbers, written through the real run store from real configs and real verdicts."""

from __future__ import annotations

import math
from functools import cache
from itertools import islice
from pathlib import Path

import yaml

from labkit.config import read
from labkit.envs import game, judge, start
from labkit.episode import Episode, Task
from labkit.evaluation import wilson
from labkit.runs import Run
from labkit.training.rl.config import RLConfig
from labkit.training.sft.stage import SFTConfig

HANDS = 40
"""Deals of a probe."""

SFT = {
    "stage": "sft", "name": "toy-sft", "seed": 0, "model": "tiny:gp-l/init", "cell": "gp-l", "steps": 20, "lr": 1e-3,
    "probe": {"every": 10, "episodes": HANDS, "attempts": 1},
}  # fmt: skip
RL = {
    "stage": "rl", "name": "toy-rl", "seed": 0, "model": "tiny:gp-l/init", "cell": "gp-l", "updates": 4, "lr": 1e-4,
    "kl": 0.02, "probe": {"every": 2, "episodes": HANDS, "attempts": 1},
}  # fmt: skip
SFT_HITS = {0: {"id": 10, "rule-ood": 20}, 10: {"id": 20, "rule-ood": 12}, 20: {"id": 30, "rule-ood": 4}}
RL_HITS = {0: {"id": 10, "rule-ood": 20}, 2: {"id": 12, "rule-ood": 20}, 4: {"id": 16, "rule-ood": 22}}
FIGURE = {
    "title": "a toy", "kind": "curves", "question": "Which?", "source": "Figure 5", "paper": "SFT falls.",
    "seeds": [100, 101], "set": {"probe.split": "test"},
    "curves": [
        {"name": "SFT", "method": "sft", "config": "{cell}/sft.yaml"},
        {"name": "RL", "method": "rl", "config": "{cell}/rl.yaml"},
    ],
    "claims": [{"curve": "SFT", "says": "falls"}, {"curve": "RL", "says": "rises"}],
}  # fmt: skip


def lay_out(folder: Path, **plans: dict) -> Path:
    """``configs/`` with both recipes and some plans; returns the folder of the plans."""
    for name, config in (("sft", SFT), ("rl", RL)):
        _write(folder / "configs" / "experiments" / "gp-l" / f"{name}.yaml", config)
    for name, plan in plans.items():
        _write(folder / "configs" / "figures" / f"{name.removeprefix('f')}.yaml", plan)
    return folder / "configs" / "figures"


def _write(path: Path, data: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")


def train(root: Path, config: Path, words: list[str], hits: dict[int, dict[str, int]], *, tokens: int = 1000) -> Run:
    """A finished training run in which the first ``hits[step][suite]`` of a probe's deals are right.

    Each step costs ``tokens`` trained tokens of a model of a million parameters, and half a second.
    """
    data = read(config, words)
    typed = {"sft": SFTConfig, "rl": RLConfig}[data["stage"]].parse(data)
    run = Run.create(root, typed.name, typed.to_yaml())
    for step in range(max(hits) + 1):
        line = {"step": step, "flops": 6e6 * tokens * step, "trained_tokens": tokens * step} | (
            {"seconds": 0.5} if step else {}
        )
        if data["stage"] == "rl" and step:
            line |= {"flops": 8e6 * tokens * step, "flops/training": 6e6 * tokens * step}
        for suite, right in hits.get(step, {}).items():
            share = right / HANDS
            line |= {
                f"eval/{suite}/success": share,
                f"eval/{suite}/ci95": list(wilson(share, HANDS)),
                f"eval/{suite}/n": HANDS,
            }
            run.put_episodes(f"{suite}-{step}", played(dealt(suite), range(right)))
        run.log(line)
    run.checkpoint(max(hits)).mkdir(parents=True)
    run.set_status("finished")
    return run


def evaluate(root: Path, player: str, right: dict[str, set[str]], **settings) -> Run:
    """A finished ``labkit eval --episodes all`` in which the hands of a suite named by ``right`` are won."""
    config = {"stage": "eval", "cell": "gp-l", "player": player, "split": "test", "episodes": "all", "seed": 0,
              "attempts": None, **settings}  # fmt: skip
    run = Run.create(root, "eval-gp-l", yaml.safe_dump(config))
    for suite, hands in right.items():
        tasks = every(suite)
        run.put_episodes(suite, played(tasks, [i for i, t in enumerate(tasks) if hand_of(t) in hands]))
    run.set_status("finished")
    return run


def hand_of(task: Task) -> str:
    """The ranks of a hand, sorted as text, in one word: ``2 3 6 A``."""
    return " ".join(sorted(rank for rank, _ in task.deal["cards"]))


def share_with(suite: str, ranks: str) -> float:
    """The share of deals of a suite's test hands that hold a rank, by counting suits: C(4, k) for k of a rank."""
    weight = {
        h: math.prod(math.comb(4, h.split().count(r)) for r in set(h.split()))
        for h in {hand_of(t) for t in every(suite)}
    }
    return sum(w for h, w in weight.items() if set(ranks) & set(h.split())) / sum(weight.values())


@cache
def dealt(suite: str) -> tuple[Task, ...]:
    return tuple(islice(game("gp-l").tasks(suite, "test", seed=0, attempts=1), HANDS))


@cache
def every(suite: str) -> tuple[Task, ...]:
    return tuple(task for task, _ in game("gp-l").enumerate_tasks(suite, "test", seed=0, attempts=1))


def played(tasks, won) -> list[Episode]:
    won = set(won)
    return [_played(task, index in won) for index, task in enumerate(tasks)]


def _played(task: Task, right: bool) -> Episode:
    if (task.id, right) not in _KEPT:
        episode = start(task)
        _KEPT[task.id, right] = judge(episode, game("gp-l").expert(episode) if right else "no idea")
    return _KEPT[task.id, right]


_KEPT: dict[tuple[str, bool], Episode] = {}
