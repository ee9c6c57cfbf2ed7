"""The numbers of a figure against numbers worked out by hand."""

from dataclasses import replace

import pytest

from labkit.evaluation import Estimate
from labkit.evaluation.seeds import pooled
from labkit.replication import Archive, load_plan
from labkit.replication.findings import findings, verdict
from labkit.replication.missing import missing_jobs
from labkit.replication.series import change, common_compute, growth, mean_line, pairs_of, smooth
from labkit.replication.stored import Compute, collect, read_episodes
from labkit.replication.tables import rows, told
from tests.replication.stored_runs import FIGURE, dealt, evaluate, every, hand_of, lay_out, played, share_with, train

SFT_HITS = {0: {"id": 10, "rule-ood": 20}, 10: {"id": 20, "rule-ood": 12}, 20: {"id": 30, "rule-ood": 4}}
RL_HITS = {0: {"id": 10, "rule-ood": 20}, 2: {"id": 12, "rule-ood": 20}, 4: {"id": 16, "rule-ood": 22}}


def _stored(tmp_path, plan=FIGURE, **hits):
    """A plan, and for each of its trained curves and seeds a run; ``hits`` by the curve's name."""
    figure = load_plan(lay_out(tmp_path, f05=plan) / "05.yaml")
    for curve in figure.curves:
        for seed in curve.seeds if curve.method != "init" else ():
            train(tmp_path / "runs", curve.config, curve.words(seed), hits.get(curve.name) or hits[curve.method])
    return collect(figure, Archive([tmp_path / "runs"]))


def test_a_line_is_what_the_run_logged(tmp_path):
    data = _stored(tmp_path, sft=SFT_HITS, rl=RL_HITS)
    line = data.lines["gp-l", "SFT"][0]
    assert [(p.updates, p.flops, p.values["rule-ood"].value) for p in line.points] == [
        (0, 0.0, 0.5), (10, 6e10, 0.3), (20, 1.2e11, 0.1)
    ]  # fmt: skip
    assert line.spent == Compute(20, 1.2e11, 1.2e11, 10.0)
    # The paper's 6ND + 2N lambda D, with N a million, D 4,000 and lambda 6: 2.4e10 + 4.8e10.
    rl = data.lines["gp-l", "RL"][0]
    assert (rl.points[-1].flops, rl.spent.estimated_flops) == (3.2e10, pytest.approx(7.2e10))
    assert [e.seed for e in data.ends["gp-l", "RL", "id"]] == [100, 101]
    assert [e.value.value for e in data.ends["gp-l", "RL", "id"]] == [0.4, 0.4]


def test_a_run_that_goes_on_begins_where_the_other_was(tmp_path):
    on = {"name": "on", "method": "rl", "config": "gp-l/rl.yaml", "start": {"curve": "SFT", "step": 10}}
    further = {"name": "further", "method": "sft", "config": "gp-l/sft.yaml", "start": {"curve": "on", "step": 2}}
    plan = {**FIGURE, "curves": [FIGURE["curves"][0], on, further], "claims": [], "seeds": [100]}
    figure = load_plan(lay_out(tmp_path, f05=plan) / "05.yaml")
    sft, on, further = figure.curves
    first = train(tmp_path / "runs", sft.config, sft.words(100), SFT_HITS)
    second = train(tmp_path / "runs", on.config, [*on.words(100), f"model=run:{first.id}@10"], RL_HITS)
    train(tmp_path / "runs", further.config, [*further.words(100), f"model=run:{second.id}@2"], SFT_HITS)
    lines = collect(figure, Archive([tmp_path / "runs"])).lines
    line = lines["gp-l", "on"][0]
    points = [(p.step, p.updates, p.flops) for p in line.points]
    assert points == [(0, 10, 6e10), (2, 12, 7.6e10), (4, 14, 9.2e10)]
    # SFT's first ten steps, then RL's 2.4e10 + 4.8e10 as above; half a second each.
    assert line.spent == Compute(14, pytest.approx(9.2e10), pytest.approx(6e10 + 7.2e10), 7.0)
    # Two of RL's four updates, and all of SFT's twenty steps.
    third = lines["gp-l", "further"][0]
    assert third.spent == Compute(32, pytest.approx(19.6e10), pytest.approx(6e10 + 3.6e10 + 12e10), 16.0)
    assert (third.points[0].updates, third.points[0].flops) == (12, pytest.approx(7.6e10))


