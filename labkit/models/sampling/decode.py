"""Sampling from a language model: batched, cached, and the same whatever else is in the batch.

Where this departs from ``generate`` of transformers, and why:

* Nothing is filtered. ``generate`` samples among the 50 likeliest tokens unless told otherwise, which biases
  the ratio of new to old probabilities that policy gradients rest on. Here the whole softmax is sampled, and
  the recorded log-probability is that of the sampled distribution, in fp32.
* Noise belongs to an answer, not to a batch: one uniform number a token, from a counter-based generator
  (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") under a key that the caller gives. The
  same key gives the same answer alone, in any batch and in any process.
* Nothing is computed twice: equal contexts are read once, and so is a prefix that all of them share, or that one
  shares with a row of the call before; rows that have ended leave the batch; a token is appended to the cache
  without copying the rest.
* A step can give several tokens: those whose drafts are right (:mod:`labkit.models.sampling.drafts`).
* A model that computes something else with a cache, padding or wrong drafts in it is found out before it is sampled
  (:mod:`labkit.models.sampling.trial`), and does without them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from labkit.errors import UsageError
from labkit.models.context import Context, as_context
from labkit.models.sampling.cache import PrefixCache
from labkit.models.sampling.engine import Generated, sample
from labkit.models.sampling.levels import Level
from labkit.models.sampling.trial import level_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Generated", "generate"]


def generate(
    model: PreTrainedModel,
    contexts: Sequence[Context | Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float,
    stop_ids: Sequence[int],
    noise: Sequence[tuple[int, ...]],
    pad_id: int = 0,
    batch: int = 64,
    should_stop: Callable[[], bool] | None = None,
    prefix_cache: PrefixCache | None = None,
    level: Level | None = None,
) -> list[Generated]:
    """Sample one answer to each context.

    Args:
        model: in evaluation mode.
        contexts: none is empty; plain token ids have no pictures.
        max_new_tokens: the longest answer, where the model's context has room for it.
        temperature: 0 takes the likeliest token every time.
        stop_ids: the tokens that end an answer.
        noise: a key for each context.
        pad_id: any token of the vocabulary.
        batch: the most rows that are decoded side by side.
        should_stop: asked before each step; once it returns True, the answers end where they are.
        prefix_cache: rows of earlier calls, replaced by those of this one. It changes no answer.
        level: how much is reused; what the model's own trial allows if not given.

    Returns:
        An answer for each context, in order. A context that fills the model's whole context gets an empty, truncated
        answer.

    Raises:
        UsageError: the model's logits are NaN or infinite, or it cannot be sampled at all.
    """
    answers = sample(
        model,
        [as_context(context) for context in contexts],
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        stop_ids=stop_ids,
        noise=noise,
        pad_id=pad_id,
        batch=batch,
        should_stop=should_stop,
        prefix_cache=PrefixCache(limit=0) if prefix_cache is None else prefix_cache,
        level=level_of(model) if level is None else level,
    )
    if not all(answer.finite for answer in answers):
        where = getattr(model.config, "name_or_path", "") or "the model"
        raise UsageError(f"the logits of {where} are NaN or infinite; load an earlier checkpoint, or another dtype")
    return answers
