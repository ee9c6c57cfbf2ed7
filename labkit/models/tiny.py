"""The tiny foundation model: a tokenizer and a Llama, both from scratch.

Both are standard Hugging Face parts (a byte-level BPE tokenizer, ``LlamaForCausalLM``), so what works on them works on
a real checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from pydantic import Field
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from labkit.config import Config

_MARKS = r"[^\s\p{L}\p{N}+\-*/()=]+"
_PIECES = (
    rf" ?{_MARKS}(?: {_MARKS})* ?"  # marks with the spaces around them: `", "` is one token, and K stays K
    r"|[+\-*/()=]"  # operators never merge: a formula is read symbol by symbol
    r"| ?\p{L}+"
    r"|\p{N}{1,2}"  # 0 to 99 are one token each
    r"|\s+"
)
_SPECIAL = {"pad_token": "<|pad|>", "bos_token": "<|begin|>", "eos_token": "<|end|>"}
TEXT = "{{ message['content'] }}"
"""Where the chat template writes a message's text."""
TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}"
    "<|assistant|>{% generation %}" + TEXT + "<|end|>{% endgeneration %}"
    "{% else %}"
    "<|user|>" + TEXT + "<|end|>"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


class Shape(Config):
    """Size of the model."""

    vocabulary: int = Field(1024, ge=300)
    """Tokens, the 256 bytes and the special ones included."""
    hidden: int = Field(128, ge=8)
    layers: int = Field(4, ge=1)
    heads: int = Field(4, ge=1)
    feed_forward: int = Field(352, ge=8)
    context: int = Field(1024, ge=64)
    """Longest dialogue, in tokens."""


def build_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer with a chat template on ``texts``."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[*_SPECIAL.values(), "<|user|>", "<|assistant|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # Every number from 0 to 99 is a token, however rare it is in the texts.
    core.train_from_iterator([*texts, *(f"{n} " * 50 for n in range(100))], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, chat_template=TEMPLATE, **_SPECIAL)


def build_model(shape: Shape, tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """A Llama with random weights."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=shape.hidden,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.heads,
            intermediate_size=shape.feed_forward,
            max_position_embeddings=shape.context,
            # The usual .02 is for widths of thousands: at 128 it leaves attention flat, and copying is learnt late.
            initializer_range=0.06,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            # On CPUs plain attention is faster than the fused one at these sizes.
            attn_implementation="eager",
        )
    )
