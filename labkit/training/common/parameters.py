"""Trained parameters (LoRA, frozen parts) and the initial policy; used by every trainer.

``requires_grad`` is the only record of which parameters are trained. Optimizers, saved states and checkpoints read it.
"""

from __future__ import annotations

import copy
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field, field_validator
from torch import nn
from torch.distributed.tensor import DTensor

from labkit.config import Config
from labkit.errors import UsageError
from labkit.models.files import first_line
from labkit.models.vision import PARTS, Part, part_of
from labkit.progress import no_bars
from labkit.training.common.distributed import full_tensor

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin

FROZEN = (*PARTS, "embeddings")
"""Parts of a model that ``freeze`` knows: those of :data:`labkit.models.vision.PARTS`, and the language model's token
embeddings, with the output head if tied."""

_ADAPTER, _INITIAL = "default", "initial"


class LoRA(Config):
    """Low-rank adapters, trained instead of the model's weights (Hu et al. 2021, arXiv 2106.09685)."""

    rank: int = Field(16, ge=1)
    alpha: float = Field(32.0, gt=0)
    """The adapters' product is scaled by ``alpha / rank``."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout of the adapters' input."""
    target_modules: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    """Names of the layers that get adapters, such as ``[q_proj, v_proj]``; ``all-linear`` is all but the output
    head."""

    @field_validator("target_modules", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if isinstance(value, str) and value != "all-linear":
            names = ", ".join(name.strip() for name in value.split(","))
            raise ValueError(f"write a list, [{names}], or all-linear")
        return value


def prepare_parameters(
    model: PreTrainedModel,
    lora: LoRA | None = None,
    freeze: Sequence[str] = (),
    *,
    seed: int = 0,
    base: str | None = None,
) -> PreTrainedModel:
    """Mark the parameters that are trained with ``requires_grad``.

    If the model was loaded as an adapter and ``lora`` is given, that adapter is trained further, with the dropout set
    there. Without ``lora`` it is merged into the weights, and all of them are trained.

    Args:
        model: changed in place.
        lora: train adapters, and nothing else.
        freeze: names in :data:`FROZEN`, or patterns of parameter names such as ``model.layers.0.*``. Frozen parts get
            no adapters.
        seed: of the adapters' initial weights.
        base: the name of the base model in the adapter's config; by default its hub id if it is in the local cache,
            else its absolute path.

    Returns:
        The model to train: with new adapters, a ``PeftModel`` around ``model``.

    Raises:
        UsageError: a name or pattern matches nothing, no layer matches ``target_modules``, no parameter is left to
            train, or the adapter that was loaded has another shape than ``lora``.
    """
    loaded = _adapter_of(model)
    if loaded is not None and lora is None:
        model = loaded.merge_and_unload().requires_grad_(True)
    frozen = _frozen(model, freeze)
    if loaded is not None and lora is not None:
        _check_same(loaded, lora)
        loaded.set_adapter(_ADAPTER)
        _set_dropout(loaded, lora.dropout)
    elif lora is not None:
        model = _with_adapter(model, lora, frozen, seed, base or _base_name(model))
    for name, parameter in model.named_parameters():
        if _plain(name) in frozen:
            parameter.requires_grad_(False)
    if not trainable(model):
        raise UsageError(f"freeze: nothing is left to train with {', '.join(freeze)}")
    return model


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The trained parameters, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def learning_rates(model: nn.Module, lr: float, part_lr: Mapping[Part, float]) -> list[dict[str, Any]]:
    """The trained parameters in groups of one peak learning rate, as ``lr`` and ``peak``, for an optimizer.

    Args:
        part_lr: the rates of parts of the model (:data:`labkit.models.vision.PARTS`) that have one of their own.

    Raises:
        UsageError: no trained parameter belongs to such a part.
    """
    own: dict[Part, list[nn.Parameter]] = {part: [] for part in part_lr}
    rest: list[nn.Parameter] = []
    for name, parameter in trainable(model).items():
        own.get(part_of(_plain(name)), rest).append(parameter)
    for part, found in own.items():
        if not found:
            raise UsageError(f"part_lr: nothing of {part} is trained; leave it out, or do not freeze it")
    groups = [(rest, lr), *((found, part_lr[part]) for part, found in own.items())]
    return [{"params": found, "lr": rate, "peak": rate} for found, rate in groups if found]


class InitialPolicy:
    """The policy before the first update, for KL terms.

    For a model with new adapters it is the same model with the adapter disabled, which takes no memory. If training
    started from an adapter, a frozen copy of that adapter is enabled instead. For a model without adapters it is a
    frozen copy, which shares the parameters that are not trained.

    Args:
        model: the language model, or a module that holds it, before the first update.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model, self._adapted = model, _adapter_of(model)
        if self._adapted is None:
            shared = {id(p): p for p in model.parameters() if not p.requires_grad}
            self._model = copy.deepcopy(model, shared).requires_grad_(False)
        elif _moved(self._adapted):
            _copy_adapter(self._adapted)

    @contextmanager
    def active(self) -> Iterator[nn.Module]:
        """Context in which the yielded module is the initial policy, in evaluation mode and without gradients."""
        modes = [(module, module.training) for module in self._model.modules()]
        self._model.eval()
        try:
            with torch.no_grad(), self._switched():
                yield self._model
        finally:
            for module, mode in modes:
                module.training = mode

    @contextmanager
    def _switched(self) -> Iterator[None]:
        if self._adapted is None:
            yield
            return
        # PEFT resets `requires_grad` when an adapter is enabled, disabled or replaced.
        required = [(p, p.requires_grad) for p in self._adapted.parameters()]
        copied = _INITIAL in self._adapted.peft_config
        try:
            if copied:
                self._adapted.set_adapter(_INITIAL)
                yield
            else:
                with self._adapted.disable_adapter():
                    yield
        finally:
            if copied:
                self._adapted.set_adapter(_ADAPTER)
            for parameter, requires_grad in required:
                parameter.requires_grad_(requires_grad)


def save_model(
    model: PreTrainedModel,
    processing_class: PreTrainedTokenizerBase | ProcessorMixin,
    folder: Path,
    weights: dict[str, torch.Tensor] | None = None,
) -> None:
    """Save a Hugging Face directory; for a model with adapters an adapter directory, which names its base model.

    Args:
        processing_class: the tokenizer; of a vision model the processor, which holds size and tiles of pictures too.
        weights: the :func:`full_state_dict` of a sharded model.
    """
    adapted = _adapter_of(model)
    if adapted is None:
        with no_bars():
            model.save_pretrained(folder, state_dict=weights)
    else:
        adapted.save_pretrained(folder, selected_adapters=[_ADAPTER], save_embedding_layers=False, state_dict=weights)
        # PEFT's model card is a form to fill in, with only the base's name in it.
        (folder / "README.md").unlink(missing_ok=True)
    processing_class.save_pretrained(folder)
    # The library of safetensors makes files that only their owner can read.
    for file in folder.glob("*.safetensors"):
        shutil.copymode(folder / "tokenizer_config.json", file)


def full_state_dict(model: nn.Module) -> dict[str, torch.Tensor] | None:
    """The gathered weights of a sharded model (FSDP2); None for any other. All processes must call it."""
    weights = model.state_dict(keep_vars=True)
    if not any(isinstance(weight, DTensor) for weight in weights.values()):
        return None
    # Tied weights stay tied.
    found = {id(weight): weight for weight in weights.values()}
    found = {key: full_tensor(weight.detach()) for key, weight in found.items()}
    return {name: found[id(weight)] for name, weight in weights.items()}


def _adapter_of(model: nn.Module) -> PeftModel | None:
    from peft import PeftModel

    return next((module for module in model.modules() if isinstance(module, PeftModel)), None)


def _plain(name: str) -> str:
    """A parameter's name without adapters; an adapter's parameters get the name of their layer's weight."""
    name = name.removeprefix("base_model.model.").replace(".base_layer.", ".")
    return re.sub(r"\.lora_\w+\.\w+(\.weight)?$", ".weight", name)


def _frozen(model: nn.Module, freeze: Sequence[str]) -> set[str]:
    """Plain names of the frozen parameters."""
    words = model.get_input_embeddings().weight
    names = {_plain(name) for name, _ in model.named_parameters()}
    found: set[str] = set()
    for wanted in freeze:
        if wanted == "embeddings":
            fitting = {_plain(name) for name, p in model.named_parameters() if p is words}
        elif wanted in PARTS:
            fitting = {n for n in names if part_of(n) == wanted}
        else:
            fitting = {n for n in names if fnmatchcase(n, wanted)}
        if not fitting:
            parts = [p for p in FROZEN if p == "embeddings" or any(part_of(n) == p for n in names)]
            hint = f"name {', '.join(parts)}, or a pattern of its parameters"
            raise UsageError(f"freeze: the model has no {wanted}; {hint}")
        found |= fitting
    return found


def _with_adapter(model: PreTrainedModel, lora: LoRA, frozen: set[str], seed: int, base: str) -> PeftModel:
    import peft

    wanted = lora.target_modules
    config = peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=wanted if isinstance(wanted, str) else list(wanted),
        exclude_modules=[name.removesuffix(".weight") for name in sorted(frozen)],
        task_type="CAUSAL_LM",
    )
    # PEFT warns about excluded layers that would not have got an adapter anyway.
    with torch.random.fork_rng(devices=()), warnings.catch_warnings(action="ignore"):
        torch.manual_seed(seed)
        try:
            adapted = peft.get_peft_model(model, config, adapter_name=_ADAPTER)
        except ValueError as error:
            raise UsageError(f"lora: {first_line(error)}") from None
    adapted.peft_config[_ADAPTER].base_model_name_or_path = base
    return adapted


