"""The fused forward pass is that of transformers, for the models that it takes; others it does not take."""

import peft
import pytest
import torch
from transformers import DynamicCache

from labkit.models.sampling import fused
from labkit.models.sampling.cache import version
from labkit.models.sampling.copy import RolloutModel
from labkit.models.sampling.fused import FusedLlama, can_be_fused
from tests import tiny_models

SHAPES = {
    "shared keys": {},
    "as many keys": {"num_key_value_heads": 2},
    "a head of its own": {"tie_word_embeddings": False},
    "another base": {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}},
}


def llama(**changes):
    """With norms that are not all 1, as after training."""
    model = tiny_models.llama(**changes)
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight *= 0.5 + torch.rand(weight.shape, generator=noise)
    return model.eval()


@torch.inference_mode()
def logp(model, parts=((0, 9), (9, 10), (10, 14))):
    """Of three rows, the second padded by 4 on the left, read in parts with the cache kept: ``[3, 14, V]``."""
    ids = torch.arange(42).reshape(3, 14) * 7 % 500
    mask = torch.ones(3, 14, dtype=torch.long)
    mask[1, :4] = 0
    position = (mask.cumsum(1) - 1).clamp(min=0)
    cache, found = DynamicCache(config=model.config), []
    for first, last in parts:
        out = model(
            input_ids=ids[:, first:last],
            attention_mask=mask[:, :last],
            position_ids=position[:, first:last],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=last - first,
        )
        found.append(out.logits.float().log_softmax(-1))
    whole = torch.cat(found, dim=1)
    assert whole.isfinite().all()
    return torch.cat([whole[0], whole[1, 4:], whole[2]])


@pytest.mark.parametrize("shape", SHAPES)
def test_it_says_what_transformers_says(shape):
    model = llama(**SHAPES[shape])
    assert can_be_fused(model)
    exact = logp(model)
    torch.testing.assert_close(logp(FusedLlama(model, torch.float32)), exact, atol=1e-4, rtol=0)
    torch.testing.assert_close(logp(FusedLlama(model, torch.float32), [(0, 14)]), exact, atol=1e-4, rtol=0)
    assert exact.std() > 0.5, "flat: a poor example"


def test_logits_are_of_the_last_tokens():
    model = FusedLlama(llama(), torch.float32)
    asked = {
        "input_ids": torch.tensor([[5, 6, 7]]),
        "attention_mask": torch.ones(1, 3, dtype=torch.long),
        "position_ids": torch.arange(3)[None],
    }
    whole, last = (
        model(**asked, past_key_values=DynamicCache(config=model.config), logits_to_keep=n).logits for n in (3, 1)
    )
    assert whole.shape == (1, 3, 512) and last.shape == (1, 1, 512)
    torch.testing.assert_close(last[:, 0], whole[:, 2])


def test_it_follows_the_model_it_is_a_copy_of():
    model = llama()
    sampler = RolloutModel(model, torch.float32)
    assert isinstance(sampler.current(), FusedLlama)
    before = logp(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(2):
        model(input_ids=torch.tensor([[3, 4, 5]]), labels=torch.tensor([[3, 4, 5]])).loss.backward()
        optimizer.step()
        torch.testing.assert_close(logp(sampler.current()), logp(model), atol=1e-4, rtol=0)
    assert (logp(model) - before).abs().max() > 0.1
    assert not any(weight.requires_grad for weight in sampler.current().parameters())


def test_in_half_precision_it_is_near():
    """As near as the same model in bf16 is, within a factor."""
    model = llama()
    sampler = RolloutModel(model, torch.bfloat16)
    assert {weight.dtype for weight in sampler.current().parameters()} == {torch.bfloat16}
    exact = logp(model)
    off = (logp(sampler.current()) - exact).abs().mean()
    plain = (logp(llama().to(torch.bfloat16)) - exact).abs().mean()
    assert 1e-4 < off < 1.5 * plain


REFUSED = {
    "biased attention": {"attention_bias": True},
    "a biased MLP": {"mlp_bias": True},
    "another activation": {"hidden_act": "gelu"},
    "stretched positions": {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}},
}


@pytest.mark.parametrize("why", REFUSED)
def test_other_llamas_are_left_alone(why):
    assert not can_be_fused(tiny_models.llama(**REFUSED[why]))


def test_other_models_are_left_alone(monkeypatch):
    assert not can_be_fused(tiny_models.qwen3())
    assert not can_be_fused(tiny_models.llama().double())
    config = peft.LoraConfig(target_modules=["q_proj"])
    assert not can_be_fused(peft.get_peft_model(tiny_models.llama(), config))
    injected = peft.inject_adapter_in_model(config, tiny_models.llama())
    assert not can_be_fused(injected)
    model = tiny_models.llama()
    monkeypatch.setattr(fused, "LARGEST", sum(p.numel() for p in model.parameters()) - 1)
    assert not can_be_fused(model)


def test_a_pass_does_not_begin_at_the_models_own(monkeypatch):
    """A model that can be fused is not asked itself; else what is measured above would not be what plays."""
    model = llama()
    monkeypatch.setattr(type(model), "forward", None)
    assert logp(RolloutModel(model, torch.float32).current()).shape == (38, 512)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_following_the_model_is_no_change_of_it(dtype):
    model = llama()
    sampler = RolloutModel(model, dtype)
    with torch.no_grad():
        model.model.embed_tokens.weight *= 0.9
    # What was read with these weights stays of use: neither the model nor the copy changes once more.
    copy, seen = sampler.current(), (version(model), version(sampler.current()))
    assert sampler.current() is copy
    assert (version(model), version(sampler.current())) == seen
