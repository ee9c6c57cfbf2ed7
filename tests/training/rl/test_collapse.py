"""When a run stops, and which of its checkpoints were good."""

import math

import pytest

from labkit.training.rl.collapse import Collapse, CollapseThresholds, collapse, healthy_steps, is_healthy

HEALTHY = {"policy/entropy_avg": 0.5, "objective/kl": 0.1, "rollout/return_std": 1.0, "rollout/success": 0.4}
THRESHOLDS = CollapseThresholds(entropy=0.01, kl=2.0, spread=1e-6, patience=3)


def update(step, **changes):
    names = {"entropy": "policy/entropy_avg", "kl": "objective/kl", "spread": "rollout/return_std"}
    return {"step": step, **HEALTHY, **{names.get(k, k): v for k, v in changes.items()}}


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"entropy": 0.005}, "entropy fell to 0.005"),
        ({"kl": 2.5}, "KL to the initial policy rose to 2.5"),
        ({"spread": 0.0}, "no episode does better than another"),
        ({"spread": 0.0, "rollout/success": 1.0}, "every episode succeeds"),
        ({"entropy": math.nan}, "entropy"),
        ({"kl": math.nan}, "KL"),
        ({"spread": math.nan}, "returns"),
    ],
)
def test_it_takes_the_whole_patience_of_one_threshold_in_a_row(broken, says):
    bad, good = update(9, **broken), update(9)
    assert not is_healthy(bad, THRESHOLDS) and is_healthy(good, THRESHOLDS)
    assert collapse([good, bad, bad], THRESHOLDS) is None
    assert collapse([bad, good, bad, bad], THRESHOLDS) is None
    assert says in collapse([good, bad, bad, bad], THRESHOLDS)
    assert collapse([bad, bad, bad, good], THRESHOLDS) is None


def test_different_thresholds_do_not_add_up():
    assert collapse([update(1, entropy=0), update(2, kl=9), update(3, spread=0)], THRESHOLDS) is None


def test_on_the_threshold_is_healthy_for_entropy_and_kl():
    assert is_healthy(update(1, entropy=0.01, kl=2.0), THRESHOLDS)
    assert not is_healthy(update(1, spread=1e-6), THRESHOLDS)


def test_without_a_measured_kl_it_has_no_threshold():
    line = update(1)
    del line["objective/kl"]
    assert is_healthy(line, THRESHOLDS)
    assert collapse([line] * 5, THRESHOLDS) is None


def test_too_short_a_history_and_the_probe_at_the_start_say_nothing():
    probe = {"step": 0, "eval/id/success": 0.1}
    assert collapse([], THRESHOLDS) is None
    assert collapse([probe, update(1, entropy=0), update(2, entropy=0)], THRESHOLDS) is None
    assert collapse([probe, *(update(n, entropy=0) for n in (1, 2, 3))], THRESHOLDS)


def test_a_step_is_healthy_by_how_the_next_update_played():
    # Update 3 was played by the policy of step 2; that of step 3 has not played yet.
    history = [{"step": 0}, update(1), update(2, entropy=0), update(3)]
    assert healthy_steps(history, THRESHOLDS) == {0, 2}


@pytest.mark.parametrize("name", ["entropy", "kl", "spread"])
def test_a_threshold_of_null_is_off_and_leaves_the_others(name):
    """As ``stop: {spread: null}`` in a config's YAML."""
    worst = {"entropy": 0.0, "kl": 99.0, "spread": 0.0}
    thresholds = CollapseThresholds.parse({**THRESHOLDS.model_dump(), name: None})
    broken = [update(n, **{name: worst[name]}) for n in (1, 2, 3, 4)]
    assert collapse(broken, THRESHOLDS) and collapse(broken, thresholds) is None
    assert healthy_steps(broken, thresholds) == {0, 1, 2, 3}
    for other in worst.keys() - {name}:
        assert collapse([update(n, **{other: worst[other]}) for n in (1, 2, 3)], thresholds)


def test_without_a_good_checkpoint_the_recovery_hint_is_the_beginning():
    assert Collapse("collapsed: x", "run:a@4").recovery_hint("tiny:base") == "the last good checkpoint is run:a@4"
    assert Collapse("collapsed: x", None).recovery_hint("tiny:base").endswith("begin again from tiny:base")
