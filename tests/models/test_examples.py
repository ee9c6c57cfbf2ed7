"""Training examples: the ids that sampling sees, and the loss on answers only."""

import pytest

from labkit.episode import Message
from labkit.errors import UsageError
from labkit.models.chat import Dialogue, encode, render
from labkit.models.loader import load
from labkit.models.tiny import build_tokenizer
from tests import tiny_models

TALK = (
    Message("user", "Make 24"),
    Message("assistant", "2*12"),
    Message("user", "Try again."),
    Message("assistant", "3*8"),
)


@pytest.fixture
def tokenizer():
    return build_tokenizer(["Make 24 2*12 Try again. 3*8"] * 50, 400)


def learnt_text(tokenizer, example):
    return tokenizer.decode(example.ids[example.loss])


def test_loss_falls_on_the_learnt_turn_with_its_end_and_nothing_else(tokenizer):
    (example,) = encode(tokenizer, [Dialogue(TALK, (3,))])
    assert tokenizer.decode(example.ids) == (
        "<|begin|><|user|>Make 24<|end|><|assistant|>2*12<|end|><|user|>Try again.<|end|><|assistant|>3*8<|end|>"
    )
    assert learnt_text(tokenizer, example) == "3*8<|end|>"


def test_every_assistant_turn_can_be_learnt(tokenizer):
    (example,) = encode(tokenizer, [Dialogue(TALK, (1, 3))])
    assert learnt_text(tokenizer, example) == "2*12<|end|>3*8<|end|>"


def test_loss_by_token_positions(tokenizer):
    # <|begin|> <|user|> M a k e ... : one id a letter where nothing was merged, so positions can be counted.
    plain = build_tokenizer(["+"], 300)
    talk = (Message("user", "ab"), Message("assistant", "cd"), Message("user", "e"), Message("assistant", "f"))
    (example,) = encode(plain, [Dialogue(talk, (1, 3))])
    tokens = plain.convert_ids_to_tokens(example.ids.tolist())
    assert tokens == [
        "<|begin|>", "<|user|>", "a", "b", "<|end|>", "<|assistant|>", "c", "d", "<|end|>",
        "<|user|>", "e", "<|end|>", "<|assistant|>", "f", "<|end|>",
    ]  # fmt: skip
    assert [at for at, learnt in enumerate(example.loss) if learnt] == [6, 7, 8, 13, 14]


@pytest.mark.parametrize("parts", [False, True])
def test_what_a_template_writes_behind_the_end_of_a_turn_is_not_learnt(parts):
    words = tiny_models.tokenizer(tiny_models.CHATML_PARTS if parts else tiny_models.CHATML)
    (example,) = encode(words, [Dialogue(TALK, (1, 3))], parts=parts)
    assert words.decode(example.ids).endswith("3*8<|im_end|>")
    assert "2*12<|im_end|>\n<|im_start|>user" in words.decode(example.ids)
    assert learnt_text(words, example) == "2*12<|im_end|>3*8<|im_end|>"


def test_training_sees_the_ids_that_sampling_sees(tmp_path):
    # The rendered context of the player, then the answer, then what leads on to the next one.
    words = tiny_models.tokenizer()
    loaded = load(tiny_models.save(tmp_path / "m", tiny_models.llama(), words))
    (example,) = encode(words, [Dialogue(TALK, (1, 3))])
    context = list(render(loaded, TALK[:3]))
    assert example.ids[: len(context)].tolist() == context
    answer = words("3*8", add_special_tokens=False)["input_ids"]
    assert example.ids[len(context) :][: len(answer)].tolist() == answer


def test_tokenising_together_changes_nothing(tokenizer):
    one, two = encode(tokenizer, [Dialogue(TALK, (3,)), Dialogue(TALK[:2], (1,))])
    assert encode(tokenizer, [Dialogue(TALK[:2], (1,))])[0].ids.tolist() == two.ids.tolist()
    assert len(one.ids) > len(two.ids)


def test_no_template_is_one_line(tokenizer):
    tokenizer.chat_template = None
    with pytest.raises(UsageError) as caught:
        encode(tokenizer, [Dialogue(TALK, (3,))])
    assert "\n" not in str(caught.value)


def test_parts_of_an_answer_can_be_left_without_loss(tokenizer):
    talk = (
        Message("user", "Make 24"),
        Message("assistant", "2*12"),
        Message("user", "No"),
        Message("assistant", "3*8"),
    )
    whole, partly = encode(tokenizer, [Dialogue(talk, (1, 3)), Dialogue(talk, (1, 3), ((1, 0, 2), (3, 1, 3)))])
    assert partly.ids.tolist() == whole.ids.tolist()
    # The second answer is without loss up to its last character, and so is the token that ends it.
    assert learnt_text(tokenizer, whole) == "2*12<|end|>3*8<|end|>"
    assert learnt_text(tokenizer, partly) == "12<|end|>3"


def test_a_template_that_changes_an_answer_cannot_train_on_parts_of_it(tokenizer):
    tokenizer.chat_template = tokenizer.chat_template.replace(
        "{{ message['content'] }}", "{{ message['content'] | upper }}"
    )
    talk = (Message("user", "Make 24"), Message("assistant", "no cards"))
    with pytest.raises(UsageError, match="changes answers"):
        encode(tokenizer, [Dialogue(talk, (1,), ((1, 0, 2),))])
