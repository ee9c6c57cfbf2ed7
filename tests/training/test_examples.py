import pytest

from labkit.episode import Message
from labkit.errors import UsageError
from labkit.models.tiny import build_tokenizer
from labkit.training.examples import Dialogue, encode

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


def test_tokenising_together_changes_nothing(tokenizer):
    one, two = encode(tokenizer, [Dialogue(TALK, (3,)), Dialogue(TALK[:2], (1,))])
    assert encode(tokenizer, [Dialogue(TALK[:2], (1,))])[0].ids.tolist() == two.ids.tolist()
    assert len(one.ids) > len(two.ids)


def test_a_template_that_rewrites_earlier_turns_is_refused(tokenizer):
    tokenizer.chat_template = "{{ messages | length }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    with pytest.raises(UsageError, match="rewrites earlier turns"):
        encode(tokenizer, [Dialogue(TALK, (3,))])


def test_no_template_is_one_line(tokenizer):
    tokenizer.chat_template = None
    with pytest.raises(UsageError) as caught:
        encode(tokenizer, [Dialogue(TALK, (3,))])
    assert "\n" not in str(caught.value)
