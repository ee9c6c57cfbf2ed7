"""Sampling: exact against plain forward passes, the same in any batch, and unbiased."""

import numpy as np
import pytest
import torch

from labkit.errors import UsageError
from labkit.models.sampling.decode import generate
from labkit.models.sampling.engine import _draw
from tests import tiny_models

BEGINNING = list(range(100, 112))
CONTEXTS = [
    [*BEGINNING, 7, 8, 9],
    [*BEGINNING, *range(200, 230)],
    [*BEGINNING, 7, 8, 9],  # again
    [*BEGINNING, 9],
    [*BEGINNING, *range(300, 309)],
]
STOPS = range(64)  # an eighth of the vocabulary, so that answers end at different times
FAMILIES = ["llama", "qwen3", "gemma3_text", "idefics3", "mllama"]


@pytest.fixture(scope="module")
def llama():
    return tiny_models.llama()


def sample(model, contexts=CONTEXTS, *, keys=None, **settings):
    noise = [(0, i) for i in range(len(contexts))] if keys is None else keys
    settings = {"max_new_tokens": 16, "temperature": 1.0, "stop_ids": STOPS} | settings
    return generate(model, contexts, noise=noise, **settings)


def ids(answers):
    return [a.ids.tolist() for a in answers]


def forced(model, context, answer, temperature):
    """Log-probabilities of an answer by one plain forward pass: no cache, no padding, no mask.

    An answer holds no picture, so a vision model's image token has no probability.
    """
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[*context, *answer]])).logits[0, len(context) - 1 : -1].float()
        image = {"idefics3": "image_token_id", "mllama": "image_token_index"}.get(model.config.model_type)
        if image:
            logits[:, getattr(model.config, image)] = -torch.inf
    return torch.log_softmax(logits / temperature, -1)[range(len(answer)), answer].numpy()


@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_gives_what_each_row_gives_alone(family, temperature):
    model = getattr(tiny_models, family)()
    contexts = [*CONTEXTS, [400, 401]]  # the last one shares no beginning with the others
    for rows in (CONTEXTS, contexts):
        together = sample(model, rows, temperature=temperature)
        for row, (context, answer) in enumerate(zip(rows, together, strict=True)):
            alone = sample(model, [context], keys=[(0, row)], temperature=temperature)[0]
            assert answer.ids.tolist() == alone.ids.tolist()
            np.testing.assert_allclose(answer.logp, alone.logp, atol=1e-4)
            exact = forced(model, context, answer.ids.tolist(), temperature or 1.0)
            np.testing.assert_allclose(answer.logp, exact, atol=1e-4)
            assert answer.ids.dtype == np.int64 and answer.logp.dtype == np.float32


def test_greedy_takes_the_likeliest_token(llama):
    answer = sample(llama, [CONTEXTS[1]], temperature=0.0, stop_ids=[])[0]
    whole = [*CONTEXTS[1], *answer.ids.tolist()]
    with torch.inference_mode():
        best = llama(input_ids=torch.tensor([whole])).logits[0].argmax(-1).tolist()
    assert answer.ids.tolist() == best[len(CONTEXTS[1]) - 1 : -1]


def test_an_answer_ends_with_its_end_token_or_at_the_limit(llama):
    many = [CONTEXTS[0]] * 200
    answers = sample(llama, many)
    for answer in answers:
        ends = [i in STOPS for i in answer.ids]
        assert not any(ends[:-1])
        assert answer.truncated == (not ends[-1])
        assert len(answer.logp) == len(answer.ids) == 16 or ends[-1]
    assert 0 < sum(a.truncated for a in answers) < 200
    assert len({len(a.ids) for a in answers}) > 8


def test_the_key_decides(llama):
    many = [CONTEXTS[0]] * 32
    first = ids(sample(llama, many))
    assert ids(sample(llama, many)) == first
    assert len({tuple(a) for a in first}) > 24  # one context, different keys
    backwards = sample(llama, many, keys=[(0, i) for i in reversed(range(32))])
    assert ids(backwards) == first[::-1]  # the key, not the place in the batch
    assert ids(sample(llama, many, keys=[(1, i) for i in range(32)])) != first
    assert len({tuple(a) for a in ids(sample(llama, many, keys=[(0,)] * 32))}) == 1


def test_a_higher_limit_only_goes_on(llama):
    short, long = (sample(llama, [CONTEXTS[0]], max_new_tokens=n, stop_ids=[])[0] for n in (5, 40))
    assert (len(short.ids), len(long.ids)) == (5, 40)
    assert short.ids.tolist() == long.ids[:5].tolist()


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_the_size_of_the_batch_changes_nothing(llama, batch):
    assert ids(sample(llama, batch=batch)) == ids(sample(llama))


def test_lengths_far_apart_are_decoded_apart(llama):
    """40 rows of 10 tokens beside one of 400 would be 40 * 390 = 15,600 tokens of padding; 2,048 may be."""
    contexts = [[i, *range(100, 109)] for i in range(64, 104)] + [list(range(64, 464))]
    rows = _recorded(llama, lambda: sample(llama, contexts, max_new_tokens=1))
    assert rows == [(40, 10), (1, 400)]
    alone = sample(llama, contexts[-1:], keys=[(0, 40)])
    assert ids(sample(llama, contexts))[-1:] == ids(alone)


def test_nothing_is_read_twice(llama):
    """Two distinct contexts of 20 + 3 and 20 + 5 tokens, four times each: the 20 once, then two rows of 5."""
    beginning = list(range(100, 120))
    contexts = [[*beginning, 7, 8, 9], [*beginning, 9, 8, 7, 6, 5]] * 4
    rows = _recorded(llama, lambda: sample(llama, contexts, max_new_tokens=3, stop_ids=[]))
    assert rows == [(1, 20), (2, 5), (8, 1), (8, 1)]


