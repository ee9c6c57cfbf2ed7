"""Checks of the exercises in notebooks/04_sft_init."""

from __future__ import annotations

from copy import deepcopy
from itertools import product
from math import prod
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from labkit.envs import game, judge, start
from labkit.evaluation import measure
from labkit.exercises import NotYet, exercise, expect, same
from labkit.models.chat import encode
from labkit.models.forward import select_targets
from labkit.training.sft.data import expert_dialogues

ANSWERS = {
    "unreadable": "I think it is 24.",
    "illegal_formula": '{"formula": "(8-3"}',
    "wrong_numbers": '{"formula": "8*3=24"}',
    "wrong_value": '{"formula": "8*3*8/3=24"}',
    "correct": '{"formula": "8/(3-8/3)=24"}',
}
"""An answer of each category to 3 3 8 8."""


@exercise(
    "Go through the tokens and remember whose turn it is: <|assistant|> begins the model's, <|end|> ends it.",
    "<|assistant|> itself is given to the model, so it carries no loss; <|end|> of its own turn has to be learnt.",
)
def loss_mask(learner: Any) -> str:
    """A list of True and False: True on every token of the assistant's turns, the <|end|> of these included."""
    short = ["<|user|>", "Make", "24", "<|end|>", "<|assistant|>", "8", "*", "3", "<|end|>"]
    expect(learner, (short,), [False] * 5 + [True] * 4)
    expect(learner, (short[:5],), [False] * 5)
    expect(learner, ([*short, "<|user|>", "Wrong", "<|end|>"],), [False] * 5 + [True] * 4 + [False] * 3)
    tokenizer = _tokenizer()
    made = [*expert_dialogues("gp-l", 6, mistakes=3), *expert_dialogues("virl-l", 3)]
    for example in encode(tokenizer, made):
        tokens = tokenizer.convert_ids_to_tokens(example.ids.tolist())
        expect(learner, (tokens,), example.loss.tolist())
    return f"equal to the trainer's mask, for {len(made)} dialogues with up to four answers"


def _tokenizer() -> Any:
    from transformers import AutoTokenizer

    from labkit.players.registry import resolve_checkpoint

    return AutoTokenizer.from_pretrained(resolve_checkpoint("tiny:base"))


@exercise(
    "log p of a token is its logit minus the log of the sum of exponentials, in the row of the token BEFORE it.",
    "Compare logits_TV[:-1] with ids_T[1:], and take the mean where loss_T[1:] is True.",
)
def answer_loss(learner: Any) -> str:
    """A number: the mean of -log p over the tokens where loss_T is True; row t of the logits predicts token t + 1."""
    sure = np.log(np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.1, 0.1, 0.8]]))
    # Token 1 is predicted by row 0 with 1/4, token 2 by row 1 with 1/4; adding 7 to all logits changes nothing.
    _loss_is(learner, (sure, np.array([0, 1, 2]), np.array([False, True, True])), np.log(4.0))
    _loss_is(learner, (sure, np.array([0, 1, 0]), np.array([False, True, False])), np.log(4.0))
    _loss_is(learner, (sure + 7, np.array([0, 0, 1]), np.array([False, False, True])), np.log(2.0))
    noise = np.random.default_rng(0)
    for length in (2, 5, 30):
        logits = noise.normal(size=(length, 11)).round(2) * 3
        ids, loss = noise.integers(0, 11, length), noise.random(length) < 0.5
        loss[0], loss[-1] = False, True
        labels = torch.from_numpy(np.where(loss, ids, -100))
        right = F.cross_entropy(*select_targets(torch.from_numpy(logits)[None], labels[None])).item()
        _loss_is(learner, (logits, ids, loss), right)
    return "equal to the trainer's loss, and to three worked out by hand"


def _loss_is(learner: Any, given: tuple[np.ndarray, np.ndarray, np.ndarray], right: float) -> None:
    """Compare like ``expect``, without the logits in the message."""
    got, (logits_TV, ids_T, loss_T) = learner(*deepcopy(given)), given
    # The trainer's loss is in single precision.
    if not same(got, right, 1e-4):
        where = f"logits {list(logits_TV.shape)}, tokens {ids_T.tolist()}, loss at {np.flatnonzero(loss_T).tolist()}"
        raise NotYet(f"for {where} it gives {got}; it should give {right:.4f}")


@exercise(
    "All n are right with probability p ** n. What else is not mixed?",
    "1 minus the probability that all are right, minus the probability that all are wrong.",
)
def chance_of_both(learner: Any) -> str:
    """The probability that n independent samples, each right with probability p, hold a right and a wrong one."""
    for given, right in {(0.5, 2): 0.5, (0.0, 8): 0.0, (1.0, 8): 0.0, (0.3, 1): 0.0, (0.1, 2): 0.18}.items():
        expect(learner, given, right)
    for p, n in product((0.02, 0.35, 0.8), range(1, 9)):
        outcomes = (o for o in product((True, False), repeat=n) if any(o) and not all(o))
        expect(learner, (p, n), sum(prod(p if hit else 1 - p for hit in o) for o in outcomes))
    chances = ", ".join(f"{learner(p, 8):.0%} for p = {p:.0%}" for p in (0.02, 0.5, 0.98))
    return f"with 8 samples {chances}"


@exercise(
    "A category is the FIRST check that failed, in the order of the table: what comes after it was not reached.",
    "An answer is valid if its category is wrong_value or correct; right if it is correct.",
)
def funnel(learner: Any) -> str:
    """A dictionary with the shares "readable", "legal", "valid" and "right" of a list of categories."""
    every = list(ANSWERS)
    expect(learner, (["correct"],), dict.fromkeys(("readable", "legal", "valid", "right"), 1.0))
    expect(learner, (every,), {"readable": 0.8, "legal": 0.6, "valid": 0.4, "right": 0.2})
    noise = np.random.default_rng(0)
    for _ in range(5):
        chosen = [str(c) for c in noise.choice(every, size=7)]
        tasks = (game("gp-l").task(hand=["3", "3", "8", "8"], attempts=1) for _ in chosen)
        played = [judge(start(t), ANSWERS[c]) for t, c in zip(tasks, chosen, strict=True)]
        # One by one: seven episodes of one deal would count as its samples.
        found = [measure([e]) for e in played]
        right = {
            "readable": sum(c != "unreadable" for c in chosen) / 7,
            **{name: sum(f.details[name].value for f in found) / 7 for name in ("legal", "valid")},
            "right": sum(e.success for e in played) / 7,
        }
        expect(learner, (chosen,), right)
    return "equal to the evaluation's shares"
