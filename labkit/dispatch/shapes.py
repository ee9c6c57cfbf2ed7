"""What a model looks like, without its weights: for planning a run of a model that is not on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.errors import UsageError
from labkit.models import files
from labkit.players.registry import resolve_checkpoint
from labkit.runs import store

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

_LLAMA_32_VISION_11B = ("mllama", {"vision_config": {"image_size": 560}})
_QWEN_25_VL_7B = (
    "qwen2_5_vl",
    {
        "text_config": {
            "hidden_size": 3584,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "intermediate_size": 18944,
            "vocab_size": 152064,
            "tie_word_embeddings": False,
        },
        "vision_config": {
            "depth": 32,
            "hidden_size": 1280,
            "intermediate_size": 3420,
            "out_hidden_size": 3584,
            "num_heads": 16,
        },
    },
)
_QWEN_3_VL_8B = (
    "qwen3_vl",
    {
        "text_config": {
            "hidden_size": 4096,
            "num_hidden_layers": 36,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "intermediate_size": 12288,
            "vocab_size": 151936,
        },
        "vision_config": {
            "depth": 27,
            "hidden_size": 1152,
            "intermediate_size": 4304,
            "out_hidden_size": 4096,
            "num_heads": 16,
            "deepstack_visual_indexes": [8, 16, 24],
        },
    },
)

SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "meta-llama/Llama-3.2-11B-Vision-Instruct": _LLAMA_32_VISION_11B,
    **dict.fromkeys(
        (f"tianzhechu/{name}" for name in ("GP-L-Init", "GP-VL-Init", "VIRL-L-Init", "VIRL-VL-Init", "GP-L-RL20")),
        _LLAMA_32_VISION_11B,
    ),
    "Qwen/Qwen2.5-VL-7B-Instruct": _QWEN_25_VL_7B,
    "Qwen/Qwen3-VL-8B-Instruct": _QWEN_3_VL_8B,
}
"""Hub ids whose shape is known here: transformers' ``model_type`` and the settings that are not its defaults. The
source is each model's ``config.json`` on the hub; the number of parameters is checked against the hub's."""


def shape_of(model: str, runs: str | Path = store.ROOT) -> PretrainedConfig:
    """The transformers config of a model, from its folder, the local cache of the hub, or :data:`SHAPES`.

    Raises:
        UsageError: there is no such model, or its shape is not known here.
    """
    from transformers import AutoConfig

    place = resolve_checkpoint(model, runs=runs)
    if isinstance(place, Path):
        adapter = place / files.ADAPTER
        root = shape_of(files.read_json(adapter)["base_model_name_or_path"], runs) if adapter.is_file() else None
        return root or AutoConfig.from_pretrained(place, local_files_only=True)
    if place in SHAPES:
        kind, settings = SHAPES[place]
        return AutoConfig.for_model(kind, **settings)
    try:
        return AutoConfig.from_pretrained(place, local_files_only=True)
    except OSError:
        known = ", ".join(SHAPES)
        raise UsageError(
            f"the shape of {model} is not known here; fetch its config.json into a folder and name that, or plan with "
            f"one of {known}"
        ) from None


def build(config: PretrainedConfig, dtype: torch.dtype) -> PreTrainedModel:
    """A model of this shape: on the device, and in the mode, that is active (``meta``, or fake tensors)."""
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    auto = AutoModelForImageTextToText if _sees(config) else AutoModelForCausalLM
    return auto.from_config(config, dtype=dtype)


def tokenizer_of(model: str, runs: str | Path = store.ROOT) -> tuple[PreTrainedTokenizerBase, bool] | None:
    """A model's own tokenizer, and whether its template takes a message as parts; None where it is not at hand."""
    from transformers import AutoTokenizer

    place = resolve_checkpoint(model, runs=runs)
    if not isinstance(place, Path):
        return None
    tokenizer = AutoTokenizer.from_pretrained(place, local_files_only=True)
    return (tokenizer, _sees(shape_of(model, runs))) if tokenizer.chat_template else None


def _sees(config: PretrainedConfig) -> bool:
    """Whether models of this kind take pictures."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    return config.model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