def test_a_change_is_paired_where_the_episodes_are_kept_and_wider_where_they_are_not(tmp_path):
    data = _stored(tmp_path, sft=SFT_HITS, rl=RL_HITS)
    first, last = data.first["gp-l", "SFT", "rule-ood"], data.last["gp-l", "SFT", "rule-ood"]
    paired = change(pairs_of(first, last))
    assert paired.value == pytest.approx(-0.4)
    for run in (tmp_path / "runs").glob("*toy-sft*"):
        for file in run.glob("episodes/*"):
            file.unlink()
    read_episodes.cache_clear()
    bare = collect(data.figure, Archive([tmp_path / "runs"]))
    ends = bare.last["gp-l", "SFT", "rule-ood"]
    assert [e.episodes for e in ends] == [(), ()]
    assert [e.file.name for e in ends] == ["metrics.jsonl"] * 2
    apart = change(pairs_of(bare.first["gp-l", "SFT", "rule-ood"], ends))
    assert apart.value == pytest.approx(-0.4)
    assert apart.ci95[1] - apart.ci95[0] > paired.ci95[1] - paired.ci95[0]


def test_one_init_serves_every_seed_and_a_seed_without_a_partner_is_left_out(tmp_path):
    data = _stored(tmp_path, sft=SFT_HITS, rl=RL_HITS)
    sft, rl = data.ends["gp-l", "SFT", "id"], data.ends["gp-l", "RL", "id"]
    assert change(pairs_of(sft[:1], rl)).value == pytest.approx(16 / 40 - 30 / 40)
    assert [(b.seed, a.seed) for b, a in pairs_of(sft[:1], rl)] == [(100, 100)]
    assert pairs_of(sft[:1], rl[1:]) == pairs_of((), rl) == [] and change([]) is None
    alone = replace(sft[0], seed=0)
    assert [(b.seed, a.seed) for b, a in pairs_of([alone], rl)] == [(0, 100), (0, 101)]


def test_equal_compute_is_what_all_runs_have_reached(tmp_path):
    plan = {**FIGURE, "kind": "growth", "claims": [
        {"curve": "long", "says": "falls", "equal_compute": True},
        {"curve": "long", "says": "rises", "than": "short", "equal_compute": True},
    ], "curves": [
        {"name": "short", "method": "sft", "config": "gp-l/sft.yaml"},
        {"name": "long", "method": "sft", "config": "gp-l/sft.yaml", "set": {"lr": 0.1}},
    ]}  # fmt: skip
    figure = load_plan(lay_out(tmp_path, f05=plan) / "05.yaml")
    for curve, tokens in zip(figure.curves, (1000, 2000), strict=True):
        for seed in curve.seeds:
            train(tmp_path / "runs", curve.config, curve.words(seed), SFT_HITS, tokens=tokens)
    data = collect(figure, Archive([tmp_path / "runs"]))
    flops = common_compute(data, "gp-l")
    assert flops == 1.2e11
    # What ends at a whole update, a little beyond, counts as being there.
    assert growth(data.lines["gp-l", "long"], "rule-ood", 1.15e11).flops == 1.2e11
    assert growth(data.lines["gp-l", "long"], "rule-ood", 1.1e11).flops == 0.0
    short, long = (growth(data.lines["gp-l", name], "rule-ood", flops) for name in ("short", "long"))
    # Twice the tokens a step: the long one is at its step 10 there, 12 of 40 after 20 of 40.
    assert (short.change.value, long.change.value) == (pytest.approx(-0.4), pytest.approx(-0.2))
    assert (short.flops, long.flops, long.seeds) == (1.2e11, 1.2e11, 2)
    falls, above = findings(data)
    assert falls.change.value == pytest.approx(-0.2) and "since its start, at 0.12 TFLOP" in falls.sentence
    assert "against short, at 0.12 and 0.12 TFLOP" in above.sentence
    assert above.change.value == pytest.approx(0.2)
    assert growth(data.lines["gp-l", "short"], "visual-ood", flops) is None


