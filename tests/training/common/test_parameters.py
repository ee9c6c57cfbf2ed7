"""Which parameters move, what is saved of them, and the policy that training started from."""

import hashlib
import json
from pathlib import Path

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file

from labkit.config import read
from labkit.errors import UsageError
from labkit.models.loader import load
from labkit.training.common.parameters import InitialPolicy, LoRA, prepare_parameters, save_model, trainable
from labkit.training.sft.fit import make_optimizer
from labkit.training.sft.stage import SFTConfig
from tests import tiny_models

CONFIGS = Path(__file__).parents[3] / "configs/experiments"
IDS = torch.tensor([[5, 9, 17, 33, 4, 120]])


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS, use_cache=False).logits


def digests(model):
    return {n: hashlib.sha256(p.detach().numpy().tobytes()).hexdigest() for n, p in model.named_parameters()}


def step(model):
    """One step of SGD on a text."""
    optimizer = torch.optim.SGD(trainable(model).values(), lr=0.05)
    model.train()
    model(input_ids=IDS, labels=IDS, use_cache=False).loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return model.eval()


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_models.save(tmp_path_factory.mktemp("m") / "base", tiny_models.llama(), tiny_models.tokenizer())


@pytest.fixture(scope="module")
def adapter(base, tmp_path_factory):
    """An adapter of rank 4 and alpha 8 that changes what the base says, with its tokenizer."""
    folder = tiny_models.save_adapter(tmp_path_factory.mktemp("a") / "adapter", base)
    tiny_models.tokenizer().save_pretrained(folder)
    return folder


# ---- what is trained -------------------------------------------------------------------------------------


def test_without_settings_everything_is_trained():
    model = tiny_models.llama()
    assert prepare_parameters(model) is model
    assert set(trainable(model)) == {n for n, _ in model.named_parameters()}


def test_lora_trains_two_factors_of_every_linear_layer_but_the_head():
    model = prepare_parameters(tiny_models.llama(), LoRA(rank=3))
    moving = trainable(model)
    # Two layers of q, k, v, o, gate, up and down, two factors each.
    assert len(moving) == 2 * 7 * 2
    assert all(".lora_" in name for name in moving)
    # 32 wide, 2 heads of 16, one of keys, 48 in between: q 64, k 48, v 48, o 64, gate, up, down 80, times rank.
    assert sum(p.numel() for p in moving.values()) == 2 * 3 * (64 + 48 + 48 + 64 + 3 * 80)


def test_only_the_adapters_move():
    model = prepare_parameters(tiny_models.llama(), LoRA(rank=3, target_modules=("q_proj", "v_proj")))
    before = digests(model)
    after = digests(step(step(model)))
    moved = {name for name in before if before[name] != after[name]}
    assert moved == set(trainable(model))
    assert {name.split(".lora_")[0].rsplit(".", 1)[1] for name in moved} == {"q_proj", "v_proj"}


def test_new_adapters_depend_on_the_seed_alone():
    torch.manual_seed(1)
    one = digests(prepare_parameters(tiny_models.llama(), LoRA(), seed=7))
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    model = tiny_models.llama()
    torch.random.set_rng_state(state)
    assert digests(prepare_parameters(model, LoRA(), seed=7)) == one
    assert torch.equal(torch.random.get_rng_state(), state)
    assert digests(prepare_parameters(tiny_models.llama(), LoRA(), seed=8)) != one


