"""The command line, called in-process: what each verb prints, stores and returns."""

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from labkit.cli import main
from labkit.commands.terminal import Transcript
from labkit.envs import game, games, judge, start
from labkit.envs.general_points import cards, expression
from labkit.runs import Run, listing

RIGHT = '{"cards": ["3", "3", "8", "8"], "number": [3, 3, 8, 8], "formula": "8/(3-8/3)=24"}'
WRONG = RIGHT.replace("8/(3-8/3)", "3+3+8+8")


@pytest.fixture(autouse=True)
def a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def type_in(monkeypatch, text: str | bytes) -> None:
    data = text.encode() if isinstance(text, str) else text
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


def script(*answers: str) -> str:
    path = Path("answers.jsonl")
    path.write_text("".join(json.dumps({"answer": a}) + "\n" for a in answers), encoding="utf-8")
    return f"script:{path}"


def only_run() -> Run:
    (run,) = listing("runs")
    return run


# solve


def test_solve_prints_one_solution(capsys):
    assert main(["solve", "3", "3", "8", "8"]) == 0
    assert capsys.readouterr().out == "8/(3-8/3)\n"


def test_solve_all_prints_each_once_and_all_are_right(capsys):
    assert main(["solve", "4 4 6 8", "--all"]) == 0
    found = capsys.readouterr().out.splitlines()
    assert len(found) > 1 and len(set(found)) == len(found)
    for formula in found:
        tree = expression.parse(formula)
        assert expression.evaluate(tree) == 24 and sorted(expression.numbers(tree)) == [4, 4, 6, 8]


