"""The loop behind :func:`labkit.models.sampling.decode.generate`, at a given level of reuse.

Shape suffixes: B rows in the batch, C columns, T tokens read or drawn in a step, V vocabulary.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import groupby
from os.path import commonprefix
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from labkit.models.bundle import context_length
from labkit.models.context import Context
from labkit.models.sampling.cache import Prefix, PrefixCache, RowCache, find_prefixes
from labkit.models.sampling.drafts import MAX_DRAFT, ORDER, NGrams, PromptLookup, remember
from labkit.models.sampling.levels import Level
from labkit.models.vision import forbid, picture_inputs, placeholder_ids, positions

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PADDING = 2048
"""Padding, in tokens, beyond which rows are decoded apart. On a CPU it costs as much as another batch."""
SHARED = 8
"""A shared prefix of fewer tokens is not worth a forward pass of its own."""


class Generated(NamedTuple):
    """One sampled answer."""

    ids: np.ndarray
    """``int64 [A]``: the end token included, if it came."""
    logp: np.ndarray
    """``float32 [A]``: log-probabilities (nats) at the sampling temperature; at 1 if that was 0."""
    truncated: bool
    """No end token came: the answer met the limit, the end of the model's context, or a stop from outside."""

    @property
    def finite(self) -> bool:
        """Whether all log-probabilities are numbers."""
        return bool(np.isfinite(self.logp).all())


def sample(
    model: PreTrainedModel,
    contexts: Sequence[Context],
    *,
    max_new_tokens: int,
    temperature: float,
    stop_ids: Sequence[int],
    noise: Sequence[tuple[int, ...]],
    pad_id: int,
    batch: int,
    should_stop: Callable[[], bool] | None,
    prefix_cache: PrefixCache,
    level: Level,
) -> list[Generated]:
    """Sample one answer to each context; arguments as of :func:`labkit.models.sampling.decode.generate`."""
    limit = context_length(model) or sys.maxsize
    stops = frozenset(stop_ids)
    answers = []
    for context, key in zip(contexts, noise, strict=True):
        room = max(0, min(max_new_tokens, limit - len(context)))
        begin = int(positions(model, context).max(initial=-1)) + 1
        answers.append(_Answer(context, begin, room, key if temperature > 0 else None, stops, prefix_cache.ngrams))
    fitting = [i for i, c in enumerate(contexts) if len(c) < limit]
    if level == Level.PLAIN:
        for rows in _equal_lengths(contexts, fitting, batch):
            _decode_plain(model, [contexts[i] for i in rows], [answers[i] for i in rows], temperature, should_stop)
        return [answer.generated() for answer in answers]
    reader = _Reader(model, pad_id, reuse=level >= Level.PREFIXES)
    found = reader.prefixes([contexts[i] for i in fitting], prefix_cache)
    prefixes = dict(zip(fitting, found, strict=True))
    kept = []
    for rows in _groups(contexts, prefixes, batch):
        if should_stop and should_stop():
            break
        logits_BV, cache = reader.read([contexts[i] for i in rows], [prefixes[i] for i in rows])
        live = [answers[i] for i in rows]
        _decode(model, logits_BV, cache, live, temperature, pad_id, should_stop, drafts=level >= Level.DRAFTS)
        for i in rows:
            remember(prefix_cache.ngrams, [*contexts[i][-ORDER:], *answers[i].ids])
        # The last token of an answer was never read.
        kept += cache.rows([contexts[i].grown(answers[i].ids[:-1]).comparable() for i in rows])
    prefix_cache.keep(model, kept)
    return [answer.generated() for answer in answers]


def _equal_lengths(contexts: Sequence[Context], fitting: Sequence[int], batch: int) -> Iterator[list[int]]:
    """Row numbers in batches of equal length."""

    def length(row: int) -> int:
        return len(contexts[row])

    for _, group in groupby(sorted(fitting, key=length), key=length):
        rows = list(group)
        yield from (rows[first : first + batch] for first in range(0, len(rows), batch))


