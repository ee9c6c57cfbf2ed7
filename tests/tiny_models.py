"""Tiny random models and a small real tokenizer, saved where a test wants them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from labkit.models.tiny import Shape, build_model, build_tokenizer

CHATML = (
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHATML_PARTS = CHATML.replace(
    "{{ message['content'] }}", "{% for part in message['content'] %}{{ part['text'] }}{% endfor %}"
)
SPECIAL = ["<|pad|>", "<|eos|>", "<|im_start|>", "<|im_end|>", "<image>"]
TEXTS = [
    'Make 24 from four cards. Cards: 3, 3, 8, 8\nAnswer in JSON with "cards", "number" and "formula".',
    '{"cards": ["K", "3", "8", "J"], "number": [10, 3, 8, 10], "formula": "(10-3)*8-10=24"}',
    "The formula does not use the cards as they count. Try again.",
]


def tokenizer(template: str = CHATML, texts: Sequence[str] = TEXTS) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer. Its end token is ``<|eos|>``; the template ends turns by ``<|im_end|>``."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator([*texts] * 20, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, chat_template=template, pad_token=SPECIAL[0], eos_token=SPECIAL[1]
    )


def text_config(**changes: Any) -> dict[str, Any]:
    """Settings that every family of text models takes."""
    return {
        "vocab_size": 512,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "max_position_embeddings": 512,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 1,
        **changes,
    }


def llama(seed: int = 0, **changes: Any) -> transformers.LlamaForCausalLM:
    """A Llama whose distributions are far from flat, so that a wrong mask or position shows."""
    return _sharpened(transformers.LlamaForCausalLM, transformers.LlamaConfig(**text_config(**changes)), seed)


def qwen3(seed: int = 0, **changes: Any) -> transformers.Qwen3ForCausalLM:
    return _sharpened(transformers.Qwen3ForCausalLM, transformers.Qwen3Config(**text_config(**changes)), seed)


def gemma3_text(seed: int = 0, **changes: Any) -> transformers.Gemma3ForCausalLM:
    """Layers that look back 8 tokens only, alternating with full attention."""
    settings = text_config(sliding_window=8, layer_types=["sliding_attention", "full_attention"], **changes)
    return _sharpened(transformers.Gemma3ForCausalLM, transformers.Gemma3TextConfig(**settings), seed)


def idefics3(seed: int = 0) -> transformers.Idefics3ForConditionalGeneration:
    config = transformers.Idefics3Config(
        text_config={"model_type": "llama", **text_config()},
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 14,
        },
        scale_factor=2,
        image_token_id=4,
        pad_token_id=0,
    )
    return _sharpened(transformers.Idefics3ForConditionalGeneration, config, seed)


def mllama(seed: int = 0) -> transformers.MllamaForConditionalGeneration:
    """Cross-attention layers, which text alone never reaches."""
    text = text_config(num_hidden_layers=3, cross_attention_layers=[1])
    del text["head_dim"]
    config = transformers.MllamaConfig(
        text_config={**text, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}},
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_hidden_layers": 1,
            "num_global_layers": 1,
            "attention_heads": 2,
            "image_size": 28,
            "patch_size": 14,
            "max_num_tiles": 1,
            "supported_aspect_ratios": [[1, 1]],
            "intermediate_layers_indices": [0],
            "vision_output_dim": 32,
        },
        image_token_index=4,
    )
    return _sharpened(transformers.MllamaForConditionalGeneration, config, seed)


def _sharpened(kind: Any, config: Any, seed: int) -> Any:
    torch.manual_seed(seed)
    model = kind(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1 and "vision" not in name:
                weight.mul_(24 if "lm_head" in name else 8)
    return model


def save(path: Path, model: Any, words: PreTrainedTokenizerFast | None = None) -> Path:
    """A checkpoint's directory; without a tokenizer where none is given."""
    model.save_pretrained(path)
    if words is not None:
        words.save_pretrained(path)
    return path


def save_adapter(path: Path, base: Path) -> Path:
    """A LoRA adapter, of rank 4 on q and v, that changes what a saved model says."""
    import peft

    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    adapted = peft.get_peft_model(model, config)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.5)
    adapted.save_pretrained(path)
    return path


def trainable(folder: Path) -> Path:
    """The smallest model that can be trained on a game, for runs in other processes."""
    words = build_tokenizer(["cards make 24 and 7"] * 50, 300)
    made = build_model(Shape(vocabulary=300, hidden=8, layers=1, heads=1, feed_forward=8, context=2048), words, 0)
    made.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
