"""The tiny vision-language model: a tower and a connector from scratch in front of a trained text model.

The layout is LLaVA's (Liu et al. 2023, "Visual instruction tuning", arXiv 2304.08485): a CLIP tower, two linear layers,
and the features of each patch in place of an image token. All parts are standard Hugging Face ones.
"""

from __future__ import annotations

import copy

import torch
from pydantic import Field, ValidationInfo, field_validator
from transformers import (
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerBase,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from labkit.config import Config
from labkit.errors import UsageError
from labkit.models import tiny, vision

IMAGE = "<image>"
_TEMPLATE = tiny.TEMPLATE.replace(
    tiny.TEXT,
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}" + IMAGE + "{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}",
)


class Tower(Config):
    """Size of the vision tower."""

    size: int = Field(128, ge=32)
    """Side in pixels of the square pictures that it reads."""
    patch: int = Field(16, ge=4)
    """Side in pixels of a patch; a patch is an image token."""
    hidden: int = Field(128, ge=8)
    layers: int = Field(2, ge=1)
    heads: int = Field(4, ge=1)
    feed_forward: int = Field(256, ge=8)

    @field_validator("patch")
    @classmethod
    def _whole_patches(cls, value: int, info: ValidationInfo) -> int:
        size = info.data.get("size", value)
        if size % value:
            raise ValueError(f"a picture of {size} pixels cannot be cut into patches of {value}")
        return value


def build(
    language: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, tower: Tower, seed: int
) -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """A vision-language model whose language part has the weights of ``language``, and its processor.

    Text gets the logits that it had: only a row for the image token is added to the embeddings.

    Raises:
        UsageError: the text model is no Llama with the chat marks of :mod:`labkit.models.tiny`.
    """
    if type(language) is not LlamaForCausalLM or "<|assistant|>" not in tokenizer.get_vocab():
        raise UsageError("a tower can be put in front of a tiny text model only; name one that labkit has pre-trained")
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.add_special_tokens({"extra_special_tokens": [IMAGE]})
    tokenizer.chat_template = _TEMPLATE
    torch.manual_seed(seed)
    text = language.config.to_dict() | {"vocab_size": len(tokenizer)}
    config = LlavaConfig(
        text_config=text,
        vision_config={
            "model_type": "clip_vision_model",
            "image_size": tower.size,
            "patch_size": tower.patch,
            "hidden_size": tower.hidden,
            "num_hidden_layers": tower.layers,
            "num_attention_heads": tower.heads,
            "intermediate_size": tower.feed_forward,
        },
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        image_seq_length=(tower.size // tower.patch) ** 2,
        vision_feature_layer=-1,
        tie_word_embeddings=language.config.tie_word_embeddings,
        # On CPUs plain attention is faster than the fused one at these sizes.
        attn_implementation="eager",
    )
    model = LlavaForConditionalGeneration(config)
    own, given = model.state_dict(), language.state_dict()
    with torch.no_grad():
        for name, weight in given.items():
            mine = own[name if name.startswith("lm_head") else f"model.language_model.{name.removeprefix('model.')}"]
            mine[: len(weight)] = weight
    vision.mend(model)
    images = CLIPImageProcessorPil(
        size={"shortest_edge": tower.size}, crop_size={"height": tower.size, "width": tower.size}
    )
    processor = LlavaProcessor(
        images,
        tokenizer,
        patch_size=tower.patch,
        # The tower's class token is no patch, and is left out.
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=_TEMPLATE,
    )
    return model.eval(), processor