def _groups(contexts: Sequence[Context], prefixes: Mapping[int, Prefix | None], batch: int) -> Iterator[list[int]]:
    """Row numbers in batches of like size; all rows of a batch have the same number of pictures to read."""
    sizes = {}
    for row, prefix in prefixes.items():
        known, length = prefix.length if prefix else 0, len(contexts[row])
        sizes[row] = (sum(p.span[1] > known for p in contexts[row].pictures), length, length - known)
    rows: list[int] = []
    lengths = reads = most = shown = 0
    for row in sorted(sizes, key=sizes.__getitem__):
        pictures, length, read = sizes[row]
        most = max(most, read)
        padding = max(len(rows) * length - lengths, (len(rows) + 1) * most - reads - read)
        if rows and (len(rows) == batch or padding > PADDING or pictures != shown):
            yield rows
            rows, lengths, reads, most = [], 0, 0, read
        rows.append(row)
        lengths, reads, shown = lengths + length, reads + read, pictures
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
    *,
    drafts: bool,
) -> None:
    """Continue contexts that have been read, all answers side by side.

    Each step reads the last token of each row and draft tokens, as many in each row, and draws a token behind each.
    Wrong draft tokens stay in the cache, masked.
    """
    device = logits_BV.device
    drafted: list[list[int]] = [[] for _ in answers]
    batch, logits_BTV = list(answers), logits_BV[:, None]
    while True:
        count = logits_BTV.shape[1]
        right = _take(batch, logits_BTV, temperature, drafted)
        live = [a for a in batch if not a.ended]
        if not live or (should_stop and should_stop()):
            return
        if count > 1:
            wrong_BT = torch.arange(1, count) > torch.tensor(right)[:, None]
            cache.mask_BC[:, 1 - count :] *= ~wrong_BT.to(device)
        # Rows that leave are copied: not for every single one.
        if 8 * len(live) <= 7 * len(batch):
            order = cache.leave({row for row, a in enumerate(batch) if a.ended})
            batch = [batch[row] for row in order]
        drafted = [a.draft() for a in batch] if drafts else [[] for _ in batch]
        count = 1 + round(sum(map(len, drafted)) / len(live))
        drafted = [draft[: count - 1] for draft in drafted]
        rows = zip(batch, drafted, strict=True)
        ids = [[a.ids[-1], *draft, *[pad_id] * (count - 1 - len(draft))] for a, draft in rows]
        position_BT = torch.tensor([a.positions(count) for a in batch], device=device)
        cache.mask_BC = torch.cat([cache.mask_BC, cache.mask_BC.new_ones(len(batch), count)], dim=1)
        ids_BT, first_B = torch.tensor(ids, device=device), [len(a.context) + len(a.ids) - 1 for a in batch]
        shown = picture_inputs(model, ids_BT, [a.context.pictures for a in batch], first_B)
        logits_BTV = _forward(model, ids_BT, position_BT, cache, keep=count, **shown)


@torch.inference_mode()
def _decode_plain(
    model: PreTrainedModel,
    contexts: Sequence[Context],
    answers: Sequence[_Answer],
    temperature: float,
    should_stop: Callable[[], bool] | None,
) -> None:
    """Continue contexts of equal length, with a full forward pass for each token."""
    batch = list(zip(contexts, answers, strict=True))
    while batch and not (should_stop and should_stop()):
        ids_BT = torch.tensor([[*context, *answer.ids] for context, answer in batch], device=model.device)
        shown = picture_inputs(model, ids_BT, [context.pictures for context, _ in batch])
        logits_BTV = _allowed(model, model(input_ids=ids_BT, use_cache=False, **shown).logits[:, -1:])
        _take([answer for _, answer in batch], logits_BTV, temperature, [[] for _ in batch])
        batch = [(context, answer) for context, answer in batch if not answer.ended]


