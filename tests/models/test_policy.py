"""The policy's numbers: those of the sampler, in any piece size; and what the critic reaches."""

import pytest
import torch
import transformers

from labkit.models import forward
from labkit.models.forward import score
from labkit.models.policy import Policy, ValueHead
from labkit.models.sampling.decode import generate
from labkit.training.common.parameters import LoRA, prepare_parameters
from tests import tiny_models
from tests.training import small_games

CONTEXTS = [[2, 9, 30, 31, 7], [2, 40, 41], [2, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60]]


def gemma2(seed=0):
    """Bends its logits back."""
    settings = tiny_models.text_config(query_pre_attn_scalar=16, sliding_window=8, final_logit_softcapping=3.0)
    return tiny_models._sharpened(transformers.Gemma2ForCausalLM, transformers.Gemma2Config(**settings), seed)


MODEL = tiny_models.llama()


def granite(seed=0):
    """Divides its logits."""
    settings = tiny_models.text_config(logits_scaling=3.0)
    return tiny_models._sharpened(transformers.GraniteForCausalLM, transformers.GraniteConfig(**settings), seed)


def cohere(seed=0):
    """Multiplies its logits."""
    settings = tiny_models.text_config(logit_scale=0.25)
    return tiny_models._sharpened(transformers.CohereForCausalLM, transformers.CohereConfig(**settings), seed)


FAMILIES = {
    "llama": tiny_models.llama,
    "qwen3": tiny_models.qwen3,
    "gemma3": tiny_models.gemma3_text,
    "gemma2": gemma2,
    "granite": granite,
    "cohere": cohere,
    "mllama": tiny_models.mllama,
    "idefics3": tiny_models.idefics3,
}


def batch(contexts, answers):
    """Right-padded rows of a context and an answer each."""
    rows = [[*c, *a] for c, a in zip(contexts, answers, strict=True)]
    longest = max(map(len, rows))
    ids, mask = torch.zeros(len(rows), longest, dtype=torch.long), torch.zeros(len(rows), longest, dtype=torch.long)
    sampled = torch.zeros(len(rows), longest, dtype=torch.bool)
    for n, row in enumerate(rows):
        ids[n, : len(row)], mask[n, : len(row)] = torch.tensor(row), 1
        sampled[n, len(contexts[n]) : len(row)] = True
    return {"input_ids": ids, "attention_mask": mask, "sampled": sampled}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_a_sampled_token_has_the_log_probability_that_it_was_sampled_with(family, temperature):
    model = FAMILIES[family]()
    settings = {"max_new_tokens": 12, "temperature": temperature, "stop_ids": [1], "noise": [(n,) for n in range(3)]}
    answers = generate(model, CONTEXTS, **settings)
    with torch.no_grad():
        scores = Policy(model)(**batch(CONTEXTS, [a.ids.tolist() for a in answers]), temperature=temperature)
    recorded = torch.cat([torch.from_numpy(a.logp) for a in answers])
    assert len(recorded) > 20
    assert recorded.std() > 0.1, "the model says everything alike: nothing would be noticed"
    torch.testing.assert_close(scores.logp_N, recorded, atol=1e-4, rtol=0)
    assert scores.value_N is None


def test_scores_are_those_of_the_whole_logits():
    model = tiny_models.llama()
    rows = batch(CONTEXTS, [[5, 6], [7, 8, 9], [10]])
    with torch.no_grad():
        scores = Policy(model)(**rows, temperature=0.5)
        logits = model(input_ids=rows["input_ids"], attention_mask=rows["attention_mask"]).logits
    at = [(0, 5), (0, 6), (1, 3), (1, 4), (1, 5), (2, 12)]
    for n, (row, place) in enumerate(at):
        logp = torch.log_softmax(logits[row, place - 1] / 0.5, -1)
        assert scores.logp_N[n] == pytest.approx(float(logp[rows["input_ids"][row, place]]), abs=1e-4)
        assert scores.entropy_N[n] == pytest.approx(float(-(logp.exp() * logp).sum()), abs=1e-4)


def test_in_pieces_it_is_the_same_values_and_gradients(monkeypatch):
    torch.manual_seed(0)
    head = torch.nn.Linear(8, 11).double()
    hidden, tokens = torch.randn(7, 8).double(), torch.randint(11, (7,))
    found = []
    for chunk in (10**6, 3 * 11, 1):
        monkeypatch.setattr(forward, "CHUNK", chunk)
        leaf = hidden.clone().requires_grad_()
        head.zero_grad()
        logp, entropy = score(leaf, tokens, head, 0.7, softcap=2.0)
        (logp * torch.arange(7) + 0.3 * entropy).sum().backward()
        found.append((logp.detach(), entropy.detach(), leaf.grad, head.weight.grad.clone()))
    for other in found[1:]:
        for whole, pieces in zip(found[0], other, strict=True):
            torch.testing.assert_close(whole, pieces, atol=1e-12, rtol=0)


