"""Queries over stored episodes, against plain loops over the same records."""

import json
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from labkit.errors import UsageError
from labkit.runs import Run
from labkit.runs.columns import FIELDS
from labkit.runs.index import Index
from tests.cost import loops
from tests.runs.indexed import BY_OTHER_RULE, EPISODES, HANDS, RIGHT, played


def test_a_row_has_what_the_record_has(index, run):
    rows = index.select().rows()
    assert [(r.name, r.episode, r.position, r.attempt) for r in rows] == [
        ("id", 0, 0, 0),
        *(("id", 1, 0, n) for n in range(2)),
        *(("id", 2, 0, n) for n in range(3)),
        *(("rule-ood", 0, 0, n) for n in range(2)),
    ]
    attempts = [(e, a) for e in EPISODES for a in e.attempts]
    for row, (episode, attempt) in zip(rows, attempts, strict=True):
        assert (row.run, row.cell, row.player, row.status) == (run.id, "gp-l", episode.player, episode.status)
        assert (row.category, row.tags, row.answer) == (attempt.verdict.category, attempt.tags, attempt.answer)
        assert (row.success, row.reward, row.total) == (attempt.verdict.success, attempt.reward, episode.reward)
        assert (row.turns, row.tokens) == (len(episode.attempts), -1)
    # The two face cards of K Q 2 2, none of 3 3 8 8, which has one solution.
    assert "face_cards:2" in rows[0].traits and rows[-1].traits == ("face_cards:0", "solutions:1")


def test_recovered_and_old_rule(index):
    """One answer is right after a wrong one; one is wrong, and right with K = 13 and Q = 12."""
    (recovered,) = index.select(recovered=True).rows()
    assert (recovered.episode, recovered.attempt) == (1, 1)
    (kept,) = index.select(old_rule=True).rows()
    assert (kept.episode, kept.attempt, kept.answer) == (2, 0, BY_OTHER_RULE)


def test_conditions_are_met_together(index):
    assert index.select(name="id", status="exhausted").attempts == 3
    assert index.select(turns=(2, None)).episodes == 3 and index.select(turns=2).attempts == 4
    assert index.select(attempt=(1, 1), player=["p", "q"]).attempts == 3
    assert index.select(player="p", success=False).attempts == 1
    assert index.select(trait="face_cards:0").attempts == 2 and index.select(trait="face_cards:9").attempts == 0
    assert index.select(cell=None).attempts == 8


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("(3-1)*6", 1),
        ("TEASEL & co", 1),
        ('"formula": "10', 2),  # the quotation marks are part of what is looked for
        ("o", 5),  # shorter than a trigram: in RIGHT twice, in BY_OTHER_RULE, in "no idea" and in "north ... Co"
        ("%", 0),
        ("_", 0),
        ("\\", 0),
        ("nothing like it", 0),
    ],
)
def test_full_text_finds_what_contains_the_text(index, text, answers):
    plain = sum(text.lower() in a.answer.lower() for e in EPISODES for a in e.attempts)
    assert index.select(text=text).attempts == plain
    assert plain == answers


def test_facets_equal_a_plain_count(index):
    attempts = [(n, a) for n, e in enumerate(EPISODES) for a in e.attempts]
    found = {f.value: (f.attempts, f.episodes) for f in index.select().facet("category")}
    counted = Counter(a.verdict.category for _, a in attempts)
    assert {value: count for value, (count, _) in found.items()} == counted
    for value, (_, episodes) in found.items():
        assert episodes == len({n for n, a in attempts if a.verdict.category == value})
    tags = {f.value: (f.attempts, f.episodes) for f in index.select().facet("tag")}
    assert {v: n for v, (n, _) in tags.items()} == Counter(t for _, a in attempts for t in a.tags)
    assert [tuple(f) for f in index.select().facet("turns")] == [(2, 4, 2), (3, 3, 1), (1, 1, 1)]
    assert index.select(cell="none").facet("tag") == [] == index.select(cell="none").facet("run")


