"""A folder with plans of figures and the stored runs that they ask for."""

import pytest

from labkit.replication import Archive, keep, load_plan, plans
from tests.replication.stored_runs import FIGURE, RL_HITS, SFT_HITS, evaluate, every, hand_of, lay_out, train

ENDS = {
    **FIGURE,
    "kind": "ends",
    "evaluation": {},
    "curves": [
        {
            "name": "Init",
            "method": "init",
            "player": "tiny:{cell}/init",
            "paper": {"gp-l": {"value": {"rule-ood": 0.115}}},
        },
        {**FIGURE["curves"][0], "paper": {"gp-l": {"value": {"rule-ood": 0.034}}}},
    ],
    "claims": [{"curve": "SFT", "says": "falls", "than": "Init"}],
}
GRID = {
    **FIGURE,
    "kind": "grid",
    "claims": [],
    "curves": [{**FIGURE["curves"][1], "grid": {"lr": [1e-4, 1e-3], "kl": [0, 0.02]}}],
}
GROWTH = {**FIGURE, "kind": "growth", "claims": []}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A folder with four plans, and in results/ the kept runs that they ask for."""
    root = tmp_path_factory.mktemp("repository")
    folder = lay_out(root, f05=FIGURE, f06=ENDS, f10=GROWTH, grid=GRID)
    for name in plans(folder):
        for curve in load_plan(folder / f"{name}.yaml").curves:
            for seed in curve.seeds if curve.method != "init" else ():
                archive = Archive([root / "runs"])
                if archive.trained(archive.asked(curve, seed)) is None:
                    hits = SFT_HITS if curve.method == "sft" else RL_HITS
                    train(root / "runs", curve.config, curve.words(seed), hits)
    won = {s: {hand_of(t) for t in every(s) if "A" in hand_of(t).split()} for s in ("id", "rule-ood")}
    evaluate(root / "runs", "tiny:gp-l/init", won)
    won = {s: {hand_of(t) for t in every(s) if "K" in hand_of(t).split()} for s in ("id", "rule-ood")}
    first = load_plan(folder / "06.yaml").of("gp-l")[1]
    evaluate(root / "runs", f"run:{archive.trained(archive.asked(first, 100)).id}@20", won)
    for run in Archive([root / "runs"]).runs:
        keep(run, root / "results")
    return root


@pytest.fixture
def here(repository, monkeypatch):
    monkeypatch.chdir(repository)
    return repository
