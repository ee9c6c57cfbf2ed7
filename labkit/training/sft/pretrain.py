"""Stage ``pretrain``: the tiny foundation model, from nothing."""

from __future__ import annotations

from itertools import chain
from typing import Literal

from pydantic import Field

from labkit.models.chat import encode
from labkit.models.tiny import Shape, build_model, build_tokenizer
from labkit.runs import Run
from labkit.training.sft import mixture
from labkit.training.sft.fit import Optimisation, fit

_TOKENIZER_DOCUMENTS = 20_000


class PretrainConfig(Optimisation):
    """Settings of the stage."""

    stage: Literal["pretrain"]
    name: str = "base"
    """Last part of the run's id."""
    seed: int = 0
    """Of weights and documents."""
    shape: Shape = Shape()
    """Size of the model."""
    batch_size: int = Field(256, ge=1)
    """Documents a step."""


def pretrain(config: PretrainConfig, run: Run, *, resume: bool, device: str = "cpu") -> None:
    """Train a tokenizer on the mixture and the cards' prompts, then a model on the mixture."""
    # The tokenizer sees documents that the model never trains on (step -1); its merges, not facts, come from them.
    sample = mixture.documents(config.seed, -1, _TOKENIZER_DOCUMENTS)
    texts = chain(mixture.vocabulary(), (m.text for d in sample for m in d.messages))
    tokenizer = build_tokenizer(texts, config.shape.vocabulary)
    model = build_model(config.shape, tokenizer, config.seed).to(device)
    fit(
        model,
        tokenizer,
        lambda step: encode(tokenizer, mixture.documents(config.seed, step, config.batch_size)),
        config,
        run,
        resume=resume,
    )
