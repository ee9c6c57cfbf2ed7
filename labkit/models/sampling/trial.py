"""Find the highest level of reuse at which a model still samples from its own distribution.

A wrong draft token stays in the cache, masked, and rows are padded, so a token's column is not its position. Models
that count columns (GPT-Neo's window, ALiBi) then sample from a distribution that is not their own, without any error;
models whose forward pass takes no ``past_key_values`` would see one token at a time. So a few answers to two prompts
of unequal length that share a prefix are drawn at each level of :class:`labkit.models.sampling.levels.Level`, and their
log-probabilities are compared with those of one full forward pass. The highest level that agrees is used. A model that
reads pictures is tried with pictures too.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from PIL import Image

from labkit.errors import UsageError
from labkit.models.bundle import context_length
from labkit.models.context import Context
from labkit.models.forward import language_model
from labkit.models.sampling.cache import PrefixCache, attends_to_all
from labkit.models.sampling.engine import sample
from labkit.models.sampling.fused import FusedLlama, can_be_fused
from labkit.models.sampling.levels import Level
from labkit.models.vision import family_of, forbid, picture_inputs, placeholder_ids

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

    from labkit.models.picture_reader import PictureReader

PREFIX, ENDS, TOKENS, LONGEST = 16, (2, 9), 8, 512
"""Tokens of the shared prefix, of what follows it in the two prompts, and of an answer; and the longest window of
attention that is tried."""
TOLERANCE = {4: 1e-3, 2: 0.3}
"""Largest mean difference of an answer's log-probabilities, as a part of the standard deviation of the logits, by the
bytes of the weights' type. Rounding stays far below; a wrong mask or position is of the order of 1."""

_found: WeakKeyDictionary[nn.Module, Level] = WeakKeyDictionary()


def level_of(model: PreTrainedModel, reader: PictureReader | None = None) -> Level:
    """The highest level of reuse at which a model samples from its own distribution; tried once a model.

    Args:
        reader: of a model that reads pictures, for the trial.

    Raises:
        UsageError: it cannot be sampled at all, it is not causal (what follows a token changes its logits), or its
            processor does not fit it.
    """
    inner = language_model(model)
    if inner not in _found:
        known = isinstance(inner, FusedLlama) or can_be_fused(inner)
        if known and reader is not None:
            _check_fit(model, _with_pictures(_prompts(model), reader))
        _found[inner] = Level.DRAFTS if known else _try(model, reader)
    return _found[inner]


@torch.inference_mode()
def _check_fit(model: PreTrainedModel, contexts: list[Context]) -> torch.Tensor:
    """Logits after the last of some prompts, ``[T, V]``.

    Raises:
        UsageError: the model fails on it.
    """
    try:
        return _logits(model, contexts[-1])
    except Exception as error:
        # Whatever a model raises here, it would raise when it plays.
        why = (str(error).splitlines() or [type(error).__name__])[0]
        name = type(language_model(model)).__name__
        raise UsageError(f"{name} cannot be sampled: {why}; choose another model or dtype") from error


@torch.inference_mode()
def _try(model: PreTrainedModel, reader: PictureReader | None) -> Level:
    contexts = _prompts(model)
    shown = [] if reader is None else _with_pictures(contexts, reader)
    spread = _check_fit(model, contexts).std(-1).mean()
    if shown:
        _check_fit(model, shown)
    contexts += shown
    if not torch.isfinite(spread):
        return Level.DRAFTS  # Sampling names the fault.
    if not _agrees(model, contexts, Level.PLAIN):
        raise UsageError(
            f"{type(language_model(model)).__name__} is not causal: its logits after a token depend on later tokens; "
            "choose a causal language model"
        )
    return next((level for level in _candidates(model) if _agrees(model, contexts, level)), Level.PLAIN)


def _candidates(model: PreTrainedModel) -> list[Level]:
    """Levels that are worth a trial, the highest first."""
    if "past_key_values" not in inspect.signature(language_model(model).forward).parameters:
        return []
    # Cross-attention keeps pictures in layers of their own, whose columns are no tokens: no prefix can be cut there.
    if not attends_to_all(model) or _window(model) > LONGEST or family_of(model.config).crosses:
        return [Level.CACHED]
    return [Level.DRAFTS, Level.PREFIXES, Level.CACHED]


