"""A stored evaluation with two episodes that are known by heart."""

import json

import pytest

from labkit.envs import game, judge, start
from labkit.runs import Run
from labkit.runs.store import write_json

WRONG = '{"formula": "8-3+8+3"}'
"""8 - 3 + 8 + 3 = 16."""
ODD = "é <b>&amp;</b>\n```\n# not a heading \udc80"
RIGHT = '{"formula": "8/(3-8/3)=24"}'
"""8 / (3 - 8/3) = 8 / (1/3) = 24."""


def played(*answers, player="somebody", **settings):
    task = game("gp-l").task(hand=["3", "3", "8", "8"], **settings)
    episode = start(task, player)
    for answer in answers:
        episode = judge(episode, answer)
    return episode


@pytest.fixture
def run(tmp_path):
    """The hand 3 3 8 8, solved at the third attempt, and not solved in two."""
    stored = Run.create(tmp_path / "runs", "eval-gp-l", "stage: eval\nplayer: somebody\n", id="eval-gp-l")
    stored.add_episodes("id", [played(WRONG, ODD, RIGHT), played(WRONG, WRONG, attempts=2)])
    share = {"value": 0.5, "n": 2, "ci95": [0.1, 0.9]}
    suite = {"metric": "success", **share, "split": "all", "attempts": 5, "every_hand": False, "splits": {"all": share}}
    suite |= {"tags": {"bad_json": 1}, "copied": {"value": None, "n": 0, "ci95": None}, "walk": "rail"}
    write_json(stored.path / "results.json", {"cell": "gp-l", "player": "somebody", "suites": {"id": suite}})
    stored.set_status("finished")
    return stored


@pytest.fixture
def export(run, capsys):
    """`labkit export`, with the stored run; returns what it prints."""
    from labkit.cli import main

    def call(*words):
        assert main(["export", *map(str, words), "--runs", str(run.path.parent), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return call
