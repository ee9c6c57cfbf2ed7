"""Sampling from a language model: batched, cached, and the same whatever else is in the batch.

Where this departs from ``generate`` of transformers, and why:

* Nothing is filtered. ``generate`` samples among the 50 likeliest tokens unless told otherwise, which biases
  the ratio of new to old probabilities that policy gradients rest on. Here the whole softmax is sampled, and
  the log-probability that is recorded is the sampled distribution's own, in fp32.
* Noise belongs to an answer, not to a batch: one uniform number a token, from a counter-based generator
  (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") under a key that the caller gives. The
  same key gives the same answer alone, in any batch and in any process.
* Nothing is computed twice: equal contexts are read once, and so is the beginning that all of them share;
  rows that have ended leave the batch; a token is appended to the cache without copying the rest.

Shape suffixes: N answers, B rows still in the batch, C context, T new tokens, V vocabulary, H heads, D size
of a head.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from os.path import commonprefix
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from labkit.errors import UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PADDING = 2048
"""Padding, in tokens, beyond which rows are decoded apart; on a CPU it costs what another batch does."""
SHARED = 8
"""A common beginning of fewer tokens is not worth a forward pass of its own."""
SPARE = 64
"""Tokens for which the cache makes room at a time."""


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
        should_stop: asked before each token; once it says yes, the answers end where they are.

    Returns:
        An answer for each context, in order. One that fills the model's whole context gets an empty, truncated
        answer: a player that rambles until there is no room has failed at its task, and that is for the verdict.

    Raises:
        UsageError: the model's probabilities are not numbers.
    """
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None) or sys.maxsize
    nothing = Generated(np.zeros(0, np.int64), np.zeros(0, np.float32), True)
    answers = dict.fromkeys(range(len(contexts)), nothing)
    for rows in _groups({i: len(c) for i, c in enumerate(contexts) if len(c) < limit}, batch):
        if should_stop and should_stop():
            break
        room = [min(max_new_tokens, limit - len(contexts[i])) for i in rows]
        uniform_NT = np.stack([_uniform(noise[i], max(room)) for i in rows]) if temperature > 0 else None
        reading = _read(model, [contexts[i] for i in rows], pad_id)
        sampled = _decode(model, *reading, room, temperature, uniform_NT, stop_ids, should_stop)
        answers |= zip(rows, sampled, strict=True)
    return [answers[i] for i in range(len(contexts))]


def _groups(lengths: Mapping[int, int], batch: int) -> Iterator[list[int]]:
    """Row numbers in batches of like length; ``lengths`` gives the length of each row."""
    rows: list[int] = []
    real = 0
    for row in sorted(lengths, key=lengths.__getitem__):
        if len(rows) == batch or len(rows) * lengths[row] - real > PADDING:
            yield rows
            rows, real = [], 0
        rows.append(row)
        real += lengths[row]
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
    mask_BC: torch.Tensor,
    cache: DynamicCache,
    room: Sequence[int],
    temperature: float,
    uniform_NT: np.ndarray | None,
    stop_ids: Sequence[int],
    should_stop: Callable[[], bool] | None,
) -> list[Generated]:
    """Go on from contexts that have been read: at most ``room`` tokens each, all rows side by side."""
    device, (count, seen) = mask_BC.device, mask_BC.shape
    stop_V = torch.zeros(logits_BV.shape[1], dtype=torch.bool, device=device)
    stop_V[[i for i in stop_ids if i < len(stop_V)]] = True
    # The rows of the batch, which shrinks: whose answer each is, its limit, whether it goes on, its noise.
    row_B = torch.arange(count, device=device)
    room_B = torch.tensor(room, device=device)
    live_B = torch.ones(count, dtype=torch.bool, device=device)
    noise_BT = None
    if uniform_NT is not None:
        # Apple's GPUs know no fp64.
        precision = torch.float32 if device.type == "mps" else torch.float64
        noise_BT = torch.from_numpy(uniform_NT).to(device, precision)
    position_B = mask_BC.sum(1)
    mask_BC = torch.cat([mask_BC, mask_BC.new_ones(count, max(room))], dim=1)
    drawn = []
    for step in range(max(room)):
        token_B, logp_B = _draw(logits_BV, temperature, noise_BT[:, step] if noise_BT is not None else None)
        drawn.append((row_B, token_B, logp_B))
        live_B = live_B & ~stop_V[token_B] & (room_B > step + 1)
        left = int(live_B.sum())
        if not left or (should_stop and should_stop()):
            break
        # Taking rows out copies the cache, about what a step costs: not for every single row.
        if 8 * left <= 7 * len(live_B):
            keep = live_B.nonzero()[:, 0]
            cache.batch_select_indices(keep)
            token_B, row_B, room_B, live_B, position_B = (
                x[keep] for x in (token_B, row_B, room_B, live_B, position_B)
            )
            mask_BC, noise_BT = mask_BC[keep], noise_BT[keep] if noise_BT is not None else None
        mask = mask_BC[:, : seen + step + 1]
        logits_BV = _forward(model, token_B[:, None], mask, (position_B + step)[:, None], cache)
    return _answers(drawn, room, stop_ids)


