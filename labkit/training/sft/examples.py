"""Dialogues as training examples: token ids and where the loss falls, for any chat template.

A dialogue is cut where the template changes hands, every piece is tokenised by itself, and the ids are joined.
So it is cut exactly where sampling cuts it: what a model is trained to say is what it will be asked to sample,
up to the token that ends its turn. What a template writes behind that is not learnt.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from labkit.errors import UsageError
from labkit.models.files import first_line

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


def encode(tokenizer: PreTrainedTokenizerBase, dialogues: Iterable[Dialogue], *, parts: bool = False) -> list[Example]:
    """Examples of ``dialogues``, tokenised together.

    Args:
        parts: the chat template takes a message as a list of parts, as those of vision models do.

    Raises:
        UsageError: the tokenizer has no chat template, or one that rewrites earlier turns.
    """
    cut = [_pieces(tokenizer, dialogue, parts) for dialogue in dialogues]
    ids = iter(tokenizer([text for pieces in cut for text, _ in pieces], add_special_tokens=False)["input_ids"])
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    examples = []
    for pieces in cut:
        joined, loss = [], []
        for _, learnt in pieces:
            piece = next(ids)
            count = _up_to_end(piece, special) if learnt else 0
            joined += piece
            loss += [True] * count + [False] * (len(piece) - count)
        examples.append(Example(np.array(joined, dtype=np.int64), np.array(loss)))
    return examples


def _up_to_end(ids: Sequence[int], special: Collection[int]) -> int:
    """How many ids of an answer come up to the last special one, which ends the turn; all where there is none."""
    ends = [at for at, i in enumerate(ids, 1) if i in special]
    return ends[-1] if ends else len(ids)


def _pieces(tokenizer: PreTrainedTokenizerBase, dialogue: Dialogue, parts: bool) -> list[tuple[str, bool]]:
    """The rendered text, cut around each learnt turn; True marks those."""
    said = [
        {"role": m.role, "content": [{"type": "text", "text": m.text}] if parts else m.text} for m in dialogue.messages
    ]
    pieces, before = [], ""
    for turn in dialogue.learnt:
        asked = _render(tokenizer, said[:turn], prompt=True)
        answered = _render(tokenizer, said[: turn + 1], prompt=False)
        if not (asked.startswith(before) and answered.startswith(asked)):
            raise UsageError("the chat template rewrites earlier turns; give the model one that only appends")
        pieces += [(asked[len(before) :], False), (answered[len(asked) :], True)]
        before = answered
    return pieces


def _render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[dict[str, Any]], *, prompt: bool) -> str:
    try:
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
    except Exception as error:
        # A template is a program that comes with the checkpoint and may fail in any way.
        raise UsageError(f"the chat template cannot render a dialogue: {first_line(error)}") from error
