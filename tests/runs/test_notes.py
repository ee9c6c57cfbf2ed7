"""Notes and tags of stored episodes: written by several people at once, found by the index, refused where hostile."""

import json
import multiprocessing
from dataclasses import replace

import pytest

from labkit.errors import UsageError
from labkit.runs import CannotWrite, Run
from labkit.runs import notes as notes_module
from labkit.runs.index import Index
from labkit.runs.notes import Changed, Note, note_of, read_notes, write_note

SCRIPT = "<script>alert(1)</script>"


def put(run, number, text="", tags="", name="id", seen=0):
    return write_note(run, name, number, note_of(text, tags), seen=seen)


def test_the_newest_line_of_an_episode_counts_and_the_others_stay_in_the_file(run):
    assert read_notes(run) == {}
    first = put(run, 1, "counts the ace twice", "ace, Slip")
    assert first == Note("counts the ace twice", ("ace", "slip"), 1)
    put(run, 1, "looks right after all", seen=1)
    put(run, 0, tags="slip", name="rule-ood")
    found = read_notes(Run(run.path))
    assert found == {("id", 1): Note("looks right after all", (), 2), ("rule-ood", 0): Note("", ("slip",), 1)}
    lines = [json.loads(line) for line in (run.path / "notes.jsonl").read_text().splitlines()]
    assert [line["note"] for line in lines] == ["counts the ace twice", "looks right after all", ""]
    put(run, 1, seen=2)
    assert not read_notes(run)["id", 1]


def test_who_has_not_read_the_newest_note_does_not_overwrite_it(run):
    put(run, 0, "mine")
    with pytest.raises(Changed, match="somebody else has changed this note"):
        put(run, 0, "yours")
    assert read_notes(run)["id", 0].text == "mine"
    # Another episode is another note.
    assert put(run, 1, "yours").edition == 1


def writer(path, number, rounds):
    for seen in range(rounds):
        put(Run(path), number, f"{number} " * 300, f"w{number}", seen=seen)


def test_four_writers_at_once_lose_no_line(run):
    run.add_episodes("many", [*run.episodes("id")])
    spawn = multiprocessing.get_context("fork")
    rounds = 25
    writers = [spawn.Process(target=writer, args=(run.path, number, rounds)) for number in range(4)]
    for one in writers:
        one.start()
    for one in writers:
        one.join(120)
        assert one.exitcode == 0
    lines = (run.path / "notes.jsonl").read_text().splitlines()
    assert len(lines) == 4 * rounds and all(json.loads(line) for line in lines)
    assert {number: read_notes(run)["id", number].edition for number in range(4)} == dict.fromkeys(range(4), rounds)


def test_a_line_that_a_crash_cut_short_is_no_note_and_the_next_one_takes_its_place(run):
    put(run, 0, "whole")
    path = run.path / "notes.jsonl"
    path.write_bytes(path.read_bytes() + b'{"name": "id", "epi')
    assert [*read_notes(run)] == [("id", 0)]
    put(run, 1, "next")
    assert [json.loads(line)["note"] for line in path.read_text().splitlines()] == ["whole", "next"]


@pytest.mark.parametrize(
    "line",
    ["no JSON", "[]", '{"name": "id"}', '{"name": "id", "episode": true, "note": "", "tags": []}', "[" * 5000]
    + ['{"name": "id", "episode": 0, "note": "", "tags": "abc"}', '{"name":1,"episode":0,"note":"","tags":[]}']
    + [json.dumps({"name": "id", "episode": 0, "note": "x" * 2001, "tags": []})],
)
def test_a_line_that_is_no_note_is_named(run, line):
    put(run, 0, "whole")
    with (run.path / "notes.jsonl").open("a") as handle:
        handle.write(f"{line}\n")
    with pytest.raises(UsageError, match=r"notes\.jsonl, line 2 is no note; delete that line"):
        read_notes(run)


@pytest.mark.parametrize(
    ("text", "tags", "said"),
    [
        ("x" * 2001, "", "2,001 characters"),
        ("", "a b c d e f g h i", "9 tags"),
        ("", "x" * 33, "too long"),
        ("", "<b>", "invalid"),
        ("", "../up", "invalid"),
        ("", ["two words"], "invalid"),
    ],
)
def test_what_is_too_large_or_no_tag_is_refused(text, tags, said):
    with pytest.raises(UsageError, match=said):
        note_of(text, tags)


