"""The smallest model that can be trained, for runs in other processes."""

import pytest

from tests.tiny_models import trainable


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A checkpoint with random weights."""
    return trainable(tmp_path_factory.mktemp("model") / "small")