def _answers(
    drawn: Sequence[tuple[torch.Tensor, ...]], room: Sequence[int], stop_ids: Sequence[int]
) -> list[Generated]:
    """Cut what was drawn (rows, ids and log-probabilities of each step) where each answer ends."""
    row, ids, logp = (torch.cat(column).cpu().numpy() for column in zip(*drawn, strict=True))
    if not np.isfinite(logp).all():
        raise UsageError("the model's probabilities are not numbers; use a checkpoint from before that")
    step = np.repeat(np.arange(len(drawn)), [len(tokens) for _, tokens, _ in drawn])
    ids_NT = np.zeros((len(room), len(drawn)), np.int64)
    logp_NT = np.zeros((len(room), len(drawn)), np.float32)
    ids_NT[row, step], logp_NT[row, step] = ids, logp
    ends_NT = np.isin(ids_NT, stop_ids)
    answers = []
    for n, most in enumerate(room):
        stops = ends_NT[n, :most].nonzero()[0]
        length = stops[0] + 1 if len(stops) else min(most, len(drawn))
        answers.append(Generated(ids_NT[n, :length].copy(), logp_NT[n, :length].copy(), not len(stops)))
    return answers


def _draw(
    logits_BV: torch.Tensor, temperature: float, uniform_B: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """A token for each row and its log-probability: the likeliest, or with noise by inversion of the CDF."""
    logp_BV = torch.log_softmax(logits_BV.float() / (temperature or 1.0), dim=-1)
    if uniform_B is None:
        token_B1 = logp_BV.argmax(-1, keepdim=True)
    else:
        # In fp64, since over a large vocabulary the rounding of a sum in fp32 exceeds small probabilities.
        cdf_BV = logp_BV.exp().cumsum(-1, dtype=uniform_B.dtype)
        point_B1 = uniform_B[:, None] * cdf_BV[:, -1:]
        token_B1 = torch.searchsorted(cdf_BV, point_B1, right=True).clamp_(max=cdf_BV.shape[1] - 1)
    return token_B1[:, 0], logp_BV.gather(1, token_B1)[:, 0]


@torch.inference_mode()
def _read(
    model: PreTrainedModel, contexts: Sequence[Sequence[int]], pad_id: int
) -> tuple[torch.Tensor, torch.Tensor, DynamicCache]:
    """Read the contexts: logits after each ``[B, V]``, the mask of real tokens ``[B, C]``, the filled cache.

    The beginning that all contexts share is read once; padding lies behind it, on the left of the rest.
    """
    unique = {c: i for i, c in enumerate(dict.fromkeys(map(tuple, contexts)))}
    cache = DynamicCache(config=model.config)
    # Windows and recurrent layers count padding: for them it has to come first.
    full_attention = all(type(layer) is DynamicLayer for layer in cache.layers)
    shared = 0
    if full_attention:
        cache.layers = [_RoomyLayer() for _ in cache.layers]
        # A token is left for each row to read by itself.
        shared = min(len(commonprefix(list(unique))), min(map(len, unique)) - 1)
        if len(unique) == 1 or shared < SHARED:
            shared = 0
    longest = max(map(len, unique))
    ids_BC = torch.full((len(unique), longest), pad_id)
    mask_BC = torch.zeros_like(ids_BC)
    for context, row in unique.items():
        ids_BC[row, longest - len(context) + shared :] = torch.tensor(context[shared:])
        mask_BC[row, longest - len(context) + shared :] = 1
    if shared:
        ids_BC[:, :shared] = torch.tensor(next(iter(unique))[:shared])
        mask_BC[:, :shared] = 1
    ids_BC, mask_BC = ids_BC.to(model.device), mask_BC.to(model.device)
    position_BC = (mask_BC.cumsum(1) - 1).clamp_(min=0)
    if shared:
        _forward(model, ids_BC[:1, :shared], mask_BC[:1, :shared], position_BC[:1, :shared], cache)
        cache.batch_select_indices(torch.zeros(len(unique), dtype=torch.long, device=model.device))
    logits_BV = _forward(model, ids_BC[:, shared:], mask_BC, position_BC[:, shared:], cache)
    if len(unique) < len(contexts):
        again = torch.tensor([unique[tuple(c)] for c in contexts], device=model.device)
        cache.batch_select_indices(again)
        logits_BV, mask_BC = logits_BV[again], mask_BC[again]
    return logits_BV, mask_BC, cache


def _forward(
    model: PreTrainedModel,
    ids_BT: torch.Tensor,
    mask_BC: torch.Tensor,
    position_BT: torch.Tensor,
    cache: DynamicCache,
) -> torch.Tensor:
    """Logits after the last of the new tokens, ``[B, V]``. Positions are given, since the mask has holes."""
    out = model(
        input_ids=ids_BT,
        attention_mask=mask_BC,
        position_ids=position_BT,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return out.logits[:, -1]


class _RoomyLayer(DynamicLayer):
    """Keys and values ``[B, H, C, D]`` at the front of buffers with room to spare."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append to the cache; all of it is copied only when the room runs out."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._room = 0
        first, new = self.get_seq_length(), key_states.shape[-2]
        if first + new > self._room:
            self._room = first + new + SPARE
            self._keys = _buffer(self.keys, key_states, first, self._room)
            self._values = _buffer(self.values, value_states, first, self._room)
        self._keys.narrow(-2, first, new).copy_(key_states)
        self._values.narrow(-2, first, new).copy_(value_states)
        self.keys = self._keys.narrow(-2, 0, first + new)
        self.values = self._values.narrow(-2, 0, first + new)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep the rows ``indices``; the next update makes room again."""
        super().batch_select_indices(indices)
        self._room = 0


def _buffer(old: torch.Tensor, new: torch.Tensor, first: int, room: int) -> torch.Tensor:
    """A buffer for ``room`` tokens shaped like ``new`` that begins with the ``first`` ones of ``old``."""
    buffer = new.new_empty((*new.shape[:-2], room, new.shape[-1]))
    if first:
        buffer.narrow(-2, 0, first).copy_(old)
    return buffer
