"""Sampling from a language model: batched, cached, and the same whatever else is in the batch.

Where this departs from ``generate`` of transformers, and why:

* Nothing is filtered. ``generate`` samples among the 50 likeliest tokens unless told otherwise, which biases
  the ratio of new to old probabilities that policy gradients rest on. Here the whole softmax is sampled, and
  the log-probability that is recorded is the sampled distribution's own, in fp32.
* Noise belongs to an answer, not to a batch: one uniform number a token, from a counter-based generator
  (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") under a key that the caller gives. The
  same key gives the same answer alone, in any batch and in any process.
* Nothing is computed twice: equal contexts are read once, and so is the beginning that all of them share, or
  that one shares with a row of the call before; rows that have ended leave the batch; a token is appended to
  the cache without copying the rest.
* A step can give several tokens: those that are guessed right (:mod:`labkit.models.sampling.drafts`).

Shape suffixes: B rows in the batch, C columns, T tokens read or drawn in a step, V vocabulary.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from os.path import commonprefix
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from labkit.errors import UsageError
from labkit.models.sampling.cache import Prefix, PrefixCache, RowCache, attends_to_all, beginnings
from labkit.models.sampling.drafts import MOST, ORDER, Habits, PromptLookup, learn

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PADDING = 2048
"""Padding, in tokens, beyond which rows are decoded apart; on a CPU it costs what another batch does."""
SHARED = 8
"""A common beginning of fewer tokens is not worth a forward pass of its own."""


class Generated(NamedTuple):
    """One sampled answer."""

    ids: np.ndarray
    """``int64 [A]``: the end token included, if it came."""
    logp: np.ndarray
    """``float32 [A]``: log-probabilities (nats) at the temperature that was sampled; at 1 if that was 0."""
    truncated: bool
    """No end token came: the limit did, or the end of the model's context, or someone who stopped it."""


def generate(
    model: PreTrainedModel,
    contexts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float,
    stop_ids: Sequence[int],
    noise: Sequence[tuple[int, ...]],
    pad_id: int = 0,
    batch: int = 64,
    should_stop: Callable[[], bool] | None = None,
    memory: PrefixCache | None = None,
) -> list[Generated]:
    """Sample one answer to each context.

    Args:
        model: in evaluation mode.
        contexts: token ids; none is empty.
        max_new_tokens: the longest answer, where the model's context has room for it.
        temperature: 0 takes the likeliest token every time.
        stop_ids: the tokens that end an answer.
        noise: a key for each context.
        pad_id: any token of the vocabulary.
        batch: the most rows that are decoded side by side.
        should_stop: asked before each step; once it says yes, the answers end where they are.
        memory: what was read for earlier calls, and from then on for this one. It changes no answer.

    Returns:
        An answer for each context, in order. One that fills the model's whole context gets an empty, truncated
        answer: a player that rambles until there is no room has failed at its task, and that is for the verdict.

    Raises:
        UsageError: the model's probabilities are not numbers.
    """
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None) or sys.maxsize
    memory = PrefixCache(limit=0) if memory is None else memory
    stops = frozenset(stop_ids)
    answers = []
    for context, key in zip(contexts, noise, strict=True):
        room = max(0, min(max_new_tokens, limit - len(context)))
        answers.append(_Answer(context, room, key if temperature > 0 else None, stops, memory.habits))
    fitting = [i for i, c in enumerate(contexts) if len(c) < limit]
    found = _begun(model, [contexts[i] for i in fitting], memory, pad_id)
    begun = dict(zip(fitting, found, strict=True))
    sizes = {i: (len(contexts[i]), len(contexts[i]) - (b.length if b else 0)) for i, b in begun.items()}
    kept = []
    for rows in _groups(sizes, batch):
        if should_stop and should_stop():
            break
        logits_BV, cache = _read(model, [contexts[i] for i in rows], [begun[i] for i in rows], pad_id)
        _decode(model, logits_BV, cache, [answers[i] for i in rows], temperature, pad_id, should_stop)
        for i in rows:
            learn(memory.habits, [*contexts[i][-ORDER:], *answers[i].ids])
        # The last token of an answer was never read.
        kept += cache.rows([np.array([*contexts[i], *answers[i].ids[:-1]]) for i in rows])
    memory.keep(model, kept)
    return [answer.generated() for answer in answers]


def _groups(sizes: Mapping[int, tuple[int, int]], batch: int) -> Iterator[list[int]]:
    """Row numbers in batches of like size; ``sizes`` gives each row's length and how much of it is to be read."""
    rows: list[int] = []
    lengths = reads = most = 0
    for row in sorted(sizes, key=sizes.__getitem__):
        length, read = sizes[row]
        most = max(most, read)
        padding = max(len(rows) * length - lengths, (len(rows) + 1) * most - reads - read)
        if len(rows) == batch or padding > PADDING:
            yield rows
            rows, lengths, reads, most = [], 0, 0, read
        rows.append(row)
        lengths, reads = lengths + length, reads + read
    if rows:
        yield rows


