"""A small checkpoint on disk."""

import shutil

import pytest

from tests import tiny_models


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A whole checkpoint, to be copied and then spoiled."""
    path = tmp_path_factory.mktemp("models") / "llama"
    return tiny_models.save(path, tiny_models.llama(), tiny_models.tokenizer())


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "llama")
