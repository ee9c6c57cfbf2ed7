"""Datasets in the style of reasoning-gym: questions from a seed, scored by the verifier."""

import json

import pytest

from labkit.envs import game, start
from labkit.errors import UsageError
from labkit.interop.questions import Deals, DealsConfig, register


def test_a_question_is_the_prompt_of_a_deal():
    data = Deals(DealsConfig(suite="rule-ood", split="dev", seed=7, size=3))
    dealt = game("gp-l").tasks("rule-ood", "dev", seed=7)
    assert [entry["question"] for entry in data] == [start(next(dealt)).position.prompt for _ in range(len(data))]
    with pytest.raises(IndexError, match="3 among 3"):
        data[3]


def test_answers_are_scored_by_the_verifier():
    data = Deals(DealsConfig(seed=1, size=2))
    # An entry survives a file.
    first, second = json.loads(json.dumps([data[0], data[1]]))
    assert data.score_answer(first["answer"], first) == 1
    assert data.score_answer(first["answer"], second) == 0
    assert data.score_answer("no idea", first) == 0
    assert data.score_answer(None, first) == 0


def test_any_right_answer_counts():
    task = game("gp-l").task(hand=["3", "3", "8", "8"])
    entry = {"answer": "", "metadata": {"task": {"cell": "gp-l", **{k: getattr(task, k) for k in task.__slots__}}}}
    # 8/(3-8/3) = 8/(1/3) = 24, in another order of factors too.
    data = Deals(DealsConfig(seed=1, size=1))
    for formula in ("8/(3-8/3)=24", "8/(3-(8/3))=24"):
        assert data.score_answer(json.dumps({"formula": formula}), entry) == 1
    assert data.score_answer('{"formula": "(3+8/8)*3"}', entry) == 0


def test_without_a_seed_each_dataset_is_another():
    assert Deals(DealsConfig(size=1)).seed != Deals(DealsConfig(size=1)).seed


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cell": "gp-x"}, "no cell 'gp-x'"),
        ({"cell": "gp-vl"}, "use gp-l, virl-l"),
        ({"suite": "ood"}, "no suite 'ood'"),
        ({"split": "trian"}, "no split 'trian'"),
        ({"size": 0}, "at least one"),
    ],
)
def test_what_cannot_be_is_said(settings, said):
    with pytest.raises(UsageError, match=said):
        Deals(DealsConfig(**settings))


def test_the_package_makes_and_iterates_it():
    reasoning_gym = pytest.importorskip("reasoning_gym")
    from reasoning_gym.dataset import ProceduralDataset, ReseedingDataset

    register()
    register()
    data = reasoning_gym.create_dataset("labkit", cell="virl-l", size=4, seed=42)
    assert isinstance(data, ProceduralDataset) and len(data) == 4
    assert [data.score_answer(entry["answer"], entry) for entry in data] == [1, 1, 1, 1]
    score = reasoning_gym.get_score_answer_fn("labkit")
    assert score(data[0]["answer"], data[0]) == 1
    # Its own wrapper goes on with the next seed after the last question.
    endless = iter(ReseedingDataset(data, chunk_size=4))
    asked = [next(endless)["question"] for _ in range(5)]
    following = reasoning_gym.create_dataset("labkit", cell="virl-l", size=1, seed=43)
    assert asked == [entry["question"] for entry in (*data, *following)]
