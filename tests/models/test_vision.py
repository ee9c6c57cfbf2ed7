"""Each family of vision models, small and random, with its own processor: playing and training with pictures."""

import copy

import numpy as np
import pytest
import torch

from labkit.envs import game, prompt, start
from labkit.episode import Message
from labkit.models.chat import render
from labkit.models.forward import chosen_tokens, exact_kl, hidden_states, log_probs
from labkit.models.loader import load
from labkit.models.sampling.decode import generate
from labkit.models.sampling.levels import Level
from labkit.models.sampling.trial import level_of
from labkit.models.vision import image_token_id, part_of, picture_inputs
from labkit.play import play_many
from labkit.players.base import Request
from labkit.players.checkpoint import Checkpoint
from labkit.rollout import collate, gather
from tests import vision_models

HANDS = (("K", "3", "8", "J"), ("A", "2", "6", "Q"), ("5", "5", "9", "10"))
IMAGE_TOKENS = {
    "llava": 16,  # 4 x 4 patches of 14 pixels
    "idefics3": 20,  # 4 tiles and the whole, 4 tokens each
    "smolvlm": 20,
    "gemma3": 4,
    "qwen2_5_vl": 4,  # 2 x 2 groups of 2 x 2 patches
    "qwen3_vl": 4,
    "mllama": 1,
}


@pytest.fixture(scope="module", params=vision_models.FAMILIES)
def bundle(request, tmp_path_factory):
    return load(vision_models.FAMILIES[request.param](tmp_path_factory.mktemp("vlm") / request.param))


def tasks(attempts=2, cell="gp-vl", size=56):
    shown = {"picture": {"size": size}} if cell == "gp-vl" else {}
    return [game(cell).task(hand=hand, attempts=attempts, **shown) for hand in HANDS]


def player(bundle, **settings):
    return Checkpoint(bundle, name="seeing", temperature=1.0, max_new_tokens=6, **settings)


def rows(bundle, dealt, batch=8):
    """The rows of played episodes, and the answers' texts."""
    played = list(play_many(dealt, player(bundle), batch=batch))
    rollout = gather(played)
    return rollout.rows, [[a.answer for a in episode.attempts] for episode in rollout.episodes]


def scored(bundle, several):
    """Log-probabilities of sampled tokens by one padded forward pass over all rows."""
    batch = collate(several)
    shown = picture_inputs(bundle.model, batch["input_ids"], [row.pictures for row in several])
    with torch.no_grad():
        hidden_ND = hidden_states(bundle.model, *batch.values(), **shown)
        return log_probs(bundle.model, hidden_ND, chosen_tokens(batch["input_ids"], batch["sampled"]))[0].numpy()


LEVELS = dict.fromkeys(IMAGE_TOKENS, Level.DRAFTS) | {
    "gemma3": Level.CACHED,  # its layers look back 512 tokens
    "mllama": Level.CACHED,  # its pictures lie in layers without columns for tokens
}


def test_each_family_reuses_as_much_as_it_can(bundle):
    assert level_of(bundle.model) == LEVELS[bundle.model_type]


def test_the_distance_to_a_model_sees_the_pictures(bundle):
    """0 from a model to itself; between two models as their log-probabilities say, summed over the vocabulary."""
    several, _ = rows(bundle, [*tasks(attempts=1), *tasks(attempts=1, cell="gp-l")])
    other = copy.deepcopy(bundle.model)
    with torch.no_grad():
        for name, weight in other.named_parameters():
            if part_of(name) == "connector":
                weight.copy_(weight.flip(0))
    batch, pictures = collate(several), [row.pictures for row in several]
    assert exact_kl(bundle.model, bundle.model, *batch.values(), pictures).abs().max() < 1e-5
    found = exact_kl(bundle.model, other, *batch.values(), pictures)
    shown = torch.cat([torch.full((len(row.turn),), bool(row.pictures)) for row in several])
    # Only what the connector passes on differs.
    assert found[~shown].abs().max() < 1e-4 < found[shown].max()


def test_a_picture_becomes_the_image_tokens_of_its_family(bundle):
    context = render(bundle, prompt(start(tasks()[0])), game("gp-vl").draw)
    (picture,) = context.pictures
    inside = context.ids[slice(*picture.span)]
    assert inside.count(image_token_id(bundle.model.config)) == IMAGE_TOKENS[bundle.model_type]
    assert context.ids.count(image_token_id(bundle.model.config)) == IMAGE_TOKENS[bundle.model_type]


def test_ids_are_those_of_the_processor(bundle):
    """The whole prompt by transformers' own processor, in one call."""
    episode = start(tasks()[0])
    message, processor = prompt(episode)[0], bundle.reader.processor
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": message.text}]}]
    text = bundle.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    image = game("gp-vl").draw(message.picture)
    whole = processor(text=[text], images=[[image]], add_special_tokens=False, return_tensors="pt")
    ids = whole["input_ids"][0].tolist()
    if bundle.model_type == "mllama":
        # Its processor begins every text with the token that begins one; templates of real checkpoints do too.
        ids = ids[1:]
    context = render(bundle, prompt(episode), game("gp-vl").draw)
    assert list(context.ids) == ids
    for name, tensor in context.pictures[0].inputs.items():
        torch.testing.assert_close(tensor, whole[name], rtol=0, atol=0)


