"""The teacher's page names sections that exist, and its worked numbers are right."""

import re

import numpy as np
import pytest

from labkit.exercises.solutions.ppo_by_hand import gae
from labkit.exercises.solutions.when_rl_fails import can_be_hacked
from tests.notebooks.test_notebooks import ROOT, SOURCES

PAGE = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")


def headings(number: str) -> set[str]:
    (path,) = [p for p in SOURCES if p.stem.startswith(number)]
    return set(re.findall(r"^# #+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE))


def named(row: str) -> list[tuple[str, str]]:
    """The (notebook, section) pairs of a line: a section belongs to the last number before it."""
    pairs, number = [], ""
    for found in re.finditer(r'\b(\d\d)\b(?![:.%)])|"([^"]+)"', row):
        number = found[1] or number
        if found[2] and number:
            pairs.append((number, found[2]))
    return pairs


def tables() -> list[str]:
    return [line for line in PAGE.splitlines() if line.startswith("| ") and re.search(r'\b(0\d|10)\b.*"', line)]


def test_every_section_that_the_plans_name_exists():
    known = {p.stem[:2] for p in SOURCES}
    spoken = re.search(r"## Six misconceptions.*?## Questions", PAGE, re.DOTALL)[0]
    pairs = []
    for row in tables():
        cells = row.split("|")
        # What learners say stands in quotation marks too.
        pairs += named("|".join(cells[2:3] if row in spoken else cells[1:]))
    sections = [(number, title) for number, title in pairs if number in known]
    assert len(sections) > 25
    assert [pair for pair in sections if pair[1] not in headings(pair[0])] == []


def test_six_misconceptions_each_with_a_cell_that_breaks_it():
    rows = [line for line in PAGE.splitlines() if line.startswith('| "')]
    assert len(rows) == 6
    for row in rows:
        assert named(row.split("|")[2]), row


def test_the_exam_solutions_are_right():
    reward_K, value_K = np.array([-0.2, -0.2, 1.0]), np.array([0.1, 0.1, 0.5])
    assert gae(reward_K, value_K, 0.9, 0.0) == pytest.approx([-0.21, 0.15, 0.5])
    assert gae(reward_K, value_K, 0.9, 1.0)[0] == pytest.approx(0.33)
    table = {"correct": 5, "wrong_value": 1.5, "wrong_numbers": -2, "exhausted": -1}
    assert can_be_hacked(table, 5) and not can_be_hacked(table | {"wrong_value": 0}, 5)
    for number in ("−0.21", "0.15", "0.33", "4·1.5 + 5 = 11"):
        assert number in PAGE


def test_the_plans_fill_their_time():
    rows = re.findall(r"^\| (\d+)-(\d+) \|", PAGE, re.MULTILINE)
    assert rows[0][0] == "0" and rows[-1][1] == "90"
    assert all(a[1] == b[0] for a, b in zip(rows, rows[1:], strict=False))
