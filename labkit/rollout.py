"""Rollouts: played episodes as rows of tokens, ready for training.

A **turn** is one sampled answer. A **row** is the dialogue of one position, with all its turns: a V-IRL episode has a
row for each step, a GeneralPoints episode has one. The ids of a row are those that were sent and sampled; nothing is
encoded again. Only sampled tokens carry loss.

Shape suffixes: T tokens of a row, N its sampled tokens; E episodes, padded to K turns, each padded to T sampled tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import torch

from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.models.context import Picture
from labkit.play import Played
from labkit.players.base import Tokens


@dataclass(slots=True)
class Row:
    """One dialogue. Arrays over its N sampled tokens are added during an update."""

    ids: np.ndarray
    """``int64 [T]``."""
    sampled: np.ndarray
    """``bool [T]``: True at sampled tokens."""
    turn: np.ndarray
    """``int64 [N]``: the turn of each sampled token, numbered over the whole rollout."""
    decisive: np.ndarray
    """``bool [N]``: whether the token overlaps the answer's decisive field."""
    logp: np.ndarray
    """``float32 [N]``: log-probabilities as the sampler recorded them."""
    pictures: tuple[Picture, ...] = ()
    """The pictures in ``ids``."""
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    """``float32 [N]`` each: ``logp`` and ``value`` before the update, if a scoring pass computes them; ``ref_logp``
    under the initial policy; ``advantage`` and ``weight``; ``return`` and ``value_weight`` with a critic."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """The episodes of an update, as rows of tokens and as turns."""

    episodes: tuple[Episode, ...]
    rows: tuple[Row, ...]
    turn_EK: np.ndarray
    """``int64 [E, K]``: the number of each turn of each episode; -1 in padding."""
    reward_EK: np.ndarray
    """``float32 [E, K]``: the reward of each turn; the penalty of an exhausted episode is on its last turn. If the
    context is full the answer is empty; its reward is added to the turn before."""

    @property
    def mask_EK(self) -> np.ndarray:
        """``bool [E, K]``: where there is a turn."""
        return self.turn_EK >= 0

    @property
    def turns(self) -> int:
        return int(self.mask_EK.sum())

    @property
    def return_E(self) -> np.ndarray:
        """``float32 [E]``: the summed rewards of each episode."""
        return np.array([episode.reward for episode in self.episodes], np.float32)

    @property
    def sampled_tokens(self) -> int:
        return sum(len(row.turn) for row in self.rows)

    def over_turns(self, name: str) -> np.ndarray:
        """``float32 [E, K]``: an array of the rows at the first token of each turn; 0 in padding."""
        first = np.zeros(self.turns, np.float32)
        for row in self.rows:
            turns, at = np.unique(row.turn, return_index=True)
            first[turns] = row.arrays[name][at]
        return np.where(self.mask_EK, first[self.turn_EK], 0).astype(np.float32)

    def over_tokens(self, name: str) -> np.ndarray:
        """``float32 [E, K, T]``: an array of the rows, token by token; 0 in padding."""
        return self._spread([row.arrays[name] for row in self.rows])

    @property
    def mask_EKT(self) -> np.ndarray:
        """``bool [E, K, T]``: where there is a sampled token."""
        return self._spread([np.ones(len(row.turn), np.float32) for row in self.rows]) > 0

    def arrays_by_attempt(self) -> Iterator[tuple[Episode, list[dict[str, np.ndarray]]]]:
        """Each episode with the arrays of its attempts, a number for each sampled token: ``ids``, ``logp`` as the
        sampler recorded it, ``decisive`` (a half-open range), and what :attr:`Row.arrays` has. Empty for an attempt
        that found the context full."""
        of_turn: dict[int, dict[str, np.ndarray]] = {}
        for row in self.rows:
            ids = row.ids[row.sampled]
            for turn in np.unique(row.turn).tolist():
                here = row.turn == turn
                decisive = np.flatnonzero(row.decisive[here])
                span = [decisive[0], decisive[-1] + 1] if len(decisive) else [0, 0]
                sliced = {name: array[here] for name, array in row.arrays.items()}
                of_turn[turn] = {**sliced, "ids": ids[here], "logp": row.logp[here], "decisive": np.array(span)}
        for episode, turn_K in zip(self.episodes, self.turn_EK, strict=True):
            turns = iter(turn_K.tolist())
            yield episode, [of_turn[next(turns)] if a.sample and a.sample.tokens else {} for a in episode.attempts]

    def set_turns(self, name: str, array_EK: np.ndarray) -> None:
        """Store an array over turns; every token gets the number of its turn."""
        of_turn = np.zeros(self.turns, np.float32)
        of_turn[self.turn_EK[self.mask_EK]] = array_EK[self.mask_EK]
        for row in self.rows:
            row.arrays[name] = of_turn[row.turn]

    def set_tokens(self, name: str, array_EKT: np.ndarray) -> None:
        """Store an array over tokens."""
        by_turn = np.zeros((self.turns, array_EKT.shape[2]), np.float32)
        by_turn[self.turn_EK[self.mask_EK]] = array_EKT[self.mask_EK]
        for row in self.rows:
            row.arrays[name] = by_turn[row.turn, _place(row.turn)]

    def _spread(self, of_rows: Sequence[np.ndarray]) -> np.ndarray:
        longest = max(int(np.bincount(row.turn - row.turn[0]).max()) for row in self.rows)
        by_turn = np.zeros((self.turns, longest), np.float32)
        for row, array in zip(self.rows, of_rows, strict=True):
            by_turn[row.turn, _place(row.turn)] = array
        return np.where(self.mask_EK[:, :, None], by_turn[self.turn_EK], 0).astype(np.float32)


def gather(played: Iterable[Played]) -> Rollout:
    """The rollout of played episodes, in the order of their tasks.

    Raises:
        ValueError: an answer has no token ids, so no model sampled it.
        UsageError: every prompt fills the model's context.
    """
    ordered = sorted(played, key=lambda p: p.index)
    rows: list[Row] = []
    earned: list[list[float]] = []
    turn = 0
    for one in ordered:
        earned.append(_earned(one))
        for tokens in _by_position(one):
            rows.append(_row(tokens, turn))
            turn += len(tokens)
    if not rows:
        raise UsageError("every prompt fills the model's context; take a model with a longer one")
    turns_E = np.array([len(rewards) for rewards in earned])
    mask_EK = np.arange(turns_E.max()) < turns_E[:, None]
    turn_EK = np.full(mask_EK.shape, -1)
    reward_EK = np.zeros(mask_EK.shape, np.float32)
    turn_EK[mask_EK] = np.arange(turn)
    reward_EK[mask_EK] = np.concatenate(earned)
    return Rollout(tuple(p.episode for p in ordered), tuple(rows), turn_EK, reward_EK)


def _earned(played: Played) -> list[float]:
    """The reward of each turn of an episode."""
    rewards: list[float] = []
    for tokens, attempt in zip(played.tokens, played.episode.attempts, strict=True):
        if len(tokens.ids):
            rewards.append(attempt.reward)
        elif rewards:
            rewards[-1] += attempt.reward
    return rewards


def _by_position(played: Played) -> Iterable[list[Tokens]]:
    """The turns of each position, without positions that have none."""
    positions = [n for n, p in enumerate(played.episode.positions) for _ in p.attempts]
    for _, group in groupby(zip(positions, played.tokens, strict=True), key=lambda pair: pair[0]):
        turns = [tokens for _, tokens in group if len(tokens.ids)]
        if turns:
            yield turns


def _row(answers: Sequence[Tokens], turn: int) -> Row:
    """The dialogue of one position. The last turn's context holds all the ids before it."""
    last = answers[-1]
    ids = np.concatenate([last.context, last.ids])
    sampled = np.zeros(len(ids), bool)
    for tokens in answers:
        sampled[len(tokens.context) : len(tokens.context) + len(tokens.ids)] = True
    lengths = [len(tokens.ids) for tokens in answers]
    decisive = [np.isin(np.arange(len(t.ids)), np.arange(*t.decisive)) for t in answers]
    return Row(
        ids,
        sampled,
        np.repeat(np.arange(turn, turn + len(answers)), lengths),
        np.concatenate(decisive),
        np.concatenate([t.logp for t in answers]).astype(np.float32),
        last.pictures,
    )


def _place(turn_N: np.ndarray) -> np.ndarray:
    """``int64 [N]``: the place of each token within its turn."""
    first = np.unique(turn_N, return_index=True, return_inverse=True)
    return np.arange(len(turn_N)) - first[1][first[2]]


def collate(rows: Sequence[Row], pad_id: int = 0, width: int = 8) -> dict[str, torch.Tensor]:
    """Right-padded ``input_ids``, ``attention_mask`` and ``sampled``, each ``[B, T]``.

    Args:
        pad_id: masked, so any token will do.
        width: T is a multiple of this.
    """
    longest = -(-max(len(row.ids) for row in rows) // width) * width
    ids_BT = torch.full((len(rows), longest), pad_id)
    mask_BT = torch.zeros((len(rows), longest), dtype=torch.long)
    sampled_BT = torch.zeros((len(rows), longest), dtype=torch.bool)
    for number, row in enumerate(rows):
        length = len(row.ids)
        ids_BT[number, :length] = torch.from_numpy(row.ids)
        mask_BT[number, :length] = 1
        sampled_BT[number, :length] = torch.from_numpy(row.sampled)
    return {"input_ids": ids_BT, "attention_mask": mask_BT, "sampled": sampled_BT}