def _window(model: PreTrainedModel) -> int:
    """The widest window of attention that the config names, in tokens; 0 if there is none."""
    config = model.config.get_text_config().to_dict()
    return max(
        (v for k, v in config.items() if "window" in k and isinstance(v, int) and not isinstance(v, bool)), default=0
    )


def _prompts(model: PreTrainedModel) -> list[Context]:
    """Two prompts of unequal length that share a prefix longer than a window of attention, three times each."""
    config = model.config
    special = {
        v
        for c in (config, config.get_text_config())
        for k, v in c.to_dict().items()
        if k.endswith(("_id", "_index")) and isinstance(v, int)
    }
    vocabulary = min(model.get_input_embeddings().weight.shape[0], 2000)
    words = np.array([i for i in range(vocabulary) if i not in special] or [0])
    window = _window(model)
    length = window + PREFIX if window <= LONGEST else PREFIX
    most = (context_length(model) or length + 100) - ENDS[1] - TOKENS
    prefix = np.random.default_rng(0).choice(words, max(1, min(length, most)))
    ends = [np.random.default_rng(n).choice(words, n) for n in ENDS]
    return [Context((*prefix.tolist(), *end.tolist())) for end in ends for _ in range(3)]


def _with_pictures(contexts: list[Context], reader: PictureReader) -> list[Context]:
    """The prompts with a picture of noise in the middle of each; there are two pictures."""
    side = min(reader.side or 64, 224)
    noise = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), np.uint8)
    readings = [reader.process(Image.fromarray(pixels), f"noise {n}") for n, pixels in enumerate(noise)]
    shown = []
    for number, context in enumerate(contexts):
        reading, middle = readings[number % 2], len(context) // 2
        piece = Context(tuple(reader.encode(reading.text)))
        piece = Context(piece.ids, reader.find(piece.ids, [reading]))
        shown.append(context.head(middle).joined(piece).grown(context.ids[middle:]))
    return shown


def _agrees(model: PreTrainedModel, contexts: list[Context], level: Level) -> bool:
    """Whether answers drawn at a level have the log-probabilities of a full forward pass."""
    cache = PrefixCache(limit=0)
    vocabulary = model.get_input_embeddings().weight.shape[0]
    cache.ngrams = _AlwaysWrong(vocabulary)
    try:
        answers = sample(
            model,
            contexts,
            max_new_tokens=TOKENS,
            temperature=1.0,
            # Rows end at different times.
            stop_ids=range(0, vocabulary, 6),
            noise=[(n,) for n in range(len(contexts))],
            pad_id=0,
            batch=len(contexts),
            should_stop=None,
            prefix_cache=cache,
            level=level,
        )
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception:
        # A cache of another kind than the engine's, or an argument that the model does not take.
        return False
    for context, answer in zip(contexts, answers, strict=True):
        if not len(answer.ids):
            continue
        logits_TV = _logits(model, context.grown(answer.ids.tolist()))[len(context) - 1 : -1]
        logp_TV = forbid(logits_TV, placeholder_ids(model.config)).log_softmax(-1)
        exact_T = logp_TV.gather(-1, torch.from_numpy(answer.ids)[:, None])[:, 0]
        off = (exact_T - torch.from_numpy(answer.logp)).abs().mean()
        if not off <= TOLERANCE[min(4, model.dtype.itemsize)] * logits_TV.std(-1).mean() + 1e-5:
            return False
    return True


def _logits(model: PreTrainedModel, context: Context) -> torch.Tensor:
    """Logits after each token by one full forward pass, ``fp32 [T, V]`` on the CPU."""
    ids_1T = torch.tensor([context.ids], device=model.device)
    shown = picture_inputs(model, ids_1T, [context.pictures])
    return model(input_ids=ids_1T, use_cache=False, **shown).logits[0].float().cpu()


class _AlwaysWrong(dict):
    """An n-gram table that knows a next token for everything: nearly always a wrong one."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self._modulus = min(97, vocabulary)

    def get(self, *asked: Any) -> Any:
        return sum(asked[0]) % self._modulus
