"""Prefix caches and draft tokens change how much is computed, never what is said."""

import copy

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from labkit.models.sampling import drafts
from labkit.models.sampling.cache import PrefixCache
from labkit.models.sampling.copy import RolloutModel
from labkit.models.sampling.decode import generate
from labkit.models.sampling.levels import Level
from labkit.models.sampling.trial import level_of
from tests import tiny_models
from tests.models.sampling.test_decode import FAMILIES, STOPS, forced

BEGINNING = list(range(100, 120))
WHOLE = [family for family in FAMILIES if family != "gemma3_text"]  # which has windows


@pytest.fixture
def llama():
    return tiny_models.llama()


def sample(model, contexts, cache=None, *, keys=None, **settings):
    noise = [(0, i) for i in range(len(contexts))] if keys is None else keys
    settings = {"max_new_tokens": 16, "temperature": 1.0, "stop_ids": STOPS} | settings
    return generate(model, contexts, noise=noise, prefix_cache=cache, **settings)


def assert_same(found, expected):
    assert [a.ids.tolist() for a in found] == [a.ids.tolist() for a in expected]
    for a, b in zip(found, expected, strict=True):
        assert a.truncated == b.truncated
        np.testing.assert_allclose(a.logp, b.logp, atol=1e-4)


def read(model, call):
    """What a call puts through the model: rows times columns of each forward pass, and what it returns."""
    shapes = []
    handle = model.register_forward_pre_hook(
        lambda module, args, kwargs: shapes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    try:
        return call(), shapes
    finally:
        handle.remove()


def following(contexts, answers, turn):
    """What is sent next: to some the dialogue with feedback of one to three tokens, to one a new position that
    begins as the old one did, to one something new."""
    pairs = enumerate(zip(contexts, answers, strict=True))
    grown = [[*c, *a.ids.tolist(), *range(70, 71 + i % 3)] for i, (c, a) in pairs]
    grown[1] = [*contexts[1][: 22 + 3 * turn], 90 + turn, 91, 92, 93]
    grown[2] = [400 + turn, 401, 402]
    return grown


@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize("family", FAMILIES)
def test_turns_are_the_same_with_and_without_a_prefix_cache(family, temperature):
    model, cache = getattr(tiny_models, family)(), PrefixCache()
    contexts = [[*BEGINNING, *range(200, 201 + 5 * i)] for i in range(6)]
    for turn in range(4):
        keys = [(turn, i) for i in range(6)]
        settings = {"temperature": temperature, "keys": keys}
        found = sample(model, contexts, cache, **settings)
        assert_same(found, sample(model, contexts, **settings))
        for i, (context, answer) in enumerate(zip(contexts, found, strict=True)):
            assert_same([answer], sample(model, [context], temperature=temperature, keys=keys[i : i + 1]))
            exact = forced(model, context, answer.ids.tolist(), temperature or 1.0)
            np.testing.assert_allclose(answer.logp, exact, atol=1e-4)
        assert len({len(a.ids) for a in found}) > 1  # they are uneven
        contexts = following(contexts, found, turn)


@pytest.mark.parametrize("batch", [2, 3])
def test_batches_of_any_size_and_order_find_their_rows(llama, batch):
    contexts = [[*BEGINNING, 200 + i, *range(300, 301 + 2 * i)] for i in range(7)]
    cache = PrefixCache()
    first = sample(llama, contexts, cache, batch=batch)
    contexts = following(contexts, first, 0)
    expected = sample(llama, contexts)
    turned = list(reversed(range(7)))
    found = sample(llama, [contexts[i] for i in turned], cache, batch=batch + 1, keys=[(0, i) for i in turned])
    assert_same(found, [expected[i] for i in turned])


@pytest.mark.parametrize("family", [family for family in WHOLE if family != "mllama"])
def test_only_the_new_end_of_a_dialogue_is_read(family):
    """An answer's last token was drawn and never read: with the feedback of 3 tokens there are 4 to read.

    Mllama reads dialogues anew: its pictures are outside the sequence that is cached.
    """
    model, cache = getattr(tiny_models, family)(), PrefixCache()
    contexts = [[*BEGINNING, 200], [*BEGINNING, 201, 202]]
    answers = sample(model, contexts, cache, stop_ids=[])
    contexts = [[*c, *a.ids.tolist(), 70, 71, 72] for c, a in zip(contexts, answers, strict=True)]
    _, shapes = read(model, lambda: sample(model, contexts, cache, max_new_tokens=1))
    assert shapes == [(2, 4)]
    # A new prompt that begins like one of them: 22 tokens are shared, so 3 are to be read.
    _, shapes = read(model, lambda: sample(model, [[*contexts[1][:22], 5, 6, 7]], cache, max_new_tokens=1))
    assert shapes == [(1, 3)]
    # The same again: the last token alone, since something must be read to have a distribution.
    again = [*contexts[1][:22], 5, 6, 7]
    _, shapes = read(model, lambda: sample(model, [again] * 4, cache, max_new_tokens=1))
    assert shapes == [(1, 1)]


def test_models_with_windows_reuse_nothing_and_draft_nothing():
    model, cache = tiny_models.gemma3_text(), PrefixCache()
    assert level_of(model) == Level.CACHED
    for _ in range(2):
        _, shapes = read(model, lambda: sample(model, [BEGINNING], cache, max_new_tokens=3, stop_ids=[]))
        assert shapes == [(1, 20), (1, 1), (1, 1)]


def test_lengths_far_apart_are_read_apart(llama):
    """Forty dialogues that lack 1 token beside one that lacks 110: side by side, 40 * 109 = 4,360 tokens of padding."""
    old = [[*BEGINNING, 200 + i, *range(300, 400)] for i in range(41)]
    cache = PrefixCache()
    sample(llama, old, cache, max_new_tokens=1)
    new = [[*c, 70] for c in old[:40]] + [[*BEGINNING, 240, *range(420, 500), *range(100, 130)]]
    found, shapes = read(llama, lambda: sample(llama, new, cache, max_new_tokens=1))
    assert sorted(shapes) == [(1, 110), (40, 1)]
    assert_same(found, sample(llama, new, max_new_tokens=1))


@pytest.mark.parametrize("change", ["step", "foreach", "fused", "load"])
def test_changed_weights_are_noticed(llama, change):
    contexts, cache = [[*BEGINNING, 200 + i] for i in range(4)], PrefixCache()
    sample(llama, contexts, cache)
    if change == "load":
        llama.load_state_dict(tiny_models.llama(seed=1).state_dict())
    else:
        optimizer = torch.optim.AdamW(llama.parameters(), lr=0.1, **({change: True} if change != "step" else {}))
        llama(input_ids=torch.tensor(contexts), labels=torch.tensor(contexts)).loss.backward()
        optimizer.step()
    expected = sample(copy.deepcopy(llama), contexts)
    assert_same(sample(llama, contexts, cache), expected)


def test_a_cache_belongs_to_one_model(llama):
    contexts, cache = [[*BEGINNING, 200 + i] for i in range(4)], PrefixCache()
    sample(tiny_models.llama(seed=1), contexts, cache)
    assert_same(sample(llama, contexts, cache), sample(llama, contexts))


def test_the_cache_is_bounded(llama):
    """2 layers with keys and values of 16 numbers of 4 bytes are 256 bytes a token."""
    contexts = [[200 + i, *range(300, 399)] for i in range(8)]

    def held(cache):
        return sum(part.size for part in cache.recall(llama))

    for limit in (0, 2**16, 2**30):
        cache = PrefixCache(limit)
        for _ in range(2):
            found = sample(llama, contexts, cache, batch=2)
        assert_same(found, sample(llama, contexts))
        assert held(cache) <= limit and bool(held(cache)) == bool(limit)
        # The rows of one call, with at most 16 answer tokens and room to spare.
        assert held(cache) <= 8 * (100 + 16 + 2 * 64 + 8) * 256
    cache.clear()
    assert held(cache) == 0
    sample(llama, contexts[:1], cache)
    assert [len(part.tokens) for part in cache.recall(llama)] == [1]


# Draft tokens


def test_right_drafts_save_steps(llama):
    """With the same noise the same is said again: 17 tokens in three steps of a token and eight drafts at most."""
    cache, settings = PrefixCache(), {"max_new_tokens": 17, "stop_ids": []}
    context = [[*BEGINNING, 200]]
    before, shapes = read(llama, lambda: sample(llama, context, cache, **settings))
    assert len(shapes) == 17 and len(set(before[0].ids.tolist())) > 10
    again, shapes = read(llama, lambda: sample(llama, context, cache, **settings))
    assert_same(again, before)
    assert shapes == [(1, 1), (1, 9), (1, 7)]


@pytest.mark.parametrize("family", WHOLE)
def test_wrong_drafts_change_nothing(family):
    """Other noise, from a model that is sure of some tokens and not of others."""
    model, cache = getattr(tiny_models, family)(), PrefixCache()
    contexts = [[*BEGINNING, 200 + i, *range(300, 300 + 3 * i)] for i in range(6)]
    fed, drawn = 0, 0
    for seed in range(6):
        settings = {"keys": [(seed, i) for i in range(6)], "temperature": 0.3, "stop_ids": [3, 4]}
        found, shapes = read(model, lambda s=settings: sample(model, contexts, cache, **s))
        fed, drawn = fed + sum(b * t for b, t in shapes[1:]), drawn + sum(len(a.ids) for a in found)
        assert_same(found, sample(model, contexts, **settings))
        for context, answer in zip(contexts, found, strict=True):
            exact = forced(model, context, answer.ids.tolist(), 0.3)
            np.testing.assert_allclose(answer.logp, exact, atol=1e-4)
        # And what was drafted wrong is not remembered as said.
        contexts = [[*c, *a.ids.tolist(), 70] if seed % 2 else c for c, a in zip(contexts, found, strict=True)]
    assert fed > 1.2 * drawn  # drafts were made, and many were wrong


def test_drafts_stay_in_the_models_context(llama):
    """512 positions, of which 500 are taken: of the second answer's 12 tokens all may be drafted, and no more."""
    cache, context = PrefixCache(), [list(range(500))]
    first = sample(llama, context, cache, stop_ids=[])
    again, shapes = read(llama, lambda: sample(llama, context, cache, stop_ids=[]))
    assert_same(again, first)
    assert len(first[0].ids) == 12 and first[0].truncated
    assert shapes == [(1, 1), (1, 9), (1, 2)]


def test_no_position_is_asked_for_that_the_model_lacks():
    """A table of 32 positions: one row ends at the last of them while the other reads eight drafts."""
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=512, n_positions=32, n_embd=16, n_layer=1, n_head=2)
    model, cache = GPT2LMHeadModel(config).eval(), PrefixCache()
    contexts = [[5, 6, 7], list(range(100, 129))]
    for _ in range(2):
        found = sample(model, contexts, cache, stop_ids=[])
        assert_same(found, [sample(model, [c], keys=[(0, i)], stop_ids=[])[0] for i, c in enumerate(contexts)])
        assert [len(a.ids) for a in found] == [16, 3]


