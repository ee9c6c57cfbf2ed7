"""The tokens of one answer: how probable each was, how sure the model was there, and what it would have said instead.

One forward pass over the dialogue and the answer gives all of it. So an episode that was stored as text can be looked
into later, as long as its player can be loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import exp
from os.path import commonprefix
from typing import TYPE_CHECKING, NamedTuple

from labkit.envs import fork, game, prompt
from labkit.errors import UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from labkit.episode import Episode
    from labkit.players.checkpoint import Checkpoint

MOST = 5
"""Other tokens that are listed at a place."""


class Token(NamedTuple):
    """A token of an answer. What is not known of it is None, or empty."""

    text: str
    logp: float
    """Its log-probability, in nats."""
    entropy: float | None = None
    """Of the distribution that it was drawn from, in nats."""
    value: float | None = None
    """The critic's estimate of the return, in front of it."""
    advantage: float | None = None
    """How much better than expected it turned out in training."""
    others: tuple[tuple[str, float], ...] = ()
    """The most probable other tokens there, each with its probability."""


def answer_tokens(
    player: Checkpoint, episode: Episode, attempt: int, position: int = -1, *, most: int = MOST
) -> list[Token]:
    """The tokens of an answer as a model sees them, at temperature 1, with the token that ends the answer.

    The answer is encoded from its text. A sampled answer may have been spelled with other tokens; bundled players
    nearly always spell as the tokenizer does.

    Args:
        attempt: index into the attempts of the position.
        most: other tokens to list at each place.

    Raises:
        IndexError: no attempt has these indices.
        UsageError: the dialogue does not fit into the model's context, or the model reads no pictures and there is one.
    """
    import torch

    from labkit.models import forward
    from labkit.models.chat import render
    from labkit.models.vision import picture_inputs

    said = episode.positions[position].attempts[attempt]
    bundle, playing = player.bundle, game(episode.task.cell)
    context = render(bundle, prompt(fork(episode, attempt, position)), playing.draw if playing.pictured else None)
    ids = bundle.tokenizer.encode(said.answer.removeprefix(bundle.layout.thought), add_special_tokens=False)
    if not (said.sample and said.sample.truncated):
        ids += [*bundle.layout.end_ids[-1:]] or [bundle.stop_ids[0]]
    row, limit = [*context.ids, *ids], bundle.context_length
    if limit is not None and len(row) > limit:
        raise UsageError(f"the dialogue has {len(row)} tokens and {player.name} reads {limit}")
    if not ids:
        return []
    model = bundle.model
    with torch.inference_mode():
        input_ids = torch.tensor([row])
        chosen = (torch.arange(len(row)) >= len(context.ids))[None]
        pictures = picture_inputs(model, input_ids, [context.pictures])
        on_device = [t.to(model.device) for t in (input_ids, torch.ones_like(input_ids), chosen)]
        hidden_ND = forward.hidden_states(model, *on_device, **pictures)
        rows = max(1, forward.CHUNK // forward.output_layer(model).weight.shape[0])
        tokens: list[Token] = []
        for part_ND in hidden_ND.split(rows):
            logp_NV = forward.logits(model, part_ND).log_softmax(-1).double().cpu()
            # A token with probability 0 would give 0 times minus infinity.
            entropy_N = -(logp_NV.exp() * logp_NV.clamp_min(torch.finfo(logp_NV.dtype).min)).sum(-1)
            best = logp_NV.topk(min(most + 1, logp_NV.shape[1]), dim=-1)
            for at, (entropy, logps, found) in enumerate(
                zip(entropy_N.tolist(), best.values.tolist(), best.indices.tolist(), strict=True)
            ):
                own = ids[len(tokens)]
                others = [(i, p) for i, p in zip(found, logps, strict=True) if i != own][:most]
                listed = tuple((_text(bundle.tokenizer, i), exp(p)) for i, p in others)
                tokens.append(Token(_text(bundle.tokenizer, own), float(logp_NV[at, own]), entropy, others=listed))
    return tokens


def _text(tokenizer: PreTrainedTokenizerBase, token: int) -> str:
    return tokenizer.decode([token], clean_up_tokenization_spaces=False)


class Parting(NamedTuple):
    """Where two players on the same deal say something different for the first time."""

    position: int
    attempt: int
    """Index into the attempts of the position."""
    number: int
    """Index into all attempts of an episode."""
    at: int
    """Characters of this answer that both have said alike."""


def parting(one: Episode, other: Episode) -> Parting | None:
    """Where the answers of two episodes part; None where they do not, or where the players were asked different things.

    After it the dialogues differ, and later answers cannot be compared token by token.
    """
    number = 0
    for position, (here, there) in enumerate(zip(one.positions, other.positions, strict=False)):
        if (here.prompt, here.picture) != (there.prompt, there.picture):
            return None
        for attempt, (first, second) in enumerate(zip(here.attempts, there.attempts, strict=False)):
            if first.answer != second.answer:
                return Parting(position, attempt, number, len(commonprefix([first.answer, second.answer])))
            number += 1
    return None


def token_at(tokens: Sequence[Token], at: int) -> Token | None:
    """The token with the character ``at`` of an answer; where the answer ends there, the token that ends it."""
    ends = accumulate(len(token.text) for token in tokens)
    return next((token for token, end in zip(tokens, ends, strict=True) if end > at), None)