def test_solve_without_a_solution(capsys):
    assert main(["solve", "1", "1", "1", "1"]) == 1
    assert capsys.readouterr().out == "no solution\n"
    assert main(["solve", "1", "1", "1", "1", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"numbers": [1, 1, 1, 1], "target": 24, "solutions": []}


def test_solve_takes_ranks_under_a_rule(capsys):
    # K = 13 and Q = 12: 13 + 12 - 1 = 24; with both as 10 that would be 19.
    assert main(["solve", "K", "Q", "A", "--faces", "eleven-twelve-thirteen"]) == 0
    assert expression.evaluate(expression.parse(capsys.readouterr().out.strip())) == 24
    assert main(["solve", "j", "q", "k", "--faces", "J=2,Q=3,K=4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["numbers"] == [2, 3, 4]


# play


def test_play_shows_and_stores_the_episode(capsys):
    assert main(["play", "gp-l", "--player", script(WRONG, RIGHT), "--cards", "3 3 8 8", "--seed", "4"]) == 0
    out, err = capsys.readouterr()
    assert "Cards: 3, 3, 8, 8" in out and "1> " in out and "2> " in out and "solved, 2 attempts, reward +4" in out
    assert "\x1b" not in out
    run = only_run()
    assert str(run.path) in err and run.status["status"] == "finished" and run.config["seed"] == 4
    (episode,) = run.episodes("play")
    assert [a.answer for a in episode.attempts] == [WRONG, RIGHT] and episode.success


def test_play_json_is_one_document(capsys):
    assert main(["play", "gp-l", "--player", "expert", "--cards", "3 3 8 8", "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["status"] == "success" and document["episode"]["task"]["deal"]["cards"][0][0] == "3"
    assert "8/(3-8/3)" in err and Path(document["run"]).is_dir()


def test_a_person_types_formulas(capsys, monkeypatch):
    type_in(monkeypatch, f"3+3+8+8\n\n8/(3-8/4)\n{RIGHT}\n")
    assert main(["play", "gp-l", "--cards", "3 3 8 8"]) == 0
    assert "solved, 3 attempts" in capsys.readouterr().out
    (episode,) = only_run().episodes("play")
    first, second, third = episode.attempts
    assert json.loads(first.answer) == {
        "cards": ["3", "3", "8", "8"],
        "number": [3, 3, 8, 8],
        "formula": "3+3+8+8",
    }
    assert (first.verdict.category, second.verdict.category) == ("wrong_value", "wrong_numbers")
    assert third.answer == RIGHT and episode.player == "person"


def test_a_person_may_stop(capsys, monkeypatch):
    type_in(monkeypatch, "3+3+8+8\n")
    assert main(["play", "gp-l", "--cards", "3 3 8 8"]) == 0
    assert "the input ended" in capsys.readouterr().err
    (episode,) = only_run().episodes("play")
    assert episode.status == "open" and len(episode.attempts) == 1


def test_a_person_names_the_cards_of_a_picture(capsys, monkeypatch):
    # (10 + 2) * 2 * 1 = 24
    type_in(monkeypatch, "(10+2)*2*1\nK 2 2 2\n(10+2)*2*1\nK 2 2 A\n")
    assert main(["play", "gp-vl", "--cards", "K 2 2 A"]) == 0
    (episode,) = only_run().episodes("play")
    assert [a.verdict.category for a in episode.attempts] == ["wrong_cards", "correct"]
    assert (only_run().path / "picture-1.png").is_file()


def test_model_text_cannot_steer_the_terminal(capsys):
    assert main(["play", "gp-l", "--player", script("\x1b[2J\x07\ud800"), "--cards", "3 3 8 8", "--attempts", "1"]) == 0
    out = capsys.readouterr().out
    assert "\\x1b[2J\\x07" in out and "\x1b" not in out and "\x07" not in out


def test_colour_is_for_terminals(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    episode = judge(start(game("gp-l").task(hand=["3", "3", "8", "8"])), RIGHT)

    def shown(out: io.StringIO) -> str:
        Transcript(out).show(episode)
        return out.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32mcorrect\x1b[0m +5" in shown(Terminal()) and "\x1b" not in shown(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in shown(Terminal())


def test_play_deals_what_eval_deals(capsys):
    assert main(["play", "gp-l", "--player", "random", "--suite", "rule-ood", "--split", "dev", "--seed", "9"]) == 0
    assert (
        main(
            [
                "eval",
                "gp-l",
                "--player",
                "random",
                "--suite",
                "rule-ood",
                "--split",
                "dev",
                "--seed",
                "9",
                "--episodes",
                "2",
                "--out",
                "others",
            ]
        )
        == 0
    )
    (played,) = only_run().episodes("play")
    evaluated = next(e for e in listing("others")[0].episodes("rule-ood") if e.task.index == 0)
    assert played.to_json() == evaluated.to_json()


def test_an_unsolvable_hand_is_played_with_a_note(capsys):
    assert main(["play", "gp-l", "--player", script("?"), "--cards", "A A A A", "--attempts", "1"]) == 0
    assert "has no solution for 24" in capsys.readouterr().err
    assert main(["play", "gp-l", "--player", "expert", "--cards", "A A A A"]) == 2
    assert "has no solution for 24" in capsys.readouterr().err
    assert only_run().config["player"] == "script:answers.jsonl"


def test_prompts_from_a_file(capsys):
    Path("prompts.yaml").write_text("task: 'Reach {target}. {faces}'\nagain: ''\n", encoding="utf-8")
    assert (
        main(
            [
                "play",
                "gp-l",
                "--player",
                script(WRONG, RIGHT),
                "--cards",
                "3 3 8 8",
                "--prompts",
                "prompts.yaml",
            ]
        )
        == 0
    )
    assert "Reach 24. J, Q and K each count as 10." in capsys.readouterr().out
    (episode,) = only_run().episodes("play")
    assert episode.task.prompts == {"task": "Reach {target}. {faces}", "again": ""}


# eval


def test_eval_json_and_the_stored_run(capsys):
    assert (
        main(
            [
                "eval",
                "gp-l",
                "--player",
                "expert",
                "--suite",
                "rule-ood,id",
                "--episodes",
                "6",
                "--seed",
                "3",
                "--json",
            ]
        )
        == 0
    )
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["cell"], document["player"], document["seed"]) == ("gp-l", "expert", 3)
    assert list(document["suites"]) == ["rule-ood", "id"]
    for suite in document["suites"].values():
        assert (suite["metric"], suite["value"], suite["n"]) == ("success", 1.0, 6)
        # All of 6 right: from 6 / (6 + 3.8415) to 1.
        assert suite["ci95"] == [pytest.approx(0.60967, abs=5e-6), 1.0]
    run = only_run()
    assert json.loads((run.path / "results.json").read_text()) == document
    assert run.status["status"] == "finished" and len(list(run.episodes("id"))) == 6
    # Two suites, and one count over both.
    assert "12/12" in err


def test_eval_prints_a_table_with_n_and_interval(capsys):
    assert main(["eval", "gp-l", "--player", "expert", "--episodes", "4", "--attempts", "2"]) == 0
    out = capsys.readouterr().out
    # 4 / (4 + 3.8415) = .510
    assert "success within 2" in out and "[0.510, 1.000]  4" in out
    assert "gp-l id: expert" in out and "gp-l rule-ood: expert" in out


def test_eval_with_a_script_goes_in_order(capsys):
    # The first episode takes two answers, the second the third answer.
    deals = [task.deal["cards"] for task, _ in zip(_tasks(), range(2), strict=False)]
    ranks = [[rank for rank, _ in deal] for deal in deals]
    answers = ["?", _solution(ranks[0]), _solution(ranks[1])]
    assert main(["eval", "gp-l", "--player", script(*answers), "--suite", "id", "--episodes", "2", "--json"]) == 0
    suite = json.loads(capsys.readouterr().out)["suites"]["id"]
    assert suite["value"] == 1.0 and suite["within"]["1"]["value"] == 0.5


def _tasks():
    return game("gp-l").tasks("id", seed=0)


def _solution(ranks):
    from labkit.envs.general_points.game import answer_text
    from labkit.envs.general_points.solver import simplest

    numbers = cards.numbers_of(ranks, "ten")
    return answer_text(ranks, numbers, simplest(numbers)[0], 24)


# runs and players


def test_runs_list_and_show(capsys):
    main(["eval", "gp-l", "--player", "expert", "--suite", "id", "--episodes", "2"])
    capsys.readouterr()
    assert main(["runs"]) == 0
    assert "finished" in capsys.readouterr().out
    assert main(["runs", "list", "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)
    assert (line["player"], line["status"]) == ("expert", "finished")
    assert main(["runs", "show", line["id"], "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["episodes"] == ["id"] and shown["results"]["suites"]["id"]["n"] == 2
    assert main(["runs", "show", "eval-gp-l"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["config"]["stage"] == "eval"


def test_runs_say_why_one_was_stopped(capsys):
    run = Run.create("runs", "rl", "stage: rl\n")
    run.log({"step": 7, "rollout/return": 0.125})
    run.set_status("stopped", reason="collapsed: all returns are alike", last_good=f"run:{run.id}@5")
    assert main(["runs", "list"]) == 0
    out = capsys.readouterr().out
    assert f"collapsed: all returns are alike (last good checkpoint: run:{run.id}@5)" in out and "0.125" not in out
    assert main(["runs", "list", "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)
    assert line["status"] == "stopped" and line["why"].startswith("collapsed:") and "=0.125" in line["last"]
    assert main(["runs", "show", run.id]) == 0
    status = yaml.safe_load(capsys.readouterr().out)["status"]
    assert (status["reason"], status["last_good"]) == ("collapsed: all returns are alike", f"run:{run.id}@5")


def test_runs_say_why_one_failed(capsys):
    run = Run.create("runs", "rl", "stage: rl\n")
    run.set_status("failed", error="OSError: disk full")
    assert main(["runs"]) == 0
    assert "OSError: disk full" in capsys.readouterr().out


def test_runs_of_an_empty_folder(capsys):
    assert main(["runs", "list"]) == 0
    out, err = capsys.readouterr()
    assert out == "" and "no runs in runs/" in err


def test_players_lists_those_without_weights(capsys):
    assert main(["players", "--json"]) == 0
    specs = {p["spec"] for p in json.loads(capsys.readouterr().out)}
    assert {"expert", "random"} <= specs
    assert main(["players"]) == 0
    assert "expert" in capsys.readouterr().out


def test_the_help_names_the_values_that_an_option_suggests(monkeypatch, capsys):
    tone = games.Option("tone", "how it is asked, plain by default", suggested=("plain", "formal", "terse"))
    monkeypatch.setattr(games, "_ROWS", [replace(games.row_of("gp-l"), options=(tone,))])
    with pytest.raises(SystemExit):
        main(["play", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    # What the option's own line names already is not said again.
    assert "--tone TONE how it is asked, plain by default; such as formal, terse" in shown
