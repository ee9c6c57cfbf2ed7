"""KL from a reference, against whole logits worked out one answer at a time."""

import math
import random
from dataclasses import replace

import pytest
import torch

from labkit.errors import UsageError
from labkit.evaluation import evaluate
from labkit.evaluation.drift import Drift
from labkit.evaluation.metrics import mean
from labkit.evaluation.suites import tasks_of
from labkit.models.loader import load
from labkit.play import play_many
from labkit.players.checkpoint import Checkpoint
from labkit.players.simple import Expert
from tests import tiny_models


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two random models with one tokenizer; the second's output layer is a little off the first's."""
    model = tiny_models.llama(max_position_embeddings=2048)
    first = load(tiny_models.save(tmp_path_factory.mktemp("one"), model, tiny_models.tokenizer()))
    second = load(tiny_models.save(tmp_path_factory.mktemp("two"), model, tiny_models.tokenizer()))
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in second.model.parameters():
            weight += 0.2 * weight.std() * torch.randn_like(weight)
    return [Checkpoint(m, name=n, temperature=0.7, max_new_tokens=12) for m, n in ((first, "new"), (second, "old"))]


def by_hand(player, reference, played) -> tuple[float, int]:
    """Nats and tokens of one episode, from whole forward passes in fp64."""
    nats = tokens = 0
    for answer in played.answers:
        ids = torch.tensor([[*answer.tokens.context, *answer.tokens.ids]])
        with torch.inference_mode():
            p, q = (m.bundle.model(ids).logits[0].double().log_softmax(-1) for m in (player, reference))
        at = slice(len(answer.tokens.context) - 1, -1)
        nats += float((p[at].exp() * (p[at] - q[at])).sum())
        tokens += len(answer.tokens.ids)
    return nats, tokens


def test_kl_is_that_of_whole_logits(pair):
    new, old = pair
    # Two attempts each: the second's context holds the first answer.
    played = list(play_many(tasks_of("gp-l", "id", episodes=5, attempts=2), new, batch=3, key=(0,)))
    sums = [by_hand(new, old, one) for one in played]
    drift = Drift(new, old)
    for one in played:
        drift.add(one)
    found = drift.estimate([p.index for p in played])
    assert found.value == pytest.approx(sum(n for n, _ in sums) / sum(t for _, t in sums), rel=1e-4)
    assert found.n == 5 and found.value > 0.001 and found.ci95 is None  # of five episodes there is no interval
    # The other direction, on the same answers, is another number.
    back = sum(by_hand(old, new, one)[0] for one in played) / sum(t for _, t in sums)
    assert abs(back - found.value) > 1e-4 * found.value


def test_eval_measures_it_beside_the_rest(pair):
    new, old = pair
    result = evaluate(new, "gp-l", "id", episodes=12, attempts=1, reference=old)
    assert result.details["reference"] == "old" and result.details["kl"].n == 12
    low, high = result.details["kl"].ci95
    assert 0 < low < result.details["kl"].value < high
    assert result.to_dict()["kl"]["ci95"] == [low, high]
    itself = evaluate(new, "gp-l", "id", episodes=3, attempts=1, reference=new).details["kl"]
    assert itself.value == pytest.approx(0, abs=1e-6)
    twice = evaluate(new, "gp-l", "id", episodes=6, attempts=1, samples=2, reference=old).details["kl"]
    assert twice.n == 12 and twice.ci95 is None  # six deals


def test_the_interval_of_a_kl_is_above_zero_and_tells_how_sure_it_is(pair):
    drift = Drift(*pair)
    # One episode far off: the normal interval, .19 +- 1.96 * .18, would reach below 0.
    drift._found = dict.fromkeys(range(9), (0.01 * 10, 10)) | {9: (1.81 * 10, 10)}
    value, n, (low, high) = drift.estimate(range(10))
    error = (sum((kl - 0.19) ** 2 for kl in [0.01] * 9 + [1.81]) / 9 / 10) ** 0.5
    assert value == pytest.approx(0.19) and n == 10 and value - 1.96 * error < 0
    assert low == pytest.approx(0.19 * math.exp(-1.95996 * error / 0.19), rel=1e-4)
    assert high == pytest.approx(0.19 * math.exp(1.95996 * error / 0.19), rel=1e-4)
    # Many that agree: hardly another than the normal one.
    drift._found = {i: ((0.1 + 0.01 * (i % 2)) * 10, 10) for i in range(400)}
    value, _, (low, high) = drift.estimate(range(400))
    assert (low + high) / 2 == pytest.approx(value, rel=1e-4)
    # A model from itself: rounding of either sign, and no interval that would leave 0 out.
    drift._found = {i: ((-1) ** i * 1e-9, 10) for i in range(10)}
    value, _, (low, high) = drift.estimate(range(10))
    assert low == 0 <= abs(value) < high < 1e-5


def test_log_scale_intervals_hold_the_truth_more_often_than_normal_ones(pair):
    """KLs of episodes are skewed: here a lognormal with mean 1, twelve episodes, a thousand times."""
    drift, draw = Drift(*pair), random.Random(0)
    held = {"log": 0, "normal": 0}
    for _ in range(1000):
        found = [math.exp(draw.gauss(-0.5, 1.0)) for _ in range(12)]
        drift._found = {i: (kl * 10, 10) for i, kl in enumerate(found)}
        low, high = drift.estimate(range(12)).ci95
        plain = mean(found).ci95
        held["log"] += low <= 1 <= high
        held["normal"] += plain[0] <= 1 <= plain[1]
    assert held["log"] > held["normal"]
    assert held["log"] > 850


def test_other_tokens_are_an_error(pair, tmp_path):
    new, old = pair
    odd = tiny_models.tokenizer(texts=["other words altogether", *tiny_models.TEXTS])
    other = Checkpoint(replace(old.bundle, tokenizer=odd), name="odd")
    with pytest.raises(UsageError, match="new and odd have different tokens"):
        Drift(new, other)
    with pytest.raises(UsageError, match="expert is no model"):
        Drift(Expert(), new)
    with pytest.raises(UsageError, match="expert is no model"):
        Drift(new, Expert())


def test_greedy_samples_are_an_error(pair):
    new, _ = pair
    greedy = Checkpoint(new.bundle, name="greedy")
    with pytest.raises(UsageError, match="give a temperature"):
        evaluate(greedy, "gp-l", "id", episodes=2, samples=2)
