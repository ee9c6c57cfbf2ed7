"""A context: the token ids and the pictures in front of an answer. Comparing, sharing and caching use both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, overload

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in a context."""

    key: str
    """Hash of the pixels: pictures with the same key are the same."""
    span: tuple[int, int]
    """Half-open range of the context's tokens that stand for the picture. Tokens before it do not depend on it."""
    inputs: Mapping[str, torch.Tensor] = field(compare=False, repr=False)
    """What the model's forward pass takes for it, such as ``pixel_values``; the first dimension counts pictures."""

    def moved(self, by: int) -> Picture:
        """The same picture so many tokens further on."""
        return replace(self, span=(self.span[0] + by, self.span[1] + by))


@dataclass(frozen=True, slots=True)
class Context(Sequence[int]):
    """The dialogue in front of an answer: a sequence of token ids, and the pictures in it.

    Contexts are equal, and hash alike, if ids and pictures are the same.
    """

    ids: tuple[int, ...]
    pictures: tuple[Picture, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, at: int) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[int, ...]: ...
    def __getitem__(self, at: int | slice) -> int | tuple[int, ...]:
        return self.ids[at]

    def grown(self, ids: Iterable[int], pictures: Iterable[Picture] = ()) -> Context:
        """This context with more at its end; spans of ``pictures`` count from the beginning of the whole."""
        return replace(self, ids=(*self.ids, *ids), pictures=(*self.pictures, *pictures))

    def joined(self, piece: Context) -> Context:
        """This context with another piece of the dialogue behind it, whose spans count from its own beginning."""
        return self.grown(piece.ids, (picture.moved(len(self)) for picture in piece.pictures))

    def tail(self, first: int) -> Context:
        """The tokens from ``first`` on, and the pictures that begin there; spans count from ``first``."""
        return Context(self.ids[first:], tuple(p.moved(-first) for p in self.pictures if p.span[0] >= first))

    def head(self, length: int) -> Context:
        """The first ``length`` tokens, and the pictures that begin there."""
        return Context(self.ids[:length], tuple(p for p in self.pictures if p.span[0] < length))

    def comparable(self) -> np.ndarray:
        """``int64 [C]``: the ids, with a negative number made of its key in place of each picture's first token.

        Two contexts begin alike for n tokens if these numbers do.
        """
        found = np.array(self.ids, dtype=np.int64)
        for picture in self.pictures:
            digest = hashlib.blake2b(picture.key.encode(), digest_size=8).digest()
            found[picture.span[0]] = -1 - (int.from_bytes(digest) >> 2)
        return found


def as_context(context: Context | Sequence[int]) -> Context:
    """A context; plain ids become one without pictures."""
    return context if isinstance(context, Context) else Context(tuple(context))
