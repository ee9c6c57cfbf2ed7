"""V-IRL on the command line: verify, play, eval, and what they refuse."""

import io
import json
import sys
from pathlib import Path

import pytest

from labkit.cli import main
from labkit.runs import Run, listing

CORNER = "Cafe Luna is on your left. There is an intersection."


@pytest.fixture(autouse=True)
def a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def only_run() -> Run:
    (run,) = listing("runs")
    return run


def said(action: str, observation: str = CORNER) -> str:
    return json.dumps({"current observation": observation, "current instruction": "", "action": action})


def line(answer, **more) -> str:
    entry = {"action": "turn_direction(north)", "observation": CORNER, "actions": "absolute", "answer": answer}
    return json.dumps({k: v for k, v in {**entry, **more}.items() if v is not None})


def verdicts(lines: list[str], monkeypatch, capsys, cell: str = "virl-l", status: int = 0) -> list[dict]:
    data = "\n".join(lines).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert main(["verify", cell]) == status
    return [json.loads(out) for out in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("cell", ["virl-l", "virl-vl"])
def test_verify_in_lines(cell, monkeypatch, capsys):
    lines = [
        line(said("turn_direction(north)")),
        line(said("turn_direction(north)", "No landmark."), actions=None),
        line("go north"),
        line(said("forward()")),
        line(said("forward()", "No landmark is nearby. There is no intersection.")),
        line(said("turn_direction(north)"), action="turn_direction(slightly left)", actions="relative"),
        line(said("Turn_Direction('Slightly Left')"), action="turn_direction(slightly left)", actions="relative"),
        line(
            said("stop()", "Old Bank is on your left."),
            action="forward()",
            observation="No landmark is nearby. There is no intersection.",
        ),
    ]
    got = verdicts(lines, monkeypatch, capsys, cell)
    assert [list(g) for g in got] == [["success", "category", "reward", "feedback"]] * len(lines)
    assert [(g["category"], g["reward"]) for g in got] == [
        ("correct", 1.0),
        ("correct", 1.0),
        ("unreadable", -1.0),
        ("wrong_action", -1.0),
        ("wrong_observation", -1.5),
        ("wrong_action", -1.0),
        ("correct", 1.0),
        ("wrong_observation", -1.5),
    ]


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        (line("x", action=None), '"action" is missing'),
        (line("x", observation=None), '"observation" is missing'),
        (line(3), '"answer" is text'),
        (line("x", actions="both"), "absolute or relative"),
        (line("x", actions=["absolute"]), "absolute or relative"),
        (line("x", action="turn_direction(left)"), "one of the absolute actions"),
        (line("x", action="jump()"), "one of the absolute actions"),
        ("[]", "not a JSON object"),
    ],
)
def test_lines_that_cannot_be_judged(entry, what, monkeypatch, capsys):
    (got,) = verdicts([entry], monkeypatch, capsys, status=1)
    assert list(got) == ["error"] and what in got["error"]


def test_the_expert_plays_a_route_by_number(capsys):
    assert main(["play", "virl-l", "--player", "expert", "--route", "3", "--actions", "relative"]) == 0
    (episode,) = only_run().episodes("play")
    assert episode.success and episode.task.rule == {"actions": "relative"} and episode.task.index == 3
    out = capsys.readouterr().out
    assert f"solved, {len(episode.attempts)} attempts" in out
    # The instruction and the answer format are printed once, each observation and each action once.
    last = episode.positions[-1].prompt.split("\n")
    assert all(out.split("\n").count(line) == 1 for line in last)


def test_a_person_walks_by_bare_words(monkeypatch, capsys):
    from labkit.envs import game, start

    opened = start(game("virl-l").task_by_id("id", "all", "0"))
    word = opened.position.state["action"].removeprefix("turn_direction(").rstrip(")")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"stop\n{word.upper()}\nhop\n".encode())))
    assert main(["play", "virl-l", "--route", "0"]) == 0
    (episode,) = only_run().episodes("play")
    assert [a.fields["action"] for a in episode.attempts] == ["stop()", f"turn_direction({word})", "hop"]
    assert len(episode.positions) == 2 and "the input ended" in capsys.readouterr().err


def test_pictures_are_kept_with_the_run(capsys):
    assert main(["play", "virl-vl", "--player", "random", "--suite", "visual-ood", "--split", "test"]) == 0
    (episode,) = only_run().episodes("play")
    assert len(list(only_run().path.glob("picture-*.png"))) == len(episode.positions)


def test_eval_reports_steps_and_routes(capsys):
    argv = ["eval", "virl-l", "--player", "random", "--split", "dev", "--episodes", "20", "--json"]
    assert main(argv) == 0
    suites = json.loads(capsys.readouterr().out)["suites"]
    assert list(suites) == ["id", "rule-ood"]
    for result in suites.values():
        assert result["metric"] == "per_step_accuracy" and result["route_success"]["n"] == 20
        assert result["attempts"] == 2 and len(result["ci95"]) == 2


def test_eval_in_words(capsys):
    argv = ["eval", "virl-vl", "--player", "expert", "--suite", "visual-ood", "--split", "test", "--episodes", "1"]
    assert main([*argv, "--walk", "free", "--actions", "relative"]) == 0
    out = capsys.readouterr().out
    assert "route success" in out and "answers that are right" in out
    (episode,) = only_run().episodes("visual-ood")
    assert episode.task.rule == {"actions": "relative", "walk": "free"}


@pytest.mark.parametrize(
    ("argv", "what"),
    [
        ("play virl-l --player expert --cards 3,3,8,8", "virl-l has --route, --actions, --walk, --data"),
        ("play gp-l --player expert --route 3", "gp-l has --cards, --faces, --target"),
        ("eval gp-l --player expert --actions relative", "gp-l has --faces, --target"),
        ("eval virl-l --player expert --faces ten", "virl-l has --actions, --walk, --data"),
        ("play virl-l --player expert --route 9999", "0 to 1399"),
        ("play virl-l --player expert --actions up", "absolute or relative"),
        ("play virl-l --player expert --walk up", "rail or free"),
        ("play virl-l --player expert --data nowhere", "no such folder"),
        ("play virl-l --player expert --suite visual-ood", "no suite of virl-l"),
        ("play virl-vl --player expert --suite visual-ood --split train", "its splits are all, dev, test"),
        ("eval virl-l --player expert --split held-out", "no split 'held-out'"),
        ("eval virl-l --player expert --attempts 0", "attempts"),
        ("verify virl", "did you mean virl-"),
    ],
)
def test_errors_of_use(argv, what, capsys):
    assert main(argv.split()) == 2
    out, err = capsys.readouterr()
    assert out == "" and what in err
    assert err.startswith("labkit: ") and err.count("\n") == 1
    assert not Path("runs").exists()


def test_prompts_of_ones_own(capsys):
    Path("p.yaml").write_text("task: 'Go.'\nagain: ''\n", encoding="utf-8")
    assert main(["play", "virl-l", "--player", "expert", "--prompts", "p.yaml"]) == 0
    (episode,) = only_run().episodes("play")
    assert episode.positions[0].prompt.startswith("Go.\nInstruction:")
    Path("p.yaml").write_text("faces_equal: 'x'\n", encoding="utf-8")
    assert main(["play", "virl-l", "--player", "expert", "--prompts", "p.yaml"]) == 2
    assert "no template 'faces_equal'" in capsys.readouterr().err
