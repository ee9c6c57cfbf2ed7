"""Queries over stored episodes, against plain loops over the same records."""

import gzip
import json
import sqlite3
import subprocess
import sys
import threading
import tracemalloc
import zlib
from collections import Counter
from pathlib import Path

import pytest

from labkit.envs import game, judge, start
from labkit.errors import UsageError
from labkit.runs import Run, index_file
from labkit.runs.columns import FIELDS
from labkit.runs.index import Index
from labkit.runs.reader import Reader
from tests.cost import loops

HANDS = [["3", "3", "8", "8"], ["K", "Q", "2", "2"], ["A", "6", "Q", "3"]]


def played(hand, *answers, player="p", **settings):
    episode = start(game("gp-l").task(hand=hand, **settings), player)
    for answer in answers:
        episode = judge(episode, answer)
    return episode


def solution(hand, *numbers_and_formula):
    *numbers, formula = numbers_and_formula
    return json.dumps({"cards": hand, "number": numbers, "formula": formula})


RIGHT = solution(HANDS[1], 10, 10, 2, 2, "10+10+2*2=24")
BY_OTHER_RULE = solution(HANDS[1], 13, 12, 2, 2, "(13-(2/2))+12=24")  # of K = 13 and Q = 12
EPISODES = [
    played(HANDS[1], RIGHT),
    played(HANDS[1], "no idea", RIGHT),
    played(HANDS[1], BY_OTHER_RULE, "what", "ever", attempts=3, player="q"),
    played(HANDS[0], "(3-1)*6", "north by Teasel & Co", player="q", attempts=5),
]


@pytest.fixture
def run(tmp_path):
    run = Run.create(tmp_path / "runs", "eval", "stage: eval\n")
    run.add_episodes("id", EPISODES[:3])
    run.add_episodes("rule-ood", EPISODES[3:])
    return run


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def index(run, cache):
    with Index(run.path.parent, cache=cache) as index:
        yield index


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


# Files that change


def test_new_lines_are_taken_in_and_a_line_still_being_written_is_not(index, run):
    before = index.select()
    with run.episodes_path("id").open("a") as handle:
        handle.write(EPISODES[0].to_json()[:50])
    index.refresh()
    assert index.select().episodes == 4
    with run.episodes_path("id").open("a") as handle:
        handle.write(EPISODES[0].to_json()[50:] + "\n")
    index.refresh()
    assert index.select().episodes == 5 and index.episode(run.id, "id", 3) == EPISODES[0]
    assert before.episodes == 4 and len(before.rows()) == 8


def test_growth_is_read_from_where_the_index_stood(index, run, monkeypatch):
    taken = []
    take = Reader._take
    monkeypatch.setattr(Reader, "_take", lambda self, *a: taken.append(self.episode) or take(self, *a))
    index.refresh()
    assert taken == []
    run.add_episodes("id", EPISODES[:2])
    index.refresh()
    assert taken == [3, 4] and index.select(name="id").episodes == 5


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("episodes", [EPISODES[:1], EPISODES[::-1], [*EPISODES[1:], *EPISODES]])
def test_a_file_that_was_rewritten_is_read_anew(index, run, episodes, in_place):
    if in_place:
        run.episodes_path("id").write_text("".join(episode.to_json() + "\n" for episode in episodes))
    else:
        run.put_episodes("id", episodes)
    index.refresh()
    assert index.select(name="id").episodes == len(episodes)
    assert [index.episode(run.id, "id", n) for n in range(len(episodes))] == episodes
    assert index.select(text="no idea").attempts == sum(a.answer == "no idea" for e in episodes for a in e.attempts)


def test_a_file_that_was_cut_in_place_is_read_anew(index, run):
    path = run.episodes_path("id")
    with path.open("r+b") as handle:
        handle.truncate(len(path.read_bytes().splitlines(keepends=True)[0]))
    index.refresh()
    assert index.select(name="id").episodes == 1


def test_runs_and_files_that_are_gone_are_left_out(index, run):
    run.episodes_path("rule-ood").unlink()
    index.refresh()
    assert index.select().episodes == 3 and index.select(text="Teasel").attempts == 0


def test_compressed_files_are_read_by_their_place_too(index, run):
    path = run.episodes_path("id")
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    index.refresh()
    assert index.select().episodes == 4 and index.episode(run.id, "id", 1) == EPISODES[1]


