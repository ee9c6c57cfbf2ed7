"""Dialogues as training examples: token ids and where the loss falls, for any chat template.

A dialogue is cut where the template changes hands, every piece is tokenised by itself, and the ids are joined.
So it is cut exactly where sampling cuts it: what a model is trained to say is what it will be asked to sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from labkit.errors import UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from labkit.episode import Message


class Example(NamedTuple):
    """One dialogue as tokens."""

    ids: np.ndarray
    """``int64 [T]``."""
    loss: np.ndarray
    """``bool [T]``: True where the token is to be predicted, that is on learnt assistant turns."""


class Dialogue(NamedTuple):
    """A chat and which of its turns are learnt, as indices into ``messages``."""

    messages: tuple[Message, ...]
    learnt: tuple[int, ...]


def encode(tokenizer: PreTrainedTokenizerBase, dialogues: Iterable[Dialogue]) -> list[Example]:
    """Examples of ``dialogues``, tokenised together.

    Raises:
        UsageError: the tokenizer has no chat template, or one that rewrites earlier turns.
    """
    cut = [_pieces(tokenizer, dialogue) for dialogue in dialogues]
    ids = iter(tokenizer([text for pieces in cut for text, _ in pieces], add_special_tokens=False)["input_ids"])
    examples = []
    for pieces in cut:
        parts = [(next(ids), learnt) for _, learnt in pieces]
        joined = np.array([i for part, _ in parts for i in part], dtype=np.int64)
        loss = np.repeat([learnt for _, learnt in parts], [len(part) for part, _ in parts])
        examples.append(Example(joined, loss))
    return examples


def _pieces(tokenizer: PreTrainedTokenizerBase, dialogue: Dialogue) -> list[tuple[str, bool]]:
    """The rendered text, cut around each learnt turn; True marks those."""
    said = [{"role": m.role, "content": m.text} for m in dialogue.messages]
    pieces, before = [], ""
    for turn in dialogue.learnt:
        asked = _render(tokenizer, said[:turn], prompt=True)
        answered = _render(tokenizer, said[: turn + 1], prompt=False)
        if not (asked.startswith(before) and answered.startswith(asked)):
            raise UsageError("the chat template rewrites earlier turns; give the model one that only appends")
        pieces += [(asked[len(before) :], False), (answered[len(asked) :], True)]
        before = answered
    return pieces


def _render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[dict[str, str]], *, prompt: bool) -> str:
    try:
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
    except ValueError as error:
        raise UsageError(f"cannot render a dialogue: {str(error).splitlines()[0]}") from None
