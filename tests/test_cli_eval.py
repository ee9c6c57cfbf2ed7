"""`labkit eval` of several players, several samples, and against a reference."""

import argparse
import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from labkit.cli import main
from labkit.commands.eval import _players
from labkit.envs import cells, game, prompt, register
from labkit.envs.games import Row
from labkit.evaluation import default
from labkit.evaluation.metrics import Trials, wilson
from labkit.evaluation.paired import difference
from labkit.players import registry
from labkit.players.simple import Expert
from labkit.runs import find, listing
from tests.training import small_games

COPY = '{"cards": ["K", "K", "2", "2"], "number": [10, 10, 2, 2], "formula": "10+10+2+2=24"}'


class WithDev(small_games.Bandit):
    """Two levers, with deals to choose a temperature on."""

    splits = ("train", "dev")


NOTHING = {"RATES": {"nothing": lambda episode: Trials(0, 0)}, "headline": lambda task: "nothing"}
"""Measures whose headline no episode has a trial of."""

if "unmeasured" not in cells():
    measures = SimpleNamespace(**vars(default) | NOTHING)
    register(Row(name="unmeasured", title="", cells={"unmeasured": ""}, game=WithDev, measures=measures))


@pytest.fixture(autouse=True)
def a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_several_players_on_the_same_deals(capsys):
    words = "eval gp-l --player expert random --suite id,rule-ood --episodes 12 --seed 3 --json"
    assert main(words.split()) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document.keys() == {"cell", "seed", "players"}
    assert (document["cell"], document["seed"]) == ("gp-l", 3)
    assert [p["player"] for p in document["players"]] == ["expert", "random"]
    expert, chance = (find(p["run"]) for p in document["players"])
    for player, run in zip(document["players"], (expert, chance), strict=True):
        # Each is stored as it would be alone.
        alone = json.loads((run.path / "results.json").read_text())
        assert alone["player"] == player["player"] == run.config["player"] and alone["suites"] == player["suites"]
        assert list(player["suites"]) == ["id", "rule-ood"] and run.status["status"] == "finished"
    first, second = ([e.task.id for e in run.episodes("id")] for run in (expert, chance))
    assert sorted(first) == sorted(second)
    first_row, second_row = document["players"]
    assert first_row["changes"] == {} and list(second_row["changes"]) == ["id", "rule-ood"]
    for suite, change in second_row["changes"].items():
        assert change["reference"] == {"player": "expert", "temperature": 0.0}
        values = [p["suites"][suite]["value"] for p in document["players"]]
        assert change["metric"] == "success" and change["value"] == pytest.approx(values[1] - values[0])
        stored = difference(list(expert.episodes(suite)), list(chance.episodes(suite)))
        assert (change["n"], change["ci95"]) == (12, pytest.approx(stored.ci95))
        assert change["p"] < 0.05 and change["test"] == "exact McNemar"
    # One count over all that is played: 2 players, 2 suites, 12 deals.
    assert "48/48" in err and "left" in err


