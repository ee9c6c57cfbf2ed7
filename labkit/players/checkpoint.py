"""A language model as a player."""

from __future__ import annotations

import re
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from os.path import commonprefix
from typing import TYPE_CHECKING

import numpy as np

from labkit.counting import counted
from labkit.envs import game, prompt
from labkit.episode import Message, Sample
from labkit.errors import UsageError
from labkit.models.chat import check_dialogue, render, suffix
from labkit.models.context import Context
from labkit.models.loader import DTYPES
from labkit.models.sampling.cache import PrefixCache
from labkit.models.sampling.copy import RolloutModel
from labkit.models.sampling.decode import Generated, generate
from labkit.models.sampling.fused import can_be_fused
from labkit.models.sampling.levels import Level
from labkit.models.sampling.trial import level_of
from labkit.players.base import Answer, Request, Tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from labkit.models.bundle import ModelBundle

MAX_NEW_TOKENS = 256
"""The longest answer by default, in tokens."""


class Checkpoint:
    """Answers by sampling from a model.

    Within a position a dialogue grows by appending ids: a sampled answer goes back into the dialogue as it was
    sampled, never decoded and encoded again. Noise is keyed by the request's key, the position and the attempt, so an
    answer does not depend on the batch that it was sampled in.

    Args:
        name: what episodes call the player.
        temperature: 0 takes the likeliest token every time.
        max_new_tokens: the longest answer; :data:`MAX_NEW_TOKENS` if not given.
        batch: the most answers that are sampled side by side.
        sampler: the precision to sample in, a name in :data:`labkit.models.loader.DTYPES`; the model's own if not
            given. In ``bfloat16`` a copy of the model is sampled, which follows the model's weights: the tokens
            and the recorded log-probabilities are the copy's.

    Raises:
        UsageError: an argument is invalid.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        *,
        name: str,
        temperature: float = 0.0,
        max_new_tokens: int | None = None,
        batch: int = 64,
        sampler: str | None = None,
    ) -> None:
        if not 0 <= temperature < float("inf"):
            raise UsageError(f"temperature is {temperature}; give a finite number, 0 or larger")
        if max_new_tokens is not None and max_new_tokens < 1:
            raise UsageError(f"max_new_tokens is {max_new_tokens}; give 1 or more")
        if batch < 1:
            raise UsageError(f"batch is {batch}; give 1 or more")
        if sampler is not None and sampler not in DTYPES:
            raise UsageError(f"no dtype {sampler!r}; use {', '.join(DTYPES)}")
        self.bundle = bundle
        self.name = name
        self.temperature = temperature
        self.max_new_tokens = max_new_tokens or MAX_NEW_TOKENS
        self.batch = batch
        self.level = level_of(bundle.model)
        """How much sampling reuses: what the model allows without changing its answers."""
        self.too_long = 0
        """First prompts of a position so far that did not fit into the model's context. Their answers are empty."""
        self._rollout_model = None
        if sampler or can_be_fused(bundle.model):
            self._rollout_model = RolloutModel(bundle.model, DTYPES[sampler] if sampler else bundle.model.dtype)
        # A verifier's feedback comes from a short list.
        self._suffix = lru_cache(maxsize=1024)(lambda text, ended: suffix(bundle, Message("user", text), ended=ended))
        self._prefix_cache = PrefixCache()
        self.should_stop: Callable[[], bool] | None = None
        """Asked before each token, if set; once it returns True, answers end where they are."""

    @property
    def picture(self) -> dict[str, int]:
        """How pictures are to be drawn for this player; empty where its model reads none, or any size."""
        return self.bundle.reader.drawing if self.bundle.reader else {}

    @property
    def notes(self) -> list[str]:
        """Remarks to print beside this player's results, one line each."""
        found = []
        if self.level == Level.PLAIN:
            found.append(f"{self.name} is sampled without a cache, and so slowly: with one its answers would differ")
        if self.too_long:
            limit = self.bundle.context_length
            found.append(
                f"{self.name}: {counted(self.too_long, 'prompt')} did not fit the model's context of {limit} tokens; "
                "an empty answer counts as unreadable"
            )
        return found

    def clear_cache(self) -> None:
        """Clear the prefix cache.

        It never changes sampled tokens, only batch shapes and so the last bits of log-probabilities: called before
        each update, so that a resumed run replays them exactly.
        """
        self._prefix_cache = PrefixCache()

    def answer(self, turns: Sequence[Request]) -> list[Answer]:
        """Sample an answer to each request.

        Raises:
            UsageError: a prompt holds a picture and the model reads none, no prompt fits into the model's context, the
                chat template has no second turn where one is needed, or the model's logits are NaN or infinite.
        """
        begun = time.perf_counter()
        contexts = [self._context(turn) for turn in turns]
        self._check_lengths(turns, contexts)
        sampled = generate(
            self._rollout_model.current() if self._rollout_model else self.bundle.model,
            contexts,
            max_new_tokens=self.max_new_tokens,
            temperature=self.temperature,
            stop_ids=self.bundle.stop_ids,
            noise=[_noise(turn) for turn in turns],
            pad_id=self.bundle.pad_id,
            batch=self.batch,
            should_stop=self.should_stop,
            prefix_cache=self._prefix_cache,
            level=self.level,
        )
        seconds = (time.perf_counter() - begun) / max(1, len(turns))
        return [
            self._answer(turn, context, generated, seconds)
            for turn, context, generated in zip(turns, contexts, sampled, strict=True)
        ]

    def _check_lengths(self, turns: Sequence[Request], contexts: Sequence[Context]) -> None:
        """Count first prompts that are longer than the model's context.

        Raises:
            UsageError: none of several episodes that begin here fits.
        """
        limit = self.bundle.context_length
        first = [c for turn, c in zip(turns, contexts, strict=True) if not turn.episode.position.attempts]
        long = [context for context in first if limit is not None and len(context) >= limit]
        begins = all(len(turn.episode.positions) == 1 for turn in turns)
        if long and len(long) == len(turns) and begins:
            raise UsageError(
                f"the prompt has {min(map(len, long))} tokens and {self.name} reads {limit}; "
                "take a model with a longer context"
            )
        self.too_long += len(long)

    def _context(self, turn: Request) -> Context:
        """The whole dialogue: the last context, answer and feedback; or its text encoded, where ids are not at hand."""
        messages, cell = prompt(turn.episode), turn.episode.task.cell
        if any(message.picture is not None for message in messages):
            self.bundle.check_sees(cell)
        if turn.episode.task.attempts > 1:
            # Checked before the first answer, not in the middle of an episode.
            check_dialogue(self.bundle)
        draw = game(cell).draw if game(cell).pictured else None
        last = turn.history[-1] if turn.history else None
        if last is None or last.tokens is None or last.sample is None:
            return render(self.bundle, messages, draw)
        asked = Context(tuple(last.tokens.context.tolist()), last.tokens.pictures)
        feedback, ended = messages[-1], not last.sample.truncated
        if feedback.picture is None:
            behind = self._suffix(feedback.text, ended)
        else:
            behind = suffix(self.bundle, feedback, draw, ended=ended)
        return asked.grown(last.tokens.ids.tolist()).joined(behind)

    def _answer(self, turn: Request, context: Context, generated: Generated, seconds: float) -> Answer:
        ids, logp = generated.ids, generated.logp
        spoken = ids if generated.truncated else ids[:-1]
        # A thought that the prompt opened is the answer's beginning: cut off in it, the answer has said nothing.
        thought = self.bundle.layout.thought
        text = thought + decode(self.bundle.tokenizer, spoken)
        span = game(turn.episode.task.cell).decisive_span(text)
        first, last = 0, 0
        if span:
            begin, end = span
            first, last = token_range(self.bundle.tokenizer, spoken, (begin - len(thought), end - len(thought)))
        sample = Sample(
            tokens=len(ids),
            prompt_tokens=len(context),
            seconds=seconds,
            temperature=self.temperature,
            logp=float(logp.sum()),
            truncated=generated.truncated,
            decisive_logp=float(logp[first:last].sum()) if span else None,
            decisive_tokens=last - first,
        )
        asked = np.array(context.ids, dtype=np.int64)
        return Answer(text, sample, Tokens(asked, ids, logp, (first, last), context.pictures))