def test_sampled_log_probs_are_those_of_a_training_pass(bundle):
    several, said = rows(bundle, [*tasks(), *tasks(cell="gp-l")])
    assert sum(len(row.pictures) for row in several) == 3
    logp = np.concatenate([row.logp for row in several])
    np.testing.assert_allclose(scored(bundle, several), logp, atol=2e-3)
    # And of single passes, without padding and without the other rows.
    alone = np.concatenate([scored(bundle, [row]) for row in several])
    np.testing.assert_allclose(alone, logp, atol=2e-3)


def test_a_batch_answers_as_single_episodes_do(bundle):
    dealt = [*tasks(), *tasks(cell="gp-l")]
    assert rows(bundle, dealt)[1] == rows(bundle, dealt, batch=1)[1]


def test_the_same_words_with_another_picture_get_another_answer(bundle):
    one, other = (Request(start(task)) for task in tasks()[:2])
    assert prompt(one.episode)[0].text == prompt(other.episode)[0].text
    answers = player(bundle).answer([one, other, one, other])
    assert answers[0].tokens.logp.tolist() == pytest.approx(answers[2].tokens.logp.tolist(), abs=1e-4)
    assert answers[0].tokens.logp.tolist() != pytest.approx(answers[1].tokens.logp.tolist(), abs=1e-2)


def test_tokens_before_a_picture_do_not_depend_on_it(bundle):
    talk = [Message("user", "Make 24."), Message("assistant", "Which cards?")]
    recipes = [prompt(start(task))[0].picture for task in tasks()[:2]]
    contexts = [render(bundle, [*talk, Message("user", "These.", r)], game("gp-vl").draw) for r in recipes]
    begin = contexts[0].pictures[0].span[0]
    logits = []
    for context in contexts:
        ids_1C = torch.tensor([context.ids])
        with torch.no_grad():
            shown = picture_inputs(bundle.model, ids_1C, [context.pictures])
            logits.append(bundle.model(input_ids=ids_1C, **shown).logits[0])
    torch.testing.assert_close(logits[0][: begin - 1], logits[1][: begin - 1], atol=1e-4, rtol=1e-4)
    assert (logits[0][-1] - logits[1][-1]).abs().max() > 1e-2


def test_a_dialogue_shows_several_pictures(bundle):
    """Two pictures with an answer between them: log-probabilities of a cached dialogue and of one forward pass."""
    recipes = [prompt(start(task))[0].picture for task in tasks()[:2]]
    talk = [Message("user", "One.", recipes[0]), Message("assistant", "K, 3"), Message("user", "Two.", recipes[1])]
    context = render(bundle, talk, game("gp-vl").draw)
    assert [p.key for p in context.pictures] == [bundle.reader.read(r, game("gp-vl").draw).key for r in recipes]
    changed = [talk[0]._replace(picture=recipes[1]), talk[1], talk[2]._replace(picture=recipes[0])]
    swapped = render(bundle, changed, game("gp-vl").draw)
    settings = {"max_new_tokens": 6, "temperature": 1.0, "stop_ids": []}
    first, second = generate(bundle.model, [context, swapped], noise=[(0,), (0,)], **settings)
    for asked, answer in ((context, first), (swapped, second)):
        ids_1T = torch.tensor([[*asked.ids, *answer.ids]])
        sampled = torch.zeros_like(ids_1T, dtype=torch.bool)
        sampled[:, len(asked) :] = True
        shown = picture_inputs(bundle.model, ids_1T, [asked.pictures])
        with torch.no_grad():
            hidden_ND = hidden_states(bundle.model, ids_1T, torch.ones_like(ids_1T), sampled, **shown)
            logp, _ = log_probs(bundle.model, hidden_ND, torch.from_numpy(answer.ids))
        np.testing.assert_allclose(answer.logp, logp.numpy(), atol=2e-3)
    assert first.logp.tolist() != pytest.approx(second.logp.tolist(), abs=1e-2)


def test_a_placeholder_is_never_sampled(bundle):
    with torch.no_grad():
        head = bundle.model.get_output_embeddings()
        image = image_token_id(bundle.model.config)
        if image >= head.weight.shape[0]:
            pytest.skip("the output layer has no such token")
        kept = head.weight[image].clone()
        head.weight[image] = 100 * kept
    try:
        answers = player(bundle).answer([Request(start(task), key=(n,)) for n in range(8) for task in tasks()])
        assert not any(image in answer.tokens.ids for answer in answers)
    finally:
        with torch.no_grad():
            head.weight[image] = kept
