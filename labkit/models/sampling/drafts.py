"""Draft tokens from n-grams: what may come next, from what came before.

Answers repeat much: the format, the cards, the observation in the prompt. Draft tokens are read together with the
token before them. A draft token counts only if it is the token drawn in its place anyway, with the same noise, so
drafts change how many tokens a forward pass gives, never which. (Speculative decoding with n-grams of the prompt in
place of a draft model: Saxena 2023, "Prompt lookup decoding". Noise that belongs to a token's place makes it exact
without the rejection step of Leviathan et al. 2023.)
"""

from __future__ import annotations

from collections.abc import Sequence

ORDER = 3
"""Tokens that the next one is looked up by."""
MAX_DRAFT = 8
"""Draft tokens of a row in one forward pass."""
MAX_NGRAMS = 2**16
"""Size of the n-gram table."""

NGrams = dict[tuple[int, ...], int]
"""The token that last followed each sequence of :data:`ORDER` tokens."""


class PromptLookup:
    """Draft tokens for one answer: from its own dialogue first, then from other answers.

    Args:
        context: the dialogue in front of the answer.
        ngrams: the table of other answers.
    """

    def __init__(self, context: Sequence[int], ngrams: NGrams) -> None:
        self._ids = list(context)
        self._own: NGrams = {}
        self._ngrams = ngrams
        self._length = MAX_DRAFT
        remember(self._own, self._ids)

    def add(self, ids: Sequence[int], drafted: int) -> None:
        """Append the tokens that one pass gave. The next draft is longer after right drafts, shorter after wrong ones.

        Args:
            drafted: draft tokens in that pass.
        """
        first = max(0, len(self._ids) - ORDER)
        self._ids += ids
        remember(self._own, self._ids[first:])
        if drafted:
            self._length = min(MAX_DRAFT, 2 * len(ids) - 1)

    def draft(self, most: int) -> list[int]:
        """The next tokens as far as the tables know them, at most ``most``."""
        last, drafted = tuple(self._ids[-ORDER:]), []
        for _ in range(min(most, self._length)):
            token = self._own.get(last)
            token = self._ngrams.get(last) if token is None else token
            if token is None:
                break
            drafted.append(token)
            last = (*last[1:], token)
        return drafted


def remember(ngrams: NGrams, ids: Sequence[int]) -> None:
    """Enter the n-grams of a sequence. A full table drops its older half."""
    for at in range(len(ids) - ORDER):
        ngrams[tuple(ids[at : at + ORDER])] = ids[at + ORDER]
    if len(ngrams) > MAX_NGRAMS:
        for sequence in list(ngrams)[: len(ngrams) // 2]:
            ngrams.pop(sequence, None)
