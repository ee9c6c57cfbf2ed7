"""Stage ``vision``: teach a text model to see, from a tower with random weights.

LLaVA's two phases are two runs of this stage: in the first the language part is frozen (``freeze: [language]``) and
the tower learns to say what it sees in the language model's terms; in the second everything learns.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from labkit.errors import UsageError
from labkit.models.chat import Example, encode
from labkit.models.picture_reader import PictureReader
from labkit.models.tiny_vision import Tower, build
from labkit.players.registry import load_bundle
from labkit.runs import Run
from labkit.training.common.parameters import prepare_parameters
from labkit.training.sft.fit import Optimisation, fit
from labkit.training.sft.mixture.pictures import Pictures, Shares, documents, drawn


class VisionConfig(Optimisation):
    """Settings of the stage."""

    stage: Literal["vision"]
    name: str = "vision"
    """Last part of the run's id."""
    seed: int = 0
    """Of the tower's weights and the documents."""
    model: str
    """A text model that gets a tower, or a vision model that this stage has trained before."""
    tower: Tower | None = None
    """The tower of a text model; a vision model has one."""
    freeze: tuple[str, ...] = ()
    """Frozen parts: ``vision``, ``connector``, ``language``, ``embeddings``, or patterns of parameter names."""
    batch_size: int = Field(64, ge=1)
    """Documents a step."""
    shares: Shares = Shares()
    """How often each kind of document is drawn."""
    pictures: Pictures = Pictures()
    """How pictures are drawn."""


def vision(config: VisionConfig, run: Run, *, resume: bool, device: str = "cpu") -> None:
    """Train on pictures of cards.

    Raises:
        UsageError: a text model is given without a tower, or a vision model with one; or ``freeze`` names no part.
    """
    bundle = load_bundle(config.model, device=device)
    if bundle.is_vlm == (config.tower is not None):
        fault = "sees already; leave tower out" if bundle.is_vlm else "has no tower; give the settings of one as tower"
        raise UsageError(f"{config.model} {fault}")
    if config.tower is not None:
        model, processor = build(bundle.model, bundle.tokenizer, config.tower, config.seed)
        model = model.to(device)
    else:
        model, processor = bundle.model, bundle.check_sees("this stage").processor
    model = prepare_parameters(model, freeze=config.freeze)
    reader = PictureReader(processor, processor.tokenizer, model.config)

    side = reader.side
    if side is None:
        raise UsageError(f"the processor of {config.model} has no size of pictures")

    def batch_of(step: int) -> list[Example]:
        made = documents(config.seed, step, config.batch_size, side, config.shares, config.pictures)
        return encode(processor.tokenizer, made, parts=True, reader=reader, draw=drawn)

    fit(model, processor, batch_of, config, run, resume=resume)