def test_a_note_keeps_its_words_and_loses_what_a_screen_would_obey():
    # A script is text, which the page escapes; a terminal's escape, a bell, a turned direction and a half character go.
    kept = note_of(f"{SCRIPT}\x1b[31m\a\u202e\ud800 pièce\u00a0№\r\n\tend ", "Größe").text
    assert kept == f"{SCRIPT}[31m pièce №\n\tend"
    assert note_of("", "B, b a\u00a0c").tags == ("a", "b", "c")


@pytest.mark.parametrize("name", ["../../../etc/passwd", "..", "", "other", "id.jsonl"])
def test_only_a_stored_episode_takes_a_note(run, name):
    with pytest.raises(UsageError, match="choose a stored episode"):
        put(run, 0, "x", name=name)
    with pytest.raises(UsageError, match="choose a stored episode"):
        put(Run(run.path / ".." / name), 0, "x")
    assert [*run.path.parent.rglob("notes.jsonl")] == []


def test_a_link_in_the_place_of_the_file_is_not_followed(run, tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("")
    (run.path / "notes.jsonl").symlink_to(outside)
    with pytest.raises(CannotWrite):
        put(run, 0, "x")
    assert outside.read_text() == ""


def test_a_full_file_takes_no_more_and_keeps_what_it_has(run, monkeypatch):
    put(run, 0, "kept")
    before = (run.path / "notes.jsonl").read_bytes()
    monkeypatch.setattr(notes_module, "LARGEST", len(before) + 50)
    with pytest.raises(UsageError, match="move it away to go on"):
        put(run, 1, "one too many")
    assert (run.path / "notes.jsonl").read_bytes() == before
    monkeypatch.setattr(notes_module, "LARGEST", len(before) - 1)
    with pytest.raises(UsageError, match="its notes are left out"):
        read_notes(run)


def test_a_run_has_a_hundred_different_tags_at_most(run):
    for seen in range(13):
        # The newest note of an episode counts: 8 tags each for 12 episodes, then 4 for another one.
        put(run, seen, tags=" ".join(f"t{n}" for n in range(8 * seen, min(100, 8 * seen + 8))))
    with pytest.raises(UsageError, match="the run has 100 different tags"):
        put(run, 13, tags="new")
    assert put(run, 13, tags="t99 t0").tags == ("t0", "t99")


# The index


def test_the_index_finds_notes_and_counts_their_tags(index, run):
    put(run, 1, "Counts the ACE twice", "ace slip")
    put(run, 0, tags="slip", name="rule-ood")
    assert index.select(note_tag="slip").attempts == 0
    index.refresh()
    # Episode 1 of "id" has two attempts, episode 0 of "rule-ood" has two.
    assert [tuple(facet) for facet in index.select().facet("note_tag")] == [("slip", 4, 2), ("ace", 2, 1)]
    found = index.select(note_tag=["ace"]).rows()
    assert [(row.name, row.episode, row.note_tags) for row in found] == [("id", 1, ("ace", "slip"))] * 2
    assert {row.note for row in found} == {"Counts the ACE twice"}
    assert index.select(text="the ace").episodes == 1 and index.select(text="the ace", name="rule-ood").episodes == 0
    # What an answer contains is found as before: TEASEL is in an answer of rule-ood.
    assert index.select(text="teasel").attempts == 1
    assert index.note(run.id, "id", 1).edition == 1 and index.note(run.id, "id", 2) == Note()


def test_an_earlier_selection_keeps_the_notes_of_its_time_and_one_taken_away_is_gone(index, run):
    put(run, 2, "first", "t")
    index.refresh()
    before = index.select(note_tag="t")
    put(run, 2, seen=1)
    index.refresh()
    assert before.rows()[0].note == "first" and before.attempts == 3
    assert index.select(note_tag="t").attempts == 0 and index.select().facet("note_tag") == []


def test_notes_stay_with_their_episodes_when_others_come(index, run):
    put(run, 2, tags="t")
    index.refresh()
    run.add_episodes("another", [replace(episode, player="new") for episode in run.episodes("id")])
    index.refresh()
    assert {(row.name, row.episode) for row in index.select(note_tag="t").rows()} == {("id", 2)}


def test_a_damaged_file_of_notes_hides_no_episode(run, cache):
    (run.path / "notes.jsonl").write_text("no JSON\n")
    with Index(run.path.parent, cache=cache) as index:
        [problem] = index.refresh()
        assert "line 1 is no note" in problem
        assert index.select().attempts == 8
        (run.path / "notes.jsonl").unlink()
        assert index.refresh() == []
