"""Notes and tags of opened episodes: written where the server allows it, found, escaped, refused where hostile."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from app.inspect.handlers import InspectHandlers
from app.inspect.settings import InspectSettings
from app.inspect.stores import Store, stores_of
from labkit.cli import main
from labkit.envs import game, judge, start
from labkit.errors import UsageError
from labkit.runs import Run
from labkit.runs.notes import Note, note_of, read_notes, write_note

SCRIPT = "<script>alert(1)</script> <img src=x onerror=alert(2)> ${x}"
OPEN = replace(InspectSettings(), open="20260101-a/id/1")


@pytest.fixture
def run(tmp_path):
    """A run of three episodes with an answer each."""
    made = Run.create(tmp_path / "runs", "a", "stage: eval\n", id="20260101-a")
    task = game("gp-l").task(hand=["3", "3", "8", "8"], attempts=1)
    made.add_episodes("id", [judge(start(task, "rl"), answer) for answer in ("one", "two", "three")])
    made.set_status("finished")
    return made


@pytest.fixture
def handlers(run, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = InspectHandlers([Store(run.path.parent, writable=True)])
    [store] = made.stores.values()
    assert store.index(600) is not None
    return made


def rows(shown):
    return re.findall(r'<th scope="row"><button[^>]*>([^<]*)</button>', shown["table"])


def test_a_note_is_written_beside_the_run_and_found_by_its_tags_and_words(handlers, run):
    form = handlers.pick(InspectSettings(), '["open", "20260101-a/id/1", 0]')
    assert form["noting"]["visible"] and (form["note"], form["edition"]) == ("", 0)
    saved = handlers.save_note(OPEN, "Counts the ace twice", "ace, Slip", 0)
    assert "Saved." in saved["note told"] and saved["note tags"] == "ace slip" and saved["edition"] == 1
    assert read_notes(run) == {("id", 1): Note("Counts the ace twice", ("ace", "slip"), 1)}
    assert "<code>ace</code> <code>slip</code> Counts the ace twice" in saved["opened"]
    # The bars count the tags, a click on one filters, and the words are found.
    assert 'data-facet="Tags of notes"' in saved["bars"]
    assert rows(handlers.pick(InspectSettings(), '["toggle", "note_tag", "slip"]')) == ["id 1"]
    assert rows(handlers.show(replace(InspectSettings(), text="ACE TWICE"))) == ["id 1"]
    # Whoever opens it next has the note in the form.
    again = handlers.pick(InspectSettings(), '["open", "20260101-a/id/1", 0]')
    assert (again["note"], again["note tags"], again["edition"]) == ("Counts the ace twice", "ace slip", 1)
    other = handlers.pick(OPEN, '["open", "20260101-a/id/0", 0]')
    assert (other["note"], other["note tags"], other["edition"]) == ("", "", 0)
    assert handlers.pick(OPEN, '["close"]')["noting"]["visible"] is False


def test_one_tag_alone_is_a_bar(handlers, run):
    write_note(run, "id", 0, note_of("", "odd"), seen=0)
    assert 'data-facet="Tags of notes"' in handlers.show(InspectSettings())["bars"]


def test_what_somebody_types_is_left_alone_by_other_updates(handlers):
    for shown in (handlers.show(OPEN), handlers.filter(OPEN), handlers.pick(OPEN, '["page", 0]')):
        assert not {"note", "note tags", "edition"} & shown.keys()


def test_the_note_of_another_person_is_shown_before_it_is_replaced(handlers, run):
    write_note(run, "id", 1, note_of("theirs"), seen=0)
    refused = handlers.save_note(OPEN, "mine", "", 0)
    assert "somebody else has changed this note" in refused["note told"] and "theirs" in handlers.show(OPEN)["opened"]
    # What was typed is still in the form, and can be saved now.
    assert "note" not in refused and refused["edition"] == 1
    assert read_notes(run)["id", 1].text == "theirs"
    handlers.save_note(OPEN, "mine", "", refused["edition"])
    assert read_notes(run)["id", 1].text == "mine"


def test_a_script_in_a_note_is_text_wherever_it_is_shown(handlers, run):
    saved = handlers.save_note(OPEN, SCRIPT, "ok", 0)
    for part in ("opened", "table", "bars", "conditions", "note told"):
        assert "<script" not in saved[part] and "<img" not in saved[part]
    assert "&lt;script&gt;" in saved["opened"] and "&lt;script&gt;" in saved["table"]
    # A file that somebody wrote by hand goes through the same checks.
    line = '{"name": "id", "episode": 0, "note": "<img src=x>", "tags": ["<b>"]}\n'
    (run.path / "notes.jsonl").write_text(line)
    shown = handlers.show(InspectSettings())
    assert len(rows(shown)) == 3 and "<img" not in shown["table"] + shown["bars"] and "<b>" not in shown["bars"]


@pytest.mark.parametrize(
    ("place", "text", "tags", "seen"),
    [
        ("../../etc/passwd/1", "x", "", 0),
        ("20260101-a/../../x/1", "x", "", 0),
        ("../runs/20260101-a/id/1", "x", "", 0),
        ("20260101-a/id/9", "x", "", 0),
        ("20260101-a/id/-1", "x", "", 0),
        ("", "x", "", 0),
        ("20260101-a/id/1", "x" * 2001, "", 0),
        ("20260101-a/id/1", "x", "t" * 10**6, 0),
        ("20260101-a/id/1", "x", "<script>", 0),
        ("20260101-a/id/1", "x", "", 7),
        ("20260101-a/id/1", "x", "", True),
    ],
)
def test_a_place_out_of_the_run_or_too_large_a_note_writes_nothing(handlers, run, tmp_path, place, text, tags, seen):
    if seen is True:
        write_note(run, "id", 1, note_of("first"), seen=0)
    before = read_notes(run)
    told = handlers.save_note(replace(OPEN, open=place), text, tags, seen)["note told"]
    assert "Not saved" in told and str(tmp_path) not in told and len(told) < 500
    written = [line for path in tmp_path.rglob("notes.jsonl") for line in path.read_bytes().splitlines()]
    assert read_notes(run) == before and len(written) == len(before)


def test_values_of_another_type_are_text(handlers, run):
    handlers.save_note(OPEN, ["a", {"b": 1}], None, None)
    assert read_notes(run)["id", 1].text == "['a', {'b': 1}]"


def test_a_folder_that_was_not_named_is_read_only(run, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_note(run, "id", 1, note_of("seen by all"), seen=0)
    made = InspectHandlers([Store(run.path.parent)])
    shown = made.pick(InspectSettings(), '["open", "20260101-a/id/1", 0]')
    assert shown["noting"]["visible"] is False and "seen by all" in shown["opened"]
    assert "labkit app --notes" in made.save_note(OPEN, "x", "", 1)["note told"]
    assert read_notes(run)["id", 1].text == "seen by all"


def test_the_folders_named_for_notes_are_the_writable_ones(tmp_path, monkeypatch, capsys):
    for name in ("runs", "results", "other/runs"):
        (tmp_path / name).mkdir(parents=True)
    roots = [tmp_path / "runs", tmp_path / "results", tmp_path / "gone"]
    assert [(s.name, s.writable) for s in stores_of((), roots)] == [("runs", False), ("results", False)]
    named = stores_of([tmp_path / "other/runs"], roots)
    assert [(s.root, s.writable) for s in named] == [(tmp_path / "other/runs", True), (tmp_path / "results", False)]
    with pytest.raises(UsageError, match="name one of them"):
        stores_of([tmp_path / "runs", tmp_path / "other/runs"], roots)
    monkeypatch.chdir(tmp_path)
    assert main(["app", "--notes", "missing"]) == 2
    assert "there is no folder missing to write notes into" in capsys.readouterr().err
