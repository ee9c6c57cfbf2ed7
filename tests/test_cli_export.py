"""`labkit export`: what it writes can be read by others and learnt from."""

import json

import pytest

from labkit.cli import main
from labkit.envs import game, judge, start
from labkit.training.sft.data import expert_dialogues, read


def test_a_file_holds_what_training_would_deal(tmp_path, capsys):
    out = tmp_path / "data.jsonl"
    assert main(["export", "data", "gp-l", "--episodes", "12", "--seed", "3", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert read(out) == expert_dialogues("gp-l", 12, seed=3)
    tasks = game("gp-l").tasks("id", "train", seed=3)
    for line in out.read_text().splitlines():
        asked, answer = json.loads(line)["messages"]
        episode = start(next(tasks))
        assert asked == {"role": "user", "content": episode.position.prompt}
        assert judge(episode, answer["content"]).success


def test_the_authors_layout_with_mistakes_and_other_words(tmp_path, capsys):
    out = tmp_path / "data.json"
    options = ["--format", "llava", "--episodes", "20", "--mistakes", "2", "--prompts", "4", "--suite", "rule-ood"]
    assert main(["export", "data", "gp-l", *options, "--split", "dev", "--out", str(out), "--json"]) == 0
    records = json.loads(out.read_text())
    turns = [len(record["conversations"]) for record in records]
    assert set(turns) == {2, 4, 6}
    assert len({record["conversations"][0]["value"].split(":")[0][:12] for record in records}) > 2
    said = {"file": str(out), "format": "llava", "dialogues": 20, "answers": sum(turns) // 2}
    assert json.loads(capsys.readouterr().out) == said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["dta", "gp-l"], "did you mean data?"),
        (["data", "gp-x"], "no cell 'gp-x'"),
        (["data", "gp-vl"], "would lose the pictures"),
        (["data", "gp-l", "--format", "lava"], "did you mean llava?"),
        (["data", "gp-l", "--mistakes", "-1"], "mistakes"),
        (["data", "gp-l", "--split", "trian"], "did you mean train?"),
        (["data", "gp-l", "--prompts", "99"], "16 variants"),
        (["data", "gp-l", "--out", "/nowhere/at/all"], "cannot write /nowhere/at/all"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, capsys, options, said):
    assert main(["export", "--out", str(tmp_path / "x"), *options]) == 2
    printed = capsys.readouterr()
    assert said in printed.err and printed.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
