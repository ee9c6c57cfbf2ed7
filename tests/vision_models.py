"""Tiny random vision models of each family, saved with the family's own processor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.mllama.image_processing_pil_mllama import MllamaImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from labkit.models.loader import _for_pictures
from labkit.models.vision import part_of
from tests.tiny_models import TEXTS, text_config

TOWER = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 56,
    "patch_size": 14,
}
_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}PICTURE{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def words(picture: str, **special: str) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with a family's special tokens.

    Args:
        picture: what the chat template writes for a picture.
    """
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    first = ["<|pad|>", "<|eos|>", "<|bos|>", "<|im_start|>", "<|im_end|>", *special.values()]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=first, initial_alphabet=alphabet, show_progress=False)
    core.train_from_iterator([*TEXTS] * 20, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        chat_template=_CHAT.replace("PICTURE", picture),
        pad_token="<|pad|>",
        eos_token="<|eos|>",
        bos_token="<|bos|>",
        extra_special_tokens=special,
    )


def _text(**changes: Any) -> dict[str, Any]:
    return text_config(max_position_embeddings=1024, **changes)


def llava(path: Path) -> Any:
    own = words("<image>", image_token="<image>")
    config = transformers.LlavaConfig(
        text_config={"model_type": "llama", **_text()},
        vision_config={"model_type": "clip_vision_model", **TOWER},
        image_token_index=own.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        image_seq_length=16,
    )
    images = CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56})
    processor = transformers.LlavaProcessor(
        images,
        own,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=own.chat_template,
    )
    return _saved(path, transformers.LlavaForConditionalGeneration, config, processor)


def _idefics(path: Path, kind: Any, config: Any, images: Any) -> Any:
    own = words(
        "<image>",
        image_token="<image>",
        fake_image_token="<fake_token_around_image>",
        global_image_token="<global-img>",
        end_of_utterance_token="<end_of_utterance>",
        row_1_col_1="<row_1_col_1>",
    )
    config = config(
        text_config={"model_type": "llama", **_text()},
        vision_config=TOWER,
        scale_factor=2,
        image_token_id=own.convert_tokens_to_ids("<image>"),
        pad_token_id=0,
    )
    # Pictures wider or higher than a tile are cut into tiles, and a small copy of the whole follows.
    images = images(size={"longest_edge": 112}, max_image_size={"longest_edge": 56})
    processor = transformers.Idefics3Processor(images, own, image_seq_len=4, chat_template=own.chat_template)
    return _saved(path, kind, config, processor)


def idefics3(path: Path) -> Any:
    kind = transformers.Idefics3ForConditionalGeneration
    return _idefics(path, kind, transformers.Idefics3Config, Idefics3ImageProcessorPil)


def smolvlm(path: Path) -> Any:
    kind = transformers.SmolVLMForConditionalGeneration
    return _idefics(path, kind, transformers.SmolVLMConfig, SmolVLMImageProcessorPil)


def gemma3(path: Path) -> Any:
    own = words(
        "<start_of_image>",
        image_token="<image_soft_token>",
        boi_token="<start_of_image>",
        eoi_token="<end_of_image>",
    )
    config = transformers.Gemma3Config(
        text_config=_text(sliding_window=512),
        vision_config={"model_type": "siglip_vision_model", **TOWER},
        mm_tokens_per_image=4,
        image_token_id=own.convert_tokens_to_ids("<image_soft_token>"),
        boi_token_index=own.convert_tokens_to_ids("<start_of_image>"),
        eoi_token_index=own.convert_tokens_to_ids("<end_of_image>"),
    )
    images = Gemma3ImageProcessorPil(size={"height": 56, "width": 56})
    processor = transformers.Gemma3Processor(images, own, chat_template=own.chat_template, image_seq_length=4)
    return _saved(path, transformers.Gemma3ForConditionalGeneration, config, processor)


def _qwen(path: Path, kind: Any, config: Any, vision: dict[str, Any], patch: int) -> Any:
    own = words(
        "<|vision_start|><|image_pad|><|vision_end|>",
        image_token="<|image_pad|>",
        video_token="<|video_pad|>",
        vision_start="<|vision_start|>",
        vision_end="<|vision_end|>",
    )
    ids = {
        f"{name}_token_id": own.convert_tokens_to_ids(token)
        for name, token in {
            "image": "<|image_pad|>",
            "video": "<|video_pad|>",
            "vision_start": "<|vision_start|>",
            "vision_end": "<|vision_end|>",
        }.items()
    }
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}
    settings = config(text_config=_text(rope_parameters=rope), vision_config=vision, **ids)
    images = Qwen2VLImageProcessorPil(
        size={"shortest_edge": 4 * patch**2, "longest_edge": (4 * patch) ** 2}, patch_size=patch
    )
    name = {"qwen2_5_vl": "Qwen2_5_VLProcessor", "qwen3_vl": "Qwen3VLProcessor"}[settings.model_type]
    processor = _for_pictures(name, settings.model_type)(images, own, chat_template=own.chat_template)
    return _saved(path, kind, settings, processor)


QWEN_TOWER = {"depth": 2, "hidden_size": 16, "intermediate_size": 24, "num_heads": 2, "out_hidden_size": 32}


def qwen2_5_vl(path: Path) -> Any:
    vision = {**QWEN_TOWER, "patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1]}
    return _qwen(path, transformers.Qwen2_5_VLForConditionalGeneration, transformers.Qwen2_5_VLConfig, vision, patch=14)


def qwen3_vl(path: Path) -> Any:
    vision = {**QWEN_TOWER, "patch_size": 16, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
    return _qwen(path, transformers.Qwen3VLForConditionalGeneration, transformers.Qwen3VLConfig, vision, patch=16)


def mllama(path: Path) -> Any:
    own = words("<|image|>", image_token="<|image|>")
    text = _text(num_hidden_layers=3, cross_attention_layers=[1])
    del text["head_dim"]
    tower = {k: v for k, v in TOWER.items() if k != "num_attention_heads"}
    config = transformers.MllamaConfig(
        text_config={**text, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}},
        vision_config={
            **tower,
            "image_size": 28,
            "num_global_layers": 1,
            "attention_heads": 2,
            "max_num_tiles": 4,
            "intermediate_layers_indices": [0],
            "vision_output_dim": 32,
        },
        image_token_index=own.convert_tokens_to_ids("<|image|>"),
    )
    images = MllamaImageProcessorPil(size={"height": 28, "width": 28}, max_image_tiles=4)
    processor = transformers.MllamaProcessor(images, own, chat_template=own.chat_template)
    return _saved(path, transformers.MllamaForConditionalGeneration, config, processor)


def _saved(path: Path, kind: Any, config: Any, processor: Any) -> Path:
    torch.manual_seed(0)
    model = kind(config).eval()
    with torch.no_grad():
        # Far from flat, so that a wrong mask, position or picture shows; and what starts at zero is opened.
        for name, weight in model.named_parameters():
            if weight.ndim > 1 and "norm" not in name:
                # A picture is to matter as much as words do.
                weight.normal_(std={"connector": 2.0}.get(part_of(name), 0.5 if "lm_head" in name else 0.2))
            elif "gate" in name and weight.ndim <= 1:
                weight.fill_(1.0)
    model.save_pretrained(path)
    processor.save_pretrained(path)
    return path


FAMILIES: dict[str, Callable[[Path], Path]] = {
    "llava": llava,
    "idefics3": idefics3,
    "smolvlm": smolvlm,
    "gemma3": gemma3,
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
    "mllama": mllama,
}
