"""The smallest model that can be trained, for runs in other processes."""

import pytest

from labkit.models.tiny import Shape, build_model, build_tokenizer


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A checkpoint with random weights."""
    folder = tmp_path_factory.mktemp("model") / "small"
    words = build_tokenizer(["cards make 24 and 7"] * 50, 300)
    made = build_model(Shape(vocabulary=300, hidden=8, layers=1, heads=1, feed_forward=8, context=2048), words, 0)
    made.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
