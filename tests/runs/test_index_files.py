"""An index of files that grow, change, vanish or are damaged, and of an index file that is."""

import gzip
import json
import sqlite3
import subprocess
import sys
import threading
import zlib

import pytest

from labkit.errors import UsageError
from labkit.runs import index_file
from labkit.runs.index import Index
from labkit.runs.reader import Reader
from tests.runs.indexed import EPISODES, HANDS, played

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
