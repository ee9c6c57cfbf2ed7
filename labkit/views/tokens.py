"""The tokens of answers, with the probability that the model gave each of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.evaluation.tokens import Token
from labkit.models.files import first_line, folder_of
from labkit.players.registry import resolve_checkpoint
from labkit.runs import Run
from labkit.runs.tokens import TokenReader
from labkit.views.markup import details, text

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedTokenizerBase

__all__ = ["StoredTokens", "Token", "asked_html", "probability", "tokens_html"]


class Heat(NamedTuple):
    """A number of each token that can be shown as a colour."""

    name: str
    label: str
    of: Callable[[Token], float | None]
    signed: bool = False


HEATS = (
    # As dark as it was improbable.
    Heat("probability", "improbable", lambda token: 1 - math.exp(token.logp)),
    Heat("entropy", "undecided (entropy)", lambda token: token.entropy),
    Heat("value", "value", lambda token: token.value, signed=True),
    Heat("advantage", "advantage", lambda token: token.advantage, signed=True),
)


RARE = 0.001
"""Tokens that are less probable are not told."""


def tokens_html(tokens: Sequence[Token]) -> str:
    """A part that opens: the tokens in a row, coloured; pointing at one, or going to it with the Tab key, tells its
    numbers and the most probable other tokens. Where several numbers are known, a choice says which one is the
    colour. Nothing where there are no tokens."""
    if not tokens:
        return ""
    least = min(tokens, key=lambda token: token.logp)
    summary = f"Token probabilities (lowest {probability(least)}: {text(repr(least.text))})"
    known = [heat for heat in HEATS if any(heat.of(token) is not None for token in tokens)]
    scales = {heat.name: _scale(heat, tokens) for heat in known}
    body = "".join(_token(token, known, scales) for token in tokens)
    return details(summary, f'<div class="lk-heat">{_choice(known)}<pre class="lk-tokens">\n{body}</pre></div>')


def asked_html(place: str) -> str:
    """The same part before the tokens are known: a page's script asks for them when it is opened.

    Args:
        place: tells the script which answer it is.
    """
    summary = "<summary>Token probabilities</summary>"
    return f'<details data-ask="{text(place)}">{summary}<p>Asking the model …</p></details>'


def probability(token: Token) -> str:
    """``0.25``."""
    return f"{math.exp(token.logp):.2g}"


def _scale(heat: Heat, tokens: Sequence[Token]) -> float:
    """What is as dark as can be: probability 0; entropy and signed numbers at their largest, an entropy from 1 nat."""
    if heat.name == "probability":
        return 1.0
    most = max(abs(heat.of(token) or 0.0) for token in tokens)
    return max(most, 1.0) if heat.name == "entropy" else most or 1.0


def _choice(known: Sequence[Heat]) -> str:
    """Which number is the colour. A form keeps the choices of several cards apart; this one is never sent."""
    if len(known) < 2:
        return ""
    chosen = " checked"
    radios = ""
    for heat in known:
        radios += f'<label><input type="radio" name="heat" value="{heat.name}"{chosen}> {heat.label}</label>'
        chosen = ""
    return f'<form method="dialog"><span>Dark means</span> {radios}</form>'


def _token(token: Token, known: Sequence[Heat], scales: dict[str, float]) -> str:
    style = []
    for heat in known:
        number = heat.of(token) or 0.0
        style.append(f"--lk-{heat.name}: {round(100 * abs(number) / scales[heat.name])}%")
        if heat.signed and number > 0:
            style.append(f"--lk-{heat.name}-tone: var(--lk-ok)")
    return f'<span tabindex="0" style="{"; ".join(style)}" data-told="{text(_told(token))}">{text(token.text)}</span>'


def _told(token: Token) -> str:
    """The numbers of a token in words."""
    parts = [f"{token.text!r} p {math.exp(token.logp):.3g}"]
    if token.entropy is not None:
        parts.append(f"entropy {token.entropy:.2f} nats")
    for name, number in (("value", token.value), ("advantage", token.advantage)):
        if number is not None:
            parts.append(f"{name} {number:+.2f}".replace("-", "−"))
    others = ", ".join(f"{other!r} {p:.2g}" for other, p in token.others if p >= RARE)
    if others:
        parts.append(f"instead: {others}")
    return " · ".join(parts)


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
        return [self._tokens(arrays) if arrays else [] for arrays in stored]

    def _tokens(self, arrays: Mapping[str, np.ndarray]) -> list[Token]:
        ids = arrays["ids"].tolist()
        texts = (self._tokenizer.decode([i], clean_up_tokenization_spaces=False) for i in ids)
        numbers = [
            arrays[name].tolist() if name in arrays else [None] * len(ids)
            for name in ("logp", "entropy", "value", "advantage")
        ]
        return [Token(*one) for one in zip(texts, *numbers, strict=True)]

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
