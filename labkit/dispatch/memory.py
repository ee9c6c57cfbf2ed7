"""The memory of a training step, counted without weights: the step itself, run on tensors that have no data.

PyTorch's fake tensors have a shape and a type, and every operation on them says what it would allocate. So the bytes
are those of the real forward and backward pass (casts to bf16, recomputed layers, logits and all), also of a model
that no machine at hand could hold.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from labkit.models import forward
from labkit.models.policy import ValueHead
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
    with FakeTensorMode(allow_non_fake_inputs=True):
        reading = _read(_fake(player), sampled) if player and sampled else 0
        model = _fake(model)
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
        with LiveBytes(model) as live:
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
    ids_BT = torch.zeros((prompts.rows, prompts.tokens), dtype=torch.long)
    model.eval()
    with LiveBytes(model) as live, torch.no_grad():
        out = model(input_ids=ids_BT, attention_mask=torch.ones_like(ids_BT), use_cache=True, logits_to_keep=1)
    del out
    return live.peak


def _loss(model: PreTrainedModel, head: ValueHead | None, rows: Rows, config: SFTConfig | RLConfig) -> torch.Tensor:
    """The forward pass of ``Policy`` or ``Predictor``, with the first hidden states as the chosen ones.

    Which tokens carry loss is data, which fake tensors do not have.
    """
    ids_BT = torch.zeros((rows.rows, rows.tokens), dtype=torch.long)
    trunk = forward.language_model(model).base_model
    out = trunk(input_ids=ids_BT, attention_mask=torch.ones_like(ids_BT), use_cache=False)
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