def _take(
    batch: Sequence[_Answer], logits_BTV: torch.Tensor, temperature: float, drafted: Sequence[Sequence[int]]
) -> list[int]:
    """Draw the next tokens of all answers; returns how many draft tokens of each were right."""
    device, uniform_BT = logits_BTV.device, None
    if temperature > 0:
        # Apple's GPUs know no fp64.
        precision = torch.float32 if device.type == "mps" else torch.float64
        noise = np.stack([a.uniform(logits_BTV.shape[1]) for a in batch])
        uniform_BT = torch.from_numpy(noise).to(device, precision)
    drawn = [x.tolist() for x in _draw(logits_BTV, temperature, uniform_BT)]
    return [a.take(*row) for a, *row in zip(batch, *drawn, drafted, strict=True)]


class _Answer:
    """An answer that is being sampled.

    Args:
        begin: the position of its first token.
        room: the most tokens.
        noise: the key of its noise, or None to take the likeliest token.
        ngrams: the n-gram table of earlier answers.
    """

    def __init__(
        self,
        context: Context,
        begin: int,
        room: int,
        noise: tuple[int, ...] | None,
        stop_ids: Collection[int],
        ngrams: NGrams,
    ) -> None:
        self.context = context
        self.ids: list[int] = []
        self.logp: list[float] = []
        self.ended = False
        self.truncated = True
        self._begin, self._room = begin, room
        # A step may draw behind the last place, where it counts for nothing.
        self._noise = np.empty(0) if noise is None else np.pad(_uniform(noise, room), (0, MAX_DRAFT + 1))
        self._stop_ids = stop_ids
        self._lookup = PromptLookup(context.ids, ngrams)

    def uniform(self, count: int) -> np.ndarray:
        """The noise of its next tokens, ``[count]``; arbitrary for tokens that there is no room for."""
        return self._noise[len(self.ids) : len(self.ids) + count]

    def positions(self, count: int) -> list[int]:
        """Positions of its last token and of those that follow, ``[count]``; none beyond its room."""
        first = self._begin + len(self.ids) - 1
        return [min(first + t, self._begin + self._room - 1) for t in range(count)]

    def draft(self) -> list[int]:
        """Draft tokens that may follow."""
        return [] if self.ended else self._lookup.draft(self._room - len(self.ids) - 1)

    def take(self, ids: Sequence[int], logp: Sequence[float], draft: Sequence[int]) -> int:
        """Append the tokens drawn behind its last one and behind each right draft token; returns how many were right.

        Args:
            ids, logp: drawn behind the last token, then behind each token of ``draft``; padding may follow.
        """
        if self.ended:
            return 0
        right = next((t for t, token in enumerate(draft) if ids[t] != token), len(draft))
        new = ids[: right + 1]
        stop = next((t for t, token in enumerate(new) if token in self._stop_ids), None)
        new = new if stop is None else new[: stop + 1]
        self.truncated = stop is None
        self.ids += new
        self.logp += logp[: len(new)]
        self.ended = stop is not None or len(self.ids) == self._room
        self._lookup.add(new, len(draft))
        return right

    def generated(self) -> Generated:
        """The answer as far as it goes."""
        return Generated(np.array(self.ids, np.int64), np.array(self.logp, np.float32), self.truncated)


