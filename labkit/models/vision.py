"""Vision-language models: one row a family, and what a forward pass takes for the pictures in its rows.

Most families put the features of a picture in place of placeholder tokens, the image tokens. Mllama (Llama 3.2 Vision)
reads pictures by cross-attention, from its single image token on. A family without a row works too if it needs nothing
but the tensors of its processor.

Shape suffixes: B rows, T tokens of a row, C tokens of a context, V vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MethodType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

    from labkit.models.context import Context, Picture


class Family(NamedTuple):
    """How a family of models departs from "features in place of image tokens, one position a token"."""

    processor: str = ""
    """The processor's class, where the family's own needs packages that only videos need."""
    token_types: str = ""
    """The input that marks image tokens with 1, if the forward pass takes one."""
    grid: bool = False
    """The positions of image tokens are places on a grid (M-RoPE, arXiv 2409.12191)."""
    crosses: bool = False
    """Pictures are read by cross-attention: the first two dimensions of their tensors count rows and pictures."""


FAMILIES = {
    "llava": Family(),
    "idefics3": Family(),
    "smolvlm": Family(processor="Idefics3Processor"),
    "gemma3": Family(token_types="token_type_ids"),
    "qwen2_5_vl": Family(token_types="mm_token_type_ids", grid=True),
    "qwen3_vl": Family(token_types="mm_token_type_ids", grid=True),
    "mllama": Family(crosses=True),
}
"""By ``model_type``."""

Part = Literal["vision", "connector", "language"]
PARTS: tuple[Part, ...] = get_args(Part)
"""Parts of a model: the vision tower, the connector from it to the language model, and the language model (all the
rest, Mllama's cross-attention included)."""

_CONNECTOR = re.compile(r"(^|\.)(multi_modal_projector|mm_projector|connector|aligner|(deepstack_)?merger(_list)?)\.")
_VISION = re.compile(r"(^|\.)(vision_model|vision_tower|vision_encoder|visual)\.")

NEVER = -1e4
"""The logit of a token that is never sampled: its probability is 0 in fp32, and differences of logits are finite."""


def family_of(config: PreTrainedConfig) -> Family:
    """The row of a model; the default row for families that have none."""
    return FAMILIES.get(config.model_type, Family())


def part_of(name: str) -> Part:
    """The part that a parameter belongs to, by its name."""
    if _CONNECTOR.search(name):
        return "connector"
    return "vision" if _VISION.search(name) else "language"


def image_token_id(config: PreTrainedConfig) -> int:
    """The placeholder token of pictures; -1 for a text model, which has none."""
    found = getattr(config, "image_token_id", None)
    return getattr(config, "image_token_index", -1) if found is None else found


def placeholder_ids(config: PreTrainedConfig) -> tuple[int, ...]:
    """The tokens that stand for pictures and videos, and are never sampled.

    An answer that held one would claim the features of a picture that is not there. Sampling and scoring both leave
    them out, so that log-probabilities agree.
    """
    ids = (image_token_id(config), getattr(config, "video_token_id", None) or -1)
    return tuple(i for i in ids if i >= 0)


def forbid(logits_V: torch.Tensor, ids: Sequence[int]) -> torch.Tensor:
    """Logits ``[..., V]`` under which these tokens have probability 0; of those that the output layer has."""
    there = [i for i in ids if i < logits_V.shape[-1]]
    return logits_V.index_fill(-1, torch.tensor(there, device=logits_V.device), NEVER) if there else logits_V


def picture_inputs(
    model: PreTrainedModel,
    ids_BT: torch.Tensor,
    rows: Sequence[Sequence[Picture]],
    first_B: Sequence[int] | None = None,
) -> dict[str, torch.Tensor]:
    """What the forward pass over some tokens takes beside ids, mask and positions, on the model's device.

    Args:
        ids_BT: the tokens.
        rows: the pictures of each row, those before ``first_B`` included.
        first_B: the place of each row's first column in its dialogue, below 0 in padding on the left; 0 if not given.
    """
    if not any(rows):
        return {}
    family, first_B = family_of(model.config), [0] * len(rows) if first_B is None else first_B
    new = [[p for p in row if p.span[0] >= first] for row, first in zip(rows, first_B, strict=True)]
    found = {}
    if any(new):
        found = _by_row(new) if family.crosses else _side_by_side([p for row in new for p in row])
        if family.token_types:
            found[family.token_types] = ids_BT.eq(image_token_id(model.config)).long()
    if family.crosses:
        found["cross_attention_mask"] = _seen_BTPN(rows, first_B, ids_BT.shape[1])
    return {name: _moved(tensor, model) for name, tensor in found.items()}


def positions(model: PreTrainedModel, context: Context) -> np.ndarray:
    """The positions of a context's tokens: ``int64 [C]``, or ``[3, C]`` where picture tokens lie on a grid."""
    if not (context.pictures and family_of(model.config).grid):
        return np.arange(len(context))
    ids_1C = torch.tensor([context.ids])
    index = next(module.get_rope_index for module in model.modules() if hasattr(module, "get_rope_index"))
    grids = torch.cat([picture.inputs["image_grid_thw"] for picture in context.pictures])
    types_1C = ids_1C.eq(image_token_id(model.config)).long()
    return index(ids_1C, mm_token_type_ids=types_1C, image_grid_thw=grids)[0][:, 0].numpy()


def _moved(tensor: torch.Tensor, model: PreTrainedModel) -> torch.Tensor:
    return tensor.to(model.device, model.dtype if tensor.is_floating_point() else tensor.dtype)


def _side_by_side(pictures: Sequence[Picture]) -> dict[str, torch.Tensor]:
    """The tensors of pictures one after the other; those with fewer tiles are padded with zeros."""
    return {name: _joined([p.inputs[name] for p in pictures], 0) for name in pictures[0].inputs}


def _by_row(rows: Sequence[Sequence[Picture]]) -> dict[str, torch.Tensor]:
    """The tensors of pictures row by row: rows with fewer pictures are padded with pictures that nothing attends to."""
    one = next(p for row in rows for p in row).inputs
    blank = {name: torch.zeros_like(tensor) for name, tensor in one.items()}
    # The tower attends to something in every tile that it is given.
    blank["aspect_ratio_mask"][..., 0] = 1
    most = max(map(len, rows))
    filled = [[*(p.inputs for p in row), *[blank] * (most - len(row))] for row in rows]
    return {name: _joined([_joined([picture[name] for picture in row], 1) for row in filled], 0) for name in blank}


def _joined(tensors: Sequence[torch.Tensor], dim: int) -> torch.Tensor:
    """Tensors one behind the other in ``dim``, padded with zeros to one size in the others."""
    size = [max(sizes) for sizes in zip(*(t.shape for t in tensors), strict=True)]
    padded = []
    for tensor in tensors:
        short = [0 if d == dim else size[d] - n for d, n in enumerate(tensor.shape)]
        padded.append(F.pad(tensor, [x for n in reversed(short) for x in (0, n)]) if any(short) else tensor)
    return torch.cat(padded, dim)


def _seen_BTPN(rows: Sequence[Sequence[Picture]], first_B: Sequence[int], length: int) -> torch.Tensor:
    """Which of P pictures of N tiles each token attends to: those that came last before it, ``int64 [B, T, P, N]``.

    Pictures that follow one another without text between are attended to together.
    """
    tiles = max(p.inputs["aspect_ratio_mask"].shape[-1] for row in rows for p in row)
    seen = torch.zeros(len(rows), length, max(map(len, rows)), tiles, dtype=torch.long)
    for row, (pictures, first) in enumerate(zip(rows, first_B, strict=True)):
        end = first + length
        for number, picture in reversed(list(enumerate(pictures))):
            follower = pictures[number + 1].span[0] if number + 1 < len(pictures) else first + length
            end = end if follower == picture.span[1] else follower
            begin, until = max(0, picture.span[0] - first), max(0, end - first)
            there = picture.inputs["aspect_ratio_mask"][0, 0]
            seen[row, begin:until, number, : len(there)] = there
    return seen


def mend(model: PreTrainedModel) -> None:
    """Make a model compute what it is meant to, and patch embeddings fast on a CPU; weights stay as they are.

    In Mllama of transformers a token in front of all pictures, or in a row without one, still gets the output of
    cross-attention to masked pictures. Meta's own model leaves that out, and so does this.
    """
    for module in model.modules():
        if hasattr(module, "cross_attn") and hasattr(module, "cross_attn_attn_gate"):
            module.register_forward_pre_hook(_note_blind_rows, with_kwargs=True)
            module.cross_attn.register_forward_hook(_leave_out_blind_rows)
        if type(module) is nn.Conv2d and _cuts_patches(module):
            # A method, not a closure: a copy of the model must call its own layers.
            module.forward = MethodType(_patches_as_matrix, module)


def _note_blind_rows(layer: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
    layer.cross_attn.sighted_rows = kwargs.get("full_text_row_masked_out_mask")


def _leave_out_blind_rows(attention: nn.Module, args: Any, output: Any) -> Any:
    sighted_B1T1 = attention.sighted_rows
    return output if sighted_B1T1 is None else (output[0] * sighted_B1T1[:, 0].to(output[0].dtype), *output[1:])


def _cuts_patches(conv: nn.Conv2d) -> bool:
    plain = conv.groups == 1 and conv.dilation == (1, 1) and not (isinstance(conv.padding, tuple) and any(conv.padding))
    return plain and conv.kernel_size == conv.stride and conv.padding != "same"


def _patches_as_matrix(conv: nn.Conv2d, pixels: torch.Tensor) -> torch.Tensor:
    """A convolution over patches that do not overlap, as one matrix product.

    On a CPU its backward pass in bf16 takes a sixth of the time of the convolution's.
    """
    high, wide = conv.kernel_size
    rows, columns = pixels.shape[-2] // high, pixels.shape[-1] // wide
    cut = pixels[..., : rows * high, : columns * wide].unfold(2, high, high).unfold(3, wide, wide)
    flat = cut.permute(0, 2, 3, 1, 4, 5).reshape(len(pixels), rows, columns, -1)
    return F.linear(flat, conv.weight.flatten(1), conv.bias).permute(0, 3, 1, 2)
