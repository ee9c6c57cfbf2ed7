"""Guessing what comes next from what was said before.

Answers repeat much: the format, the cards, the observation that the prompt holds. A guess is read together with
the token before it and counts only if it is the token that is drawn in its place anyway, by the same noise; so
guesses change how many tokens a forward pass gives, never which. (Speculative decoding with n-grams of the
prompt in place of a draft model: Saxena 2023, "Prompt lookup decoding"; noise that belongs to a token's place
makes it exact without the rejection step of Leviathan et al. 2023.)
"""

from __future__ import annotations

from collections.abc import Sequence

ORDER = 3
"""Tokens that a guess goes by."""
MOST = 8
"""Tokens guessed at a time."""
HABITS = 2**16
"""Sequences remembered from other answers."""

Habits = dict[tuple[int, ...], int]
"""What came last after each sequence of :data:`ORDER` tokens."""


class PromptLookup:
    """Guesses for one answer: first from its own dialogue, then from what other answers did.

    Args:
        context: the dialogue in front of the answer.
        habits: of other answers.
    """

    def __init__(self, context: Sequence[int], habits: Habits) -> None:
        self._ids = list(context)
        self._own: Habits = {}
        self._habits = habits
        self._trust = MOST
        learn(self._own, self._ids)

    def add(self, ids: Sequence[int], guessed: int) -> None:
        """Tokens that were drawn at once, and how many were guessed: who guessed wrong guesses less."""
        begun = max(0, len(self._ids) - ORDER)
        self._ids += ids
        learn(self._own, self._ids[begun:])
        if guessed:
            self._trust = min(MOST, 2 * len(ids) - 1)

    def guess(self, most: int) -> list[int]:
        """The next tokens, as far as they are known; at most so many."""
        last, guessed = tuple(self._ids[-ORDER:]), []
        for _ in range(min(most, self._trust)):
            token = self._own.get(last)
            token = self._habits.get(last) if token is None else token
            if token is None:
                break
            guessed.append(token)
            last = (*last[1:], token)
        return guessed


def learn(habits: Habits, ids: Sequence[int]) -> None:
    """Remember what came after each sequence; what is older gives way."""
    for at in range(len(ids) - ORDER):
        habits[tuple(ids[at : at + ORDER])] = ids[at + ORDER]
    if len(habits) > HABITS:
        for sequence in list(habits)[: len(habits) // 2]:
            habits.pop(sequence, None)