def test_a_token_that_is_ruled_out_adds_nothing_to_the_entropy():
    head = torch.nn.Linear(2, 3)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor([0.0, 0.0, -torch.inf]))
    hidden = torch.ones(1, 2, requires_grad=True)
    _, entropy = score(hidden, torch.tensor([0]), head, 1.0)
    entropy.sum().backward()
    assert entropy.item() == pytest.approx(0.6931472)
    assert torch.isfinite(hidden.grad).all()


@pytest.mark.parametrize(("critic", "reached"), [("detached", False), ("shared", True)])
def test_what_the_value_loss_reaches(critic, reached):
    policy = Policy(tiny_models.llama(), critic)
    with torch.no_grad():
        policy.value_head.layers[-1].weight.fill_(1.0)
    scores = policy(**batch(CONTEXTS, [[5, 6], [7], [8]]))
    scores.value_N.square().sum().backward()
    trunk = [p.grad is not None and bool(p.grad.any()) for p in policy.model.model.parameters()]
    assert any(trunk) == reached
    assert all(p.grad is not None for p in policy.value_head.parameters())


@pytest.mark.parametrize("seed", [0, 1])
def test_values_begin_at_0_and_the_head_is_seeded_without_touching_other_noise(seed):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    policy = Policy(MODEL, "shared", seed=seed)
    assert torch.equal(torch.rand(3), expected)
    assert not policy(**batch(CONTEXTS, [[5], [6], [7]])).value_N.any()
    again = Policy(MODEL, "shared", seed=seed)
    other = Policy(MODEL, "shared", seed=seed + 1)
    assert torch.equal(again.value_head.layers[0].weight, policy.value_head.layers[0].weight)
    assert not torch.equal(other.value_head.layers[0].weight, policy.value_head.layers[0].weight)


def test_an_adapter_is_scored_with_its_output_layer_and_all():
    model = prepare_parameters(tiny_models.llama(), LoRA(rank=2))
    rows = batch(CONTEXTS, [[5, 6], [7], [8]])
    with torch.no_grad():
        before = Policy(tiny_models.llama())(**rows).logp_N
        torch.testing.assert_close(Policy(model)(**rows).logp_N, before, atol=1e-5, rtol=0)
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.3)
        after = Policy(model, "shared")(**rows).logp_N
        logits = model(input_ids=rows["input_ids"], attention_mask=rows["attention_mask"]).logits
    assert (after - before).abs().max() > 0.1
    expected = logits[0, 4].log_softmax(-1)[5]
    assert after[0] == pytest.approx(float(expected), abs=1e-4)


def test_an_11b_vision_model_has_the_papers_value_head():
    """On the meta device: shapes without memory."""
    text = {
        "hidden_size": 4096,
        "num_hidden_layers": 40,
        "cross_attention_layers": [3, 8, 13, 18, 23, 28, 33, 38],
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "vocab_size": 128256,
        "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0},
    }
    vision = {
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_global_layers": 8,
        "attention_heads": 16,
        "image_size": 560,
        "patch_size": 14,
        "max_num_tiles": 4,
        "vision_output_dim": 7680,
        "intermediate_layers_indices": [3, 7, 15, 23, 30],
    }
    config = transformers.MllamaConfig(text_config=text, vision_config=vision)
    with torch.device("meta"):
        model = transformers.MllamaForConditionalGeneration(config)
    policy = Policy(model, "shared")
    linear = [m for m in policy.value_head.layers if isinstance(m, torch.nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [(4096, 1024), (1024, 512), (512, 1)]
    # The value head: 4096 x 1024 + 1024, 1024 x 512 + 512, 512 + 1.
    assert sum(p.numel() for p in policy.value_head.parameters()) == 4_720_641
    assert {p.device.type for p in policy.parameters()} == {"meta"}
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(10.67e9, rel=1e-3)
    settings = small_games.config(critic="shared", credit={"kind": "ppo-turn"}, lr=1e-6, critic_lr=1e-6)
    actor, critic = small_games.make_optimizer(policy, settings).param_groups
    assert len(actor["params"]) == len(list(model.parameters())) and len(critic["params"]) == 6


def test_a_small_model_has_a_small_head():
    sizes = [m.out_features for m in ValueHead(4).layers if isinstance(m, torch.nn.Linear)]
    assert sizes == [1, 1, 1]
