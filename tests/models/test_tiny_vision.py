"""The tiny vision model: a text model with a tower in front keeps what it says of text, and loads like any other."""

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from labkit.envs import game, prompt, start
from labkit.errors import UsageError
from labkit.models.chat import render
from labkit.models.loader import load
from labkit.models.sampling.fused import can_be_fused
from labkit.models.tiny import Shape, build_model, build_tokenizer
from labkit.models.tiny_vision import IMAGE, Tower, build
from labkit.play import play_many
from labkit.players.checkpoint import Checkpoint
from labkit.rollout import gather
from tests import tiny_models

TOWER = Tower(size=48, patch=16, hidden=16, layers=1, heads=2, feed_forward=24)


@pytest.fixture(scope="module")
def text():
    tokenizer = build_tokenizer(tiny_models.TEXTS * 5, 400)
    return build_model(Shape(vocabulary=400, hidden=16, layers=2, heads=2, feed_forward=24), tokenizer, 0), tokenizer


@pytest.fixture(scope="module")
def saved(text, tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny-vision")
    model, processor = build(*text, TOWER, seed=3)
    model.save_pretrained(path)
    processor.save_pretrained(path)
    return path


def test_text_has_the_logits_that_it_had(text):
    model, _ = build(*text, TOWER, seed=3)
    ids = torch.arange(5, 25)[None]
    with torch.no_grad():
        before, after = (m.eval()(input_ids=ids).logits for m in (text[0], model))
    torch.testing.assert_close(after[..., : before.shape[-1]], before, atol=1e-5, rtol=0)
    assert after.shape[-1] == before.shape[-1] + 1


def test_the_text_model_and_its_tokenizer_are_left_as_they_were(text):
    build(*text, TOWER, seed=3)
    assert IMAGE not in text[1].get_vocab() and text[0].get_input_embeddings().weight.shape[0] == len(text[1])


def test_transformers_loads_it_like_any_other(saved):
    model, processor = AutoModelForImageTextToText.from_pretrained(saved), AutoProcessor.from_pretrained(saved)
    image = game("gp-vl").draw({"cards": [["K", "S"]], "size": 48})
    asked = processor(text=[f"{IMAGE}Cards?"], images=[image], return_tensors="pt")
    # 3 x 3 patches of 16 pixels.
    assert (asked["input_ids"] == model.config.image_token_id).sum() == 9
    assert torch.isfinite(model(**asked).logits).all()


def test_a_text_in_parts_and_a_text_have_the_same_ids(saved):
    tokenizer = load(saved).tokenizer
    chat = [{"role": "user", "content": "Cards?"}, {"role": "assistant", "content": "K"}]
    parts = [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in chat]
    assert tokenizer.apply_chat_template(chat, tokenize=False) == tokenizer.apply_chat_template(parts, tokenize=False)
    assert tokenizer.apply_chat_template(chat, tokenize=False) == "<|begin|><|user|>Cards?<|end|><|assistant|>K<|end|>"


def test_the_fused_pass_says_what_transformers_says(saved):
    """The log-probabilities that the fused model records, beside transformers' own."""
    bundle = load(saved)
    assert can_be_fused(bundle.model)
    player = Checkpoint(bundle, name="seeing", temperature=1.0, max_new_tokens=8)
    tasks = [game("gp-vl").task(hand=hand, attempts=2, picture=player.picture) for hand in ("3388", "A26K")]
    for row in gather(play_many(tasks, player)).rows:
        ids = torch.from_numpy(row.ids)[None]
        with torch.no_grad():
            logits = bundle.model(input_ids=ids, pixel_values=row.pictures[0].inputs["pixel_values"]).logits[0]
        logits[:, bundle.model.config.image_token_id] = -torch.inf
        exact = logits[:-1].log_softmax(-1).gather(-1, ids[0, 1:, None])[row.sampled[1:], 0]
        torch.testing.assert_close(torch.from_numpy(row.logp), exact, atol=1e-4, rtol=0)


def test_pictures_are_drawn_at_the_size_of_the_tower(saved):
    bundle = load(saved)
    player = Checkpoint(bundle, name="seeing")
    assert player.picture == {"size": 48}
    task = game("gp-vl").task(hand=("K", "3", "8", "J"), picture=player.picture)
    (picture,) = render(bundle, prompt(start(task)), game("gp-vl").draw).pictures
    assert picture.inputs["pixel_values"].shape == (1, 3, 48, 48)


def test_patches_must_fill_the_picture():
    with pytest.raises(UsageError, match="a picture of 100 pixels cannot be cut into patches of 16"):
        Tower.parse({"size": 100, "patch": 16})


def test_other_text_models_get_no_tower():
    with pytest.raises(UsageError, match="a tower can be put in front of a tiny text model only"):
        build(tiny_models.llama(), tiny_models.tokenizer(), TOWER, seed=0)