@pytest.mark.parametrize(
    ("freeze", "moving"),
    [
        (["embeddings"], {"model.norm.weight", "lm_head.weight", "model.layers.*"}),
        (["model.layers.*"], {"model.norm.weight", "lm_head.weight", "model.embed_tokens.weight"}),
        (["model.layers.0.*", "embeddings", "lm_head.*"], {"model.norm.weight", "model.layers.1.*"}),
    ],
)
def test_frozen_parts_of_a_text_model_do_not_move_and_have_no_optimiser_state(freeze, moving):
    model = prepare_parameters(tiny_models.llama(), freeze=freeze)
    before = digests(model)
    optimizer = torch.optim.AdamW(trainable(model).values(), lr=0.01)
    model(input_ids=IDS, labels=IDS).loss.backward()
    optimizer.step()
    after = digests(model)
    moved = {n for n in before if before[n] != after[n]}
    patterns = tuple(m.removesuffix("*") for m in moving)
    assert moved == {n for n in before if n.startswith(patterns)}
    assert len(optimizer.state) == len(moved)


def test_a_tied_head_is_frozen_with_the_embeddings():
    model = prepare_parameters(tiny_models.llama(tie_word_embeddings=True), freeze=["embeddings"])
    before = digests(model)
    after = digests(step(model))
    assert before["model.embed_tokens.weight"] == after["model.embed_tokens.weight"]
    assert torch.equal(model.lm_head.weight, model.model.embed_tokens.weight)


PREFIXES = {
    "mllama": ("model.vision_model.", "model.multi_modal_projector"),
    "idefics3": ("model.vision_model.", "model.connector"),
}


@pytest.mark.parametrize("family", PREFIXES)
@pytest.mark.parametrize("lora", [None, LoRA(rank=2)], ids=["full", "lora"])
def test_the_parts_of_a_vision_model(family, lora):
    vision, connector = PREFIXES[family]
    names = [n for n, _ in getattr(tiny_models, family)().named_parameters()]

    def trained(*freeze):
        moving = trainable(prepare_parameters(getattr(tiny_models, family)(), lora, freeze))
        return {n.removeprefix("base_model.model.").split(".lora_")[0] for n in moving}

    everything = trained()
    if lora is None:
        assert everything == set(names)
    assert {n for n in everything if n.startswith(vision)}
    assert everything - trained("vision") == {n for n in everything if n.startswith(vision)}
    assert everything - trained("connector") == {n for n in everything if n.startswith(connector)}
    sight = {n for n in everything if n.startswith((vision, connector))}
    assert trained("vision", "connector") == everything - sight
    assert trained("language") == sight


def test_the_merger_of_qwen_is_its_connector_although_it_lies_in_the_vision_tower():
    config = transformers.Qwen2_5_VLConfig(
        text_config=tiny_models.text_config(rope_parameters={"rope_type": "default", "mrope_section": [2, 3, 3]}),
        vision_config={"depth": 1, "hidden_size": 16, "num_heads": 2, "intermediate_size": 24, "out_hidden_size": 32},
    )
    model = prepare_parameters(transformers.Qwen2_5_VLForConditionalGeneration(config), freeze=["vision"])
    vision = {n for n in trainable(model) if n.startswith("model.visual.")}
    assert vision and all(n.startswith("model.visual.merger.") for n in vision)


