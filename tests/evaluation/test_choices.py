"""Probabilities of the candidates of a field, against a plain loop over the model's logits."""

import math

import pytest
import torch

from labkit import envs
from labkit.evaluation.choices import choices
from labkit.models.chat import render
from labkit.players import registry

ANSWER = '{"current observation": "A.", "current instruction": "B.", "action": "stop()"}'
CANDIDATES = ("stop()", "forward()", "turn_direction(north)", "turn_direction(northeast)")


@pytest.fixture(scope="module")
def player():
    return registry.load("tiny:virl-l/init", device="cpu")


@pytest.fixture(scope="module")
def episode():
    return envs.start(next(envs.game("virl-l").tasks("id", "test", seed=0)), "tiny:virl-l/init")


@torch.inference_mode()
def one_by_one(player, episode, answer, begin, end):
    """The probability of an answer's characters ``begin`` to ``end``, token by token, each from a forward pass of all
    the tokens before it."""
    tokenizer, model = player.bundle.tokenizer, player.bundle.model
    context = list(render(player.bundle, envs.prompt(episode)).ids)
    ids = tokenizer.encode(answer, add_special_tokens=False)
    ends = [len(tokenizer.decode(ids[: n + 1])) for n in range(len(ids))]
    logp = 0.0
    for n, token in enumerate(ids):
        if ends[n] > begin and (n == 0 or ends[n - 1] < end):
            logits = model(torch.tensor([context + ids[:n]])).logits[0, -1].double()
            logp += float(logits.log_softmax(-1)[token])
    return math.exp(logp)


def test_each_is_the_product_over_its_tokens_and_the_one_that_ends_it(player, episode):
    begin, end = envs.game("virl-l").decisive_span(ANSWER)
    said = choices(player, episode, ANSWER, (begin, end), CANDIDATES)
    assert list(said) == list(CANDIDATES)
    for candidate, p in said.items():
        whole = f"{ANSWER[:begin]}{candidate}{ANSWER[end:]}"
        expected = one_by_one(player, episode, whole, begin, begin + len(candidate) + 1)
        assert p == pytest.approx(expected, rel=1e-3, abs=1e-9), candidate


def test_the_token_that_ends_the_field_counts(player):
    task = next(envs.game("virl-l").tasks("rule-ood", "test", seed=0))
    asked, word = envs.start(task, "init"), "turn_direction(slightly"
    answer = ANSWER.replace("stop()", f"{word} right)")
    begin = answer.index(word)
    end = begin + len(word)
    said = choices(player, asked, answer, (begin, end), (word,))[word]
    assert said == pytest.approx(one_by_one(player, asked, answer, begin, end + 1), rel=1e-3)
    assert said < 0.999 * one_by_one(player, asked, answer, begin, end)


def test_a_word_is_not_counted_as_the_beginning_of_a_longer_one(player, episode):
    begin, end = envs.game("virl-l").decisive_span(ANSWER)
    said = choices(player, episode, ANSWER, (begin, end), CANDIDATES)
    assert 0 < sum(said.values()) <= 1 + 1e-6
    # Under the trained rule "north" begins "northeast": without its end it would have the probability of both.
    alone = one_by_one(player, episode, f"{ANSWER[:begin]}turn_direction(north", begin, begin + 20)
    assert said["turn_direction(north)"] < alone


def test_later_attempts_are_asked_in_their_dialogue(player, episode):
    again = envs.judge(episode, ANSWER)
    span = envs.game("virl-l").decisive_span(ANSWER)
    first = choices(player, episode, ANSWER, span, CANDIDATES)
    assert choices(player, again, ANSWER, span, CANDIDATES) != pytest.approx(first, rel=1e-3)
    assert choices(player, envs.fork(again, 0), ANSWER, span, CANDIDATES) == pytest.approx(first, rel=1e-5)
