"""Plans: what is checked, and which runs they stand for."""

from pathlib import Path

import pytest
import yaml

from labkit.errors import UsageError
from labkit.replication import Archive, load_plan, plans
from labkit.replication.missing import missing_jobs
from tests.replication.stored_runs import FIGURE, lay_out

REAL = Path(__file__).parents[2] / "configs" / "figures"


@pytest.mark.parametrize("path", sorted(REAL.glob("*.yaml")), ids=lambda p: p.stem)
def test_each_figure_of_the_repository_is_a_plan(path):
    figure = load_plan(path)
    assert figure.curves
    assert all(c.config is None or c.config.parent.name in (c.cell, "recall") for c in figure.curves)


def test_the_papers_figures_are_there():
    assert {"05", "06", "09", "10", "15", "19", "grid"} <= set(plans(REAL))


def test_the_papers_numbers_are_those_of_the_paper():
    ends = {c.name: c.paper.value for c in load_plan(REAL / "06.yaml", cells=("gp-l",)).curves}
    assert ends == {"Init": {"rule-ood": 0.115}, "SFT": {"rule-ood": 0.034}, "RL": {"rule-ood": 0.150}}
    curves = load_plan(REAL / "06.yaml", cells=("virl-l",)).curves
    walks = {c.name: c.paper.value["rule-ood"] for c in curves if c.paper.value}
    assert walks == {"Init": 0.808, "SFT": 0.013, "RL": 0.918}
    growth = [c.paper.change["rule-ood"] for c in load_plan(REAL / "10.yaml").curves]
    assert growth == [0.0048, 0.0215, 0.0299, 0.0599]


def _plan(tmp_path, **changes):
    return lay_out(tmp_path, f05={**FIGURE, **changes}) / "05.yaml"


def test_a_grid_is_a_curve_for_each_combination(tmp_path):
    path = _plan(
        tmp_path,
        curves=[
            {
                "name": "RL",
                "method": "rl",
                "config": "{cell}/rl.yaml",
                "grid": {"lr": [1e-4, 1e-3], "kl": [0, 0.1, 0.2]},
            }
        ],
        claims=[],
    )
    curves = load_plan(path).curves
    assert [c.name for c in curves][:4] == [
        "RL lr 0.0001 kl 0",
        "RL lr 0.0001 kl 0.1",
        "RL lr 0.0001 kl 0.2",
        "RL lr 0.001 kl 0",
    ]
    assert len(curves) == 6
    resolved = curves[4].resolved(7)
    assert (resolved["lr"], resolved["kl"], resolved["seed"]) == (1e-3, 0.1, 7)
    # The figure's settings reach into sections of the config without replacing the rest of them.
    assert resolved["probe"] == {"every": 2, "episodes": 40, "attempts": 1, "split": "test"}


def test_several_grids_are_the_combinations_of_each_once(tmp_path):
    grids = [{"lr": [1e-4, 1e-3], "kl": [0]}, {"lr": [1e-3], "kl": [0, 0.2]}]
    curve = {"name": "SFT", "method": "sft", "config": "{cell}/sft.yaml"}
    curves = load_plan(_plan(tmp_path, curves=[{**curve, "grid": grids}], claims=[])).curves
    assert [c.name for c in curves] == ["SFT lr 0.0001 kl 0", "SFT lr 0.001 kl 0", "SFT lr 0.001 kl 0.2"]
    assert {c.family for c in curves} == {"SFT"}
    grids[1] = {"lr": [1e-3]}
    with pytest.raises(UsageError, match="the same things"):
        load_plan(_plan(tmp_path, curves=[{**curve, "grid": grids}], claims=[]))


def test_seeds_and_cells_can_be_chosen(tmp_path):
    path = _plan(tmp_path)
    assert {c.seeds for c in load_plan(path).curves} == {(100, 101)}
    assert {c.seeds for c in load_plan(path, seeds=(7,)).curves} == {(7,)}
    with pytest.raises(UsageError, match="nothing in virl-l"):
        load_plan(path, cells=("virl-l",))


