"""KL from a reference, against whole logits worked out one answer at a time."""

from dataclasses import replace

import pytest
import torch

from labkit.errors import UsageError
from labkit.evaluation import evaluate
from labkit.evaluation.drift import Drift
from labkit.models.loader import load
from labkit.play import play_many
from labkit.players.checkpoint import Checkpoint
from labkit.players.simple import Expert
from labkit.evaluation.suites import tasks_of
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
            p, q = (m.loaded.model(ids).logits[0].double().log_softmax(-1) for m in (player, reference))
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


def test_other_tokens_are_an_error(pair, tmp_path):
    new, old = pair
    odd = tiny_models.tokenizer(texts=["other words altogether", *tiny_models.TEXTS])
    other = Checkpoint(replace(old.loaded, tokenizer=odd), name="odd")
    with pytest.raises(UsageError, match="new and odd have different tokens"):
        Drift(new, other)
    with pytest.raises(UsageError, match="expert is no model"):
        Drift(Expert(), new)
    with pytest.raises(UsageError, match="expert is no model"):
        Drift(new, Expert())


def test_greedy_samples_are_an_error(pair):
    new, _ = pair
    greedy = Checkpoint(new.loaded, name="greedy")
    with pytest.raises(UsageError, match="give a temperature"):
        evaluate(greedy, "gp-l", "id", episodes=2, samples=2)
