"""The memory of a training step, counted without weights: the step itself, run on tensors that have no data.

PyTorch's fake tensors have a shape and a type, and every operation on them says what it would allocate. So the bytes
are those of the real forward and backward pass (casts to bf16, recomputed layers, logits and all), also of a model
that no machine at hand could hold.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

from labkit.models import forward
from labkit.models.context import Picture
from labkit.models.policy import ValueHead
from labkit.models.vision import image_token_id, mend, picture_inputs
from labkit.training.common.checkpointing import checkpoint_activations
from labkit.training.common.parameters import prepare_parameters, trainable

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from labkit.training.rl.config import RLConfig
    from labkit.training.sft.stage import SFTConfig


class Rows(NamedTuple):
    """A micro-batch."""

    rows: int
    tokens: int
    """Of each row, padding included."""
    chosen: int
    """Tokens of all rows that carry loss."""
    pictures: tuple[Picture, ...] = ()
    """Those of each row."""


class Counted(NamedTuple):
    """A model and its training step, in numbers; bytes of the gradients are those of this process before sharding."""

    parameters: int
    trained: int
    """Parameters that require gradients."""
    reached: int
    """Those of them that get one: text does not reach a vision tower."""
    gradients: int
    """Bytes."""
    activations: int
    """Most bytes that are live during the forward and backward pass, besides weights and gradients."""
    reading: int
    """Likewise while prompts are read before sampling, their keys and values included; 0 if nothing is sampled."""
    operations: float = 0.0
    """Floating-point operations of a row's forward and backward pass, recomputed layers included; 0 without pictures.
    """
    operations_read: float = 0.0
    """Those of reading one prompt."""


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of tensors that are made inside the context and still held, and the most at any time.

    Args:
        module: its parameters and their gradients are not counted, nor are views of them.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.now = self.peak = 0
        # Held here, so that their addresses are not used again.
        self._own = [t.untyped_storage() for p in module.parameters() for t in (p, p.grad) if t is not None]
        self._held = {storage._cdata for storage in self._own}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self._see(tensor.untyped_storage())
        return out

    def _see(self, storage: torch.UntypedStorage) -> None:
        # A view shares the storage of its tensor.
        if (key := storage._cdata) in self._held:
            return
        size = storage.nbytes()
        self._held.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self._held.discard(key)
        self.now -= size


class RealIndices(TorchDispatchMode):
    """Inside :class:`FakeTensorMode`, keeps small tensors of whole numbers real: their data decides shapes.

    Token ids, masks and the grids of pictures are such tensors: a vision tower cuts its input by them.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
        made = kwargs.get("dtype") or (torch.long if func in _WHOLE else torch.float32)
        real = all(_is_index(t) for t in tensors) if tensors else not made.is_floating_point
        if not real:
            if func in _INDEXING:
                args = (args[0], _places(args[1]), *args[2:])
            return func(*args, **kwargs)
        with unset_fake_temporarily():
            return func(*args, **kwargs)


_WHOLE = (torch.ops.aten.arange.default, torch.ops.aten.arange.start, torch.ops.aten.arange.start_step)
"""Operations that make whole numbers unless told otherwise."""
_INDEXING = (
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default,
    torch.ops.aten._index_put_impl_.default,
)


def _places(indices: Sequence[torch.Tensor | None]) -> list[torch.Tensor | None]:
    """Indices with the places that real masks choose in place of these masks."""
    found: list[torch.Tensor | None] = []
    for index in indices:
        if index is None or index.dtype is not torch.bool or not _is_index(index):
            found.append(index)
        else:
            with unset_fake_temporarily():
                found += index.nonzero().unbind(1)
    return found


_SMALL = 2**20
"""Numbers in a tensor that is kept real."""
_SMALL_FLOAT = 2**12
"""Likewise of fractions, which positions on a grid pass through."""


def _is_index(tensor: torch.Tensor) -> bool:
    small = _SMALL_FLOAT if tensor.is_floating_point() else _SMALL
    return not isinstance(tensor, FakeTensor) and tensor.numel() <= small


