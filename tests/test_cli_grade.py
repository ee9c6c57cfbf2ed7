"""``labkit grade``: what learners handed in, judged by this labkit and by nothing that their notebooks say."""

import csv
import json
from pathlib import Path

import pytest

from labkit.cli import main
from labkit.exercises import grading

TOUR, VIRL = "tour.formula", "virl.arrives"


def notebook(*cells: tuple[str, str, list[str]]) -> str:
    """Code cells of (id, code, tags)."""
    made = [
        {"cell_type": "code", "id": own_id, "source": code, "metadata": {"tags": tags}, "outputs": []}
        for own_id, code, tags in cells
    ]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


SETUP = ("00_tour-1", "from labkit.exercises import check, use", ["setup"])


def answered(answer: str, name: str = TOUR, call: str = "check") -> str:
    return notebook(SETUP, ("00_tour-2", f"attempt = {answer}", ["exercise"]),
                    ("00_tour-3", f'{call}("{name}", attempt)', []))  # fmt: skip


def graded(folder: Path, capsys, *options: str) -> list[list[str]]:
    assert main(["grade", str(folder), *options]) == 0
    header, *rows = csv.reader(capsys.readouterr().out.splitlines())
    assert header == ["file", "notebook", "exercise", "result", "message"]
    return rows


def test_a_line_for_each_exercise_of_each_notebook(tmp_path, capsys):
    for learner, text in {
        "ada": answered("'8/(3-8/3)'"),
        "bob": answered("'3*8'"),
        "cy": answered("None"),
        # What a notebook defines in place of the check is not believed.
        "dan": answered("'3*8'").replace("import check, use", "import check\\ncheck = print"),
        "eve": "my notes",
    }.items():
        (tmp_path / learner).mkdir()
        (tmp_path / learner / "00_tour.ipynb").write_text(text)
    rows = graded(tmp_path, capsys)
    assert [row[:4] for row in rows] == [
        ["ada/00_tour.ipynb", "00_tour", TOUR, "right"],
        ["bob/00_tour.ipynb", "00_tour", TOUR, "wrong"],
        ["cy/00_tour.ipynb", "00_tour", TOUR, "not done"],
        ["dan/00_tour.ipynb", "00_tour", TOUR, "wrong"],
        ["eve/00_tour.ipynb", "00_tour", "", "not run"],
    ]
    assert "3 and 8 are not used" in rows[1][4]
    assert "is no notebook" in rows[4][4]


def test_a_cell_that_never_ends_costs_its_own_exercise_only(tmp_path, monkeypatch):
    monkeypatch.setattr(grading, "START_SECONDS", 60.0)
    path = tmp_path / "02_virl.ipynb"
    path.write_text(
        notebook(
            SETUP,
            ("02_virl-2", "def arrives(p, steps):\n    while True:\n        pass", ["exercise"]),
            ("02_virl-3", f'check("{VIRL}", arrives)', []),
            ("02_virl-4", "attempt = '8/(3-8/3)'", ["exercise"]),
            ("02_virl-5", f'check("{TOUR}", attempt)', []),
        )
    )
    assert [(g.exercise, g.result) for g in grading.grade(path, 3)] == [(VIRL, "not run"), (TOUR, "right")]


def test_cells_of_the_learner_run_and_long_cells_of_the_notebook_do_not(tmp_path):
    path = tmp_path / "00_tour.ipynb"
    path.write_text(
        notebook(
            SETUP,
            ("00_tour-2", "import math\nraise SystemExit('a long training')", []),
            ("3f9c", "def fraction():\n    return f'8/({math.floor(3.5)}-8/3)'", []),
            ("00_tour-4", "attempt = fraction()", ["exercise"]),
            ("00_tour-5", f'check("{TOUR}", attempt)', []),
        )
    )
    assert [g.result for g in grading.grade(path, 60)] == ["right"]


def test_a_wrong_answer_does_not_spoil_those_that_build_on_it(tmp_path):
    path = tmp_path / "05_ppo_by_hand.ipynb"
    update = (
        "def update(score, optimizer, old_logp_N, advantage_N, return_K, clip, value_weight):\n"
        "    logp_N, value_K = score()\n"
        "    value_loss = 0.5 * ((value_K - return_K) ** 2).mean()\n"
        "    loss = value_weight * value_loss\n"
        "    loss = loss - clipped_objective((logp_N - old_logp_N).exp(), advantage_N, clip).mean()\n"
        "    optimizer.zero_grad(); loss.backward(); optimizer.step()\n"
        "    return loss.item()"
    )
    path.write_text(
        notebook(
            SETUP,
            ("05_ppo_by_hand-2", "def clipped_objective(ratio_N, advantage_N, clip):\n    return 0", ["exercise"]),
            ("05_ppo_by_hand-3", 'clipped_objective = use("ppo_by_hand.clipped_objective", clipped_objective)', []),
            ("05_ppo_by_hand-4", update, ["exercise"]),
            ("05_ppo_by_hand-5", 'update = use("ppo_by_hand.update", update)', []),
        )
    )
    assert [g.result for g in grading.grade(path, 60)] == ["wrong", "right"]


def test_no_network_and_no_other_program(tmp_path):
    path = tmp_path / "00_tour.ipynb"
    calls = (
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import os; os.system('true')",
        "import subprocess; subprocess.run(['true'])",
    )
    for code in calls:
        wrapped = f"try:\n    {code}\n    attempt = 'reached'\nexcept PermissionError:\n    attempt = '8/(3-8/3)'"
        path.write_text(notebook(SETUP, ("a", wrapped, []), ("00_tour-5", f'check("{TOUR}", attempt)', [])))
        assert [g.result for g in grading.grade(path, 60)] == ["right"], code


def test_an_empty_folder_is_an_error_of_use(tmp_path, capsys):
    assert main(["grade", str(tmp_path)]) == 2
    assert "no notebooks in" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["0", "soon"])
def test_a_limit_is_a_whole_number_of_seconds(tmp_path, option):
    assert main(["grade", str(tmp_path), "--seconds", option]) == 2