def _uniform(key: tuple[int, ...], count: int) -> np.ndarray:
    """``float64 [count]`` in [0, 1): the noise of one answer. A longer one begins with the same numbers."""
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest))).random(count)


@torch.inference_mode()
def _decode(
    model: PreTrainedModel,
    logits_BV: torch.Tensor,
    cache: RowCache,
    answers: Sequence[_Answer],
    temperature: float,
    pad_id: int,
    should_stop: Callable[[], bool] | None,
) -> None:
    """Go on from contexts that have been read, all answers side by side.

    Each step reads the token that was drawn last and some that are guessed to follow, as many in each row, and
    draws behind each. What was guessed wrong stays in the cache, masked.
    """
    device = logits_BV.device
    # Apple's GPUs know no fp64.
    precision = torch.float32 if device.type == "mps" else torch.float64
    guesses: list[Sequence[int]] = [[] for _ in answers]
    batch, logits_BTV = list(answers), logits_BV[:, None]
    while True:
        count = logits_BTV.shape[1]
        uniform_BT = None
        if temperature > 0:
            uniform_BT = torch.from_numpy(np.stack([a.uniform(count) for a in batch])).to(device, precision)
        drawn = [x.tolist() for x in _draw(logits_BTV, temperature, uniform_BT)]
        right = [a.take(*row) for a, *row in zip(batch, *drawn, guesses, strict=True)]
        live = [a for a in batch if not a.ended]
        if not live or (should_stop and should_stop()):
            return
        if count > 1:
            wrong_BT = torch.arange(1, count) > torch.tensor(right)[:, None]
            cache.mask_BC[:, 1 - count :] *= ~wrong_BT.to(device)
        # Taking rows out copies them: not for every single one.
        if 8 * len(live) <= 7 * len(batch):
            order = cache.leave({row for row, a in enumerate(batch) if a.ended})
            batch = [batch[row] for row in order]
        guesses = [a.guess() for a in batch] if cache.whole else [[] for _ in batch]
        count = 1 + round(sum(map(len, guesses)) / len(live))
        guesses = [guess[: count - 1] for guess in guesses]
        ids = [
            [a.ids[-1], *guess, *[pad_id] * (count - 1 - len(guess))] for a, guess in zip(batch, guesses, strict=True)
        ]
        position_BT = torch.tensor([a.positions(count) for a in batch], device=device)
        cache.mask_BC = torch.cat([cache.mask_BC, cache.mask_BC.new_ones(len(batch), count)], dim=1)
        logits_BTV = _forward(model, torch.tensor(ids, device=device), position_BT, cache, keep=count)


class _Answer:
    """An answer that is being sampled.

    Args:
        room: the most tokens.
        noise: its key, or None to take the likeliest token.
        habits: of the answers before; guesses go by them.
    """

    def __init__(
        self,
        context: Sequence[int],
        room: int,
        noise: tuple[int, ...] | None,
        stop_ids: Collection[int],
        habits: Habits,
    ) -> None:
        self.ids: list[int] = []
        self.logp: list[float] = []
        self.ended = False
        self.truncated = True
        self._begin = len(context)
        self._room = room
        # A step may draw behind the last place, where it counts for nothing.
        self._noise = None if noise is None else np.pad(_uniform(noise, room), (0, MOST + 1))
        self._stop_ids = stop_ids
        self._guesser = PromptLookup(context, habits)

    def uniform(self, count: int) -> np.ndarray:
        """The noise of its next tokens, ``[count]``; of those that there is no room for, anything."""
        return self._noise[len(self.ids) : len(self.ids) + count]

    def positions(self, count: int) -> list[int]:
        """Of its last token and of those that follow, ``[count]``; none beyond its room."""
        first = self._begin + len(self.ids) - 1
        return [min(first + t, self._begin + self._room - 1) for t in range(count)]

    def guess(self) -> list[int]:
        """What may follow."""
        return [] if self.ended else self._guesser.guess(self._room - len(self.ids) - 1)

    def take(self, ids: Sequence[int], logp: Sequence[float], guess: Sequence[int]) -> int:
        """Take the tokens that were drawn behind its last one and behind each right guess; how many were right.

        Args:
            ids, logp: as drawn behind the last token, then behind each of ``guess``; ids of padding may follow.
        """
        if self.ended:
            return 0
        right = next((t for t, token in enumerate(guess) if ids[t] != token), len(guess))
        new = ids[: right + 1]
        stop = next((t for t, token in enumerate(new) if token in self._stop_ids), None)
        new = new if stop is None else new[: stop + 1]
        self.truncated = stop is None
        self.ids += new
        self.logp += logp[: len(new)]
        self.ended = stop is not None or len(self.ids) == self._room
        self._guesser.add(new, len(guess))
        return right

    def generated(self) -> Generated:
        """The answer as far as it goes."""
        if not np.isfinite(self.logp).all():
            raise UsageError("the model's probabilities are not numbers; use a checkpoint from before that")
        return Generated(np.array(self.ids, np.int64), np.array(self.logp, np.float32), self.truncated)


