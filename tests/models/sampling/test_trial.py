"""Each model is sampled from its own distribution, at the highest level of reuse that allows it.

The right answers are those of full forward passes without cache, padding or drafts.
"""

import numpy as np
import pytest
import torch
import transformers

from labkit.errors import UsageError
from labkit.models.loader import load
from labkit.models.sampling.cache import PrefixCache
from labkit.models.sampling.decode import generate
from labkit.models.sampling.levels import Level
from labkit.models.sampling.trial import level_of
from tests import tiny_models

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
MIXED = ["linear_attention", "full_attention"] * 2

FAMILIES = {
    # Attention over a window that counts columns; a mask of holes moves it.
    "gpt_neo": (
        Level.PREFIXES,
        {
            "num_layers": 2,
            "attention_types": [[["global", "local"], 1]],
            "num_heads": 4,
            "window_size": 12,
            "hidden_size": 32,
            "max_position_embeddings": 512,
        },
    ),
    # Linear biases by column.
    "mpt": (Level.PREFIXES, {"d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 512}),
    "bloom": (Level.DRAFTS, {"hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "gpt2": (Level.DRAFTS, {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512}),
    # No ``past_key_values``: each step would see one token.
    "mamba": (Level.PLAIN, {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}),
    "rwkv": (
        Level.PLAIN,
        {"hidden_size": 32, "num_hidden_layers": 2, "attention_hidden_size": 32, "context_length": 512},
    ),
    # Recurrent layers between layers of attention.
    "lfm2": (Level.CACHED, {**SMALL, "layer_types": ["conv", "full_attention"] * 2, "block_multiple_of": 8}),
    "qwen3_next": (
        Level.CACHED,
        {
            **SMALL,
            "layer_types": MIXED,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
            "linear_num_value_heads": 4,
            "linear_num_key_heads": 2,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
        },
    ),
    "bamba": (
        Level.CACHED,
        {
            **SMALL,
            "mamba_n_heads": 8,
            "mamba_d_head": 8,
            "mamba_d_state": 8,
            "attn_layer_indices": [1],
            "mamba_chunk_size": 8,
        },
    ),
}


def build(family):
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(
        family, vocab_size=400, eos_token_id=2, bos_token_id=1, pad_token_id=0, **FAMILIES[family][1]
    )
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(std=0.15)
    return model


class AnyToken(dict):
    """An n-gram table in which token 77 follows everything."""

    def get(self, ngram, default=None):
        return 77


def greedy(model, context, count):
    """The likeliest tokens, each by a full forward pass."""
    ids = list(context)
    with torch.inference_mode():
        for _ in range(count):
            ids.append(int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    return ids[len(context) :]


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_the_models_own(family):
    """Two turns of ragged dialogues that repeat themselves (so that there are drafts), and rows that end early."""
    model = build(family)
    assert level_of(model) == FAMILIES[family][0]
    cache = PrefixCache()
    contexts = [[*range(20, 32), *range(40, 40 + n), *range(20, 32)] for n in (0, 3, 11)]
    for turn in range(2):
        own = [greedy(model, context, 10) for context in contexts]
        # Its third token ends the first answer.
        stop = own[0][2]
        expected = [o[: o.index(stop) + 1] if stop in o else o for o in own]
        settings = {"max_new_tokens": 10, "temperature": 0.0, "stop_ids": [stop], "prefix_cache": cache}
        found = generate(model, contexts, noise=[(n,) for n in range(3)], **settings)
        assert [a.ids.tolist() for a in found] == expected
        contexts = [[*c, *a.ids.tolist(), 50 + turn] for c, a in zip(contexts, found, strict=True)]


@pytest.mark.parametrize("family", ["gpt_neo", "mpt"])
def test_without_the_trial_wrong_drafts_change_answers(family):
    """The trial is needed: at the level of drafts, log-probabilities are off."""
    model, cache = build(family), PrefixCache()
    cache.ngrams = AnyToken()
    context = [*range(20, 60), *range(20, 32)]
    settings = {"max_new_tokens": 24, "temperature": 1.0, "stop_ids": [], "prefix_cache": cache}
    off = []
    for key in range(4):
        answer = generate(model, [context], noise=[(key,)], level=Level.DRAFTS, **settings)[0]
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([[*context, *answer.ids]]), use_cache=False).logits[0]
        exact = logits[len(context) - 1 : -1].log_softmax(-1)[range(len(answer.ids)), answer.ids].numpy()
        off.append(np.abs(exact - answer.logp).max())
    assert max(off) > 0.01


def test_a_model_with_few_words_keeps_its_drafts():
    config = transformers.Qwen2Config(**SMALL, vocab_size=24)
    assert level_of(transformers.Qwen2ForCausalLM(config).eval()) == Level.DRAFTS


def test_a_model_that_cannot_run_is_refused_by_name(monkeypatch):
    model = tiny_models.qwen3()

    def broken(*args, **kwargs):
        raise RuntimeError("expected scalar type Half")

    monkeypatch.setattr(model, "forward", broken)
    fault = "Qwen3ForCausalLM cannot be sampled: expected scalar type Half; choose another model or dtype"
    with pytest.raises(UsageError, match=fault):
        level_of(model)


@pytest.mark.parametrize(
    ("family", "name", "settings"),
    [
        ("bert", "BertLMHeadModel", {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}),
        ("xlnet", "XLNetLMHeadModel", {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48}),
    ],
)
def test_a_model_that_looks_ahead_is_refused_by_name(monkeypatch, family, name, settings):
    """Both say that they are causal language models; what follows a token changes its logits."""
    monkeypatch.setitem(FAMILIES, family, (None, settings))
    with pytest.raises(UsageError, match=f"{name} is not causal: its logits after a token depend on later tokens"):
        level_of(build(family))


def test_a_checkpoint_is_tried_when_it_is_loaded(tmp_path, monkeypatch):
    loaded = load(tiny_models.save(tmp_path, build("gpt_neo"), tiny_models.tokenizer()))
    monkeypatch.setattr("labkit.models.sampling.trial._try", None)
    assert level_of(loaded.model) == Level.PREFIXES
