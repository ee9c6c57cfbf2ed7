"""Exports that Hugging Face's `datasets` loads: dialogues, deals, episodes, measures."""

import csv
import json

import datasets
import pytest
from PIL import Image

from labkit.envs import game, judge, start
from labkit.episode import Episode, Task
from labkit.errors import UsageError
from labkit.interop.rows import DEALS, DIALOGUES, EPISODES, MEASURES, measure_rows
from labkit.interop.tables import features, write
from labkit.training.sft.data import expert_dialogues
from tests.interop.conftest import ODD, RIGHT, WRONG


def loaded(path, tmp_path):
    kind = {".jsonl": "json"}.get(path.suffix, path.suffix[1:])
    return datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_episodes_are_a_table_with_a_row_each(export, run, tmp_path, ending):
    out = tmp_path / f"e.{ending}"
    assert export("episodes", "eval-gp-l", "--out", out) == {"file": str(out), "episodes": 2}
    data = loaded(out, tmp_path)
    assert set(data.column_names) == set(EPISODES)
    solved, lost = data
    assert (solved["run"], solved["name"], solved["number"], solved["player"]) == ("eval-gp-l", "id", 0, "somebody")
    # -1 wrong value, -3 unreadable, +5 right; -1 and -1, and 1 more for the last attempt.
    assert (solved["status"], solved["reward"]) == ("success", 1.0)
    assert (lost["status"], lost["reward"], lost["number"]) == ("exhausted", -3.0, 1)
    assert [turn["answer"] for turn in solved["turns"]] == [WRONG, ODD.replace("\udc80", "\\udc80"), RIGHT]
    assert [turn["category"] for turn in solved["turns"]] == ["wrong_value", "unreadable", "correct"]
    assert [turn["reward"] for turn in lost["turns"]] == [-1.0, -2.0]
    assert solved["turns"][0]["tokens"] is None
    # The record is the whole episode.
    assert [Episode.from_json(row["record"]) for row in data] == list(run.episodes("id"))


def test_parquet_says_what_its_columns_are(export, tmp_path):
    out = tmp_path / "e.parquet"
    export("episodes", "eval-gp-l", "--out", out)
    assert loaded(out, tmp_path).features == datasets.Features.from_dict(features(EPISODES))


def test_some_episodes_of_some_files(export, tmp_path):
    assert (
        export("episodes", "eval-gp-l", "--name", "id", "--limit", "1", "--out", tmp_path / "e.jsonl")["episodes"] == 1
    )


def test_deals_have_a_prompt_and_a_right_answer(export, tmp_path):
    out = tmp_path / "d.jsonl"
    export("deals", "gp-l", "--suite", "rule-ood", "--split", "dev", "--seed", "4", "--episodes", "6", "--out", out)
    data = loaded(out, tmp_path)
    assert set(data.column_names) == set(DEALS)
    tasks = game("gp-l").tasks("rule-ood", "dev", seed=4)
    for row in data:
        task = next(tasks)
        assert Task.from_dict(json.loads(row["task"])).id == task.id == row["id"]
        assert row["prompt"] == start(task).position.prompt
        assert judge(start(task), row["answer"]).success


def test_deals_of_a_picture_cell_have_pictures(export, tmp_path):
    out = tmp_path / "d.parquet"
    export("deals", "gp-vl", "--episodes", "2", "--out", out)
    data = loaded(out, tmp_path)
    tasks = game("gp-vl").tasks("id", "train", seed=0)
    for row in data:
        assert isinstance(row["image"], Image.Image)
        drawn = game("gp-vl").draw(start(next(tasks)).position.picture["recipe"])
        assert row["image"].tobytes() == drawn.tobytes()


def test_dialogues_as_parquet_keep_their_weights(export, tmp_path):
    out = tmp_path / "s.parquet"
    said = export("data", "gp-l", "--episodes", "4", "--mistakes", "2", "--out", out)
    dialogues = expert_dialogues("gp-l", 4, mistakes=2)
    assert said["answers"] == sum(len(d.trained_turns) for d in dialogues)
    data = loaded(out, tmp_path)
    assert data.column_names == list(DIALOGUES)
    shown = [[(turn["role"], turn["content"]) for turn in row["messages"]] for row in data]
    assert shown == [[(m.role, m.text) for m in d.messages] for d in dialogues]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_measures_of_an_evaluation(export, tmp_path, ending):
    out = tmp_path / f"m.{ending}"
    export("eval", "eval-gp-l", "--out", out)
    rows = {row["measure"]: row for row in loaded(out, tmp_path)}
    assert set(rows) == {"success", "attempts", "splits.all", "tags.bad_json", "copied"}
    headline = [
        rows["success"][key] for key in ("run", "player", "cell", "suite", "split", "value", "n", "low", "high")
    ]
    assert headline == ["eval-gp-l", "somebody", "gp-l", "id", "all", 0.5, 2, 0.1, 0.9]
    assert rows["tags.bad_json"]["value"] == 1 and rows["tags.bad_json"]["low"] is None
    assert rows["copied"]["value"] is None


def test_a_csv_file_has_a_line_for_each_measure(export, tmp_path):
    export("eval", "eval-gp-l", "--out", tmp_path / "m.csv")
    with (tmp_path / "m.csv").open(newline="") as handle:
        lines = list(csv.reader(handle))
    assert lines[0] == list(MEASURES) and len(lines) == 6


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["episodes", "eval-gp-l", "--out", "x.txt"], "ends in none of .jsonl, .csv, .parquet"),
        (["episodes", "eval-gp-l", "--out", "x.csv"], "turns is one"),
        (["episodes", "eval-gp-x", "--out", "x.jsonl"], "no run eval-gp-x"),
        (["episodes", "eval-gp-l", "--name", "ood", "--out", "x.jsonl"], "there are id"),
        (["episodes", "eval-gp-l", "--seed", "1", "--out", "x.jsonl"], "--seed is not an option of episodes"),
        (["deals", "gp-vl", "--episodes", "1", "--out", "x.jsonl"], "write x.parquet"),
        (["data", "gp-l", "--format", "llava", "--out", "x.parquet"], "leave --format out"),
        (["eval", "eval-gp-l", "--out", "no/where.csv"], "cannot write no/where.csv"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_no_file(run, tmp_path, capsys, monkeypatch, words, said):
    from labkit.cli import main

    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    assert main(["export", *words, "--runs", str(run.path.parent)]) == 2
    printed = capsys.readouterr().err
    assert said in printed and printed.count("\n") == 1
    assert list(empty.iterdir()) == []


def test_a_training_run_has_no_measures(run, tmp_path):
    (run.path / "results.json").unlink()
    with pytest.raises(UsageError, match="no finished evaluation"):
        write(tmp_path / "m.csv", measure_rows(run), MEASURES)
