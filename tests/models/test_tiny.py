import pytest

from labkit.models.tiny import Shape, build_model, build_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(['{"cards": ["K"], "number": [10], "formula": "(10-7)*8=24"}'] * 50, 500)


@pytest.mark.parametrize(
    "text", ['{"cards": ["K", "3"]}', "(10-1)*3=27", "7 × 8 — ♠ 中文 \n\t x", "", "1234567", "<|end|>"]
)
def test_text_survives_encoding(tokenizer, text):
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_numbers_to_99_and_operators_are_single_tokens(tokenizer):
    pieces = [tokenizer.decode([i]) for i in tokenizer("(10-7)*88=24")["input_ids"]]
    assert pieces == ["(", "10", "-", "7", ")", "*", "88", "=", "24"]


def test_a_card_is_the_same_token_wherever_it_stands(tokenizer):
    king = tokenizer("K")["input_ids"][0]
    for text in ('["K", "3"]', "K, 3", "3, K", "Cards: K"):
        assert king in tokenizer(text)["input_ids"]


def test_the_same_seed_gives_the_same_weights(tokenizer):
    a, b, c = (build_model(Shape(hidden=16, heads=2, layers=1), tokenizer, seed) for seed in (0, 0, 1))
    same = [bool((x == y).all()) for x, y in zip(a.parameters(), b.parameters(), strict=True)]
    assert all(same)
    assert not (a.lm_head.weight == c.lm_head.weight).all()
