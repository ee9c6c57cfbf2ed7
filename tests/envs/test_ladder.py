"""The ladder of visual shifts: each rung changes one thing of the picture, by more and more, and nothing else."""

from dataclasses import asdict
from itertools import groupby, islice

import numpy as np
import pytest

from labkit.envs import game, ladder, start
from labkit.errors import UsageError

SMALL = {"picture": {"size": 128}}


def dealt(cell, suite, count=6, **settings):
    return list(islice(ladder.tasks(cell, suite, "dev", seed=3, **SMALL | settings), count))


def pixels(task):
    return np.asarray(game(task.cell).draw(start(task).position.picture["recipe"]), dtype=float)


@pytest.mark.parametrize(("cell", "count"), [("gp-vl", 6), ("virl-vl", 1)])
def test_rungs_lie_farther_and_farther_from_the_suite_under_them(cell, count):
    """In pixels too: the mean difference from the pictures of the same deals grows along each axis. Of other cities'
    looks, whose distance is one of colours alone, there is only some."""
    plain = [pixels(task) for task in dealt(cell, "id", count)]
    for axis, rungs in groupby(ladder.rungs(cell).values(), key=lambda rung: rung.axis):
        far, away = 0.0, 0.0
        for rung in rungs:
            moved = [pixels(task) for task in dealt(cell, rung.name, count)]
            now = np.mean([np.abs(a - b).mean() for a, b in zip(plain, moved, strict=True)])
            assert rung.distance > far and now > away, (axis, rung.step)
            far, away = rung.distance, now if axis != "city" else 1.0


@pytest.mark.parametrize("cell", ["gp-vl", "virl-vl"])
def test_a_rung_deals_what_the_suite_under_it_deals(cell):
    for rung in ladder.rungs(cell).values():
        count = 3 if cell == "gp-vl" else 1
        for task, under in zip(dealt(cell, rung.name, count), dealt(cell, rung.suite, count), strict=True):
            assert task.suite == rung.name and (task.split, task.seed, task.index) == ("dev", 3, under.index)
            assert start(task).position.prompt == start(under).position.prompt
            assert start(task).position.state == start(under).position.state
            shown, known = dict(task.picture), dict(under.picture)
            changed = {name for name in shown if shown[name] != known.get(name)} - {"seed"}
            assert changed == set(rung.settings.get("picture", {})) and shown["size"] == 128
            kept = {"cell", "rule", "attempts", "reward", "prompts", *(() if "red" in rung.settings else ("deal",))}
            assert all(asdict(task)[name] == asdict(under)[name] for name in kept)


def test_cards_become_red_one_after_another_and_keep_their_ranks():
    before = dealt("gp-vl", "id")
    for count in (1, 2, 3, 4):
        for task, under in zip(dealt("gp-vl", f"suit@{count}"), before, strict=True):
            pairs = list(zip(task.deal["cards"], under.deal["cards"], strict=True))
            assert all(now[0] == old[0] for now, old in pairs)
            red = [(now[1], old[1]) for now, old in pairs if now[1] in "HD"]
            assert len(red) == count and set(red) <= {("H", "S"), ("D", "C")}
    once = dealt("gp-vl", "suit@1"), dealt("gp-vl", "suit@2")
    for few, more in zip(*once, strict=True):
        assert all(b[1] in "HD" for a, b in zip(few.deal["cards"], more.deal["cards"], strict=True) if a[1] in "HD")
    # Of all deals of the split once, too.
    every = [task for task, _ in ladder.enumerate_tasks("gp-vl", "suit@3", "dev", **SMALL)]
    assert all(sum(suit in "HD" for _, suit in task.deal["cards"]) == 3 for task in every)


def test_what_is_random_in_a_picture_differs_from_deal_to_deal():
    one, two = dealt("gp-vl", "tilt@30", 2)
    assert one.picture["seed"] != two.picture["seed"]
    assert [t.picture for t in dealt("gp-vl", "tilt@30", 2)] == [one.picture, two.picture]


def test_shares_of_deals_add_up_on_a_rung():
    assert sum(share for _, share in ladder.enumerate_tasks("gp-vl", "noise@0.3", "dev", **SMALL)) == pytest.approx(1)


def test_names():
    assert ladder.suites("gp-l") == ("id", "rule-ood") and ladder.groups("gp-l") == {}
    assert ladder.suites("gp-vl")[:3] == ("id", "rule-ood", "visual-ood")
    assert ladder.groups("gp-vl")["tilt"] == ("id", "tilt@2", "tilt@4", "tilt@8", "tilt@15", "tilt@30")
    every = ladder.groups("gp-vl")[ladder.ALL]
    assert every[0] == "id" and len(every) == 1 + len(ladder.rungs("gp-vl"))
    assert ladder.suite_under("gp-vl", "tilt@4") == "id" and ladder.suite_under("gp-vl", "rule-ood") == "rule-ood"
    with pytest.raises(UsageError, match="no suite"):
        next(ladder.tasks("gp-vl", "tilt@5"))