def _base_name(model: PreTrainedModel) -> str:
    """The hub id of a model in the local cache, or a model's absolute path."""
    path = Path(model.name_or_path)
    hub = next((part for part in path.parts if part.startswith("models--")), None)
    if hub and "snapshots" in path.parts:
        return "/".join(hub.split("--", 2)[1:])
    return str(path.resolve())


def _check_same(adapted: PeftModel, lora: LoRA) -> None:
    import peft

    config = adapted.peft_config[_ADAPTER]
    if not isinstance(config, peft.LoraConfig):
        raise UsageError(f"the adapter to start from is {config.peft_type.value}, not LoRA; leave lora out to merge it")
    if (config.r, config.lora_alpha) != (lora.rank, lora.alpha):
        raise UsageError(
            f"the adapter to start from has lora.rank {config.r} and lora.alpha {config.lora_alpha}; "
            "set these, or leave lora out to merge it"
        )


def _set_dropout(adapted: PeftModel, dropout: float) -> None:
    from peft.tuners.lora import LoraLayer

    adapted.peft_config[_ADAPTER].lora_dropout = dropout
    for layer in adapted.modules():
        if isinstance(layer, LoraLayer) and _ADAPTER in layer.lora_dropout:
            layer.lora_dropout[_ADAPTER] = nn.Dropout(dropout) if dropout else nn.Identity()


def _moved(adapted: PeftModel) -> bool:
    """Whether the adapter is trained: in a new one one of the two factors is zero."""
    return any(p.any().item() for n, p in adapted.named_parameters() if "lora_B" in n or "lora_embedding_B" in n)


def _copy_adapter(adapted: PeftModel) -> None:
    import peft

    moving = set(trainable(adapted))
    adapted.add_adapter(_INITIAL, copy.deepcopy(adapted.peft_config[_ADAPTER]))
    weights = peft.get_peft_model_state_dict(adapted, adapter_name=_ADAPTER, save_embedding_layers=False)
    peft.set_peft_model_state_dict(adapted, weights, adapter_name=_INITIAL)
    for name, parameter in adapted.named_parameters():
        parameter.requires_grad_(name in moving)