def test_rows_that_have_ended_leave_the_batch(llama):
    rows = _recorded(llama, lambda: sample(llama, [CONTEXTS[0]] * 64, max_new_tokens=100, temperature=1.0))
    sizes = [size for size, _ in rows[1:]]
    assert sizes[0] <= 64 and sizes == sorted(sizes, reverse=True) and sizes[-1] <= 4
    # With all rows kept to the end it would be 64 for each step.
    assert sum(sizes) < 0.5 * 64 * len(sizes)


def _recorded(model, call):
    """The shapes of all inputs that a call puts through the model."""
    shapes = []
    handle = model.register_forward_pre_hook(
        lambda module, args, kwargs: shapes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    try:
        call()
    finally:
        handle.remove()
    return shapes


def test_sampling_follows_the_softmax(llama):
    """Pearson's chi-square of 4,000 first tokens, in nine bins by rank of the token: 0 and 1, 2 and 3, 4 to
    7, and so on to 256 to 511. With eight degrees of freedom, 26.1 is exceeded once in a thousand times."""
    context, draws = CONTEXTS[3], 4000
    with torch.inference_mode():
        logits = llama(input_ids=torch.tensor([context])).logits[0, -1].double()
    answers = sample(llama, [context] * draws, max_new_tokens=1)
    counts = np.bincount([a.ids[0] for a in answers], minlength=512)

    def distance(p):
        order = np.argsort(-logits.numpy())
        bins = np.log2(np.maximum(np.arange(512), 1)).astype(int)
        expected, found = (np.bincount(bins, x[order]) for x in (p.numpy() * draws, counts))
        assert expected.min() > 5  # else the statistic is not chi-square distributed
        return ((found - expected) ** 2 / expected).sum()

    assert distance(logits.softmax(-1)) < 26.1
    assert distance((logits / 0.9).softmax(-1)) > 26.1  # the test can tell


def test_a_point_of_the_cdf_belongs_to_one_token():
    """Probabilities 0, 1/4, 1/4, 1/2: the points 0 to 1/4 (without it) are token 1's, and so on."""
    points = torch.tensor([0.0, 0.2499, 0.25, 0.4999, 0.5, 0.9999], dtype=torch.float64)
    logits = torch.tensor([[0.0, 0.25, 0.25, 0.5]]).log().expand(6, -1)
    token, logp = _draw(logits, 1.0, points)
    assert token.tolist() == [1, 1, 2, 2, 3, 3]
    np.testing.assert_allclose(logp, np.log([0.25, 0.25, 0.25, 0.25, 0.5, 0.5]), atol=1e-6)


def test_no_token_is_filtered():
    """From a flat distribution over 512 tokens, 1,000 draws hit 512 * (1 - (511/512)^1000) = 439.6 of them on
    average, with a standard deviation below 8."""
    model = tiny_models.llama()
    torch.nn.init.zeros_(model.lm_head.weight)
    answers = sample(model, [CONTEXTS[0]] * 1000, max_new_tokens=1)
    assert 400 < len({int(a.ids[0]) for a in answers}) < 480
    assert {round(float(a.logp[0]), 4) for a in answers} == {-6.2383}  # -ln 512


def test_a_context_that_leaves_no_room_gets_an_empty_answer(llama):
    """512 positions: 511 leave room for one token, 512 for none."""
    almost, full = list(range(1, 512)), list(range(512))
    answers = sample(llama, [almost, full[:500]], stop_ids=[])
    assert [(len(a.ids), a.truncated) for a in answers] == [(1, True), (12, True)]
    first, nothing = sample(llama, [CONTEXTS[0], full])
    assert (len(nothing.ids), len(nothing.logp), nothing.truncated) == (0, 0, True)
    assert first.ids.tolist() == sample(llama, [CONTEXTS[0]])[0].ids.tolist()


def test_it_stops_when_told(llama):
    def after(polls):
        left = iter([False] * polls)
        return lambda: next(left, True)

    none = sample(llama, should_stop=after(0), stop_ids=[])
    assert [(len(a.ids), len(a.logp), a.truncated) for a in none] == [(0, 0, True)] * 5
    some = sample(llama, should_stop=after(4), stop_ids=[])
    assert [(len(a.ids), a.truncated) for a in some] == [(4, True)] * 5
    assert ids(some) == [i[:4] for i in ids(sample(llama, stop_ids=[]))]


def test_half_precision_weights_still_give_fp32_log_probabilities():
    model = tiny_models.llama().to(torch.bfloat16)
    for context, answer in zip(CONTEXTS, sample(model, temperature=0.5), strict=True):
        assert answer.logp.dtype == np.float32
        # bf16 keeps 8 bits, so two ways of summation differ; a log-probability that was itself rounded to
        # bf16 would have nothing in its last 16 bits.
        np.testing.assert_allclose(answer.logp, forced(model, context, answer.ids.tolist(), 0.5), atol=0.5)
        assert (answer.logp.view(np.uint32) & 0xFFFF).any()


def test_nan_weights_are_named():
    model = tiny_models.llama()
    torch.nn.init.constant_(model.lm_head.weight, float("nan"))
    with pytest.raises(UsageError, match="logits of the model are NaN or infinite; load an earlier checkpoint"):
        sample(model)


def test_no_context_no_answer(llama):
    assert sample(llama, []) == []
