"""A GGUF file becomes a checkpoint: the file is written here as llama.cpp lays a Llama out."""

import json

import gguf
import numpy as np
import pytest
import torch

from labkit.cli import main
from labkit.envs import game
from labkit.errors import UsageError
from labkit.models import gguf as reading
from labkit.models import loader
from labkit.play import play
from labkit.players.registry import load
from tests import tiny_models

PROMPT = "Make 24 from four cards. Cards: 3, 3, 8, 8"
NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def interleaved(weight, heads):
    """llama.cpp rotates neighbours: dimension i of a head's first half stands beside i of its second half."""
    by_half = weight.reshape(heads, 2, weight.shape[0] // heads // 2, weight.shape[1])
    return np.ascontiguousarray(by_half.swapaxes(1, 2).reshape(weight.shape))


@pytest.fixture(scope="module")
def source():
    """A tiny Llama and its tokenizer."""
    words = tiny_models.tokenizer()
    # Every vocabulary of this kind has it; transformers adds it otherwise.
    words.add_tokens("<|endoftext|>", special_tokens=True)
    model = tiny_models.llama(vocab_size=len(words), num_attention_heads=4, num_key_value_heads=2, head_dim=8)
    return model.eval(), words


@pytest.fixture(scope="module")
def file(source, tmp_path_factory):
    model, words = source
    config, weights = model.config, {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    core = json.loads(words.backend_tokenizer.to_str())
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([words.convert_ids_to_tokens(n) for n in range(len(words))])
    special = set(words.all_special_ids) | {t["id"] for t in core["added_tokens"]}
    kinds = [gguf.TokenType.CONTROL if n in special else gguf.TokenType.NORMAL for n in range(len(words))]
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in core["model"]["merges"]])
    writer.add_eos_token_id(words.eos_token_id)
    writer.add_pad_token_id(words.pad_token_id)
    writer.add_chat_template(words.chat_template)
    writer.add_tensor("token_embd.weight", weights["model.embed_tokens.weight"])
    writer.add_tensor("output_norm.weight", weights["model.norm.weight"])
    writer.add_tensor("output.weight", weights["lm_head.weight"])
    for layer in range(config.num_hidden_layers):
        for ours, theirs in NAMES.items():
            weight = weights[f"model.layers.{layer}.{ours}.weight"]
            heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(theirs)
            writer.add_tensor(f"blk.{layer}.{theirs}.weight", interleaved(weight, heads) if heads else weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_an_imported_model_predicts_what_its_source_predicts(source, file, tmp_path, capsys):
    model, words = source
    assert main(["import", str(file), str(tmp_path / "made"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"] == model.num_parameters()
    bundle = loader.load(tmp_path / "made")
    dialogue = [{"role": "user", "content": PROMPT}]
    ids = words.apply_chat_template(dialogue, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    again = bundle.tokenizer.apply_chat_template(dialogue, add_generation_prompt=True)["input_ids"]
    assert again == ids["input_ids"][0].tolist()
    with torch.no_grad():
        expected, found = model(ids["input_ids"]).logits, bundle.model(ids["input_ids"]).logits
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert expected.std() > 0.05
    player = load(str(tmp_path / "made"), device="cpu", max_new_tokens=4)
    assert not play(next(game("gp-l").tasks("id")), player).success


def test_what_is_no_gguf_file_or_has_no_room_is_refused(file, tmp_path, monkeypatch):
    other = tmp_path / "other.gguf"
    other.write_bytes(b"PK not a model")
    with pytest.raises(UsageError, match="does not begin with GGUF"):
        reading.import_gguf(other, tmp_path / "made")
    with pytest.raises(UsageError, match="no file .*; give the path of a GGUF file"):
        reading.import_gguf(tmp_path / "none.gguf", tmp_path / "made")
    with pytest.raises(UsageError, match="new or empty"):
        reading.import_gguf(file, tmp_path)
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(UsageError, match="cannot read"):
        reading.import_gguf(cut, tmp_path / "made")
    monkeypatch.setattr(reading, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install gguf"):
        reading.import_gguf(file, tmp_path / "made")


@pytest.mark.parametrize("verb", ["play", "train"])
def test_a_gguf_file_named_as_a_model_is_to_be_imported_first(file, verb, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "config.yaml"
    config.write_text(f"stage: sft\nmodel: {file}\ncell: gp-l\nsteps: 1\nlr: 1e-4\n")
    words = {"play": ["play", "gp-l", "--player", str(file)], "train": ["train", str(config)]}
    assert main(words[verb]) == 2
    assert (
        f"{file} is a GGUF file; make a checkpoint of it with `labkit import {file} DIR`\n" in capsys.readouterr().err
    )