def test_a_paired_change_that_the_run_logged_is_taken(tmp_path):
    data = _stored(tmp_path, sft=SFT_HITS, rl=RL_HITS)
    run = data.lines["gp-l", "SFT"][0].run
    lines = run.metrics()
    lines[-1] |= {"eval/rule-ood/success/change": -0.4, "eval/rule-ood/success/change_ci95": [-0.41, -0.39]}
    run.rewind(-1)
    for line in lines:
        run.log(line)
    again = collect(data.figure, Archive([tmp_path / "runs"]))
    assert growth(again.lines["gp-l", "SFT"][:1], "rule-ood", 1e15).change.ci95 == (-0.41, -0.39)


def test_the_mean_is_over_the_probes_that_every_seed_has(tmp_path):
    figure = load_plan(lay_out(tmp_path, f05=FIGURE) / "05.yaml")
    curve = figure.curves[0]
    train(tmp_path / "runs", curve.config, curve.words(100), SFT_HITS)
    train(
        tmp_path / "runs",
        curve.config,
        curve.words(101),
        {0: {"id": 20, "rule-ood": 20}, 20: {"id": 20, "rule-ood": 8}},
    )
    mean = mean_line(collect(figure, Archive([tmp_path / "runs"])).lines["gp-l", "SFT"], ("id", "rule-ood"))
    assert mean.updates == (0, 20)
    assert [v.value for v in mean.values["rule-ood"]] == pytest.approx([0.5, 0.15])


def test_smoothing_leaves_a_cubic_alone_and_takes_out_a_spike():
    cubic = [0.1 + 0.05 * t - 0.02 * t**2 + 0.002 * t**3 for t in range(10)]
    assert smooth(cubic) == pytest.approx(cubic, abs=1e-9)
    spiky = [0.5] * 4 + [1.0] + [0.5] * 4
    assert 0.5 < smooth(spiky)[4] < 1.0
    assert smooth([0.1, 0.9, 0.1]) == [0.1, 0.9, 0.1]
    assert all(0 <= v <= 1 for v in smooth([0, 1] * 6))


def test_an_evaluation_of_every_hand_is_weighted_by_the_deck_and_takes_the_place_of_the_last_probe(tmp_path):
    init = {"name": "Init", "method": "init", "player": "tiny:{cell}/init"}
    plan = {**FIGURE, "kind": "ends", "curves": [init, FIGURE["curves"][0]], "evaluation": {},
            "claims": [{"curve": "SFT", "says": "falls", "than": "Init"}]}  # fmt: skip
    data = _stored(tmp_path, plan, sft=SFT_HITS)
    runs = tmp_path / "runs"
    assert data.ends["gp-l", "SFT", "id"] == () and [e.value.value for e in data.last["gp-l", "SFT", "id"]] == [
        0.75,
        0.75,
    ]
    won = {s: {r: {hand_of(t) for t in every(s) if r in hand_of(t).split()} for r in "AK"} for s in ("id", "rule-ood")}
    evaluate(runs, "tiny:gp-l/init", {s: won[s]["A"] | won[s]["K"] for s in won})
    ids = [line.run.id for line in data.lines["gp-l", "SFT"]]
    evaluate(runs, f"run:{ids[0]}", {s: won[s]["A"] for s in won})
    # One seed of two: it is shown alone, since a probe of the other is of other deals.
    half = collect(data.figure, Archive([runs]))
    assert [(e.seed, e.value.value) for e in half.ends["gp-l", "SFT", "id"]] == [
        (100, pytest.approx(share_with("id", "A")))
    ]
    assert "about deals only (1 seed)" in findings(half)[0].sentence and findings(half)[0].verdict == "too few seeds"
    evaluate(runs, f"run:{ids[1]}@20", {s: won[s]["A"] for s in won})
    full = collect(data.figure, Archive([runs]))
    for suite in ("id", "rule-ood"):
        assert [e.value.value for e in full.ends["gp-l", "SFT", suite]] == pytest.approx([share_with(suite, "A")] * 2)
        assert full.ends["gp-l", "Init", suite][0].value.value == pytest.approx(share_with(suite, "AK"))
    (found,) = findings(full)
    assert found.change.value == pytest.approx(share_with("rule-ood", "A") - share_with("rule-ood", "AK"))
    assert found.verdict == "too few seeds" and "about deals only (2 seeds)" in found.sentence
    row = next(r for r in rows(full) if r.curve.name == "SFT" and r.suite == "id")
    assert row.every and told(row)["measured"] == "success, 1 attempt, every one"
    assert told(row)["value"] == f"{100 * share_with('id', 'A'):.1f}%"