def test_the_table_marks_a_change_that_is_clear(capsys):
    assert main("eval gp-l --player random --player expert random --suite id --episodes 12".split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "gp-l, split all, seed 0: success of each player"
    (chance, expert) = (line.split() for line in lines[2:4])
    assert chance[:2] == ["id", "random"] and expert[:3] == ["id", "expert", "1.000"]
    assert expert[-1] == "clear" and chance[-1] == "12"
    assert not any(line.split()[-1] == "clear" for line in lines[4:] if line)
    assert len(listing("runs")) == 2  # random was named twice, and played once
    assert any(line.startswith("numbers translated rightly") for line in lines)


def test_a_fall_is_marked_too(capsys):
    assert main("eval gp-l --player expert random --suite id --episodes 12".split()) == 0
    change = capsys.readouterr().out.splitlines()[3].split()
    assert change[1] == "random" and change[-1] == "clear" and change[-2].startswith("-")


def test_every_hand_is_compared_with_its_weight(capsys):
    words = "eval gp-l --player random expert --suite rule-ood --split dev --episodes all --attempts 1 --json"
    assert main(words.split()) == 0
    document = json.loads(capsys.readouterr().out)
    (change,) = document["players"][1]["changes"].values()
    before, after = (p["suites"]["rule-ood"] for p in document["players"])
    assert after["every_hand"] and change["value"] == pytest.approx(1 - before["value"])
    assert change["n"] == before["n"] and change["test"] == "sign flips of episodes"


def test_samples(capsys):
    assert main("eval gp-l --player expert --samples 3 --episodes 4 --suite id --json".split()) == 0
    suite = json.loads(capsys.readouterr().out)["suites"]["id"]
    assert {k: e["value"] for k, e in suite["pass_at"].items()} == {"1": 1, "2": 1, "3": 1}
    # Twelve samples of four deals.
    assert (suite["n"], suite["attempts"]) == (12, 1) and suite["ci95"] == pytest.approx(wilson(1.0, 4))
    assert suite["solutions_a_deal"]["value"] == 1
    assert main("eval gp-l --player random --samples 4 --episodes 4 --suite id".split()) == 0
    out = capsys.readouterr().out
    assert all(f"pass@{k}" in out for k in (1, 2, 4)) and "pass@3" not in out
    assert "different solutions a deal (mean)" in out


def test_a_row_for_each_player_at_each_temperature(capsys):
    words = (
        "eval gp-l --player tiny:gp-l/init tiny:base expert --temperature 0.2,1 --suite id --episodes 3 --attempts 1"
    )
    assert main([*words.split(), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    rows = [(p["player"], p["temperature"]) for p in document["players"]]
    # An expert has no temperature.
    assert rows == [("tiny:gp-l/init", 0.2), ("tiny:gp-l/init", 1.0), ("tiny:base", 0.2), ("tiny:base", 1.0),
                    ("expert", 0.2)]  # fmt: skip
    assert [find(p["run"]).config["temperature"] for p in document["players"]] == [0.2, 1.0, 0.2, 1.0, 0.2]
    compared = [p["changes"]["id"]["reference"] for p in document["players"][1:]]
    assert [c["temperature"] for c in compared] == [0.2, 0.2, 1.0, 0.2]
    assert {c["player"] for c in compared} == {"tiny:gp-l/init"}


def test_the_best_temperature_is_that_of_dev_under_the_trained_rule(capsys):
    words = "eval gp-l --player tiny:gp-l/init --suite rule-ood --episodes 3 --attempts 2 --revision independent"
    assert main([*words.split(), "--temperature", "best", "--json"]) == 0
    out, err = capsys.readouterr()
    (run,) = listing("runs")
    chosen = run.config["temperature"]
    # Independent answers at temperature 0 are all the same, so it is not tried.
    assert chosen in (0.2, 0.6, 1.0) and f"temperature {chosen:g} is best on dev of id" in err and " at 0 " not in err
    assert run.config["revision"] == "independent" and json.loads(out)["suites"]["rule-ood"]["n"] == 3


def test_where_nothing_is_measured_no_temperature_is_best(capsys, tmp_path):
    small_games.saved(tmp_path / "model")
    words = f"eval unmeasured --player {tmp_path / 'model'} --suite id --episodes 2".split()
    assert main([*words, "--temperature", "best"]) == 2
    assert "unmeasured measures no nothing on dev" in capsys.readouterr().err
    assert main([*words, "--temperature", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["suites"]["id"]
    assert (found["value"], found["n"], found["ci95"]) == (None, 0, None)


def test_saved_deals_are_played_again(capsys):
    assert main("eval gp-l --player random --suite id,rule-ood --episodes 6 --attempts 1 --json".split()) == 0
    first = find(json.loads(capsys.readouterr().out)["run"])
    hard = [e for e in first.episodes("rule-ood") if not e.success][:2]
    saved = first.path / "hard.jsonl"
    saved.write_text("".join(json.dumps({"task": e.to_dict()["task"]}) + "\n" for e in [*hard, hard[0]]))
    assert main(["eval", "gp-l", "--player", "expert", "--deals", str(saved), "--attempts", "3", "--json"]) == 0
    suites = json.loads(capsys.readouterr().out)["suites"]
    assert list(suites) == ["rule-ood"] and (suites["rule-ood"]["n"], suites["rule-ood"]["value"]) == (2, 1.0)
    assert suites["rule-ood"]["attempts"] == 3
    for text, said in (("{}", "holds no deals"), ("[1", "holds no deals"), ("", "holds deals of no cell")):
        saved.write_text(text)
        assert main(["eval", "gp-l", "--player", "expert", "--deals", str(saved)]) == 2
        assert said in capsys.readouterr().err


def test_every_position_of_a_route_is_asked_once(capsys):
    assert main("eval virl-l --player random --suite rule-ood --split test --episodes 3 --json".split()) == 0
    document = json.loads(capsys.readouterr().out)
    suite, run = document["suites"]["rule-ood"], find(document["run"])
    asked = list(run.episodes("rule-ood-asked-once"))
    assert suite["every_position"]["n"] == sum(len(e.positions) for e in asked) > suite["first_position"]["n"] == 3
    assert suite["every_position_turns"]["n"] + suite["every_position_others"]["n"] == suite["every_position"]["n"]
    assert suite["per_step_accuracy"]["n"] == suite["n"] and suite["turns_first_attempt"]["n"] >= 3


def test_a_checkpoint_against_a_reference(capsys):
    words = "eval gp-l --player tiny:gp-l/init --reference tiny:base --suite id --episodes 40 --attempts 1"
    assert main([*words.split(), "--json"]) == 0
    suite = json.loads(capsys.readouterr().out)["suites"]["id"]
    assert suite["reference"] == "tiny:base" and 0 < suite["kl"]["ci95"][0] < suite["kl"]["value"] < 0.5
    assert suite["kl"]["n"] == 40


def test_plain_words_for_what_lies_behind(capsys, tmp_path):
    script = tmp_path / "copies.jsonl"
    script.write_text(f"{json.dumps(COPY)}\n" * 4)
    words = f"eval gp-l --player script:{script} --suite rule-ood --episodes 4 --attempts 1"
    assert main(words.split()) == 0
    out = capsys.readouterr().out
    for label in (
        "answers with a legal formula",
        "  and each card used once",
        "numbers translated rightly",
        "face cards read as in training",
        "first answer by the other rule",
        "wrong answers copied from training",
    ):
        assert f"\n{label} " in out
    (copied,) = (line for line in out.splitlines() if line.startswith("wrong answers copied"))
    assert copied.split()[-4:] == ["1.000", "[0.510,", "1.000]", "4"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--player expert nobody", "no player 'nobody'"),
        ("--player expert --reference tiny:base", "expert is not a model"),
        ("--player tiny:base --reference expert", "expert is not a model"),
        ("--player tiny:base --samples 4", "add --temperature"),
        ("--player random --samples 4 --attempts 5", "leave --attempts out"),
        ("--player random --samples 0", "--samples"),
        ("--player tiny:base --revision independent", "all independent answers are the same"),
        ("--player tiny:base --temperature 0.6,warm", "numbers from 0 and best, with commas"),
        ("--player tiny:base --blind", "gp-l shows no pictures"),
        ("--player blind:tiny:base", "gp-l shows no pictures"),
        ("--player random --deals nowhere.jsonl", "cannot read the deals nowhere.jsonl: No such file"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_played(words, said, capsys):
    try:
        status = main(["eval", "gp-l", *words.split(), "--episodes", "2"])
    except SystemExit as stopped:
        status = stopped.code
    assert status == 2
    err = capsys.readouterr().err
    assert said in err and "episodes," not in err
    assert not listing("runs")


def test_controls_that_never_look_are_players_of_their_own():
    """Each by its own name, so that a run of one can be resumed."""
    args = argparse.Namespace(player=["tiny:base", "expert"], blind=True, out="runs")
    assert _players(args, "virl-vl") == ["tiny:base", "expert", "blind:tiny:base", "words"] and not args.blind
    args = argparse.Namespace(player=["tiny:base", "blind:tiny:base"], blind=True, out="runs")
    assert _players(args, "gp-vl") == ["tiny:base", "blind:tiny:base"]


def test_the_rule_by_words_stands_beside_a_player(capsys):
    assert main("eval virl-vl --player expert --blind --suite id --split test --episodes 2 --json".split()) == 0
    expert, words = json.loads(capsys.readouterr().out)["players"]
    assert (expert["player"], words["player"]) == ("expert", "words")
    found = words["suites"]["id"]
    assert found["turns_first_attempt"]["value"] == 1 and found["stop_or_go"]["n"] > 2
    assert expert["suites"]["id"]["stop_right"] == {
        "value": 1.0,
        "n": 2,
        "ci95": [pytest.approx(0.342, abs=0.001), 1.0],
    }


# Going on with an evaluation


def shortened(run, suite, episodes):
    """The run as an interrupt leaves it: some episodes, a line cut short, no results."""
    kept = list(run.episodes(suite))[:episodes]
    run.put_episodes(suite, kept)
    with run.episodes_path(suite).open("a") as handle:
        handle.write('{"schema": 1, "ta')
    (run.path / "results.json").unlink()
    run.set_status("stopped")


def test_a_resumed_evaluation_equals_one_that_was_not_interrupted(capsys):
    words = "eval gp-l --player tiny:gp-l/init --suite id,rule-ood --episodes 8 --attempts 2 --temperature 1 --json"
    assert main(words.split()) == 0
    document = json.loads(capsys.readouterr().out)
    run = find(document["run"])

    def answers():
        return {s: sorted([a.answer for a in e.attempts] for e in run.episodes(s)) for s in ("id", "rule-ood")}

    before = answers()
    shortened(run, "id", 5)
    run.put_episodes("rule-ood", [])
    assert main(["eval", "--resume", run.id, "--json"]) == 0
    out, err = capsys.readouterr()
    assert answers() == before and json.loads(out)["suites"] == document["suites"]
    # Of 16 episodes, 5 were there.
    assert "16/16" in err and run.status["status"] == "finished" and len(listing("runs")) == 1


class Sees(Expert):
    """Reads pictures of 64 pixels, and keeps what it was sent."""

    name, picture, sizes = "sees", {"size": 64}, set()

    def answer(self, turns):
        self.sizes |= {game("gp-vl").draw(message.picture).size for t in turns for message in prompt(t.episode)[:1]}
        return super().answer(turns)


def test_pictures_are_drawn_as_large_as_the_player_reads_them(capsys, monkeypatch):
    """When it is played, and when its evaluation is resumed, which takes the same deals for the same."""
    monkeypatch.setitem(registry.SIMPLE, "sees", (Sees, "64 pixels"))
    assert main("eval gp-vl --player sees --suite tilt@4 --episodes 6 --json".split()) == 0
    document = json.loads(capsys.readouterr().out)
    run = find(document["run"])
    assert Sees.sizes == {(64, 64)}
    assert {(e.task.picture["size"], e.task.picture["tilt"]) for e in run.episodes("tilt@4")} == {(64, 4)}
    shortened(run, "tilt@4", 2)
    assert main(["eval", "--resume", run.id, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["suites"] == document["suites"]
    assert main("play gp-vl --player sees --json".split()) == 0
    assert json.loads(capsys.readouterr().out)["episode"]["task"]["picture"]["size"] == 64


def test_a_deal_that_lacks_a_sample_is_played_again(capsys):
    assert main("eval gp-l --player random --suite id --episodes 3 --samples 4 --json".split()) == 0
    document = json.loads(capsys.readouterr().out)
    run = find(document["run"])
    shortened(run, "id", 10)
    assert main(["eval", "--resume", run.id, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["suites"] == document["suites"]
    assert len(list(run.episodes("id"))) == 12


def test_finished_runs_of_the_same_deals_are_compared_without_playing(capsys):
    assert main("eval gp-l --player expert random --suite id --episodes 12 --json".split()) == 0
    document = json.loads(capsys.readouterr().out)
    runs = [player["run"] for player in document["players"]]
    assert main(["eval", "--resume", *runs, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == document


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--resume RUN --seed 3", "leave --seed out"),
        ("gp-l --resume RUN", "leave CELL out"),
        ("--resume RUN --max-new-tokens 9", "leave --max-new-tokens out"),
        ("--resume nothing", "no run nothing"),
        ("--resume RUN OTHER", "differ in seed"),
        ("--resume RUN AGAIN", "of one player"),
    ],
)
def test_what_cannot_be_resumed(words, said, capsys):
    for name, more in (("RUN", ""), ("AGAIN", ""), ("OTHER", "--seed 4")):
        assert main(f"eval gp-l --player expert --suite id --episodes 2 {more} --json".split()) == 0
        words = words.replace(name, json.loads(capsys.readouterr().out)["run"])
    assert main(["eval", *words.split()]) == 2
    assert said in capsys.readouterr().err


def test_an_evaluation_whose_checkpoint_was_replaced_is_not_resumed(capsys, tmp_path):
    from labkit.players import registry

    model = tmp_path / "model"
    shutil.copytree(registry.resolve_checkpoint("tiny:gp-l/init"), model)
    assert main(f"eval gp-l --player {model} --suite id --episodes 2 --attempts 1 --json".split()) == 0
    run = find(json.loads(capsys.readouterr().out)["run"])
    assert main(["eval", "--resume", run.id]) == 0
    later = (run.path / "config.yaml").stat().st_mtime + 1
    os.utime(model / "model.safetensors", (later, later))
    assert main(["eval", "--resume", run.id]) == 2
    assert "has changed since" in capsys.readouterr().err


def test_progress_shows_a_count_of_solved_episodes_not_a_rate(capsys):
    assert main("eval gp-l --player expert --suite id --episodes 5".split()) == 0
    assert "solved=5" in capsys.readouterr().err


FULL = """
import resource, sys
from labkit.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), -1))
sys.exit(main(sys.argv[2:]))
"""


def test_a_full_disk_ends_an_evaluation_with_the_way_on(capsys):
    """The limit is on the size of a file: the system refuses what goes beyond it, as it does on a full disk."""
    pytest.importorskip("resource")
    words = "eval gp-l --player random --suite id --episodes 12".split()
    done = subprocess.run([sys.executable, "-c", FULL, "25000", *words], capture_output=True, text=True)
    (run,) = listing("runs")
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("labkit:"))
    assert done.returncode == 2 and f"cannot write {run.episodes_path('id')}: File too large" in line
    assert line.endswith(f"Free some space, then go on with `labkit eval --resume {run.id}`")
    stored = len(list(run.episodes("id")))
    assert 0 < stored < 12 and run.status["status"] == "failed"
    assert main(["eval", "--resume", run.id, "--json"]) == 0
    suite = json.loads(capsys.readouterr().out)["suites"]["id"]
    assert suite["n"] == 12 and len(list(run.episodes("id"))) == 12