def _draw(
    logits_V: torch.Tensor, temperature: float, uniform: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """A token for each place and its log-probability: the likeliest token, or by inversion of the CDF.

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


class _Reader:
    """Reads contexts into a cache, as far as they are not in one already.

    Args:
        reuse: share prefixes, and keep rows for the next call.
    """

    def __init__(self, model: PreTrainedModel, pad_id: int, *, reuse: bool) -> None:
        self._model, self._pad_id, self._reuse = model, pad_id, reuse

    def prefixes(self, contexts: Sequence[Context], cache: PrefixCache) -> list[Prefix | None]:
        """The prefix of each context that is at hand: in the cache, or read here because all contexts share it."""
        if not contexts or not self._reuse:
            return [None] * len(contexts)
        rows, tokens = cache.recall(self._model), [context.comparable() for context in contexts]
        found = find_prefixes(rows, tokens)
        unique = [its.tolist() for its in dict(zip(contexts, tokens, strict=True)).values()]
        # A token is left for each row to read by itself.
        shared = min(len(commonprefix(unique)), min(map(len, unique)) - 1)
        if len(unique) > 1 and shared - min(p.length if p else 0 for p in found) >= SHARED:
            prefix = contexts[0].head(shared)
            _, read = self.read([prefix], [None])
            found = find_prefixes((*rows, *read.rows([prefix.comparable()])), tokens)
        return found

    @torch.inference_mode()
    def read(self, contexts: Sequence[Context], prefixes: Sequence[Prefix | None]) -> tuple[torch.Tensor, RowCache]:
        """Read the contexts from the end of their prefixes on; logits after each ``[B, V]``, and the filled cache.

        Rows end in the same column, padded on the left. All read as many tokens as the one that has most to read:
        a token that is read again costs no more than padding, and rows have no holes.
        """
        start = dict(zip(contexts, prefixes, strict=True))
        longest = max(map(len, start))
        new = max(len(c) - (p.length if p else 0) for c, p in start.items())
        # A picture is read whole or not at all.
        if any(p.span[0] < len(c) - new < p.span[1] for c in start for p in c.pictures):
            new = longest
        ids_BC = torch.full((len(start), longest), self._pad_id)
        mask_BC = torch.zeros_like(ids_BC)
        for row, context in enumerate(start):
            ids_BC[row, longest - len(context) :] = torch.tensor(context.ids)
            mask_BC[row, longest - len(context) :] = 1
        device = self._model.device
        ids_BC, mask_BC = ids_BC.to(device), mask_BC.to(device)
        position_BC = self._positions(list(start), longest).to(device)
        cache, known = RowCache(self._model, mask_BC, keep=self._reuse), longest - new
        if known:
            cache.fill(list(start.values()), [max(0, len(c) - new) for c in start], known, new)
        ids_BT = ids_BC[:, known:]
        shown = picture_inputs(self._model, ids_BT, [c.pictures for c in start], [len(c) - new for c in start])
        logits_BTV = _forward(self._model, ids_BT, position_BC[..., known:], cache, keep=1, **shown)
        logits_BV = logits_BTV[:, 0]
        if len(start) < len(contexts):
            row_of = {context: row for row, context in enumerate(start)}
            again = torch.tensor([row_of[context] for context in contexts], device=device)
            cache.expand(again)
            logits_BV = logits_BV[again]
        return logits_BV, cache

    def _positions(self, contexts: Sequence[Context], longest: int) -> torch.Tensor:
        """Positions of left-padded contexts, ``[B, C]``; ``[3, B, C]`` where a context has three for a token."""
        found = [positions(self._model, context) for context in contexts]
        if any(row.ndim > 1 for row in found):
            found = [row if row.ndim > 1 else np.tile(row, (3, 1)) for row in found]
        padded = [np.pad(row, [(0, 0)] * (row.ndim - 1) + [(longest - row.shape[-1], 0)]) for row in found]
        return torch.from_numpy(np.stack(padded, axis=-2))


def _forward(
    model: PreTrainedModel,
    ids_BT: torch.Tensor,
    position_BT: torch.Tensor,
    cache: RowCache,
    keep: int,
    **pictures: torch.Tensor,
) -> torch.Tensor:
    """Logits after the last ``keep`` of the new tokens, ``[B, keep, V]``.

    Positions are given, because the mask, which has the new tokens' columns already, can have holes.
    """
    out = model(
        input_ids=ids_BT,
        attention_mask=cache.mask_BC,
        position_ids=position_BT,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=keep,
        **pictures,
    )
    return _allowed(model, out.logits[:, -keep:])


def _allowed(model: PreTrainedModel, logits_BTV: torch.Tensor) -> torch.Tensor:
    """Logits under which no placeholder of a picture is drawn."""
    return forbid(logits_BTV, placeholder_ids(model.config))