def test_a_curve_may_end_before_its_runs_do(tmp_path):
    short = {"name": "SFT, short", "method": "sft", "config": "{cell}/sft.yaml", "until": 10}
    data = _stored(tmp_path, {**FIGURE, "curves": [short, FIGURE["curves"][0]], "claims": []}, sft=SFT_HITS)
    # 20 of 40 deals at step 10, 30 at step 20; a step is 1,000 tokens of a million parameters.
    for name, step, right, flops in (("SFT, short", 10, 20, 6e10), ("SFT", 20, 30, 1.2e11)):
        assert [e.value.value for e in data.ends["gp-l", name, "id"]] == [right / 40] * 2
        assert {(line.points[-1].step, line.spent.flops) for line in data.lines["gp-l", name]} == {(step, flops)}


def test_a_curve_that_ends_before_its_runs_is_evaluated_there(tmp_path):
    short = {"name": "SFT, short", "method": "sft", "config": "{cell}/sft.yaml", "until": 10}
    plan = {**FIGURE, "kind": "ends", "curves": [short], "evaluation": {}, "claims": [], "seeds": [100]}
    data = _stored(tmp_path, plan, sft=SFT_HITS)
    [line] = data.lines["gp-l", "SFT, short"]
    # Without the checkpoint there is nothing to evaluate, and the run is trained again.
    jobs = missing_jobs(data.figure, Archive([tmp_path / "runs"]))
    assert [(job.words[0], job.ready) for job in jobs] == [("train", True), ("eval", False)]
    line.run.checkpoint(10).mkdir()
    [job] = missing_jobs(data.figure, Archive([tmp_path / "runs"]))
    assert job.ready and job.words[:4] == ("eval", "gp-l", "--player", f"run:{line.run.id}@10")
    hands = {suite: {hand_of(task) for task in every(suite) if "A" in hand_of(task)} for suite in ("id", "rule-ood")}
    evaluate(tmp_path / "runs", f"run:{line.run.id}", {suite: set() for suite in hands})
    evaluate(tmp_path / "runs", f"run:{line.run.id}@10", hands)
    ends = collect(data.figure, Archive([tmp_path / "runs"])).ends["gp-l", "SFT, short", "id"]
    assert [e.value.value for e in ends] == [pytest.approx(share_with("id", "A"))]


