"""The player protocol: requests in, answers out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from labkit.episode import Episode, Sample

if TYPE_CHECKING:
    import numpy as np

    from labkit.models.context import Picture


@dataclass(frozen=True, slots=True)
class Tokens:
    """The ids that a model was sent and sampled. Training uses them as they are."""

    context: np.ndarray
    """``int64 [C]``: the whole dialogue in front of the answer."""
    ids: np.ndarray
    """``int64 [A]``: the sampled tokens, the end token included when it came."""
    logp: np.ndarray
    """``float32 [A]``: their log-probabilities at the temperature that was sampled."""
    decisive: tuple[int, int] = (0, 0)
    """Half-open range of ``ids`` that overlaps the decisive field."""
    pictures: tuple[Picture, ...] = ()
    """The pictures in ``context``."""

    def arrays(self) -> dict[str, np.ndarray]:
        """What is stored of an answer (see :mod:`labkit.runs.tokens`): a number for each sampled token, by name, and
        the decisive range as ``int [2]``. The context is not stored: the episode has its text."""
        import numpy as np

        return {"ids": self.ids, "logp": self.logp, "decisive": np.array(self.decisive)}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; only models have a sample and tokens."""

    text: str
    sample: Sample | None = None
    tokens: Tokens | None = None


class Request(NamedTuple):
    """One request for an answer."""

    episode: Episode
    history: tuple[Answer, ...] = ()
    """The answers given at this position so far, one for each of its attempts; empty when they are not at hand
    (a fork of a stored episode), and then the dialogue is encoded from its text."""
    key: tuple[int, ...] = (0,)
    """Keys the sampling noise of this episode."""


class Player(Protocol):
    """Answers requests. Stateless between calls: all that an answer depends on is in the request."""

    name: str

    def answer(self, turns: Sequence[Request]) -> list[Answer]:
        """One answer for each request, in order.

        Raises:
            UsageError: the player cannot go on (a script that has run out, a hand without a solution).
        """