class Operations(TorchDispatchMode):
    """Counts the floating-point operations of matrix products, convolutions and attention inside the context.

    The formulas are those of ``torch.utils.flop_counter``, whose own counter keeps layers from being recomputed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        packet = func._overloadpacket
        if packet in _ATTENTION:
            self.total += _ATTENTION[packet](*(t.shape for t in args if isinstance(t, torch.Tensor)))
        elif packet in flop_registry:
            self.total += flop_registry[packet](*args, **kwargs, out_val=out)
        return out


_ATTENTION: dict[Any, Callable[..., int]] = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda query, key, value, *more: sdpa_flop_count(
        query, key, value
    ),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda grad, query, key, value, *more: sdpa_backward_flop_count(grad, query, key, value)
    ),
}
"""Attention as a CPU computes it, which torch has no formula for."""


def count(
    make: Callable[[torch.dtype], PreTrainedModel],
    config: SFTConfig | RLConfig,
    rows: Rows,
    gathered: bool = False,
    sampled: Rows | None = None,
    sampling: torch.dtype = torch.float32,
) -> Counted:
    """Count a training step of stage ``sft`` or ``rl``.

    Args:
        make: builds the model, in a precision, on the device that is active.
        rows: the micro-batch of the step.
        gathered: the weights are those that FSDP2 gathers: in bf16 if ``precision`` is.
        sampled: the prompts that are read side by side before answers are sampled.
        sampling: the precision that they are read in.
    """
    half = config.precision == "bf16"
    reached: set[nn.Parameter] = set()
    with torch.device("meta"):
        player = make(sampling) if sampled else None
        model = make(torch.bfloat16 if gathered and half else torch.float32)
        model = prepare_parameters(model, config.lora, config.freeze, base="")
    pictured = bool(rows.pictures)
    with FakeTensorMode(allow_non_fake_inputs=True), RealIndices() if pictured else nullcontext():
        read, reading = Operations(), 0
        if player and sampled:
            with read if pictured else nullcontext():
                player = _fake(player)
                if pictured:
                    mend(player)
                reading = _read(player, sampled)
        model = _fake(model)
        if pictured:
            mend(model)
        if config.activation_checkpointing:
            checkpoint_activations(model)
        head = (
            ValueHead(forward.output_layer(model).weight.shape[1])
            if config.stage == "rl" and config.has_critic
            else None
        )
        model.train(config.stage == "sft")
        moving = list(trainable(model).values())
        for parameter in moving:
            # As in every micro-batch but the first of a step, to which gradients are added.
            parameter.grad = torch.empty_like(parameter)
            parameter.register_post_accumulate_grad_hook(reached.add)
        learn = Operations()
        with learn if pictured else nullcontext(), LiveBytes(model) as live:
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                loss = _loss(model, head, rows, config)
            loss.backward()
    return Counted(
        sum(p.numel() for p in model.parameters()),
        sum(p.numel() for p in moving),
        sum(p.numel() for p in reached),
        sum(p.numel() * p.element_size() for p in reached),
        live.peak,
        reading,
        learn.total / rows.rows,
        read.total / sampled.rows if sampled else 0.0,
    )


def _fake(model: PreTrainedModel) -> PreTrainedModel:
    """A model on the meta device with fake tensors in place of its own; what was tied or frozen stays so.

    Models are not built of fake tensors at once, because PEFT moves modules, which these do not allow.
    """
    made: dict[int, torch.Tensor] = {}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and id(parameter) not in made:
                empty = torch.empty(parameter.shape, dtype=parameter.dtype)
                made[id(parameter)] = nn.Parameter(empty, requires_grad=parameter.requires_grad)
            module._parameters[name] = None if parameter is None else made[id(parameter)]
        for name, buffer in module._buffers.items():
            module._buffers[name] = None if buffer is None else torch.empty(buffer.shape, dtype=buffer.dtype)
    return model


def _read(model: PreTrainedModel, prompts: Rows) -> int:
    """The most bytes that are live while prompts are read side by side."""
    model.eval()
    with LiveBytes(model) as live, torch.no_grad():
        out = model(**_batch(model, prompts), use_cache=True, logits_to_keep=1)
    del out
    return live.peak


def _batch(model: PreTrainedModel, rows: Rows) -> dict[str, torch.Tensor]:
    """What the forward pass takes: ids, a mask, and the tensors of pictures."""
    ids_BT = torch.zeros((rows.rows, rows.tokens), dtype=torch.long)
    mask_BT = torch.ones_like(ids_BT)
    if not rows.pictures:
        return {"input_ids": ids_BT, "attention_mask": mask_BT}
    for picture in rows.pictures:
        ids_BT[:, slice(*picture.span)] = image_token_id(model.config)
    # A batch has padding, without which a model takes another way through attention.
    mask_BT[0, -1] = 0
    pictures = tuple(replace(p, inputs={k: _like(t) for k, t in p.inputs.items()}) for p in rows.pictures)
    shown = picture_inputs(model, ids_BT, [pictures] * rows.rows)
    return {"input_ids": ids_BT, "attention_mask": mask_BT, **shown}


def _like(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor without data in place of one with some; whole numbers stay."""
    return torch.empty(tensor.shape, dtype=tensor.dtype) if tensor.is_floating_point() else tensor


def _loss(model: PreTrainedModel, head: ValueHead | None, rows: Rows, config: SFTConfig | RLConfig) -> torch.Tensor:
    """The forward pass of ``Policy`` or ``Predictor``, with the first hidden states as the chosen ones.

    Which tokens carry loss is data, which fake tensors do not have.
    """
    language = forward.language_model(model)
    out = language.base_model(**_batch(language, rows), use_cache=False)
    hidden_ND = out.last_hidden_state.flatten(0, 1)[: rows.chosen]
    token_N = torch.zeros(len(hidden_ND), dtype=torch.long)
    if config.stage == "sft":
        return F.cross_entropy(forward.logits(model, hidden_ND), token_N, reduction="sum")
    logp_N, entropy_N = forward.log_probs(model, hidden_ND, token_N)
    loss = (logp_N + entropy_N).sum()
    if head is not None:
        seen_ND = hidden_ND.detach() if config.critic == "detached" else hidden_ND
        loss = loss + head(seen_ND.float()).sum()
    return loss