@pytest.mark.parametrize(
    ("says", "low", "high", "expected"),
    [
        ("rises", 0.01, 0.2, "agrees"), ("rises", -0.01, 0.2, "undecided"), ("rises", -0.2, -0.01, "disagrees"),
        ("falls", 0.01, 0.2, "disagrees"), ("falls", -0.01, 0.2, "undecided"), ("falls", -0.2, -0.01, "agrees"),
        ("does not rise", -0.1, 0.04, "agrees"), ("does not rise", -0.1, 0.06, "undecided"),
        ("does not rise", 0.01, 0.04, "disagrees"), ("does not fall", -0.04, 0.1, "agrees"),
        ("does not fall", -0.06, 0.1, "undecided"), ("does not fall", -0.04, -0.01, "disagrees"),
    ],
)  # fmt: skip
def test_the_interval_decides_whether_a_claim_is_borne_out(says, low, high, expected):
    assert verdict(says, Estimate((low + high) / 2, 9, (low, high)), 0.05) == expected
    assert verdict(says, None, 0.05) == "no data"


def test_a_sentence_says_the_change_its_interval_the_seeds_and_the_paper(tmp_path):
    curves = [
        {**FIGURE["curves"][0], "paper": {"gp-l": {"change": {"rule-ood": -0.081}}}},
        FIGURE["curves"][1],
    ]
    data = _stored(tmp_path, {**FIGURE, "curves": curves, "seeds": [100, 101, 102]}, sft=SFT_HITS, rl=RL_HITS)
    falls, rises = findings(data)
    low, high = (
        100 * bound
        for bound in change(pairs_of(data.first["gp-l", "SFT", "rule-ood"], data.last["gp-l", "SFT", "rule-ood"])).ci95
    )
    assert falls.sentence == (
        f"SFT on gp-l, rule-ood: −40.0 points [−{-low:.1f}, −{-high:.1f}] since its start, clear of zero (3 seeds). "
        "The paper: it falls (−8.1 points); ours agrees."
    )
    # Two hands of forty are not enough.
    assert rises.verdict == "undecided"
    assert "+5.0 points" in rises.sentence and "not clear of zero" in rises.sentence


def test_a_run_that_goes_on_is_compared_with_where_it_begins_and_with_where_the_other_did(tmp_path):
    on = {"name": "on", "method": "rl", "config": "gp-l/rl.yaml", "start": {"curve": "SFT", "step": 10}}
    claims = [{"curve": "on", "says": "rises"}, {"curve": "on", "says": "falls", "than": "origin"}]
    plan = {**FIGURE, "curves": [FIGURE["curves"][0], on], "claims": claims}
    figure = load_plan(lay_out(tmp_path, f05=plan) / "05.yaml")
    sft, on = figure.curves
    # Hands of 40 that are solved, by seed: by Init, by SFT at step 10, and at the end of what goes on from there.
    solved = {100: (20, 12, 14), 101: (30, 12, 8)}
    for seed, (init, middle, end) in solved.items():
        hits = {0: {"rule-ood": init}, 10: {"rule-ood": middle}, 20: {"rule-ood": 4}}
        first = train(tmp_path / "runs", sft.config, sft.words(seed), hits)
        hits = {0: {"rule-ood": middle}, 4: {"rule-ood": end}}
        train(tmp_path / "runs", on.config, [*on.words(seed), f"model=run:{first.id}@10"], hits)
    since_start, since_init = findings(collect(figure, Archive([tmp_path / "runs"])))
    deals = dealt("rule-ood")
    for found, column, words in ((since_start, 1, "since its start"), (since_init, 0, "since SFT began")):
        played_by = [(played(deals, range(s[column])), played(deals, range(s[2]))) for s in solved.values()]
        assert found.change.value == pytest.approx(sum(s[2] - s[column] for s in solved.values()) / 80)
        assert found.change.ci95 == pytest.approx(pooled(played_by).change.ci95)
        assert words in found.sentence and "(2 seeds)" in found.sentence


def test_nothing_stored_is_said_and_not_drawn(tmp_path):
    figure = load_plan(lay_out(tmp_path, f05=FIGURE) / "05.yaml")
    data = collect(figure, Archive([tmp_path / "runs"]))
    assert not data and rows(data) == [] and findings(data) == []
