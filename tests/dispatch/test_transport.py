"""Copies between a host and here, where the host is this machine."""

import pytest

from labkit.dispatch.host import Host
from labkit.dispatch.transport import connect


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The transport, and a folder of the host."""
    monkeypatch.setenv("HOME", str(tmp_path))
    there = tmp_path / "labkit" / "runs"
    there.mkdir(parents=True)
    return connect(Host(name="here", folder="labkit")), there


def test_a_reader_of_a_copied_file_keeps_the_whole_old_one(here, tmp_path):
    transport, there = here
    (there / "metrics.jsonl").write_text("old\n" * 3)
    transport.pull("runs", tmp_path / "copy")
    with (tmp_path / "copy" / "metrics.jsonl").open() as reader:
        (there / "metrics.jsonl").write_text("new\n")
        (there / "next.jsonl.part").write_text("half a li")
        transport.pull("runs", tmp_path / "copy")
        assert reader.read() == "old\n" * 3
    assert {p.name: p.read_text() for p in (tmp_path / "copy").iterdir()} == {"metrics.jsonl": "new\n"}


def test_what_is_gone_there_is_dropped_here_but_for_what_is_left_out(here, tmp_path):
    transport, there = here
    (there / "state").mkdir()
    (there / "state" / "large").write_text("weights")
    (there / "status.json").write_text("{}")
    copy = tmp_path / "copy"
    transport.pull("runs", copy)
    (there / "status.json").unlink()
    (there / "state" / "large").write_text("other weights")
    transport.pull("runs", copy, without=("state",))
    assert [p.name for p in copy.iterdir()] == ["state"] and (copy / "state" / "large").read_text() == "weights"
    transport.pull("nothing", tmp_path / "none")
    assert not (tmp_path / "none").exists()
