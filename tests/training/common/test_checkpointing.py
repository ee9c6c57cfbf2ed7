"""Activation checkpointing: the same numbers from less memory."""

import copy

import pytest
import torch
from torch import nn

from labkit.errors import UsageError
from labkit.models.policy import Policy
from labkit.runs import Run
from labkit.training.common import checkpointing
from labkit.training.common.checkpointing import checkpoint_activations
from labkit.training.common.parameters import LoRA, prepare_parameters, trainable
from labkit.training.rl.loop import rl
from labkit.training.sft.fit import Optimisation, fit
from tests import tiny_models
from tests.training import small_games
from tests.training.sft.test_fit import examples

IDS = torch.arange(3, 51).reshape(2, 24)
SAMPLED = torch.zeros(2, 24, dtype=torch.bool)
SAMPLED[:, 12:] = True


def made(family, lora, critic, **changes):
    model = getattr(tiny_models, family)(**changes).eval()
    model = prepare_parameters(model, LoRA(rank=4) if lora else None)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight, generator=torch.Generator().manual_seed(len(name)))
    policy = Policy(model, critic).eval()
    if policy.value_head is not None:
        nn.init.normal_(policy.value_head.layers[-1].weight, generator=torch.Generator().manual_seed(0))
    return policy


def scored(policy):
    scores = policy(input_ids=IDS, attention_mask=torch.ones_like(IDS), sampled=SAMPLED)
    loss = scores.logp_N.mean() + 0.1 * scores.entropy_N.mean()
    return loss if scores.value_N is None else loss + scores.value_N.square().mean()


def learnt(policy):
    """The loss, and the gradient of each parameter."""
    policy.zero_grad()
    loss = scored(policy)
    loss.backward()
    return loss.item(), {n: None if p.grad is None else p.grad.clone() for n, p in trainable(policy).items()}


def kept(policy):
    """Bytes that the forward pass leaves for the backward pass, weights aside."""
    weights = {p.untyped_storage().data_ptr() for p in policy.parameters()}
    found = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        scored(policy)
    return sum(size for size, _ in found.values())


@pytest.mark.parametrize("critic", ["shared", "detached", "none"])
@pytest.mark.parametrize("lora", [False, True], ids=["whole", "lora"])
@pytest.mark.parametrize("family", ["llama", "gemma3_text", "mllama"])
def test_losses_and_gradients_are_the_same(family, lora, critic):
    policy = made(family, lora, critic)
    before = kept(policy)
    loss, gradients = learnt(policy)
    checkpoint_activations(policy)
    assert kept(policy) < 0.8 * before
    again, found = learnt(policy)
    assert again == pytest.approx(loss, abs=1e-6)
    # Through the whole depth.
    assert any(g is not None and g.any() for n, g in gradients.items() if ".layers.0." in n)
    for name, gradient in gradients.items():
        if gradient is None:
            assert found[name] is None
        else:
            torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=1e-6)


def test_what_is_kept_of_a_layer_is_its_input():
    # 4 layers and 8: what is kept grows by 4 inputs of 2 x 24 positions of 32 numbers of 4 bytes, each once.
    few, many = (made("llama", False, "none", num_hidden_layers=n) for n in (4, 8))
    grown = kept(many) - kept(few)
    for policy in (few, many):
        checkpoint_activations(policy)
    assert kept(many) - kept(few) == 4 * 2 * 24 * 32 * 4 < grown / 10


def test_dropout_falls_alike_when_a_layer_is_computed_again():
    losses = []
    for again in (False, True):
        model = prepare_parameters(tiny_models.llama(), LoRA(rank=4, dropout=0.3))
        nn.init.ones_(next(p for n, p in model.named_parameters() if "lora_B" in n))
        if again:
            checkpoint_activations(model)
        model.train()
        torch.manual_seed(0)
        model(input_ids=IDS, labels=IDS).loss.backward()
        losses.append([p.grad for p in trainable(model).values()])
    for one, other in zip(*losses, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)


def test_a_copy_computes_its_own_layers_and_sampling_keeps_its_cache():
    model = tiny_models.llama().eval()
    sampled = model.generate(IDS, max_new_tokens=6, do_sample=False)
    checkpoint_activations(model)
    there = copy.deepcopy(model)
    nn.init.zeros_(model.model.layers[0].mlp.down_proj.weight)
    assert torch.equal(there.generate(IDS, max_new_tokens=6, do_sample=False), sampled)
    with torch.no_grad():
        assert there(input_ids=IDS, use_cache=True).past_key_values.get_seq_length() == 24
    assert [n for n, _ in there.named_parameters()] == [n for n, _ in tiny_models.llama().named_parameters()]


def test_a_model_without_such_layers_is_refused():
    with pytest.raises(UsageError, match="activation_checkpointing"):
        checkpoint_activations(nn.Linear(2, 2))


@pytest.fixture
def counted(monkeypatch):
    """How often a layer was called so that it would be computed again."""
    calls, real = [], checkpointing.checkpoint

    def count(*args, **kwargs):
        calls.append(1)
        return real(*args, **kwargs)

    monkeypatch.setattr(checkpointing, "checkpoint", count)
    return calls


@pytest.mark.parametrize("lora", [None, {"rank": 2}], ids=["whole", "lora"])
def test_a_reinforced_run_is_the_same(tmp_path, counted, lora):
    small_games.saved(tmp_path / "model")
    runs, calls = [], []
    for again in (False, True):
        config = small_games.config(
            cell="highest",
            model=str(tmp_path / "model"),
            updates=2,
            episodes=8,
            max_new_tokens=3,
            kl=0.1,
            critic="shared",
            lora=lora,
            activation_checkpointing=again,
        )
        run = Run.create(tmp_path, "t", config.to_yaml())
        rl(config, run, resume=False)
        runs.append([{k: v for k, v in m.items() if "second" not in k} for m in run.metrics()])
        calls.append(len(counted))
    assert calls[0] == 0 and calls[1] >= 2 * 2
    for one, other in zip(*runs, strict=True):
        assert other == pytest.approx(one, abs=1e-5)


def test_a_fine_tuned_run_is_the_same(tmp_path, counted):
    words, found, calls = tiny_models.tokenizer(), [], []
    for again in (False, True):
        run = Run.create(tmp_path, "t", "stage: sft\n")
        settings = Optimisation(steps=3, lr=1e-2, batch_size=8, activation_checkpointing=again)
        fit(tiny_models.llama(), words, examples, settings, run)
        found.append([(m["loss"], m["grad_norm"]) for m in run.metrics()])
        calls.append(len(counted))
    assert calls[0] == 0 and calls[1] >= 3 * 2
    for one, other in zip(*found, strict=True):
        assert other == pytest.approx(one, rel=1e-5)
