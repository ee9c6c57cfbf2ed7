"""A loaded model with what is needed to talk to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from labkit.errors import UsageError

if TYPE_CHECKING:
    import transformers

    from labkit.models.picture_reader import PictureReader


class Layout(NamedTuple):
    """The text that a template puts around an answer."""

    closing: str
    """After the last answer, through the token that ends it; empty where no special token follows."""
    tail: str
    """After the last answer, to the end."""
    between: str
    """As ``closing``, after an answer that another message follows."""
    end_ids: tuple[int, ...]
    """Of ``closing``."""
    between_ids: tuple[int, ...]
    thought: str
    """The thought that a prompt for an answer opens and leaves open, with its mark; empty where it opens none."""
    fault: str | None
    """Why the dialogue cannot go on after an answer; None if it can."""


@dataclass(frozen=True)
class ModelBundle:
    """A model that is ready to be played or trained."""

    model: transformers.PreTrainedModel
    """In evaluation mode; a ``PeftModel`` around it if it is an adapter."""
    tokenizer: transformers.PreTrainedTokenizerBase
    """Always has a pad token."""
    reader: PictureReader | None
    """Reads pictures for a vision model; None for a text model, and where ``blind`` says why it cannot be made."""
    is_vlm: bool
    adapter: bool
    model_type: str
    path: Path
    parameters: int
    layout: Layout = field(repr=False)
    """What the chat template writes around answers."""
    blind: str = "it is a text model"
    """Why the model reads no pictures, if it has no ``reader``."""

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """The tokens that end an answer: the tokenizer's, the model's own and the chat template's."""
        own = self.model.generation_config.eos_token_id
        found = [self.tokenizer.eos_token_id, *(own if isinstance(own, list) else [own]), *self.layout.end_ids[-1:]]
        return tuple(sorted({i for i in found if i is not None}))

    def check_sees(self, cell: str) -> PictureReader:
        """The reader of pictures, for a cell that shows some.

        Raises:
            UsageError: the model reads text only.
        """
        if self.reader is None:
            raise UsageError(
                f"{cell} shows pictures, and {self.path} reads none: {self.blind}; take a vision-language model, "
                f"or a cell in text"
            )
        return self.reader

    @property
    def processing_class(self) -> transformers.PreTrainedTokenizerBase | transformers.ProcessorMixin:
        """What is saved beside the model: its processor, which holds the tokenizer, or the tokenizer."""
        return self.reader.processor if self.reader else self.tokenizer

    @property
    def pad_id(self) -> int:
        return self.tokenizer.pad_token_id

    @property
    def context_length(self) -> int | None:
        """The longest dialogue, in tokens; None if the model has no limit."""
        return context_length(self.model)


def context_length(model: transformers.PreTrainedModel) -> int | None:
    """The longest dialogue that a model can read, in tokens; None if it has no limit."""
    config = model.config.get_text_config()
    # MPT has its own name for it; XLNet says -1 for no limit.
    limit = getattr(config, "max_position_embeddings", None) or getattr(config, "max_seq_len", None)
    return limit if limit is not None and limit > 0 else None
