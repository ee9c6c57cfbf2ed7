"""Keys and values of what a model has read, kept so that nothing is read twice.

A dialogue grows by appending, V-IRL's next prompt begins like the last one, and the answers of a group begin with one
prompt. A context that begins like a row that was read before needs only the rest read. The cache changes how long an
answer takes, never which tokens it has.

Contexts are compared by :meth:`labkit.models.context.Context.comparable`, so by their pictures too.

Shape suffixes: B rows, C columns, H heads, D size of a head.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from labkit.models.sampling.drafts import NGrams

Layers = list[tuple[torch.Tensor, torch.Tensor] | None]
"""Keys and values ``[B, H, C, D]`` of each layer; None where a layer has none (cross-attention)."""
SPARE = 64
"""Tokens for which a cache makes room at a time."""
LIMIT = 2**30
"""Bytes of keys and values that are kept from one call to the next."""


class Rows(NamedTuple):
    """Rows that were computed side by side. They are not written to any more."""

    tokens: list[np.ndarray]
    """The tokens of each row, in comparable form."""
    columns: list[torch.Tensor]
    """The column of each token of each row."""
    layers: Layers

    @property
    def size(self) -> int:
        """Bytes held."""
        tensors = [tensor for layer in self.layers if layer for tensor in layer]
        return sum(tensor.untyped_storage().nbytes() for tensor in tensors)


class Prefix(NamedTuple):
    """The part of a context that a row has computed already."""

    rows: Rows
    row: int
    length: int
    """Tokens."""


class PrefixCache:
    """The rows of the last call, for one model, up to a limit in bytes.

    A call with another model, or after the weights have changed, finds nothing. Changes through ``.data`` and another
    choice of adapter are not noticed: then call :meth:`clear`.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.ngrams: NGrams = {}
        """The n-gram table of earlier answers, for draft tokens."""
        self._rows: tuple[Rows, ...] = ()
        self._version: tuple[int, ...] = ()

    def recall(self, model: PreTrainedModel) -> tuple[Rows, ...]:
        """The rows at hand, if they are this model's with these weights."""
        if self._version != version(model):
            self.clear()
        return self._rows

    def keep(self, model: PreTrainedModel, rows: Iterable[Rows]) -> None:
        """Replace the rows by these, as many as fit, the first ones first."""
        kept, room = [], self.limit
        for part in rows:
            if part.size <= room:
                kept.append(part)
                room -= part.size
        self._rows, self._version = tuple(kept), version(model)

    def clear(self) -> None:
        """Drop the rows."""
        self._rows = ()


_steps: Counter[str] = Counter()
# Fused optimizers change weights without raising their version.
register_optimizer_step_post_hook(lambda *_: _steps.update(["taken"]))


def version(model: PreTrainedModel) -> tuple[int, ...]:
    """A value that differs between models, and changes when a model's weights are changed in place."""
    return (_steps.total(), *(number for p in model.parameters() for number in (p.data_ptr(), p._version)))


def find_prefixes(rows: Sequence[Rows], contexts: Sequence[np.ndarray]) -> list[Prefix | None]:
    """For each context the row that shares the longest prefix with it; the context's last token is left to be read.

    Args:
        contexts: in comparable form.
    """
    places = [(part, row) for part in rows for row in range(len(part.tokens))]
    if not places:
        return [None] * len(contexts)
    known = np.full((len(places), max(len(part.tokens[row]) for part, row in places) + 1), -1)
    for line, (part, row) in zip(known, places, strict=True):
        line[: len(part.tokens[row])] = part.tokens[row]
    found = []
    for context in contexts:
        asked = context[: min(len(context) - 1, known.shape[1] - 1)]
        # One column more than is compared differs in every row, so that there always is a first difference.
        differs = np.ones((len(known), len(asked) + 1), dtype=bool)
        np.not_equal(known[:, : len(asked)], asked, out=differs[:, :-1])
        lengths = differs.argmax(1)
        best = int(lengths.argmax())
        found.append(Prefix(*places[best], int(lengths[best])) if lengths[best] else None)
    return found


def attends_to_all(model: PreTrainedModel) -> bool:
    """Whether all layers attend to everything.

    Sliding windows drop tokens and recurrent layers cannot go back, so their rows cannot be reused, and no draft token
    can be taken back.
    """
    return _attend_to_all(DynamicCache(config=model.config))


def _attend_to_all(cache: DynamicCache) -> bool:
    return all(type(layer) is DynamicLayer for layer in cache.layers)


