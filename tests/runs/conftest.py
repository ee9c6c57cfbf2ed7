"""A run of two files of episodes, and an index of it."""

import pytest

from labkit.runs import Run
from labkit.runs.index import Index
from tests.runs.indexed import EPISODES


@pytest.fixture
def run(tmp_path):
    run = Run.create(tmp_path / "runs", "eval", "stage: eval\n")
    run.add_episodes("id", EPISODES[:3])
    run.add_episodes("rule-ood", EPISODES[3:])
    return run


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def index(run, cache):
    with Index(run.path.parent, cache=cache) as index:
        yield index
