"""The tokens that a span of an answer's characters lies in."""

import random

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

from labkit.players.checkpoint import token_range
from tests import tiny_models

TEXTS = [
    "plain text",
    "a ♦ ♠♥ ♦♦ ♣ 10 — ×÷ 24",
    '{"formula": "3×8=24"}',
    "🂡🂮 e\u0301 ﬁ \t\n 牌牌",
]


def test_the_tokens_of_a_span_by_their_bytes():
    """A byte-level token's name has one character a byte, so what each token covers can be counted."""
    words = tiny_models.tokenizer(texts=["a ♠ ♣ ♥"])
    # The tokenizer has not seen ♦: a token of the space and its first two bytes, and a token of the third.
    assert [len(name) for name in words.convert_ids_to_tokens(words(" ♦")["input_ids"])] == [3, 1]
    for text in TEXTS:
        ids = words(text)["input_ids"]
        ends = np.cumsum([len(name) for name in words.convert_ids_to_tokens(ids)])
        begins = ends - np.diff(ends, prepend=0)
        byte = np.cumsum([0, *(len(c.encode()) for c in text)])
        assert ends[-1] == byte[-1]
        for first in range(len(text)):
            for last in range(first + 1, len(text) + 1):
                inside = [i for i in range(len(ids)) if begins[i] < byte[last] and ends[i] > byte[first]]
                expected = (inside[0], inside[-1] + 1)
                assert token_range(words, ids, (first, last)) == expected, (text, first, last)
        assert token_range(words, ids, (2, 2)) == (0, 0)


def test_the_tokens_of_a_span_by_byte_fallback():
    """SentencePiece style: `▁` for a space, bytes for what has no piece, and a replacement character for each
    byte of an unfinished one. `×` is two bytes, `♠` three."""
    pieces = ["<unk>", *(f"<0x{b:02X}>" for b in range(256)), "▁", "(", ")", "7", "8", "▁(", "a"]
    numbered = {piece: i for i, piece in enumerate(pieces)}
    core = Tokenizer(models.BPE(numbered, [("▁", "(")], unk_token="<unk>", byte_fallback=True))
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    words = PreTrainedTokenizerFast(tokenizer_object=core)
    ids = words("(7×8) ♠a")["input_ids"]
    assert words.convert_ids_to_tokens(ids) == [
        *("▁(", "7", "<0xC3>", "<0x97>", "8", ")", "▁", "<0xE2>", "<0x99>", "<0xA0>", "a")
    ]
    expected = {
        (0, 1): (0, 1),
        (1, 4): (1, 5),
        (2, 3): (2, 4),
        (3, 5): (4, 6),
        (6, 7): (7, 10),
        (5, 8): (6, 11),
        (7, 8): (10, 11),
    }
    assert {span: token_range(words, ids, span) for span in expected} == expected


def test_the_tokens_of_a_span_in_what_models_sample():
    """Random tokens decode to anything: the range is never empty and never leaves the answer."""
    words, rng = tiny_models.tokenizer(), random.Random(0)
    for _ in range(100):
        ids = [rng.randrange(7, len(words)) for _ in range(12)]
        text = words.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        first = rng.randrange(len(text))
        begin, end = token_range(words, ids, (first, rng.randrange(first, len(text)) + 1))
        assert 0 <= begin < end <= 12
