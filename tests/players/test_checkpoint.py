"""A model as a player: what it is sent, what is recorded, and its prefix cache."""

import copy
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from labkit.envs import fork, game, judge, prompt, start
from labkit.episode import Message, Sample
from labkit.errors import UsageError
from labkit.models.chat import render, suffix
from labkit.models.loader import load
from labkit.models.sampling import engine
from labkit.models.sampling.decode import generate
from labkit.play import play, play_many, stream
from labkit.players import Answer, Request, Tokens
from labkit.players.checkpoint import Checkpoint, decode, token_range
from labkit.players.simple import Expert
from tests import tiny_models

# A space before a comma, and characters of several bytes, which the tokenizer has no token for.
ANSWER = '{"cards": ["K"] , "number": [10], "formula": "7 × 8 — ♠ = 24"}'


def task(attempts=3):
    return game("gp-l").task(hand=("K", "3", "8", "J"), attempts=attempts)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Says anything."""
    model = tiny_models.llama(max_position_embeddings=1024)
    return load(tiny_models.save(tmp_path_factory.mktemp("llama"), model, tiny_models.tokenizer()))


@pytest.fixture(scope="module")
def parrot(tmp_path_factory):
    """Has learnt to say ``ANSWER``, and to say it again."""
    path = tmp_path_factory.mktemp("parrot")
    model = tiny_models.llama(hidden_size=64, head_dim=32, max_position_embeddings=1024)
    torch.manual_seed(0)
    model.apply(model._init_weights)
    loaded = load(tiny_models.save(path, model, tiny_models.tokenizer()))
    episode = judge(start(task()), ANSWER)
    question = list(render(loaded, prompt(episode)[:1]))
    answer = [*loaded.tokenizer(ANSWER)["input_ids"], *loaded.layout.end_ids]
    again = suffix(loaded, Message("user", episode.attempts[0].verdict.feedback), ended=True)
    ids = torch.tensor([[*question, *answer, *again, *answer]])
    learnt = [False] * len(question) + [True] * len(answer) + [False] * len(again) + [True] * len(answer)
    labels = torch.where(torch.tensor([learnt]), ids, -100)
    optimizer = torch.optim.Adam(loaded.model.parameters(), lr=0.005)
    for _ in range(400):
        optimizer.zero_grad()
        loss = loaded.model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        if loss < 0.01:
            return loaded
    raise AssertionError("400 steps are plenty to learn one sentence by heart")


def player(loaded, **settings):
    return Checkpoint(loaded, **({"name": "tiny", "max_new_tokens": 24, "temperature": 1.0} | settings))


def whole(loaded, ids):
    """Text with its special tokens."""
    return loaded.tokenizer.decode(ids)


def test_an_answer_and_its_record(parrot):
    answer = player(parrot, temperature=0.0, max_new_tokens=None).answer([Request(start(task()))])[0]
    assert answer.text == ANSWER
    encoded = parrot.tokenizer(ANSWER, return_offsets_mapping=True)
    ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
    end = parrot.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert answer.tokens.ids.tolist() == [*ids, end]
    assert answer.tokens.context.tolist() == list(render(parrot, prompt(start(task()))))
    assert answer.tokens.ids.dtype == answer.tokens.context.dtype == np.int64
    sample = answer.sample
    assert (sample.tokens, sample.prompt_tokens) == (len(ids) + 1, len(answer.tokens.context))
    assert (sample.truncated, sample.temperature, sample.value) == (False, 0.0, None)
    assert sample.seconds > 0
    assert sample.logp == pytest.approx(answer.tokens.logp.sum(), abs=1e-5)
    # The formula stands between `"formula": "` and the last quote; its tokens by the tokenizer's own offsets.
    begin, end = ANSWER.index("7 ×"), ANSWER.index('"}')
    inside = [i for i, (first, last) in enumerate(offsets) if first < end and last > begin]
    assert answer.tokens.decisive == (inside[0], inside[-1] + 1)
    assert sample.decisive_tokens == len(inside) > 8
    assert sample.decisive_logp == pytest.approx(sum(answer.tokens.logp[inside].tolist()), abs=1e-5)


def test_recorded_log_probabilities_are_the_models(loaded):
    for played in play_many([task(), task()], player(loaded, temperature=0.6)):
        for answer in played.answers:
            ids = torch.tensor([[*answer.tokens.context, *answer.tokens.ids]])
            with torch.inference_mode():
                logits = loaded.model(input_ids=ids).logits[0, len(answer.tokens.context) - 1 : -1]
            exact = torch.log_softmax(logits / 0.6, -1)[range(len(answer.tokens.ids)), answer.tokens.ids]
            np.testing.assert_allclose(answer.tokens.logp, exact.numpy(), atol=1e-4)


def test_a_dialogue_grows_by_appending(loaded):
    """Random weights sample pieces that no tokenizer would cut that way: encoded again, they would change."""
    (played,) = play_many([task(attempts=4)], player(loaded))
    first, *later = played.answers
    assert first.tokens.context.tolist() == list(render(loaded, prompt(start(task()))))
    changed = 0
    for before, after, attempt in zip(played.answers, later, played.episode.attempts, strict=False):
        grown = [*before.tokens.context, *before.tokens.ids]
        assert after.tokens.context[: len(grown)].tolist() == grown
        said = attempt.verdict.feedback
        closed = "" if before.tokens.ids[-1] == 3 else "<|im_end|>"  # 3 is <|im_end|>
        behind = f"{closed}\n<|im_start|>user\n{said}<|im_end|>\n<|im_start|>assistant\n"
        assert whole(loaded, after.tokens.context[len(grown) :]) == behind
        changed += loaded.tokenizer(before.text)["input_ids"] != before.tokens.ids.tolist()
    assert len(later) == changed == 3


def test_what_was_sampled_is_not_encoded_again(loaded):
    """`formula` is few tokens to the tokenizer; a model that spelt it out finds its letters again."""
    letters = [i for c in "formula" for i in loaded.tokenizer(c)["input_ids"]]
    assert len(letters) == 7 > len(loaded.tokenizer("formula")["input_ids"])
    episode = judge(start(task()), "formula")
    context = np.array(render(loaded, prompt(start(task()))))
    tokens = Tokens(context, np.array([*letters, 3]), np.zeros(8, np.float32))
    spelt = Answer("formula", Sample(8, len(context), 0.1, 1.0, 0.0), tokens)
    sent = player(loaded).answer([Request(episode, (spelt,))])[0].tokens.context.tolist()
    assert sent[: len(context) + 8] == [*context, *letters, 3]
    encoded = player(loaded).answer([Request(episode)])[0].tokens.context.tolist()
    assert whole(loaded, encoded) == whole(loaded, sent)
    assert len(encoded) == len(sent) - 7 + len(loaded.tokenizer("formula")["input_ids"])


def test_a_fork_without_its_tokens_goes_on_from_the_text(parrot):
    """The parrot's own cut of its answer is the tokenizer's, so both ways lead to the same ids."""
    (played,) = play_many([task(attempts=2)], player(parrot, temperature=0.0, max_new_tokens=None))
    assert [a.text for a in played.answers] == [ANSWER, ANSWER]
    again = player(parrot, temperature=0.0, max_new_tokens=None).answer([Request(fork(played.episode, 1))])[0]
    assert again.tokens.context.tolist() == played.answers[1].tokens.context.tolist()
    assert again.text == ANSWER


@pytest.mark.parametrize("batch", [1, 3])
def test_what_is_said_does_not_depend_on_the_batch(loaded, batch):
    tasks = list(islice(game("gp-l").tasks("id", attempts=2), 7))
    answers = []
    for settings in ({"batch": 64}, {"batch": batch}):
        played = list(play_many(tasks, player(loaded, **settings), **settings, key=(5,)))
        played.sort(key=lambda p: p.index)
        answers.append([[a.answer for a in p.episode.attempts] for p in played])
    assert answers[0] == answers[1]
    assert len({text for episode in answers[0] for text in episode}) == 14


def test_noise_is_keyed_by_episode_and_attempt(loaded):
    one = play(task(), player(loaded), key=(1, 2))
    texts = [a.answer for a in one.attempts]
    assert [a.answer for a in play(task(), player(loaded), key=(1, 2)).attempts] == texts
    assert [a.answer for a in play(task(), player(loaded), key=(2, 1)).attempts] != texts
    # Behind the turn's key stand the position and the attempt.
    (played,) = play_many([task()], player(loaded), key=(9,))
    for attempt, answer in enumerate(played.answers):
        noise, settings = [(9, 0, 0, attempt)], {"max_new_tokens": 24, "temperature": 1.0}
        context = answer.tokens.context.tolist()
        again = generate(loaded.model, [context], noise=noise, stop_ids=loaded.stop_ids, **settings)[0]
        assert again.ids.tolist() == answer.tokens.ids.tolist()


def test_an_answer_that_was_cut_short_says_so(parrot):
    answer = player(parrot, temperature=0.0, max_new_tokens=5).answer([Request(start(task()))])[0]
    assert answer.sample.truncated and answer.sample.tokens == len(answer.tokens.ids) == 5
    assert ANSWER.startswith(answer.text) and answer.text
    assert (answer.sample.decisive_logp, answer.sample.decisive_tokens) == (None, 0)
    assert answer.tokens.decisive == (0, 0)


def test_the_end_token_is_no_part_of_the_text(tmp_path):
    """A model may name ordinary tokens as its end: here all from 100 to 299."""
    model = tiny_models.llama(max_position_embeddings=1024)
    model.generation_config.eos_token_id = list(range(100, 300))
    loaded = load(tiny_models.save(tmp_path, model, tiny_models.tokenizer()))
    answers = player(loaded).answer([Request(start(task()), (), (i,)) for i in range(20)])
    ended = [a for a in answers if not a.sample.truncated]
    assert len(ended) > 10
    for answer in ended:
        assert 100 <= answer.tokens.ids[-1] < 300
        assert answer.text == loaded.tokenizer.decode(answer.tokens.ids[:-1], skip_special_tokens=True)


def test_special_tokens_are_no_part_of_the_text():
    words = tiny_models.tokenizer()
    ids = [*words("a ,")["input_ids"], words.convert_tokens_to_ids("<image>"), *words(" b")["input_ids"]]
    assert decode(words, ids) == "a , b"


def test_marks_of_thoughts_are_part_of_the_text():
    words = tiny_models.tokenizer()
    words.add_special_tokens({"additional_special_tokens": ["<|channel|>", "<|message|>", "[THINK]"]})

    def special(*tokens):
        return words.convert_tokens_to_ids(list(tokens))

    a, b = words("a")["input_ids"], words("b")["input_ids"]
    ids = [*special("<|channel|>"), *a, *special("<|message|>", "<image>"), *b, *special("[THINK]", "<|im_end|>")]
    assert decode(words, ids) == "<|channel|>a<|message|>b[THINK]"
    assert token_range(words, ids, (23, 24)) == (4, 5)


@pytest.mark.parametrize(("opened", "category"), [("<think>\n", "unreadable"), ("", "illegal_formula")])
def test_a_draft_in_a_thought_that_the_prompt_opened_is_no_answer(parrot, opened, category):
    """The parrot answers with an object; behind an open thought that is a draft."""
    thinking = replace(parrot, layout=parrot.layout._replace(thought=opened))
    (answer,) = player(thinking, temperature=0.0, max_new_tokens=None).answer([Request(start(task()))])
    assert answer.text == opened + ANSWER
    assert judge(start(task()), answer.text).attempts[-1].verdict.category == category


def test_it_can_be_stopped(loaded):
    stopped = player(loaded)
    stopped.should_stop = lambda: True
    answer = stopped.answer([Request(start(task()))])[0]
    assert (answer.text, answer.sample.tokens, answer.sample.truncated) == ("", 0, True)
    assert judge(start(task()), answer.text, answer.sample).attempts[0].verdict.category == "unreadable"


def test_pictures_are_refused_in_one_line(loaded):
    episode = start(game("gp-vl").task(hand=("K", "3", "8", "J"), picture={"size": 64}))
    with pytest.raises(
        UsageError, match="gp-vl shows pictures, and .* reads none: it is a text model; take a vision-language model"
    ):
        player(loaded).answer([Request(episode)])


def test_a_dialogue_that_outgrows_the_model_ends_in_unreadable_answers(loaded):
    """1,024 positions hold the prompt and fewer than ten rounds of 100 tokens and feedback."""
    episode = play(task(attempts=20), player(loaded, max_new_tokens=100))
    assert episode.status == "exhausted" and len(episode.attempts) == 20
    last = episode.attempts[-1]
    assert (last.answer, last.verdict.category, last.sample.tokens, last.sample.truncated) == (
        "",
        "unreadable",
        0,
        True,
    )
    assert episode.attempts[0].sample.tokens > 0


@pytest.mark.parametrize("positions", [64, 127])
def test_a_prompt_longer_than_the_model_reads_is_refused_before_the_first_answer(tmp_path, positions):
    model = tiny_models.llama(max_position_embeddings=positions)
    short = load(tiny_models.save(tmp_path, model, tiny_models.tokenizer()))
    asked = len(render(short, prompt(start(task()))))
    assert asked >= positions
    with pytest.raises(UsageError, match=f"the prompt has {asked} tokens and tiny reads {positions}; take a model"):
        list(play_many([task(), task()], player(short)))


def test_prompts_that_outgrow_the_model_on_the_way_are_counted(tmp_path):
    """In V-IRL the way so far is part of the prompt."""
    walk = [e for e in stream(next(iter(game("virl-l").tasks("id"))), Expert()) if not e.done]
    words = tiny_models.tokenizer()
    first, last = (
        len(
            words.apply_chat_template(
                [{"role": "user", "content": prompt(e)[0].text}], add_generation_prompt=True, return_dict=True
            )["input_ids"]
        )
        for e in (walk[0], walk[-1])
    )
    model = tiny_models.llama(max_position_embeddings=(first + last) // 2)
    found = player(load(tiny_models.save(tmp_path, model, words)), max_new_tokens=2)
    answers = found.answer([Request(e, (), (n,)) for n, e in enumerate(walk)])
    empty = sum(not answer.text and not answer.sample.tokens for answer in answers)
    assert 0 < found.too_long == empty < len(walk)
    assert found.notes == [
        f"tiny: {empty} prompts did not fit the model's context of {(first + last) // 2} tokens; "
        "an empty answer counts as unreadable"
    ]


def test_a_template_without_a_second_turn_plays_one_attempt(tmp_path):
    forgetful = "{{ messages[-1]['content'] }}{% if add_generation_prompt %}<|im_start|>{% endif %}"
    model = tiny_models.llama(max_position_embeddings=1024)
    once = player(load(tiny_models.save(tmp_path, model, tiny_models.tokenizer(forgetful))))
    assert len(play(task(attempts=1), once).attempts) == 1
    with pytest.raises(UsageError, match="drops or repeats earlier answers.*chat_template.jinja"):
        play(task(attempts=2), once)


@pytest.mark.parametrize(
    "settings", [{"temperature": -1}, {"temperature": float("nan")}, {"max_new_tokens": 0}, {"batch": 0}]
)
def test_invalid_settings(loaded, settings):
    with pytest.raises(UsageError):
        player(loaded, **settings)


# The prefix cache of a player, and its rollout model


def same(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert (a.text, a.sample.truncated) == (b.text, b.sample.truncated)
        assert a.tokens.context.tolist() == b.tokens.context.tolist()
        assert a.tokens.ids.tolist() == b.tokens.ids.tolist()
        np.testing.assert_allclose(a.tokens.logp, b.tokens.logp, atol=1e-4)


def exactly(loaded, answers, temperature=1.0):
    """Each recorded log-probability is that of a plain forward pass over context and answer."""
    for answer in answers:
        context, ids = answer.tokens.context, answer.tokens.ids
        with torch.inference_mode():
            logits = loaded.model(input_ids=torch.tensor([[*context, *ids]])).logits[0, len(context) - 1 : -1]
        if loaded.is_vlm:
            logits = logits.index_fill(-1, torch.tensor(loaded.model.config.image_token_id), -torch.inf)
        exact = torch.log_softmax(logits / temperature, -1)[range(len(ids)), ids]
        np.testing.assert_allclose(answer.tokens.logp, exact.numpy(), atol=1e-4)


@pytest.mark.parametrize("batch", [3, 8])
def test_a_rollout_is_its_episodes_one_by_one(loaded, batch):
    """Places in the batch are taken over by other episodes while the rest are in their later attempts."""
    tasks = [task(attempts=1 + i % 4) for i in range(10)]
    # Noise that falls within the rounding of fp32 (some 1e-7) of the border of two tokens may draw either, with any
    # forward pass; in about every second key's 550 draws there is some, and in this one's there is none.
    played = sorted(play_many(tasks, player(loaded), batch=batch, key=(7,)), key=lambda p: p.index)
    for index, (one, found) in enumerate(zip(tasks, played, strict=True)):
        fresh, alone = start(one), []
        while not fresh.done:
            # A new player each turn has nothing in its cache.
            alone += player(loaded).answer([Request(fresh, tuple(alone), (7, index))])
            fresh = judge(fresh, alone[-1].text, alone[-1].sample)
        same(found.answers, alone)
    exactly(loaded, [a for p in played for a in p.answers])
    assert {a.sample.truncated for p in played for a in p.answers} >= {True}


@pytest.fixture(scope="module")
def walker(tmp_path_factory):
    model = tiny_models.llama(max_position_embeddings=4096)
    return load(tiny_models.save(tmp_path_factory.mktemp("walker"), model, tiny_models.tokenizer()))


def test_positions_of_a_walk_are_answered_as_if_each_were_the_first(walker, monkeypatch):
    tasks = list(islice(game("virl-l").tasks("id"), 3))
    walks = [[e for e in stream(t, Expert()) if not e.done][:4] for t in tasks]
    remembers, read, forward = player(walker), [], engine._forward

    def counted(model, ids_BT, *others, **kept):
        read.append(ids_BT.shape[1])
        return forward(model, ids_BT, *others, **kept)

    monkeypatch.setattr(engine, "_forward", counted)
    for at in range(4):
        turns = [Request(walk[at], (), (i,)) for i, walk in enumerate(walks)]
        before = len(read)
        found = remembers.answer(turns)
        longest = max(len(a.tokens.context) for a in found)
        # From the second position on, the instruction and the way so far are not read again.
        assert at == 0 or max(read[before:]) < longest / 2
        for turn, answer in zip(turns, found, strict=True):
            same([answer], player(walker).answer([turn]))
    exactly(walker, found)


def test_a_vision_model_plays_text_with_a_prefix_cache(tmp_path):
    model = tiny_models.idefics3()
    model.config.text_config.max_position_embeddings = 2048
    loaded = load(tiny_models.save(tmp_path, model, tiny_models.tokenizer(tiny_models.CHATML_PARTS)))
    played = list(play_many([task(), task()], player(loaded, max_new_tokens=12), batch=2))
    assert len({a.text for p in played for a in p.answers}) == 6
    exactly(loaded, [a for p in played for a in p.answers])


def test_a_sampler_in_half_precision(loaded):
    """Tokens and log-probabilities are the copy's: near the model's, and the copy follows the model."""
    model = copy.deepcopy(loaded.model)
    mine = replace(loaded, model=model)
    halved = player(mine, sampler="bfloat16")
    turns = [Request(start(task()), (), (i,)) for i in range(8)]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    said = []
    for _ in range(2):
        found = halved.answer(turns)
        said.append([a.text for a in found])
        for answer in found:
            context, ids = answer.tokens.context, answer.tokens.ids
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([[*context, *ids]])).logits[0, len(context) - 1 : -1]
            exact = torch.log_softmax(logits, -1)[range(len(ids)), ids].numpy()
            assert np.abs(answer.tokens.logp - exact).max() > 1e-4
            assert np.abs(answer.tokens.logp - exact).mean() < 0.3
        ids = torch.tensor([answer.tokens.context.tolist()])
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
    assert said[0] != said[1]
    with pytest.raises(UsageError, match="no dtype"):
        player(loaded, sampler="bf16")
