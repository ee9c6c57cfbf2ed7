"""Loading checkpoints of many kinds, and refusing bad ones in one line."""

import json
import shutil
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from labkit.episode import Message
from labkit.errors import UsageError
from labkit.models.chat import render
from labkit.models.loader import load
from labkit.models.sampling.decode import generate
from tests import tiny_models


def text(loaded, ids):
    return loaded.tokenizer.decode(ids)


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3_text", "idefics3", "mllama"])
def test_a_model_comes_back_as_it_was_saved(family, tmp_path):
    model = getattr(tiny_models, family)()
    vision = family in ("idefics3", "mllama")
    template = tiny_models.CHATML_PARTS if vision else tiny_models.CHATML
    tiny_models.save(tmp_path, model, tiny_models.tokenizer(template))
    loaded = load(tmp_path)
    assert (loaded.is_vlm, loaded.adapter, loaded.reader) == (vision, False, None)
    assert ("it has no processor" in loaded.blind) == vision
    assert type(loaded.model) is type(model) and not loaded.model.training
    ids = torch.tensor([[100, 101, 102, 103]])
    with torch.inference_mode():
        assert torch.equal(loaded.model(input_ids=ids).logits, model(input_ids=ids).logits)
    assert loaded.parameters == sum(p.numel() for p in model.parameters())
    asked = text(loaded, render(loaded, [Message("user", "Make 24.")]))
    assert asked == "<|im_start|>user\nMake 24.<|im_end|>\n<|im_start|>assistant\n"


def test_a_text_model_of_a_vision_family_is_loaded_as_text(tmp_path):
    """The family (``mllama``) has vision models and text models: the architecture tells them apart."""
    tiny_models.save(tmp_path, tiny_models.mllama(), tiny_models.tokenizer())
    _edit(tmp_path / "config.json", architectures=["MllamaForCausalLM"])
    loaded = load(tmp_path)
    assert not loaded.is_vlm and type(loaded.model).__name__ == "MllamaForCausalLM"


def test_dtype_and_device(saved, tmp_path):
    half = tiny_models.save(tmp_path, tiny_models.llama().to(torch.bfloat16), tiny_models.tokenizer())
    assert load(half, dtype="auto", device="cpu").model.dtype == torch.float32
    assert load(saved).model.dtype == torch.float32
    assert load(saved, dtype="bfloat16").model.dtype == torch.bfloat16
    with pytest.raises(UsageError, match="no dtype 'int3'; use auto, float32, bfloat16"):
        load(saved, dtype="int3")
    for device in ("gpu", "cuda:99", "cuda:-1", "meta", ""):
        with pytest.raises(UsageError, match=f"no device '{device}'; use auto, cpu"):
            load(saved, device=device)


def test_shards_are_read(tmp_path):
    model = tiny_models.llama()
    model.save_pretrained(tmp_path, max_shard_size="50KB")
    tiny_models.tokenizer().save_pretrained(tmp_path)
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    assert torch.equal(load(tmp_path).model.lm_head.weight, model.lm_head.weight)
    next(iter(tmp_path.glob("model-00002*"))).unlink()
    with pytest.raises(UsageError, match="model-00002.*copy that too"):
        load(tmp_path)