def test_a_drafted_end_token_ends_the_answer(llama):
    cache, context = PrefixCache(), [[*BEGINNING, 200]]
    whole = sample(llama, context, cache, stop_ids=[])[0].ids.tolist()
    stop = whole[5]
    cut = sample(llama, context, cache, stop_ids=[stop])[0]
    assert cut.ids.tolist() == whole[: whole.index(stop) + 1] and not cut.truncated


def test_a_draft_goes_by_the_dialogue_first():
    ngrams = {}
    drafts.remember(ngrams, [1, 2, 3, 4, 5, 6])
    assert drafts.PromptLookup([9, 1, 2, 3], ngrams).draft(8) == [4, 5, 6]
    assert drafts.PromptLookup([1, 2, 3, 7, 1, 2, 3], ngrams).draft(2) == [7, 1]
    assert drafts.PromptLookup([1, 2], ngrams).draft(8) == []
    lookup = drafts.PromptLookup([0, 1, 2, 3], ngrams)
    lookup.add([9], drafted=3)  # all wrong: trust is gone, and comes back by what is right
    lookup.add([1, 2, 3], drafted=0)
    assert lookup.draft(8) == [9]
    lookup.add([9, 1], drafted=1)
    assert lookup.draft(8) == [2, 3, 9]


def test_the_ngram_table_is_bounded(monkeypatch):
    monkeypatch.setattr(drafts, "MAX_NGRAMS", 10)
    ngrams = {}
    for start in range(0, 1000, 10):
        drafts.remember(ngrams, list(range(start, start + 7)))
        assert len(ngrams) <= 10 + 4
    assert ngrams[990, 991, 992] == 993  # the newest are kept


# Another precision


def test_the_rollout_model_follows_the_model():
    model = tiny_models.qwen3()
    sampler = RolloutModel(model, torch.bfloat16)
    assert {p.dtype for p in sampler.current().parameters()} == {torch.bfloat16}
    # Frequencies in bf16 would be off by up to 0.4 %: two whole positions at position 500.
    assert {b.dtype for b in sampler.current().buffers()} == {torch.float32}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(2):
        for mine, weight in zip(sampler.current().parameters(), model.parameters(), strict=True):
            assert torch.equal(mine, weight.bfloat16())
        model(input_ids=torch.tensor([BEGINNING]), labels=torch.tensor([BEGINNING])).loss.backward()
        optimizer.step()
