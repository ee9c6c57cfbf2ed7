"""The tokens of stored answers, with the probability that the model gave each of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.models.files import first_line, folder_of
from labkit.players.registry import resolve_checkpoint
from labkit.runs import Run
from labkit.runs.tokens import TokenReader
from labkit.views.markup import details, text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Token(NamedTuple):
    """A sampled token of an answer."""

    text: str
    logp: float
    """Its log-probability at the temperature that was sampled, in nats."""


def tokens_html(tokens: Sequence[Token]) -> str:
    """A part that opens: the tokens in a row, each as dark as it was improbable; pointing at one tells its
    probability. Nothing where there are no tokens."""
    if not tokens:
        return ""
    least = min(tokens, key=lambda token: token.logp)
    summary = f"Token probabilities (lowest {math.exp(least.logp):.2g}: {text(repr(least.text))})"
    body = "".join(_token(token) for token in tokens)
    return details(summary, f'<pre class="lk-tokens">\n{body}</pre>')


def _token(token: Token) -> str:
    probability = math.exp(token.logp)
    shade = round(100 * (1 - probability))
    return f'<span title="p {probability:.3g}" style="--lk-doubt: {shade}%">{text(token.text)}</span>'


class StoredTokens:
    """The tokens of a run's answers, where ``--tokens`` stored them.

    Their text is that of the tokenizer beside the run's model.
    """

    def __init__(self, run: Run) -> None:
        self._run, self._reader = run, TokenReader(run)

    def of(self, episode: Episode) -> list[list[Token]]:
        """The tokens of each attempt, in order over all positions; empty where none were stored.

        Raises:
            UsageError: a file of the run, or the tokenizer, cannot be read.
        """
        stored = self._reader.arrays(episode)
        if stored is None:
            return [[] for _ in episode.attempts]
        return [self._tokens(arrays["ids"].tolist(), arrays["logp"].tolist()) if arrays else [] for arrays in stored]

    def _tokens(self, ids: Sequence[int], logp: Sequence[float]) -> list[Token]:
        texts = (self._tokenizer.decode([i], clean_up_tokenization_spaces=False) for i in ids)
        return [Token(words, number) for words, number in zip(texts, logp, strict=True)]

    @cached_property
    def _tokenizer(self) -> PreTrainedTokenizerBase:
        from transformers import AutoTokenizer

        config = self._run.config
        # An evaluation keeps the player's name, which may be of the user's choice, and its checkpoint; training starts
        # from a model.
        spec = config.get("checkpoint") or config.get("model") or config["player"]
        folder = folder_of(resolve_checkpoint(spec, runs=self._run.path.parent))
        try:
            return AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:
            raise UsageError(f"cannot read the tokenizer of {spec}: {first_line(error)}") from error
