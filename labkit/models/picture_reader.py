"""From a picture's recipe to the tokens and tensors that a vision model reads: draw, process, cache.

A dialogue holds recipes, not pixels. A picture is drawn when a context first needs it, at the size that the recipe
names, and goes through the checkpoint's own processor. What comes out is cached by recipe, up to a bound in bytes:
games show few pictures many times (a group of episodes, the turns of a dialogue).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from transformers.image_utils import SizeDict

from labkit.counting import counted
from labkit.errors import UsageError
from labkit.models.context import Picture
from labkit.models.files import first_line
from labkit.models.vision import family_of, image_token_id

if TYPE_CHECKING:
    from PIL.Image import Image
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase, ProcessorMixin

Drawing = Callable[[Mapping[str, Any]], "Image"]
"""Draws the picture of a recipe: a game's ``draw``."""

MOST_PIXELS = 1200
"""Side of the largest picture that is drawn: the paper's."""
LIMIT = 2**28
"""Bytes of tensors that a reader keeps."""


class Reading(NamedTuple):
    """One picture as a model reads it."""

    key: str
    """Hash of the recipe."""
    text: str
    """What the placeholder of a chat template becomes: image tokens, and what the family writes around them."""
    inputs: Mapping[str, torch.Tensor]
    """Tensors for the forward pass."""

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.inputs.values())


class PictureReader:
    """The processor of a checkpoint, with a cache.

    Args:
        processor: the checkpoint's own; its settings decide size and tiles.
        limit: bytes of tensors that are kept, the last used ones.
    """

    def __init__(
        self,
        processor: ProcessorMixin,
        tokenizer: PreTrainedTokenizerBase,
        config: PreTrainedConfig,
        limit: int = LIMIT,
    ) -> None:
        self.processor = processor
        self.placeholder: str = processor.image_token
        """What chat templates write for a picture."""
        self._tokenizer = tokenizer
        self._family, self._image_id = family_of(config), image_token_id(config)
        self._image_token: str = tokenizer.convert_ids_to_tokens(self._image_id)
        self._limit, self._size = limit, 0
        self._kept: OrderedDict[str, Reading] = OrderedDict()
        self._lock = Lock()

    @property
    def side(self) -> int | None:
        """Side in pixels of the largest square picture that is read without being shrunk; None if not known."""
        return side_of(self.processor)

    @property
    def drawing(self) -> dict[str, int]:
        """How a game is to draw for this reader: the ``size`` that it reads, and no more pixels than a game needs.

        Empty where any size will do.
        """
        return {} if self.side is None else {"size": min(self.side, MOST_PIXELS) // 2 * 2}

    def read(self, recipe: Mapping[str, Any], draw: Drawing) -> Reading:
        """A picture, drawn and processed unless it is in the cache."""
        key = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:32]
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        reading = self.process(draw(recipe), key)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = reading
                self._size += reading.bytes
            while self._size > self._limit and len(self._kept) > 1:
                self._size -= self._kept.popitem(last=False)[1].bytes
        return reading

    def process(self, image: Image, key: str) -> Reading:
        """A picture through the processor.

        Raises:
            UsageError: the processor fails on it.
        """
        processor = self.processor
        try:
            options = getattr(processor, "images_kwargs", {})
            found = processor.image_processor([[image.convert("RGB")]], return_tensors="pt", **options)
            # A model that reads by cross-attention has one token for a picture of any size.
            text = self.placeholder if self._family.crosses else processor.replace_image_token(found, 0)
        except Exception as error:
            # A processor is code that goes with the checkpoint's settings, and may fail in any way.
            raise UsageError(f"the checkpoint's processor fails on a picture: {first_line(error)}") from error
        unused = {*processor.unused_input_names, "num_crops", "rows", "cols"}
        tensors = {k: v for k, v in found.items() if isinstance(v, torch.Tensor) and k not in unused}
        return Reading(key, text, tensors)

    def expand(self, text: str, readings: Sequence[Reading]) -> str:
        """A chat template's text with what the model reads of each picture in place of its placeholder.

        Raises:
            UsageError: there are more or fewer placeholders than pictures.
        """
        around = text.split(self.placeholder)
        if len(around) != len(readings) + 1:
            raise UsageError(
                f"a prompt has {len(around) - 1} of {self.placeholder} for {counted(len(readings), 'picture')}; the "
                "chat template must write one for each, and no message may hold one"
            )
        return around[0] + "".join(r.text + after for r, after in zip(readings, around[1:], strict=True))

    def encode(self, text: str) -> list[int]:
        """The ids of an expanded text."""
        return self._tokenizer(text, add_special_tokens=False)["input_ids"]

    def find(self, ids: Sequence[int], readings: Sequence[Reading]) -> tuple[Picture, ...]:
        """The pictures of a tokenised text, with their spans in it.

        Raises:
            UsageError: the image tokens are not those of the pictures.
        """
        places = np.flatnonzero(np.array(ids) == self._image_id).tolist()
        counts = [reading.text.count(self._image_token) for reading in readings]
        if not all(counts) or sum(counts) != len(places):
            raise UsageError(
                f"the processor writes {sum(counts)} of {self._image_token} for {counted(len(readings), 'picture')}, "
                f"and the tokenizer reads {len(places)}; save the processor and the tokenizer that belong to the model"
            )
        pictures = []
        for reading, count in zip(readings, counts, strict=True):
            mine, places = places[:count], places[count:]
            pictures.append(Picture(reading.key, (mine[0], mine[-1] + 1), reading.inputs))
        return tuple(pictures)


def side_of(processor: ProcessorMixin) -> int | None:
    """Side in pixels of the largest square picture that a processor leaves as it is; None if not known."""
    images = processor.image_processor
    crop, size = getattr(images, "crop_size", None), images.size
    if crop is not None and getattr(images, "do_center_crop", False):
        return crop.height
    if size.height:
        return size.height * math.isqrt(getattr(images, "max_image_tiles", None) or 1)
    if getattr(images, "merge_size", None):
        return math.isqrt(size.longest_edge)
    return size.longest_edge or size.shortest_edge


def resize(processor: ProcessorMixin, side: int) -> None:
    """Set the side of the largest square picture that a processor leaves as it is.

    Raises:
        UsageError: the model's tower reads one size only.
    """
    images, now = processor.image_processor, side_of(processor)
    if now == side:
        return
    if getattr(images, "merge_size", None):
        images.size = SizeDict(shortest_edge=min(images.size.shortest_edge, side**2), longest_edge=side**2)
    elif images.size.longest_edge:
        images.size = SizeDict(longest_edge=side)
    else:
        raise UsageError(f"image_size is {side}, and the checkpoint reads pictures of {now} pixels only; leave it out")