def _draw(
    logits_V: torch.Tensor, temperature: float, uniform: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """A token for each place and its log-probability: the likeliest, or with noise by inversion of the CDF.

    Args:
        logits_V: ``[..., V]``; ``uniform`` and what is returned are ``[...]``.
    """
    logp_V = torch.log_softmax(logits_V.float() / (temperature or 1.0), dim=-1)
    if uniform is None:
        token_1 = logp_V.argmax(-1, keepdim=True)
    else:
        # In fp64, since over a large vocabulary the rounding of a sum in fp32 exceeds small probabilities.
        cdf_V = logp_V.exp().cumsum(-1, dtype=uniform.dtype)
        point_1 = uniform[..., None] * cdf_V[..., -1:]
        token_1 = torch.searchsorted(cdf_V, point_1, right=True).clamp_(max=cdf_V.shape[-1] - 1)
    return token_1[..., 0], logp_V.gather(-1, token_1)[..., 0]


def _begun(
    model: PreTrainedModel, contexts: Sequence[Sequence[int]], memory: PrefixCache, pad_id: int
) -> list[Prefix | None]:
    """The beginning of each context that is at hand: in memory, or since all share it and it is read first."""
    if not contexts or not attends_to_all(model):
        return [None] * len(contexts)
    rows = memory.recall(model)
    found = beginnings(rows, contexts)
    unique = set(map(tuple, contexts))
    # A token is left for each row to read by itself.
    shared = min(len(commonprefix(list(unique))), min(map(len, unique)) - 1)
    if len(unique) > 1 and shared - min(b.length if b else 0 for b in found) >= SHARED:
        beginning = contexts[0][:shared]
        _, cache = _read(model, [beginning], [None], pad_id)
        found = beginnings((*rows, *cache.rows([np.array(beginning)])), contexts)
    return found


@torch.inference_mode()
def _read(
    model: PreTrainedModel,
    contexts: Sequence[Sequence[int]],
    begun: Sequence[Prefix | None],
    pad_id: int,
) -> tuple[torch.Tensor, RowCache]:
    """Read the contexts from where they were ``begun``; logits after each ``[B, V]``, and the filled cache.

    Rows end in the same column, padded on the left. All read as many tokens as the one that has most to read:
    a token that is read again costs no more than padding, and rows have no holes.
    """
    start = dict(zip(map(tuple, contexts), begun, strict=True))
    longest = max(map(len, start))
    new = max(len(c) - (b.length if b else 0) for c, b in start.items())
    ids_BC = torch.full((len(start), longest), pad_id)
    mask_BC = torch.zeros_like(ids_BC)
    for row, context in enumerate(start):
        ids_BC[row, longest - len(context) :] = torch.tensor(context)
        mask_BC[row, longest - len(context) :] = 1
    ids_BC, mask_BC = ids_BC.to(model.device), mask_BC.to(model.device)
    position_BC = (mask_BC.cumsum(1) - 1).clamp_(min=0)
    cache, known = RowCache(model, mask_BC), longest - new
    if known:
        cache.fill(list(start.values()), [max(0, len(c) - new) for c in start], known, new)
    logits_BV = _forward(model, ids_BC[:, known:], position_BC[:, known:], cache, keep=1)[:, 0]
    if len(start) < len(contexts):
        row_of = {context: row for row, context in enumerate(start)}
        again = torch.tensor([row_of[tuple(c)] for c in contexts], device=model.device)
        cache.expand(again)
        logits_BV = logits_BV[again]
    return logits_BV, cache


def _forward(
    model: PreTrainedModel, ids_BT: torch.Tensor, position_BT: torch.Tensor, cache: RowCache, keep: int
) -> torch.Tensor:
    """Logits after the last ``keep`` of the new tokens, ``[B, keep, V]``.

    Positions are given, since the mask, which has the new tokens' columns already, can have holes.
    """
    out = model(
        input_ids=ids_BT,
        attention_mask=cache.mask_BC,
        position_ids=position_BT,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=keep,
    )
    return out.logits[:, -keep:]