def test_pages_are_parts_of_the_whole_order(index):
    selection = index.select()
    for field in ("reward", "player", "turns", "recovered", "category"):
        for descending in (False, True):
            whole = selection.rows(sort=field, descending=descending, limit=None)
            values = [getattr(row, field) for row in whole]
            assert values == sorted(values, reverse=descending) and len(whole) == 8
            pages = [selection.rows(sort=field, descending=descending, start=n, limit=3) for n in (0, 3, 6, 9)]
            assert [row for page in pages for row in page] == whole and pages[3] == []
    assert [row.episode for row in selection.rows(unit="episode")] == [0, 1, 2, 0]


def test_an_unknown_field_names_the_nearest(index):
    with pytest.raises(UsageError, match="no field 'categroy'; did you mean category"):
        index.select(categroy="x")
    for ask in (index.select().facet, lambda field: index.select().rows(sort=field)):
        with pytest.raises(UsageError, match="there are run, name"):
            ask("zzz")
    with pytest.raises(UsageError, match="sort by another field"):
        index.select().rows(sort="tag")
    assert len(FIELDS) == len(set(FIELDS))


def test_an_episode_is_read_by_its_place(index, run):
    assert index.episode(run.id, "id", 2) == EPISODES[2]
    with pytest.raises(UsageError, match="no episode 3"):
        index.episode(run.id, "id", 3)


def test_two_runs_are_paired_by_deal(tmp_path, cache):
    first, second = (Run.create(tmp_path / "runs", name, "a: 1\n") for name in "ab")
    hands = [played(hand, "no") for hand in HANDS]
    first.add_episodes("id", [hands[0], hands[1], hands[1]])
    second.add_episodes("id", [hands[2], played(HANDS[1], RIGHT), hands[0]])
    with Index(tmp_path / "runs", cache=cache) as index:
        pairs = index.select(run=first.id).pairs(index.select(run=second.id))
    # K Q 2 2 was played twice in the first run and once in the second: one pair.
    assert [(p.first.episode, p.second.episode) for p in pairs] == [(0, 2), (1, 1)]
    assert [(p.first.success, p.second.success) for p in pairs] == [(False, False), (False, True)]


@pytest.mark.parametrize("wanted", ["many", ("1", None), (1, 2, 3), {"least": 1}])
def test_a_condition_on_a_number_that_is_none_is_named(index, wanted):
    with pytest.raises(UsageError, match="tokens is .*; give a number"):
        index.select(tokens=wanted)


def test_counting_a_number_of_many_values_takes_no_table_of_episodes_and_values(run, cache):
    many = 4000
    run.put_episodes("id", EPISODES[:1] * many)
    with Index(run.path.parent, cache=cache) as index:
        found = index.select(name="id")
        tracemalloc.start()
        facets = found.facet("episode")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert [facet.value for facet in facets] == list(range(many))
    assert {facet[1:] for facet in facets} == {(1, 1)}
    assert peak < many * many / 4  # bytes


def test_answers_that_utf8_cannot_carry_are_found(index, run):
    run.add_episodes("id", [played(HANDS[0], "a lone \ud800 and a \0 nought")])
    index.refresh()
    assert index.select(text="lone").attempts == 1 and index.select(text="nought").episodes == 1


def test_the_index_needs_no_torch():
    heavy = "{'torch', 'transformers', 'safetensors', 'pandas'} & sys.modules.keys()"
    code = f"import sys, labkit.runs; assert 'numpy' not in sys.modules; import labkit.runs.index; assert not {heavy}"
    subprocess.run([sys.executable, "-c", code], check=True)


# What a query costs


def test_a_query_costs_little_beside_reading_the_records(tmp_path, cache):
    """2,000 episodes of four answers: a filter, a facet and a page are quicker than a plain loop of 65,536 steps."""
    run = Run.create(tmp_path / "runs", "eval", "stage: eval\n")
    lines = [played(HANDS[0], *(f"said {n}" for n in range(4)), attempts=4).to_json()] * 2000
    path = run.add_episodes("id", [])
    path.write_text("".join(line.replace("said", f"said {n}") + "\n" for n, line in enumerate(lines)))
    with Index(tmp_path / "runs", cache=cache) as index:
        assert index.select(text="said 1999 3").attempts == 1
        assert loops(lambda: index.select(category="unreadable", turns=(2, None)).rows(sort="reward")) < 3
        assert loops(lambda: index.select(text="said 1234").facet("tag")) < 3
        assert loops(index.refresh) < 3
        assert loops(lambda: [json.loads(line) for line in Path(path).read_text().splitlines()]) > 3
