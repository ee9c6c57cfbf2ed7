"""The tokens of an answer from one forward pass, against the sampler and against the definition."""

from __future__ import annotations

import math

import pytest
import torch

from labkit.envs import fork, game, judge, prompt, start
from labkit.errors import UsageError
from labkit.evaluation.tokens import Parting, Token, answer_tokens, parting, token_at
from labkit.models.chat import render
from labkit.play import play_many
from labkit.players.registry import load

HAND = ["2", "3", "J", "7"]


@pytest.fixture(scope="module")
def player():
    return load("tiny:gp-l/sft", temperature=1.0)


@pytest.fixture(scope="module")
def played(player):
    task = game("gp-l").task(hand=HAND, faces="eleven-twelve-thirteen", attempts=2)
    return next(play_many([task], player, key=(3,)))


def test_the_probabilities_are_those_that_were_sampled(player, played):
    for number, answer in enumerate(played.answers):
        tokens = answer_tokens(player, played.episode, number)
        assert "".join(token.text for token in tokens[:-1]) == answer.text
        # Sampled at temperature 1; the token that ends the answer is the last.
        assert [token.logp for token in tokens] == pytest.approx(answer.tokens.logp.tolist(), abs=1e-3)


def test_entropy_and_other_tokens_are_those_of_the_distribution(player, played):
    tokens = answer_tokens(player, played.episode, 1, most=3)
    bundle = player.bundle
    context = render(bundle, prompt(fork(played.episode, 1)))
    ids = played.answers[1].tokens.ids.tolist()
    with torch.inference_mode():
        logits = bundle.model(torch.tensor([[*context.ids, *ids]])).logits[0, len(context.ids) - 1 : -1].double()
    for token, row, own in zip(tokens, logits.softmax(-1), ids, strict=True):
        entropy = -sum(p * math.log(p) for p in row.tolist() if p > 0)
        assert token.entropy == pytest.approx(entropy, abs=1e-4)
        order = [i for i in row.argsort(descending=True).tolist() if i != own][:3]
        assert [text for text, _ in token.others] == [bundle.tokenizer.decode([i]) for i in order]
        assert [p for _, p in token.others] == pytest.approx([float(row[i]) for i in order], abs=1e-4)


def answered(*answers, hand=HAND):
    episode = start(game("gp-l").task(hand=hand, attempts=3))
    for said in answers:
        episode = judge(episode, said)
    return episode


def test_two_players_part_at_the_first_character_that_differs():
    first = answered("?", '{"formula": "10+3"}')
    assert parting(first, answered("?", '{"formula": "13+3"}')) == Parting(0, 1, 1, len('{"formula": "1'))
    # An answer that ends earlier parts where it ends.
    assert parting(first, answered("?", '{"formula": "10')) == Parting(0, 1, 1, len('{"formula": "10'))
    assert parting(first, first) is None and parting(first, answered("?")) is None
    assert parting(first, answered("!", hand=["A", "2", "3", "4"])) is None, "they were asked different things"


def test_in_a_walk_two_players_part_at_a_step():
    task = next(game("virl-l").tasks("id"))
    first = second = start(task)
    for _ in range(2):
        right = game("virl-l").expert(first)
        first, second = judge(first, right), judge(second, right)
    found = parting(judge(first, "stop()"), judge(second, "forward()"))
    assert found == Parting(2, 0, 2, 0)


def test_the_token_with_a_character():
    tokens = [Token("ab", -1.0), Token("c", -2.0), Token("<end>", -3.0)]
    assert [token_at(tokens, at) for at in (0, 1, 2, 3)] == [tokens[0], tokens[0], tokens[1], tokens[2]]
    assert token_at(tokens, 8) is None


def test_an_answer_beyond_the_context_is_refused(player):
    long = judge(start(game("gp-l").task(hand=HAND)), "7+" * 5000)
    with pytest.raises(UsageError, match="the dialogue has .* tokens"):
        answer_tokens(player, long, 0)
