"""A context is ids and pictures: the same text with two pictures has two answers.

The model is a tiny Idefics3, in which a picture of 28 by 28 pixels is one token (id 4).
"""

import numpy as np
import pytest
import torch

from labkit.models.context import Context, Picture
from labkit.models.sampling.cache import PrefixCache
from labkit.models.sampling.decode import generate
from labkit.models.sampling.levels import Level
from tests import tiny_models

IMAGE, AT = 4, 10
TEXT = (*range(100, 100 + AT), IMAGE, *range(200, 215))


@pytest.fixture(scope="module")
def model():
    model = tiny_models.idefics3()
    # Pictures are to matter as much as words do.
    with torch.no_grad():
        model.model.connector.modality_projection.proj.weight.mul_(40)
    return model


def picture(seed):
    pixels = torch.randn(1, 1, 3, 28, 28, generator=torch.Generator().manual_seed(seed))
    return Picture(f"picture {seed}", (AT, AT + 1), {"pixel_values": pixels})


def shown(seed, more=()):
    return Context((*TEXT, *more), (picture(seed),))


def sample(model, contexts, cache=None, *, keys=None, **settings):
    noise = [(0,)] * len(contexts) if keys is None else keys
    settings = {"max_new_tokens": 8, "temperature": 1.0, "stop_ids": [], "prefix_cache": cache} | settings
    return generate(model, contexts, noise=noise, **settings)


def exact(model, context, answer):
    """Log-probabilities of an answer by one forward pass over ids and pixels, without a cache; none is the image's."""
    ids = torch.tensor([[*context.ids, *answer]])
    with torch.inference_mode():
        logits = model(input_ids=ids, pixel_values=context.pictures[0].inputs["pixel_values"], use_cache=False).logits
        logits[..., IMAGE] = -torch.inf
    return torch.log_softmax(logits[0, len(context) - 1 : -1], -1)[range(len(answer)), answer].numpy()


def check(model, contexts, answers):
    for context, answer in zip(contexts, answers, strict=True):
        np.testing.assert_allclose(answer.logp, exact(model, context, answer.ids.tolist()), atol=1e-4)


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_same_text_and_two_pictures_give_two_answers_in_one_batch(model, level, temperature):
    contexts = [shown(1), shown(2), shown(1), shown(2)]
    answers = sample(model, contexts, temperature=temperature, level=level)
    said = [a.ids.tolist() for a in answers]
    assert said[0] == said[2] and said[1] == said[3] and said[0] != said[1]
    if temperature:
        check(model, contexts, answers)


@pytest.mark.parametrize("more", [(), (70, 71)])
def test_same_text_and_two_pictures_give_two_answers_across_calls(model, more):
    cache = PrefixCache()
    first = sample(model, [shown(1)], cache)
    for seed in (2, 1, 2):
        contexts = [shown(seed, more)]
        found = sample(model, contexts, cache)
        check(model, contexts, found)
        assert found[0].ids.tolist() == sample(model, contexts)[0].ids.tolist()
    assert first[0].ids.tolist() != sample(model, [shown(2)])[0].ids.tolist()


def test_a_picture_that_was_read_is_not_read_again(model):
    cache, passes = PrefixCache(), []
    answers = sample(model, [shown(1), shown(2)], cache, keys=[(1,), (2,)])
    contexts = [c.grown([*a.ids.tolist(), 70, 71]) for c, a in zip([shown(1), shown(2)], answers, strict=True)]
    handle = model.register_forward_pre_hook(lambda m, args, kwargs: passes.append(kwargs), with_kwargs=True)
    found = sample(model, contexts, cache, max_new_tokens=1)
    handle.remove()
    assert [p["input_ids"].shape for p in passes] == [(2, 3)]
    assert "pixel_values" not in passes[0]
    check(model, contexts, found)


def test_a_text_beside_pictures_is_a_batch_of_its_own(model):
    contexts = [shown(1), Context(tuple(range(100, 120)))]
    together = sample(model, contexts, keys=[(1,), (2,)])
    alone = [sample(model, [c], keys=[(n,)])[0] for n, c in enumerate(contexts, 1)]
    assert [a.ids.tolist() for a in together] == [a.ids.tolist() for a in alone]


def test_contexts_are_compared_by_ids_and_pictures():
    one, same, other = shown(1), shown(1), shown(2)
    assert one == same and hash(one) == hash(same) and one != other and one != Context(TEXT)
    differs = one.comparable() != other.comparable()
    assert differs.nonzero()[0].tolist() == [AT]
    assert (one.comparable() == same.comparable()).all()
    assert one.head(AT) == other.head(AT) == Context(TEXT[:AT])
    assert one.head(AT + 1).pictures == one.pictures