def test_a_curve_goes_on_from_another_under_the_same_seed(tmp_path):
    curves = [
        FIGURE["curves"][0],
        {"name": "on", "method": "rl", "config": "gp-l/rl.yaml", "start": {"curve": "SFT", "step": 10}},
    ]
    on = load_plan(_plan(tmp_path, curves=curves, claims=[]), seeds=(7,)).curves[1]
    assert (on.source.name, on.source.seeds, on.step) == ("SFT", (7,), 10)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"qestion": "?"}, "05.yaml: unknown key 'qestion'; did you mean 'question'?"),
        ({"kind": "curve"}, "kind = 'curve'"),
        ({"curves": [{**FIGURE["curves"][0], "seed": 1}]}, "unknown key 'curves.0.seed'; did you mean 'seeds'?"),
        ({"curves": [{"name": "a", "method": "sft"}]}, "a curve of method sft needs config"),
        ({"curves": [{"name": "a", "method": "init", "player": "p", "config": "c"}]}, "method init has no config"),
        ({"curves": [{"name": "a", "method": "init"}]}, "a curve of method init needs player"),
        ({"curves": [{"name": "a", "method": "rl", "player": "p", "config": "c"}]}, "rl needs config, or player"),
        ({"curves": [FIGURE["curves"][0]] * 2}, "two curves have the same name"),
        ({"claims": [{"curve": "SFF", "says": "falls"}]}, "a claim is about 'SFF'; the curves are RL, SFT"),
        (
            {"claims": [{"curve": "SFT", "says": "falls", "than": "origin", "equal_compute": True}]},
            "growth is counted from a curve's own start",
        ),
        (
            {"claims": [{"curve": "SFT", "says": "falls", "than": "origin"}]},
            "SFT goes on from no other curve; its claim is than: start",
        ),
        (
            {"curves": [{**FIGURE["curves"][1], "start": {"curve": "SFT", "step": 1}}], "claims": []},
            "starts from 'SFT', which is no single trained curve before it",
        ),
        (
            {
                "curves": [
                    {"name": "Init", "method": "init", "player": "tiny:gp-l"},
                    {**FIGURE["curves"][1], "start": {"curve": "Init", "step": 1}},
                ],
                "claims": [],
            },
            "starts from 'Init', which is no single trained curve before it",
        ),
        ({"curves": [], "claims": []}, "05.yaml has no curves"),
    ],
)
def test_what_is_wrong_in_a_plan_is_said_in_one_line(tmp_path, changes, said):
    with pytest.raises(UsageError) as error:
        load_plan(_plan(tmp_path, **changes))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_setting_is_one_word_that_reads_back_as_itself(tmp_path):
    values = {
        "lr": 1e-7,
        "betas": [0.9, 0.98],
        "model": "tiny:base",
        "lora": None,
        "probe.suites": ["id"],
        "name": "on",
    }
    curves = [{**FIGURE["curves"][0], "set": values}]
    curve = load_plan(_plan(tmp_path, curves=curves, claims=[])).curves[0]
    read = curve.resolved(100)
    assert {k: read[k] for k in ("lr", "betas", "model", "lora", "name")} == {
        k: values[k] for k in ("lr", "betas", "model", "lora", "name")
    }
    assert read["probe"]["suites"] == ["id"]
    assert not any(w != yaml.safe_load(yaml.safe_dump(w)) or "\n" in w for w in curve.words(100))


def test_a_checkpoint_can_stand_for_a_method_and_asks_for_no_training(tmp_path):
    there = {"name": "RL", "method": "rl", "player": "tiny:{cell}/rl"}
    plan = _plan(tmp_path, curves=[FIGURE["curves"][0], there], claims=[], kind="ends", evaluation={})
    trained, there = load_plan(plan).curves
    assert (trained.trained, there.trained) == (True, False)
    assert (there.method, there.player, there.seeds) == ("rl", "tiny:gp-l/rl", (0,))
    jobs = missing_jobs(load_plan(plan), Archive([tmp_path / "runs"]))
    assert [job.words[0] for job in jobs if job.curve == "RL"] == ["eval"]


def test_a_curve_is_evaluated_at_its_own_temperature_in_each_cell(tmp_path):
    there = {"name": "RL", "method": "rl", "cells": ["gp-l", "virl-l"], "player": "tiny:{cell}/rl"}
    plan = {"claims": [], "kind": "ends", "evaluation": {"temperature": 1.0}}
    for asked, expected in (({}, [1.0, 1.0]), (0.2, [0.2, 0.2]), ({"gp-l": 0.6}, [0.6, 1.0])):
        figure = load_plan(_plan(tmp_path, curves=[there | {"temperature": asked}], **plan))
        assert [figure.evaluation_of(curve).temperature for curve in figure.curves] == expected
    with pytest.raises(UsageError, match="must be at least 0"):
        load_plan(_plan(tmp_path, curves=[there | {"temperature": {"gp-l": -1}}], **plan))


def test_no_plans_is_an_error_that_says_where_to_go(tmp_path):
    with pytest.raises(UsageError, match="go to the folder of the repository"):
        plans(tmp_path)
