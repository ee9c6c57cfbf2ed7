"""How far a player has moved from another, on what it says itself.

KL(player || reference) of the next-token distributions, over the whole vocabulary and exactly, at each token of the
player's own answers, in nats a token. The distributions are the models' own, at temperature 1, whatever temperature
the answers were sampled at. This is the direction in which RL stays close (a policy gradient with a KL penalty
bounds it); "RL's Razor" (arXiv 2509.04259) holds its like on the new task against forgetting, with the initial
policy in front and its samples: KL(initial || tuned), which is the same evaluation with the two exchanged.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

from labkit.errors import UsageError
from labkit.evaluation.metrics import Estimate, mean
from labkit.models.batches import micro_batches
from labkit.models.forward import exact_kl, output_layer
from labkit.play import Played
from labkit.players.base import Player
from labkit.players.checkpoint import Checkpoint
from labkit.rollout import collate, gather

TOKENS = 8192
"""Tokens of a forward pass, padding included."""
TOGETHER = 64
"""Episodes that are scored together."""
ROUNDING = 1e-6
"""Nats a token below which a KL is rounding, of either sign: that of a model from itself."""


class Drift:
    """Measures one player against another, episode by episode.

    Raises:
        UsageError: one of them is no model, or their tokens are not the same.
    """

    def __init__(self, player: Player, reference: Player) -> None:
        for each in (player, reference):
            if not isinstance(each, Checkpoint):
                raise UsageError(f"{each.name} is no model: a KL is between two checkpoints; leave --reference out")
        assert isinstance(player, Checkpoint) and isinstance(reference, Checkpoint)
        ours, theirs = player.bundle, reference.bundle
        words = [each.tokenizer.get_vocab() for each in (ours, theirs)]
        sizes = [output_layer(each.model).weight.shape[0] for each in (ours, theirs)]
        if words[0] != words[1] or sizes[0] != sizes[1]:
            raise UsageError(
                f"{player.name} and {reference.name} have different tokens, so there is no KL between them; "
                "name a reference of the same family"
            )
        self.reference = reference.name
        self._models = (ours.model, theirs.model)
        self._pad_id = ours.pad_id
        self._waiting: list[Played] = []
        self._found: dict[int, tuple[float, int]] = {}

    def add(self, played: Played) -> None:
        """Take in a finished episode."""
        self._waiting.append(played)
        if len(self._waiting) >= TOGETHER:
            self._score()

    def estimate(self, order: Sequence[int], deals: Sequence[Hashable] | None = None) -> Estimate:
        """Mean KL a token over the episodes of these places, each episode, or deal, a cluster; n counts episodes.

        A KL is never below 0, and of a few episodes some are far off: the interval is the normal one of its logarithm
        (by the delta method), which is above 0 and longer upwards.

        Args:
            order: ``Played.index`` of each episode.
            deals: which deal each is of; None if no two are of the same.
        """
        self._score()
        sums = [(*self._found[index], deal) for index, deal in zip(order, deals or order, strict=True)]
        rows = [(kl / tokens, tokens, deal) for kl, tokens, deal in sums if tokens]
        found = mean([kl for kl, _, _ in rows], [float(n) for _, n, _ in rows], [deal for _, _, deal in rows])
        return found._replace(ci95=_of_logarithm(found))

    def _score(self) -> None:
        played, self._waiting = self._waiting, []
        for one in played:
            self._found[one.index] = (0.0, 0)
        sampled = [p for p in played if any(len(tokens.ids) for tokens in p.tokens)]
        if not sampled:
            return
        rollout = gather(sampled)
        index_of: dict[int, int] = {}
        for turns, one in zip(rollout.turn_EK, sorted(sampled, key=lambda p: p.index), strict=True):
            index_of |= {int(turn): one.index for turn in turns if turn >= 0}
        for rows, _ in micro_batches(rollout.rows, TOKENS):
            batch = collate(rows, self._pad_id)
            pictures = [row.pictures for row in rows]
            kl_N = exact_kl(
                *self._models, batch["input_ids"], batch["attention_mask"], batch["sampled"], pictures
            ).cpu()
            for row, kl in zip(rows, kl_N.split([len(r.turn) for r in rows]), strict=True):
                index = index_of[int(row.turn[0])]
                total, tokens = self._found[index]
                self._found[index] = (total + float(kl.double().sum()), tokens + len(kl))


def _of_logarithm(found: Estimate) -> tuple[float, float] | None:
    """The interval of a positive mean from that of its logarithm, whose standard error is the mean's over the mean."""
    measured = found.measured
    if measured is None:
        return None
    value, (low, high) = measured.value, measured.ci95
    if value <= ROUNDING:
        return 0.0, max(ROUNDING, high)
    factor = math.exp((high - low) / 2 / value)
    return value / factor, value * factor