@pytest.mark.parametrize(
    ("lora", "freeze", "said"),
    [
        (None, ["vision"], "no vision"),
        (None, ["connecter"], "name language, embeddings, or a pattern"),
        (None, ["*"], "nothing is left to train"),
        (LoRA(target_modules=("q_porj",)), [], "q_porj"),
        (LoRA(), ["language"], "lora"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(lora, freeze, said):
    with pytest.raises(UsageError) as caught:
        prepare_parameters(tiny_models.llama(), lora, freeze)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


# ---- saving and going on ---------------------------------------------------------------------------------


def test_a_saved_adapter_names_its_base_brings_its_tokenizer_and_says_the_same(base, tmp_path):
    loaded = load(base)
    model = step(prepare_parameters(loaded.model, LoRA(rank=2)))
    save_model(model, loaded.tokenizer, tmp_path / "out")
    config = json.loads((tmp_path / "out/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(base.resolve())
    # The base's weights are not there, and no card that would only say what is missing in it.
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= {"adapter_model.safetensors", "tokenizer.json", "chat_template.jinja"}
    assert not names & {"model.safetensors", "README.md"}
    assert len({path.stat().st_mode for path in (tmp_path / "out").iterdir()}) == 1, "all are as readable"
    again = load(tmp_path / "out")
    assert again.adapter
    torch.testing.assert_close(logits(again.model), logits(model), rtol=0, atol=0)
    assert again.tokenizer.get_vocab() == loaded.tokenizer.get_vocab()


def test_a_base_from_the_hub_is_named_by_its_id(base, tmp_path):
    cached = tmp_path / "models--some-owner--a--model/snapshots/0123"
    cached.parent.mkdir(parents=True)
    cached.symlink_to(base)
    model = prepare_parameters(load(cached).model, LoRA())
    assert model.peft_config["default"].base_model_name_or_path == "some-owner/a--model"


def test_an_adapter_with_frozen_parts_comes_back_as_it_was(tmp_path):
    base = tiny_models.save(tmp_path / "base", tiny_models.mllama(), tiny_models.tokenizer(tiny_models.CHATML_PARTS))
    loaded = load(base)
    model = step(prepare_parameters(loaded.model, LoRA(rank=2), ["vision", "connector"]))
    save_model(model, loaded.tokenizer, tmp_path / "out")
    torch.testing.assert_close(logits(load(tmp_path / "out").model), logits(model), rtol=0, atol=0)
    saved = load_file(tmp_path / "out/adapter_model.safetensors")
    assert saved and all("language_model" in name for name in saved)


def test_training_goes_on_with_an_adapter(adapter):
    loaded = load(adapter)
    said = logits(loaded.model)
    model = prepare_parameters(loaded.model, LoRA(rank=4, alpha=8))
    assert set(trainable(model)) == {n for n, _ in model.named_parameters() if "lora_" in n}
    assert torch.equal(logits(model), said)
    assert not torch.equal(logits(step(model)), said)


def test_another_shape_than_the_adapters_is_refused_with_its_own(adapter):
    with pytest.raises(UsageError, match=r"has lora.rank 4 and lora.alpha 8"):
        prepare_parameters(load(adapter).model, LoRA(rank=16))


def test_without_lora_an_adapter_is_merged_and_all_is_trained(adapter):
    loaded = load(adapter)
    said = logits(loaded.model)
    model = prepare_parameters(loaded.model)
    assert not isinstance(model, peft.PeftModel)
    assert len(trainable(model)) == len(list(tiny_models.llama().parameters()))
    torch.testing.assert_close(logits(model), said, rtol=1e-4, atol=1e-4)


# ---- the policy that training started from ---------------------------------------------------------------


@pytest.mark.parametrize("start", ["full", "frozen", "lora", "adapter", "frozen adapter"])
def test_the_initial_policy_stays_while_the_model_moves(base, adapter, start):
    loaded = load(adapter if "adapter" in start else base)
    lora = {"lora": LoRA(), "adapter": LoRA(rank=4, alpha=8)}.get(start.removeprefix("frozen "))
    model = prepare_parameters(loaded.model, lora, ["model.layers.0.*"] if "frozen" in start else [])
    first, moving = logits(model), set(trainable(model))
    initial = InitialPolicy(model)
    for _ in range(2):
        with initial.active() as reference:
            torch.testing.assert_close(logits(reference), first, rtol=0, atol=0)
        assert set(trainable(model)) == moving
        before = logits(model)
        step(model)
        assert not torch.equal(logits(model), before)


def test_inside_there_is_no_dropout_and_no_gradient_and_outside_all_is_as_before():
    model = prepare_parameters(tiny_models.llama(), LoRA(dropout=0.5)).train()
    modes = [module.training for module in model.modules()]
    initial = InitialPolicy(model)
    with initial.active() as reference:
        out = reference(input_ids=IDS).logits
        assert not out.requires_grad
        assert not reference.training
    assert [module.training for module in model.modules()] == modes
    with pytest.raises(ZeroDivisionError), initial.active():
        raise ZeroDivisionError
    assert not torch.equal(logits(step(step(model))), out)


def test_a_frozen_copy_shares_what_is_frozen_anyway():
    model = prepare_parameters(tiny_models.llama(), freeze=["model.layers.*"])
    with InitialPolicy(model).active() as reference:
        ours, theirs = dict(model.named_parameters()), dict(reference.named_parameters())
    assert {n for n in ours if ours[n] is theirs[n]} == {n for n in ours if ".layers." in n}


def test_a_module_around_the_model_may_be_given():
    class Around(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner, self.head = inner, torch.nn.Linear(32, 1)

    around = Around(prepare_parameters(tiny_models.llama(), LoRA()))
    initial, first = InitialPolicy(around), logits(around.inner)
    step(around.inner)
    with initial.active() as reference:
        assert reference is around
        assert torch.equal(logits(reference.inner), first)


# ---- the authors' model ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def llama_vision():
    """Llama-3.2-11B-Vision by its published numbers, without weights."""
    text = transformers.models.mllama.MllamaTextConfig(
        vocab_size=128256,
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=40,
        num_attention_heads=32,
        num_key_value_heads=8,
        cross_attention_layers=[3, 8, 13, 18, 23, 28, 33, 38],
        tie_word_embeddings=False,
    )
    vision = transformers.models.mllama.MllamaVisionConfig(
        hidden_size=1280,
        intermediate_size=5120,
        num_hidden_layers=32,
        num_global_layers=8,
        attention_heads=16,
        image_size=560,
        patch_size=14,
        max_num_tiles=4,
        vision_output_dim=7680,
        intermediate_layers_indices=[3, 7, 15, 23, 30],
    )
    with torch.device("meta"):
        config = transformers.MllamaConfig(vision_config=vision, text_config=text)
        return transformers.MllamaForConditionalGeneration(config)


@pytest.mark.parametrize("cell", ["gp-l", "virl-l", "gp-vl", "virl-vl"])
def test_the_authors_settings_on_their_model(llama_vision, cell):
    config = SFTConfig.parse(read(CONFIGS / cell / "authors-sft.yaml"))
    rate = 5e-7 if cell.endswith("vl") else 1e-6
    assert (config.cell, config.batch_size, config.lr, config.betas) == (cell, 128, rate, (0.9, 0.98))
    assert config.lora is None and config.freeze == ()
    model = prepare_parameters(llama_vision, config.lora, config.freeze)
    optimizer = make_optimizer(model, config)
    (group,) = optimizer.param_groups
    # 10.67 billion, the hub's count.
    assert sum(p.numel() for p in group["params"]) == pytest.approx(10.67e9, rel=1e-3)
    assert (group["lr"], group["betas"], group["weight_decay"]) == (rate, (0.9, 0.98), 0.0)


def test_adapters_on_the_language_model_of_the_authors_model(llama_vision):
    model = prepare_parameters(llama_vision, LoRA(rank=16), ["vision", "connector"])
    moving = trainable(model)
    assert all(".language_model." in name for name in moving)
    # Rank 16 on q, k, v, o (4096 + 4096, 1024 + 4096 twice) and gate, up, down (4096 + 14336) of 40 layers.
    assert sum(p.numel() for p in moving.values()) == 16 * 40 * (2 * 8192 + 2 * 5120 + 3 * 18432)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("q_proj", "write a list, [q_proj]"),
        ("q_proj, v_proj", "write a list, [q_proj, v_proj]"),
        ("all_linear", "all-linear"),
    ],
)
def test_layers_given_as_a_string_are_refused_with_the_list_to_write(value, hint):
    with pytest.raises(UsageError, match="target_modules") as error:
        LoRA.parse({"target_modules": value})
    assert hint in str(error.value) and "\n" not in str(error.value)