def _noise(turn: Request) -> tuple[int, ...]:
    return (*turn.key, len(turn.episode.positions) - 1, len(turn.episode.position.attempts))


def decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int] | np.ndarray) -> str:
    """The text of sampled ids, character for character, without special tokens but for the marks of thoughts."""
    hidden = _hidden(tokenizer)
    if hidden is not None:
        ids = [int(i) for i in ids if int(i) not in hidden]
    return tokenizer.decode(ids, skip_special_tokens=hidden is None, clean_up_tokenization_spaces=False)


@lru_cache(maxsize=16)
def _hidden(tokenizer: PreTrainedTokenizerBase) -> frozenset[int] | None:
    """The special tokens that are not part of an answer's text; None if that is all of them.

    Some models have special tokens around thoughts: ``<|channel|>``, ``[THINK]``, ``<|START_THINKING|>``. Without them
    a draft in a thought would read as an answer.
    """
    special = {i: token.content for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    marks = {i for i, text in special.items() if _MARK.search(text)}
    return frozenset(special.keys() - marks) if marks else None


_MARK = re.compile(r"think|thought|reasoning|channel|message", re.IGNORECASE)


def token_range(
    tokenizer: PreTrainedTokenizerBase, ids: Sequence[int] | np.ndarray, span: tuple[int, int]
) -> tuple[int, int]:
    """The half-open range of ``ids`` that overlaps the characters ``span`` of their text, for any tokenizer.

    A token that holds a part of a character overlaps it.
    """
    begin, end = span
    if begin == end:
        return 0, 0
    whole, pieces = decode(tokenizer, ids), [[int(i)] for i in ids]
    alone = [decode(tokenizer, piece) for piece in pieces]
    if "".join(alone) == whole:
        ends = list(accumulate(map(len, alone)))
        return bisect_right(ends, begin), bisect_left(ends, end) + 1

    # Some tokens hold parts of characters: then decode beginnings of all, and see how much each holds.
    def held(count: int) -> tuple[int, bool]:
        """Whole characters in the first ``count`` ids, and whether part of another follows."""
        text = decode(tokenizer, ids[:count])
        same = len(commonprefix([text, whole]))
        return same, same < len(text)

    first = bisect_left(range(len(ids)), begin, key=lambda count: held(count)[0])
    characters, more = held(first)
    # The token before holds the beginning of the span's first character, or all of it.
    if characters > begin or more:
        first -= 1
    return first, bisect_left(range(len(ids)), end, key=lambda count: held(count)[0])