class RowCache(DynamicCache):
    """A cache whose rows can begin with rows of other calls, and be kept after their own.

    Args:
        mask_BC: 1 on the columns of each row that hold tokens, or will.
        keep: rows will be asked for by :meth:`rows`.
    """

    def __init__(self, model: PreTrainedModel, mask_BC: torch.Tensor, *, keep: bool) -> None:
        super().__init__(config=model.config)
        self._roomy = _attend_to_all(self)
        self._keep = keep
        if self._roomy:
            self.layers: list[Any] = [RoomyLayer() for _ in self.layers]
        self.mask_BC = mask_BC
        self.row_B = torch.arange(len(mask_BC), device=mask_BC.device)
        """The number of each row, which stays the same when other rows leave."""
        self._left: list[tuple[torch.Tensor, torch.Tensor, Layers]] = []

    def fill(self, prefixes: Sequence[Prefix | None], lengths: Sequence[int], columns: int, room: int) -> None:
        """Copy prefixes into the empty cache: ``lengths`` tokens of each row, which end in its last column.

        Args:
            columns: columns to fill; at least one row has a token.
            room: columns that will follow.
        """
        source = next(b.rows for b, length in zip(prefixes, lengths, strict=True) if b and length)
        for index, (layer, there) in enumerate(zip(self.layers, source.layers, strict=True)):
            if there is None:
                continue
            layer.make_room(len(prefixes), columns, columns + room + SPARE, *there)
            for row, (prefix, length) in enumerate(zip(prefixes, lengths, strict=True)):
                shared = prefix.rows.layers[index] if prefix and length else None
                for side, mine in enumerate((layer.keys, layer.values)):
                    # Padding is masked, but NaN would still come through.
                    mine[row, :, : columns - length] = 0
                    if prefix and shared is not None:
                        where = prefix.rows.columns[prefix.row][:length]
                        mine[row, :, columns - length :] = shared[side][prefix.row][:, where]

    def expand(self, indices: torch.Tensor) -> None:
        """Select rows, with repeats, and number them anew."""
        self.mask_BC, self.row_B = self.mask_BC[indices], torch.arange(len(indices), device=indices.device)
        self._select(indices)

    def leave(self, gone: Collection[int]) -> list[int]:
        """Take rows out of the batch; returns the places of the rows that stay, in their new order.

        The last rows move to the free places, so that the others need not be copied.
        """
        stay = len(self.row_B) - len(gone)
        movers = iter(row for row in range(stay, len(self.row_B)) if row not in gone)
        order = [next(movers) if row in gone else row for row in range(stay)]
        left_B, order_B = (torch.tensor(places, device=self.row_B.device) for places in (sorted(gone), order))
        if self._keep:
            self._left.append((self.row_B[left_B], self.mask_BC[left_B], self._layers(left_B)))
        self.row_B, self.mask_BC = self.row_B[order_B], self.mask_BC[order_B]
        if self._roomy:
            for layer in self.layers:
                layer.move(order_B)
        else:
            self._select(order_B)
        return order

    def _select(self, indices: torch.Tensor) -> None:
        """Select rows of every layer. Recurrent layers know this only as the reordering of a beam search."""
        for layer in self.layers:
            layer.batch_select_indices(indices) if self._roomy else layer.reorder_cache(indices)

    def rows(self, tokens: Sequence[np.ndarray]) -> list[Rows]:
        """All rows, including those that have left; none unless rows are kept.

        Args:
            tokens: of each row by its number, in comparable form, as far as they are worth keeping.
        """
        if not self._keep:
            return []
        found = []
        for row_B, mask_BC, layers in [*self._left, (self.row_B, self.mask_BC, self._layers())]:
            there = [tokens[row] for row in row_B.tolist()]
            columns = [mask.nonzero()[: len(its), 0] for mask, its in zip(mask_BC, there, strict=True)]
            found.append(Rows(there, columns, layers))
        return found

    def _layers(self, which: torch.Tensor | slice = slice(None)) -> Layers:
        """Keys and values: a copy of some rows, or a view of all."""
        return [(layer.keys[which], layer.values[which]) if layer.is_initialized else None for layer in self.layers]


class RoomyLayer(DynamicLayer):
    """Keys and values ``[B, H, C, D]`` at the front of buffers with room to spare."""

    _room = 0

    def make_room(self, rows: int, columns: int, room: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Allocate ``rows`` by ``columns`` of the type of these keys and values, with room for more columns."""
        self.lazy_initialization(keys, values)
        self._room = room
        self._keys, self._values = (x.new_empty((rows, x.shape[1], room, x.shape[3])) for x in (keys, values))
        self._show(columns)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append to the cache, which is copied only when the room runs out."""
        first, new = self.get_seq_length(), key_states.shape[-2]
        if first + new > self._room:
            old = self.keys, self.values
            self.make_room(len(key_states), first, first + new + SPARE, key_states, value_states)
            if first:
                self.keys.copy_(old[0])
                self.values.copy_(old[1])
        self._keys.narrow(-2, first, new).copy_(key_states)
        self._values.narrow(-2, first, new).copy_(value_states)
        self._show(first + new)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Select rows, and keep the room."""
        if columns := self.get_seq_length():
            self._keys, self._values = self._keys[indices], self._values[indices]
            self._show(columns)

    def move(self, order: torch.Tensor) -> None:
        """Put the rows ``order`` into the first places; a row that moves comes from behind them."""
        if columns := self.get_seq_length():
            moved = (order != torch.arange(len(order), device=order.device)).nonzero()[:, 0]
            for buffer in (self._keys, self._values):
                buffer[moved, :, :columns] = buffer[order[moved], :, :columns]
            self._keys, self._values = self._keys[: len(order)], self._values[: len(order)]
            self._show(columns)

    def _show(self, columns: int) -> None:
        self.keys, self.values = self._keys.narrow(-2, 0, columns), self._values.narrow(-2, 0, columns)