class TestAdapter:
    @pytest.fixture
    def adapter(self, copy, tmp_path):
        return tiny_models.save_adapter(tmp_path / "adapter", copy)

    def test_it_changes_what_its_base_says(self, adapter, copy):
        loaded, base = load(adapter), load(copy)
        assert loaded.adapter and not base.adapter and loaded.path == adapter
        # Rank 4 on q (32 in, 32 out) and v (32 in, 16 out) of two layers: 2 * 4 * (32 + 32 + 32 + 16) = 896.
        assert loaded.parameters == base.parameters + 896
        context = list(render(loaded, [Message("user", "Make 24.")]))
        settings = {"max_new_tokens": 8, "temperature": 0.0, "stop_ids": loaded.stop_ids}
        rows = [context, context[:-3], context[:5]]
        together = generate(loaded.model, rows, noise=[(0,)] * 3, **settings)
        for row, answer in zip(rows, together, strict=True):
            assert generate(loaded.model, [row], noise=[(0,)], **settings)[0].ids.tolist() == answer.ids.tolist()
        assert generate(base.model, [context], noise=[(0,)], **settings)[0].ids.tolist() != together[0].ids.tolist()

    def test_its_base_may_be_named(self, adapter, copy, tmp_path):
        moved = copy.rename(tmp_path / "elsewhere")
        with pytest.raises(UsageError, match="--base"):
            load(adapter)
        assert load(adapter, base=moved).adapter
        with pytest.raises(UsageError, match="did you mean .*elsewhere"):
            load(adapter, base=tmp_path / "elsewher")

    def test_its_base_may_lie_beside_it(self, adapter, copy):
        _edit(adapter / "adapter_config.json", base_model_name_or_path="../llama")
        assert load(adapter).adapter

    @pytest.mark.parametrize("name", ["", None])
    def test_it_must_say_what_it_adapts(self, adapter, name):
        _edit(adapter / "adapter_config.json", base_model_name_or_path=name)
        with pytest.raises(UsageError, match="--base"):
            load(adapter)

    @pytest.mark.parametrize("added", [1, 40])
    def test_added_tokens_bring_their_embeddings(self, copy, tmp_path, added):
        """Of 512 rows and 352 known tokens the base has 160 to spare: 170 more are resized for."""
        import peft
        import transformers

        words = tiny_models.tokenizer()
        words.add_special_tokens({"additional_special_tokens": [f"<x{i}>" for i in range(160 + added)]})
        model = transformers.AutoModelForCausalLM.from_pretrained(copy)
        model.resize_token_embeddings(len(words))
        settings = {"r": 2, "target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "lm_head"]}
        adapted = peft.get_peft_model(model, peft.LoraConfig(**settings, task_type="CAUSAL_LM")).eval()
        adapted.save_pretrained(tmp_path / "more")
        words.save_pretrained(tmp_path / "more")
        loaded = load(tmp_path / "more", base=copy)
        ids = torch.tensor([[100, 511 + added, 101]])
        with torch.inference_mode():
            torch.testing.assert_close(loaded.model(input_ids=ids).logits, adapted(input_ids=ids).logits)
        assert loaded.model.get_input_embeddings().weight.shape[0] == 512 + added

    def test_another_base_is_named_by_tensor_and_shapes(self, adapter, tmp_path):
        other = tiny_models.save(tmp_path / "other", tiny_models.llama(num_key_value_heads=2), tiny_models.tokenizer())
        said = r"v_proj.lora_B.weight is 16 by 4 and its base model needs 32 by 4; name the base .*--base"
        with pytest.raises(UsageError, match=said):
            load(adapter, base=other)

    def test_a_pickle_is_refused(self, adapter):
        (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
        with pytest.raises(UsageError, match=r"pickle \(adapter_model.bin\)"):
            load(adapter)

    def test_missing_weights_are_refused(self, adapter):
        file = adapter / "adapter_model.safetensors"
        weights = load_file(file)
        weights.pop(min(weights))
        save_file(weights, file)
        with pytest.raises(UsageError, match="lacks 1 weight"):
            load(adapter)


def _edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _not_json(path):
    (path / "config.json").write_text('{"model_type": "llama",')


def _no_model_type(path):
    (path / "config.json").write_text('{"hidden_size": 32}')


def _a_list(path):
    (path / "config.json").write_text("[]")


def _unknown_type(path):
    _edit(path / "config.json", model_type="hal9000")


def _own_code(path):
    _edit(path / "config.json", model_type="hal9000", auto_map={"AutoModelForCausalLM": "modeling.Hal"})


def _no_language_model(path):
    _edit(path / "config.json", model_type="resnet", architectures=["ResNetModel"])


def _no_weights(path):
    (path / "model.safetensors").unlink()


def _pickled(path):
    torch.save(load_file(path / "model.safetensors"), path / "pytorch_model.bin")
    (path / "model.safetensors").unlink()


def _cut_short(path):
    data = (path / "model.safetensors").read_bytes()
    (path / "model.safetensors").write_bytes(data[: len(data) // 2])


def _garbage(path):
    (path / "model.safetensors").write_bytes(struct.pack("<Q", 2**60) + b"{}")


def _empty(path):
    (path / "model.safetensors").write_bytes(b"")


def _without_a_weight(path):
    weights = load_file(path / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, path / "model.safetensors")


def _other_shape(path):
    _edit(path / "config.json", hidden_size=48)


def _small_vocabulary(path):
    tiny_models.save(path, tiny_models.llama(vocab_size=300))


def _embeddings_of_another_config(path):
    _edit(path / "config.json", vocab_size=600)


def _heads_of_another_config(path):
    _edit(path / "config.json", num_key_value_heads=2)


def _fewer_layers_than_weights(path):
    _edit(path / "config.json", num_hidden_layers=1)


def _heads_that_are_no_number(path):
    _edit(path / "config.json", num_attention_heads="two")


def _pointer(name):
    def spoil(path):
        (path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")

    return spoil


def _no_tokenizer(path):
    (path / "tokenizer.json").unlink()


def _broken_tokenizer(path):
    (path / "tokenizer.json").write_text("{")


def _no_template(path):
    (path / "chat_template.jinja").unlink()


def _broken_template(path):
    (path / "chat_template.jinja").write_text("{% for message in messages %}")


def _raising_template(path):
    (path / "chat_template.jinja").write_text("{{ raise_exception('only with tools\nplease') }}")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_not_json, "config.json is not JSON .*save the checkpoint again"),
        (_a_list, "config.json holds no JSON object.*save the checkpoint again"),
        (_no_model_type, "names no model_type.*save the checkpoint again"),
        (_unknown_type, "'hal9000', which transformers .* does not know; update"),
        (_own_code, "its own code; allow it with --trust-remote-code"),
        (_no_language_model, "'resnet', which does not continue text; choose"),
        (_no_weights, r"no weights \(model.safetensors\); copy them"),
        (_pickled, r"pickle \(pytorch_model.bin\).*convert it"),
        (_cut_short, "model.safetensors is damaged or cut short.*again"),
        (_garbage, "model.safetensors is damaged or cut short.*again"),
        (_empty, "model.safetensors is damaged or cut short.*again"),
        (_without_a_weight, r"lacks 1 weight \(model.layers.1.mlp.up_proj.weight ...\); copy or save"),
        (_other_shape, r"lm_head.weight is 512 by 32 in the weights and 512 by 48 by config.json; correct the config"),
        (_embeddings_of_another_config, r"lm_head.weight is 512 by 32 in the weights and 600 by 32 by config.json"),
        (_heads_of_another_config, r"k_proj.weight is 16 by 32 in the weights and 32 by 32 by config.json"),
        (_fewer_layers_than_weights, r"have model.layers.1.\S+, and config.json no such layer; correct the config"),
        (_heads_that_are_no_number, "'num_attention_heads': TypeError: .* expected int, got str"),
        (_pointer("tokenizer.json"), "tokenizer.json is a Git LFS pointer.*git lfs pull"),
        (_pointer("model.safetensors"), "model.safetensors is a Git LFS pointer.*git lfs pull"),
        (_pointer("config.json"), "config.json is a Git LFS pointer.*git lfs pull"),
        (_small_vocabulary, "has 352 tokens and its model 300; replace it by the model's own"),
        (_no_tokenizer, "no tokenizer.*save one beside"),
        (_broken_tokenizer, "cannot read the tokenizer of .*llama: .*save it again"),
        (_no_template, "no chat template.*chat_template.jinja"),
        (_broken_template, "chat template fails: .*change .*llama/chat_template.jinja"),
        (_raising_template, "chat template fails: only with tools; change .*llama/chat_template.jinja$"),
    ],
)
def test_a_spoilt_checkpoint_is_refused_in_one_line(copy, spoil, said):
    spoil(copy)
    with pytest.raises(UsageError, match=said) as caught:
        load(copy)
    assert str(copy) in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_a_pickle_is_never_opened(copy, monkeypatch):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was opened",))

    torch.save(Bomb(), copy / "pytorch_model.bin")
    load(copy)  # safetensors beside it are what is read
    (copy / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="pickle"):
        load(copy)


@pytest.mark.parametrize("family", ["llama", "idefics3"])
@pytest.mark.parametrize("several", [False, True])
def test_a_template_beside_the_model_is_read(tmp_path, family, several):
    """``chat_template.json``, as vision models have it; their processor cannot be built here."""
    template = tiny_models.CHATML_PARTS if family == "idefics3" else tiny_models.CHATML
    tiny_models.save(tmp_path, getattr(tiny_models, family)(), tiny_models.tokenizer(template))
    (tmp_path / "chat_template.jinja").unlink()
    found = [{"name": "default", "template": template}, {"name": "tools", "template": "x"}] if several else template
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": found}))
    loaded = load(tmp_path)
    asked = text(loaded, render(loaded, [Message("user", "Make 24.")]))
    assert asked == "<|im_start|>user\nMake 24.<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize("words", [{"eos_token": "<|eos|>"}, {}])
def test_a_tokenizer_without_a_pad_token_gets_one(tmp_path, words):
    made = tiny_models.tokenizer()
    bare = type(made)(tokenizer_object=made.backend_tokenizer, chat_template=tiny_models.CHATML, **words)
    assert bare.pad_token_id is None
    loaded = load(tiny_models.save(tmp_path, tiny_models.llama(), bare))
    assert loaded.tokenizer.pad_token_id == loaded.pad_id == (1 if words else 0)


def test_a_path_that_is_wrong_is_put_right(saved, tmp_path):
    for step in (50, 300):
        shutil.copytree(saved, tmp_path / "mine" / "checkpoints" / f"step-{step}")
    (tmp_path / "mine" / "config.yaml").write_text("stage: sft\n")
    (tmp_path / "empty").mkdir()
    wrong = {
        tmp_path / "mine": r"neither config.json nor adapter_config.json; did you mean .*/step-300\?",
        tmp_path / "mien": r"no directory .*/mien; did you mean .*/mine\?",
        tmp_path / "mine" / "checkpoint" / "step-50": r"did you mean .*/mine/checkpoints\?",
        tmp_path / "mine/checkpoints/step-300/config.json": r"is a file; name the directory .*/step-300$",
        tmp_path / "empty": "neither config.json nor adapter_config.json; save one there",
        "a/path/that/is/not/there": "no directory a/path/that/is/not/there",
    }
    for path, said in wrong.items():
        with pytest.raises(UsageError, match=said) as caught:
            load(path)
        assert "\n" not in str(caught.value)


def test_a_hub_id_is_looked_up_in_the_local_cache(saved, tmp_path, monkeypatch):
    """The layout of the cache: blobs aside, ``models--OWNER--NAME/{refs/main,snapshots/REVISION/}``."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match="someone/model is neither .* cache.*HF_HUB_OFFLINE=0"):
        load("someone/model")
    home = tmp_path / "models--someone--model"
    shutil.copytree(saved, home / "snapshots" / ("0" * 40))
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("0" * 40)
    assert load("someone/model").model_type == "llama"


def test_too_little_memory_is_said(saved, monkeypatch):
    """The allocator's own words, since no test can fill the memory."""

    def full(*args, **kwargs):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("transformers.LlamaForCausalLM.from_pretrained", full)
    with pytest.raises(UsageError, match="does not fit into the memory of cpu; try bfloat16"):
        load(saved)


def test_loading_is_silent(saved, capfd):
    load(saved)
    assert capfd.readouterr() == ("", "")
