"""What the command line refuses: one line, status 2, no traceback, and nothing left behind."""

import io
import json
import sys
from pathlib import Path

import pytest

from labkit.cli import main
from labkit.runs import Run, listing


@pytest.fixture(autouse=True)
def a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def only_run() -> Run:
    (run,) = listing("runs")
    return run


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("sovle 3 3 8 8", "did you mean solve?"),
        ("solve 3 3 8 Z", "'Z' is not a whole number"),
        ("solve 3 3 8 K", "--faces ten"),
        ("solve 3 3 8 Z --faces ten", "'Z' is not a card"),
        ("solve 3 3 8 8 --faces tne", "no face rule 'tne'"),
        ("solve 3 3", "3 to 6"),
        ("solve 3 3 8 0", "1 to 1,000,000"),
        ("solve 3 3 8 -8", "'-8' is not a whole number"),
        ("solve 3 3 8 ٣", "not a whole number"),
        ("solve 3 3 8 8 --target 0", "the target"),
        ("solve 3 3 8 8 --target -24", "the target"),
        ("solve 3 3 8 8 --target 2.5", "--target"),
        ("verify gp-x", "did you mean gp-"),
        ("verify", "CELL"),
        ("play gpl", "did you mean gp-l?"),
        ("play gp-l --player nobody-of-this-name", "nobody-of-this-name"),
        ("play gp-l --player expert --cards 3,3,8,Z", "'Z' is not a card"),
        ("play gp-l --player expert --cards 3,3", "3 to 6 cards"),
        ("play gp-l --player expert --cards 3,3,8,8 --target 0", "the target"),
        ("play gp-l --player expert --cards 3,3,8,8 --suite id", "leave one of the two out"),
        ("play gp-l --player expert --cards 3,3,8,8 --attempts 0", "attempts"),
        ("play gp-l --player expert --faces J=0,Q=1,K=2", "whole number from 1 to 99"),
        ("play gp-l --player expert --suite rule-odd", "did you mean rule-ood?"),
        ("play gp-l --player expert --split tset", "did you mean test?"),
        ("play gp-l --player expert --max-new-tokens 0", "--max-new-tokens"),
        ("play gp-l --player expert --prompts nowhere.yaml", "cannot read the prompts"),
        ("play gp-l --player script:nowhere.jsonl", "cannot read the script"),
        ("play gp-l --player expert --plyer x", "unrecognized"),
        ("eval gp-l", "--player"),
        ("eval gp-l --player expert --suite visual-ood", "no suite of gp-l 'visual-ood'"),
        ("eval gp-l --player expert --suite id,rule-odd", "did you mean rule-ood?"),
        ("eval gp-l --player expert --episodes 0", "--episodes"),
        ("eval gp-l --player expert --episodes few", "--episodes"),
        ("eval gp-l --player expert --target -3", "the target"),
        ("eval gp-l --player expert --split tarin", "did you mean train?"),
        ("eval gp-l --player expert --batch 0", "--batch"),
        ("train", "name a config"),
        ("train nowhere.yaml", "cannot read the config"),
        ("runs show", "name the run"),
        ("runs show nothing", "no run nothing"),
        ("runs list x", "labkit runs show x"),
        ("bench sovler", "did you mean solver?"),
        ("bench --rounds 0", "--rounds"),
        ("app --port 0", "--port"),
    ],
)
def test_errors_of_use(argv, said, capsys):
    assert main(argv.split()) == 2
    out, err = capsys.readouterr()
    assert out == "" and said in err
    assert err.startswith("labkit: ") and err.count("\n") == 1
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"[1, 2", "is not JSON"),
        (b"42", "neither a string"),
    ],
)
def test_scripts_that_cannot_be_read(content, said, capsys):
    Path("bad.jsonl").write_bytes(content)
    assert main(["play", "gp-l", "--player", "script:bad.jsonl"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"task: [", "neither YAML nor JSON"),
        (b"\xff\xfe\x00", "neither YAML nor JSON"),
        (b"- task", "holds no templates"),
        (b"taks: x", "no template 'taks'"),
        (b"task: 3", "must be text"),
        (
            b"task: Reach {goal}, not {target}",
            "prompts.yaml: template 'task': no placeholder {goal}; it may use {target}, {count}, {faces};",
        ),
        (
            b"format: x\ninput: You hold {Cards}",
            "prompts.yaml: template 'input': no placeholder {Cards}; it may use {target}, {count}, {faces}, {cards};",
        ),
    ],
)
def test_prompts_that_cannot_be_read(content, said, capsys):
    Path("prompts.yaml").write_bytes(content)
    assert main(["play", "gp-l", "--player", "expert", "--prompts", "prompts.yaml"]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_a_script_that_runs_out(capsys):
    Path("answers.jsonl").write_text(json.dumps("3+3+8+8"), encoding="utf-8")
    assert main(["play", "gp-l", "--player", "script:answers.jsonl", "--cards", "3 3 8 8"]) == 2
    assert "has no answer left" in capsys.readouterr().err
    run = only_run()
    assert run.status["status"] == "failed"
    (episode,) = run.episodes("play")
    assert [a.answer for a in episode.attempts] == ["3+3+8+8"]


def test_a_directory_that_is_no_checkpoint(capsys):
    Path("empty").mkdir()
    assert main(["play", "gp-l", "--player", "empty"]) == 2
    err = capsys.readouterr().err
    assert "empty" in err and err.count("\n") == 1


def test_input_that_is_not_utf8(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe8/3\n")))
    assert main(["play", "gp-l", "--cards", "3 3 8 8"]) == 2
    assert capsys.readouterr().err.endswith("labkit: the answer is not UTF-8 text; encode it so\n")


def test_out_that_cannot_be_written(capsys):
    Path("runs").write_text("a file", encoding="utf-8")
    assert main(["play", "gp-l", "--player", "expert"]) == 2
    assert "--out" in capsys.readouterr().err


def test_a_failure_is_one_line_and_status_1(capsys, monkeypatch):
    def broken(*args):
        raise RuntimeError("the disk\nis full")

    monkeypatch.setattr("labkit.commands.runs.run", broken)
    assert main(["runs"]) == 1
    assert capsys.readouterr().err == "labkit: RuntimeError: the disk is full (--debug shows where)\n"
    assert main(["runs", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_is_told(capsys, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("labkit.play.judge", interrupted)
    assert main(["eval", "gp-l", "--player", "expert", "--suite", "id", "--episodes", "3"]) == 130
    run = only_run()
    assert capsys.readouterr().err.endswith(f"labkit: stopped; go on with `labkit eval --resume {run.id}`\n")
    assert run.status["status"] == "stopped"


def test_training_that_is_stopped_says_how_to_go_on(capsys, monkeypatch):
    def interrupted(config, overrides, resume, out, **more):
        Run.create(out, "sft-gp-l", "stage: sft\n")
        raise KeyboardInterrupt

    monkeypatch.setattr("labkit.training.train", interrupted, raising=False)
    assert main(["train", "some.yaml"]) == 130
    assert f"go on with `labkit train --resume {only_run().id}`" in capsys.readouterr().err
