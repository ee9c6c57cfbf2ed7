"""Pictures of a run before it starts: how a model that is not loaded reads those of a cell.

A picture is drawn and goes through the image processor: the checkpoint's own where its folder is at hand, else that of
its family with the published settings. So the tensors have the shapes that the run will see.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from transformers.models.mllama.image_processing_pil_mllama import MllamaImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from labkit.dispatch.shapes import shape_of, tokenizer_of
from labkit.envs import game
from labkit.errors import UsageError
from labkit.models import loader
from labkit.models.context import Picture
from labkit.models.picture_reader import MOST_PIXELS, PictureReader, resize, side_of
from labkit.models.vision import family_of
from labkit.players.registry import resolve_checkpoint

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from labkit.training.common.setup import StartConfig

_PUBLISHED: dict[str, Callable[[Any], Any]] = {
    "mllama": lambda tower: MllamaImageProcessorPil(
        size={"height": tower.image_size, "width": tower.image_size}, max_image_tiles=tower.max_num_tiles
    ),
    "qwen2_5_vl": lambda tower: Qwen2VLImageProcessorPil(
        patch_size=tower.patch_size, size={"shortest_edge": 56**2, "longest_edge": 3584**2}
    ),
    "qwen3_vl": lambda tower: Qwen2VLImageProcessorPil(
        patch_size=tower.patch_size, size={"shortest_edge": 256**2, "longest_edge": 4096**2}
    ),
}
"""Image processors by ``model_type``, made from the config of the vision tower. The settings are those of
``preprocessor_config.json`` on the hub: of Llama-3.2-11B-Vision, Qwen2.5-VL-7B and Qwen3-VL-8B."""


_SMALL = 64
"""Side in pixels of a picture that only has to be there."""


class Sight:
    """How the model of a config reads the pictures of its cell.

    Raises:
        UsageError: the model reads no pictures, or it is not known how.
    """

    def __init__(self, config: StartConfig, runs: Path) -> None:
        shape = shape_of(config.model, runs)
        self.reader = _reader(config.model, shape, runs)
        """The checkpoint's own, where it is at hand."""
        processor: Any = self.reader.processor if self.reader else SimpleNamespace(image_processor=_images(shape))
        if config.image_size is not None:
            resize(processor, config.image_size)
        side = side_of(processor)
        self._size = {} if side is None else {"size": min(side, MOST_PIXELS) // 2 * 2}
        # Large pictures take long to draw. One is enough where the text is not encoded together with them.
        self.picture = {**config.picture, **(self._size if self.reader else {"size": _SMALL})}
        """How the pictures of a sample of dialogues are drawn."""
        self.draw = game(config.cell).draw
        self._first: Picture | None = None
        self._images, self._crosses = processor.image_processor, family_of(shape).crosses

    def look(self, recipe: Mapping[str, Any], first: int) -> Picture:
        """A picture of which ``first`` tokens stand in front, where the checkpoint is not at hand.

        A cell draws all its pictures at one size, so one is looked at and stands for all.
        """
        if self._first is None:
            found = self._images([[self.draw({**recipe, **self._size})]], return_tensors="pt")
            inputs = {name: tensor for name, tensor in found.items() if isinstance(tensor, torch.Tensor)}
            tokens = 1 if self._crosses else int(inputs["image_grid_thw"].prod()) // self._images.merge_size**2
            self._first = Picture("", (0, tokens), inputs)
        return self._first.moved(first)


def crossed(shape: PretrainedConfig, pictures: Sequence[Picture]) -> int:
    """Tokens of pictures that layers of cross-attention keep keys and values of; 0 in families that have none."""
    if not family_of(shape).crosses:
        return 0
    tower = shape.vision_config
    patches = (tower.image_size // tower.patch_size) ** 2 + 1
    return sum(math.prod(p.inputs["pixel_values"].shape[:3]) * patches for p in pictures)


def size(pictures: Sequence[Picture]) -> int:
    """Bytes of the tensors of pictures."""
    return sum(tensor.nbytes for picture in pictures for tensor in picture.inputs.values())


def _images(shape: PretrainedConfig) -> Any:
    if shape.model_type not in _PUBLISHED:
        raise UsageError(
            f"how a model of type {shape.model_type} reads pictures is not known here; name the folder of a checkpoint "
            f"with its processor, or a model of type {', '.join(_PUBLISHED)}"
        )
    return _PUBLISHED[shape.model_type](shape.vision_config)


def _reader(model: str, shape: PretrainedConfig, runs: Path) -> PictureReader | None:
    place, found = resolve_checkpoint(model, runs=runs), tokenizer_of(model, runs)
    if not isinstance(place, Path) or found is None:
        return None
    processor, blind = loader.processor_of(place, shape.to_dict())
    if processor is None:
        raise UsageError(f"{model} reads no pictures: {blind}; take a vision-language model, or a cell in text")
    return PictureReader(processor, found[0], shape)