def whole_lines(data):
    """How many lines end within compressed data that may be cut short."""
    return zlib.decompressobj(31).decompress(data).count(b"\n")


@pytest.mark.parametrize("kept", [5, 0.3, 0.9])
def test_a_compressed_file_that_is_still_being_written_is_read_up_to_its_last_whole_line(index, run, kept):
    texts = [f"{n} {n**9} {n**5}" for n in range(300)]
    lines = "".join(played(HANDS[n % 3], text).to_json() + "\n" for n, text in enumerate(texts))
    data = gzip.compress(lines.encode())
    part = data[: kept if isinstance(kept, int) else int(kept * len(data))]
    path = run.path / "episodes" / "more.jsonl.gz"
    path.write_bytes(part)
    (problem,) = index.refresh()
    there = whole_lines(part)
    assert there == 0 if kept == 5 else 0 < there < 300
    assert problem == f"{path} is cut short or damaged; what comes after episode {there} is left out"
    assert index.select(name="more").episodes == there and index.select(name="id").episodes == 3
    if there:
        assert index.episode(run.id, "more", 0).attempts[0].answer == texts[0]
    path.write_bytes(data)
    assert index.refresh() == []
    assert index.select(name="more").episodes == 300
    assert index.select(name="more", text=texts[299]).rows()[0].episode == 299


def test_a_record_in_the_damaged_part_of_a_compressed_file_is_named(index, run):
    lines = "".join(played(HANDS[n % 3], str(n**9)).to_json() + "\n" for n in range(300))
    path = run.path / "episodes" / "more.jsonl.gz"
    path.write_bytes(gzip.compress(lines.encode()))
    index.refresh()
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(UsageError, match="more of .* was rewritten or removed; refresh"):
        index.episode(run.id, "more", 299)


def test_files_that_vanish_while_others_are_read_are_left_out(index, run):
    """`progress` is called between two files: there the second one is deleted, and the third one is compressed."""
    for name in ("a", "b", "c"):
        run.put_episodes(name, EPISODES)

    def progress(*_):
        path = run.episodes_path("c")
        if run.episodes_path("b").exists():
            run.episodes_path("b").unlink()
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()

    index.refresh(progress)
    assert [index.select(name=name).episodes for name in ("a", "b", "id")] == [4, 0, 3]
    assert index.refresh() == []
    assert [index.select(name=name).episodes for name in ("a", "b", "c")] == [4, 0, 4]


def test_a_known_file_that_vanishes_while_it_is_read_again_is_left_out(index, run):
    run.put_episodes("a", EPISODES)
    run.add_episodes("id", EPISODES)
    index.refresh(lambda *_: run.episodes_path("id").unlink(missing_ok=True))
    assert index.select(name="a").episodes == 4 and index.select(name="id").episodes == 0
    assert index.select(text="no idea").episodes == 1  # in `a`; before, in `id` too


def test_a_file_that_shrank_to_nothing_and_grows_again_is_counted_from_there(index, run):
    run.episodes_path("id").write_text("")
    index.refresh()
    assert index.select().episodes == 1 and index.select(text="no idea").attempts == 0
    run.add_episodes("id", EPISODES[1:2])
    index.refresh()
    assert index.select(text="no idea").rows()[0].episode == 0


def test_what_cannot_be_opened_is_named_and_tried_again(index, run):
    path = run.path / "episodes" / "odd.jsonl"
    path.mkdir()
    for _ in range(2):
        (problem,) = index.refresh()
        assert problem == f"cannot read {path}: Is a directory; its episodes are left out"
    assert index.select().episodes == 4
    path.rmdir()
    run.put_episodes("odd", EPISODES)
    assert index.refresh() == [] and index.select().episodes == 8


def test_a_record_behind_a_rewritten_file_is_not_mistaken(index, run):
    run.put_episodes("id", [played(HANDS[2], "x" * 999)])
    with pytest.raises(UsageError, match="was rewritten"):
        index.episode(run.id, "id", 1)


def test_a_line_that_is_no_episode_is_left_out_and_named(index, run):
    with run.episodes_path("id").open("a") as handle:
        handle.write('{"a": 1}\nnonsense\n' + EPISODES[0].to_json() + "\n")
    (problem,) = index.refresh()
    assert problem == f"{run.episodes_path('id')}, line 4 is not an episode; it is left out"
    assert index.episode(run.id, "id", 5) == EPISODES[0]


