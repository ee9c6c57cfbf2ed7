"""`labkit runs query`."""

import csv
import gzip
import json
import sys

import pytest

from labkit.cli import main
from labkit.envs import game, judge, start
from labkit.runs import Run


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    """Two runs: three answers of two episodes, and one answer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first, second = (Run.create("runs", name, "stage: eval\n") for name in ("a", "b"))
    for run, answers in ((first, ("a, b", "no\nway")), (first, ("x" * 99,)), (second, ("no",))):
        episode = start(game("gp-l").task(hand=["3", "3", "8", "8"], attempts=2), "somebody")
        for answer in answers:
            episode = judge(episode, answer)
        run.add_episodes("id", [episode])
    return first, second


def query(words, capsys):
    assert main(["runs", "query", *words.split()]) == 0
    return capsys.readouterr()


def test_a_table_of_answers_the_newest_run_first(capsys, runs):
    out, err = query("", capsys)
    header, *rows = out.splitlines()
    assert header.split() == [
        "run", "name", "episode", "position", "attempt", "category", "reward", "turns", "tokens", "answer",
    ]  # fmt: skip
    assert [row.split()[0] for row in rows] == [runs[1].id, *[runs[0].id] * 3]
    assert rows[2].endswith("no way") and rows[3].endswith("x" * 60 + "...")
    assert "4 rows of 4 attempts in 3 episodes" in err


@pytest.mark.parametrize(
    ("words", "attempts", "episodes"),
    [
        ("", 4, 3),
        ("RUN", 3, 2),
        ("RUN --turns 2..", 2, 1),
        ("--turns 1", 2, 2),
        ("--text NO", 2, 2),
        ("--status exhausted", 2, 1),
        ("--status open,exhausted --player somebody", 4, 3),
        ("--trait solutions:1 --category unreadable", 4, 3),
        ("--recovered", 0, 0),
        ("--old-rule", 0, 0),
    ],
)
def test_counts(words, attempts, episodes, capsys, runs):
    out, _ = query(f"{words.replace('RUN', runs[0].id)} --count --json", capsys)
    assert json.loads(out) == {"attempts": attempts, "episodes": episodes}


def test_a_run_whose_compressed_file_is_cut_short_is_counted_and_named(capsys, runs):
    path = runs[0].episodes_path("id")
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes())[:-9])
    path.unlink()
    out, err = query("--count", capsys)
    assert err == f"labkit: note: {packed.resolve()} is cut short or damaged; what comes after episode 2 is left out\n"
    assert out == "4 attempts of 3 episodes\n"
    packed.unlink()
    assert query("--count", capsys) == ("1 attempt of 1 episode\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--category nothing", "0 attempts of 0 episodes\n"),
        ("--text way", "1 attempt of 1 episode\n"),
        ("--turns 2..", "2 attempts of 1 episode\n"),
    ],
)
def test_only_one_is_told_in_the_singular(words, said, capsys):
    assert query(f"{words} --count", capsys).out == said


def test_counts_by_a_field(capsys):
    assert query("--by status", capsys).out.split() == "status attempts episodes exhausted 2 1 open 2 2".split()
    assert query("--count", capsys).out == "4 attempts of 3 episodes\n"
    assert json.loads(query("--by turns --limit 1 --json", capsys).out)["values"] == [
        {"value": 1, "attempts": 2, "episodes": 2}
    ]


def test_files_have_every_row_and_field(capsys):
    assert query("--csv all.csv --sort turns", capsys).out == "all.csv\n"
    with open("all.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert sorted(row["answer"] for row in rows) == ["a, b", "no", "no\nway", "x" * 99]
    parquet = pytest.importorskip("pyarrow.parquet")
    query("--parquet all.parquet --sort turns", capsys)
    table = parquet.read_table("all.parquet")
    assert table.column_names == list(rows[0])
    assert [str(value) for value in table["answer"].to_pylist()] == [row["answer"] for row in rows]
    assert table["turns"].to_pylist() == [1, 1, 2, 2] and table["reward"].type == "double"


def test_parquet_without_pyarrow_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["runs", "query", "--parquet", "x.parquet"]) == 2
    assert "needs pyarrow" in capsys.readouterr().err


def test_a_value_that_does_not_occur_is_told_with_the_nearest(capsys):
    out, err = query("--category unreadible", capsys)
    assert out == "" and "no category 'unreadible' among 3 episodes; there is unreadable" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--by categroy", "no field 'categroy'; did you mean category?"),
        ("--sort tokns", "did you mean tokens?"),
        ("--turns 5..2", "5 is more than 2"),
        ("--turns x", "a range such as 2..5"),
        ("--limit 0", "--limit"),
        ("--count --by cell", "give one of them"),
        ("nothing", "no run nothing"),
        ("--csv nowhere/x.csv", "cannot write nowhere/x.csv"),
    ],
)
def test_what_cannot_be_asked(words, said, capsys):
    assert main(["runs", "query", *words.split()]) == 2
    assert said in capsys.readouterr().err


def test_options_of_a_query_belong_to_a_query(capsys):
    assert main(["runs", "list", "--by", "cell"]) == 2
    assert "--by is an option of a query" in capsys.readouterr().err


def test_tags_of_notes_are_a_condition_a_column_and_in_the_file(capsys, runs, tmp_path):
    from labkit.runs.notes import note_of, write_note

    write_note(runs[0], "id", 1, note_of("far too long", "verbose ask"), seen=0)
    out, err = query("--note-tag verbose", capsys)
    header, row = out.splitlines()
    assert header.split()[-2:] == ["note_tags", "answer"] and "ask verbose" in row
    assert "1 row of 1 attempt in 1 episode" in err
    assert query("--text TOO --count", capsys).out == "1 attempt of 1 episode\n"
    assert query("--by note_tag", capsys).out.splitlines()[1].split() == ["ask", "1", "1"]
    query("--csv all.csv", capsys)
    with (tmp_path / "all.csv").open(newline="") as handle:
        found = {(row["run"], row["episode"]): (row["note"], row["note_tags"]) for row in csv.DictReader(handle)}
    assert found[runs[0].id, "1"] == ("far too long", "ask verbose") and found[runs[1].id, "0"] == ("", "")
    assert "there is ask, verbose" in query("--note-tag other", capsys).err
