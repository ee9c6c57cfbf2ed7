"""Token arrays of stored answers: written beside the run, read back by attempt."""

import json

import numpy as np
import pytest
from transformers import AutoTokenizer

from labkit.cli import main
from labkit.envs import game, judge, start
from labkit.errors import UsageError
from labkit.players import registry
from labkit.runs import Run, find
from labkit.runs.tokens import EPISODES, TokenReader, TokenWriter, key_of


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "runs", "eval", "stage: eval\n")


def episode(*answers, player=""):
    played = start(game("gp-l").task(hand=["3", "3", "8", "8"]), player)
    for answer in answers:
        played = judge(played, answer)
    return played


def arrays(*ids):
    return {"ids": np.array(ids), "logp": -np.array(ids) / 8}


def test_arrays_come_back_by_attempt(run):
    one, other = episode("a", "b"), episode("c")
    with TokenWriter(run, "id") as writer:
        writer.add(one, [arrays(1, 2), {}])
        writer.add(other, [arrays(3)])
    first, second = TokenReader(run).arrays(one)
    assert first["ids"].tolist() == [1, 2] and first["logp"].tolist() == [-0.125, -0.25] and second == {}
    assert first["ids"].dtype == np.int32 and first["logp"].dtype == np.float32
    assert TokenReader(run).arrays(other)[0]["ids"].tolist() == [3]
    assert TokenReader(run).arrays(episode("d")) is None


def test_there_is_a_file_for_each_batch_and_later_files_are_seen(run):
    episodes = [episode(f"{n}") for n in range(EPISODES + 1)]
    reader = TokenReader(run)
    assert reader.arrays(episodes[0]) is None
    with TokenWriter(run, "id") as writer:
        for number, played in enumerate(episodes):
            writer.add(played, [arrays(number)])
            if number == EPISODES - 1:
                assert reader.arrays(episodes[7])[0]["ids"].tolist() == [7]
                assert reader.arrays(episodes[-1]) is None
    assert sorted(p.name for p in (run.path / "tokens").iterdir()) == ["id-0000.safetensors", "id-0001.safetensors"]
    assert reader.arrays(episodes[-1])[0]["ids"].tolist() == [EPISODES]
    with TokenWriter(run, "id") as writer:
        writer.add(episode("later"), [arrays(5)])
    assert (run.path / "tokens" / "id-0002.safetensors").exists()


def test_files_of_a_name_are_replaced_where_it_is_written_anew(run):
    for name, answer in (("train-1", "a"), ("train-1", "b"), ("train-10", "c")):
        with TokenWriter(run, name, anew=True) as writer:
            writer.add(episode(answer), [arrays(1)])
    reader = TokenReader(run)
    assert reader.arrays(episode("a")) is None and reader.arrays(episode("b")) and reader.arrays(episode("c"))


def test_a_name_that_begins_like_another_keeps_its_files(run):
    for name, answer in (("train-1", "a"), ("train", "b"), ("train-1000", "c"), ("train", "d")):
        with TokenWriter(run, name, anew=True) as writer:
            writer.add(episode(answer), [arrays(1)])
    names = sorted(path.name for path in (run.path / "tokens").iterdir())
    assert names == [f"{name}-0000.safetensors" for name in ("train", "train-1", "train-1000")]
    reader = TokenReader(run)
    assert reader.arrays(episode("a")) and reader.arrays(episode("c")) and reader.arrays(episode("b")) is None


def test_players_who_answer_alike_keep_their_own_arrays(run):
    for number, player in enumerate(("sft", "rl"), 1):
        with TokenWriter(run, "id") as writer:
            writer.add(episode("a", player=player), [arrays(number)])
    reader = TokenReader(run)
    found = [reader.arrays(episode("a", player=player))[0]["ids"].tolist() for player in ("sft", "rl")]
    assert found == [[1], [2]]


def test_the_key_is_the_same_after_storing_and_another_for_other_answers(run):
    one = episode("a", "b")
    run.add_episodes("id", [one])
    (stored,) = run.episodes("id")
    assert key_of(stored) == key_of(one)
    assert len({key_of(e) for e in (one, episode("a"), episode("ab"), episode("b", "a"))}) == 4


def test_arrays_for_another_number_of_attempts_are_refused(run):
    with pytest.raises(ValueError, match="2 attempts, but arrays for 1"):
        TokenWriter(run, "id").add(episode("a", "b"), [arrays(1)])


def test_a_damaged_file_is_named(run):
    (run.path / "tokens").mkdir()
    (run.path / "tokens" / "id-0000.safetensors").write_bytes(b"damaged")
    with pytest.raises(UsageError, match=r"cannot read .*id-0000\.safetensors"):
        TokenReader(run).arrays(episode("a"))


@pytest.mark.parametrize(
    ("verb", "name"), [("play gp-l", "play"), ("eval gp-l --suite id --episodes 3 --attempts 2", "id")]
)
def test_where_asked_the_tokens_of_each_answer_are_stored(verb, name, tmp_path, monkeypatch, capsys):
    """The ids decode to the answer, and the log-probabilities sum to what the episode says."""
    monkeypatch.chdir(tmp_path)
    words = f"{verb} --player tiny:gp-l/init --temperature 1 --json"
    assert main(words.split()) == 0
    assert not (find(json.loads(capsys.readouterr().out)["run"]).path / "tokens").exists()
    assert main([*words.split(), "--tokens"]) == 0
    run = find(json.loads(capsys.readouterr().out)["run"])
    tokenizer = AutoTokenizer.from_pretrained(registry.resolve_checkpoint("tiny:gp-l/init"))
    reader, answers = TokenReader(run), 0
    for played in run.episodes(name):
        for attempt, of_answer in zip(played.attempts, reader.arrays(played), strict=True):
            assert len(of_answer["ids"]) == attempt.sample.tokens
            assert tokenizer.decode(of_answer["ids"], skip_special_tokens=True) == attempt.answer
            assert of_answer["logp"].sum() == pytest.approx(attempt.sample.logp, abs=1e-4)
            low, high = of_answer["decisive"]
            assert high - low == attempt.sample.decisive_tokens
            answers += 1
    assert answers >= 3 or name == "play"