@pytest.mark.parametrize(
    ("place", "value"),
    [("positions", []), ("positions.0.attempts.0.sample", {"tokens": None}), ("task", [])]
    + [("positions.0.attempts.0.sample", {"tokens": 2**40})],
)
def test_a_record_whose_values_do_not_fit_is_left_out_alone(index, run, place, value):
    record = json.loads(EPISODES[0].to_json())
    *path, last = [int(part) if part.isdigit() else part for part in place.split(".")]
    inner = record
    for part in path:
        inner = inner[part]
    inner[last] = value
    with run.episodes_path("id").open("a") as handle:
        handle.write(json.dumps(record) + "\n" + "[" * 20_000 + "\n" + EPISODES[0].to_json() + "\n")
    before = index.select(name="id").episodes
    (problem,) = index.refresh()
    assert "line 4 is not an episode" in problem
    assert index.select(name="id").episodes == before + 1
    assert index.episode(run.id, "id", 5) == EPISODES[0]


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


# The index file


@pytest.mark.parametrize("damage", [lambda p: p.write_bytes(b"not a database" * 999), lambda p: p.write_bytes(b"")])
def test_a_damaged_index_is_built_again(run, cache, damage):
    with Index(run.path.parent, cache=cache) as index:
        path = index._file.path
    damage(path)
    with Index(run.path.parent, cache=cache) as index:
        assert index.select().episodes == 4


def test_damage_inside_the_file_is_noticed_while_it_is_used(run, cache):
    with Index(run.path.parent, cache=cache) as index:
        path = index._file.path
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with Index(run.path.parent, cache=cache) as index:
        assert index.select().episodes == 4


def test_an_index_of_another_version_is_built_again(run, cache):
    with Index(run.path.parent, cache=cache) as index:
        path = index._file.path
    with sqlite3.connect(path) as connection:
        connection.execute("pragma user_version = 99")
        connection.execute("drop table block")
    connection.close()
    with Index(run.path.parent, cache=cache) as index:
        assert index.select().episodes == 4


def test_an_index_that_another_process_removed_is_built_again(index):
    for path in index._file.path.parent.iterdir():
        path.unlink()
    index.refresh()
    assert index.select().episodes == 4


def test_an_index_that_was_removed_while_files_changed_has_nothing_left_of_the_old_ones(index, run):
    before = index.select(name="id")
    for path in index._file.path.parent.iterdir():
        path.unlink()
    run.put_episodes("id", [played(HANDS[2], "another", player="z")])
    index.refresh()
    assert index.select().episodes == 2 and index.select(text="no idea").attempts == 0
    assert [(row.player, row.answer) for row in index.select(name="id").rows()] == [("z", "another")]
    # What was selected before has its rows still; its answers are gone, and are not those of other rows.
    assert before.episodes == 3 and {row.answer for row in before.rows()} == {""}


def test_runs_are_only_read_and_the_index_lies_in_the_cache_folder(run, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    before = sorted(run.path.parent.rglob("*"))
    with Index(run.path.parent) as index:
        assert index._file.path.parent == tmp_path / "home" / "labkit" / "index"
    assert sorted(run.path.parent.rglob("*")) == before


def test_without_a_cache_folder_a_temporary_one_is_used(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert index_file.cache_folder().name == "index" and tmp_path not in index_file.cache_folder().parents


READ = """
import sys
from labkit.runs.index import Index
with Index(sys.argv[1], cache=sys.argv[2]) as index:
    print(index.select().episodes)
"""


def test_processes_and_threads_share_an_index(run, cache):
    """Three processes and four threads build and read at once; all see every episode."""
    for number in range(30):
        run.put_episodes(f"train-{number}", EPISODES)
    total = 4 + 30 * 4
    command = [sys.executable, "-c", READ, run.path.parent, cache]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    seen = []
    with Index(run.path.parent, cache=cache) as index:

        def read():
            for _ in range(10):
                index.refresh()
                seen.append((index.select().episodes, len(index.select(text="Teasel").rows(limit=None))))

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(seen) == {(total, 31)}
    assert [process.communicate()[0].strip() for process in processes] == [str(total)] * 3


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
