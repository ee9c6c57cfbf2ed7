import gzip
import json
import os
import subprocess
import sys

import pytest

from labkit.envs import game, judge, start
from labkit.errors import UsageError
from labkit.runs import Run, find, listing
from labkit.runs.store import CannotWrite, replace_folder, settle, write_json


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path, "sft", "stage: sft\nlr: 0.1\n")


def test_a_new_run_says_what_it_runs_and_on_what(run):
    assert run.config == {"stage": "sft", "lr": 0.1}
    environment = json.loads((run.path / "environment.json").read_text())
    assert environment["python"].startswith("3.")
    assert environment["packages"]["numpy"]
    assert run.status["status"] == "running"


def test_two_runs_started_at_once_get_two_folders(tmp_path):
    paths = {Run.create(tmp_path, "sft", "a: 1").path for _ in range(4)}
    assert len(paths) == 4


def test_metrics_come_back_in_order_and_a_half_written_line_is_left_out(run):
    for step in range(3):
        run.log({"step": step, "loss": 1.5})
    with (run.path / "metrics.jsonl").open("a") as handle:
        handle.write('{"step": 3, "lo')
    assert [m["step"] for m in run.metrics()] == [0, 1, 2]


def test_rewind_drops_what_came_after_the_saved_step(run):
    for step in range(5):
        run.log({"step": step})
    run.rewind(2)
    assert [m["step"] for m in run.metrics()] == [0, 1, 2]


def test_episodes_come_back_equal(run):
    episode = judge(start(game("gp-l").task(hand=["3", "3", "8", "8"])), "no idea")
    run.add_episodes("id", [episode, episode])
    assert list(run.episodes("id")) == [episode, episode]


def test_a_run_whose_process_is_gone_reads_as_stopped(tmp_path):
    code = f"from labkit.runs import Run; print(Run.create({str(tmp_path)!r}, 'x', 'a: 1').id)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert find(done.stdout.strip(), tmp_path).status["status"] == "stopped"


def test_a_run_is_found_by_id_by_beginning_and_by_name(tmp_path):
    run = Run.create(tmp_path, "sft-a", "a: 1")
    other = Run.create(tmp_path, "sft-b", "a: 1")
    assert find(run.id, tmp_path).id == run.id
    assert find("sft-b", tmp_path).id == other.id
    assert find(run.path, tmp_path).id == run.id
    assert {r.id for r in listing(tmp_path)} == {run.id, other.id}
    with pytest.raises(UsageError, match="could be any of"):
        find(run.id[:8], tmp_path)
    with pytest.raises(UsageError, match="no run nope"):
        find("nope", tmp_path)


def test_checkpoints_are_listed_by_step_and_only_whole_ones(run):
    for name in ("step-10", "step-9", "step-11.part", "notes"):
        (run.path / "checkpoints" / name).mkdir(parents=True)
    assert list(run.checkpoints()) == [9, 10]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "state"
    replace_folder(path, lambda folder: (folder / "a").write_text("1"))
    replace_folder(path, lambda folder: (folder / "b").write_text("2"))
    assert os.listdir(path) == ["b"]
    assert os.listdir(tmp_path) == ["state"]


def test_a_failure_while_filling_leaves_the_old_folder(tmp_path):
    path = tmp_path / "state"
    replace_folder(path, lambda folder: (folder / "a").write_text("1"))

    def fail(folder):
        (folder / "b").write_text("2")
        raise OSError("disk full")

    with pytest.raises(CannotWrite, match="state: disk full"):
        replace_folder(path, fail)
    assert settle(path)
    assert os.listdir(path) == ["a"]


def test_a_replacement_cut_off_between_its_renames_is_finished(tmp_path):
    # What a kill leaves behind after the old folder was moved away and before the new one was moved in.
    (tmp_path / "state.new").mkdir()
    (tmp_path / "state.new" / "b").write_text("2")
    (tmp_path / "state.old").mkdir()
    assert settle(tmp_path / "state")
    assert os.listdir(tmp_path / "state") == ["b"]


def test_nothing_saved_is_nothing_to_settle(tmp_path):
    assert not settle(tmp_path / "state")


def test_a_run_whose_lines_are_compressed_reads_as_the_same(run):
    episode = judge(start(game("gp-l").task(hand=["3", "3", "8", "8"])), "no idea")
    run.log({"step": 0})
    run.add_episodes("id-0", [episode])
    for path in (run.path / "metrics.jsonl", run.path / "episodes" / "id-0.jsonl"):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert run.metrics() == [{"step": 0}]
    assert list(run.episodes("id-0")) == [episode]
    assert run.episode_names() == ["id-0"]
    # What is written anew comes before what was compressed.
    run.put_episodes("id-0", [episode, episode])
    assert len(list(run.episodes("id-0"))) == 2
    assert run.episode_names() == ["id-0"]


# A write that fails, and a line that was cut short

EPISODE = judge(start(game("gp-l").task(hand=["3", "3", "8", "8"])), "no idea")


def test_an_append_cuts_off_a_last_line_without_its_end(run):
    run.add_episodes("id", [EPISODE])
    path = run.episodes_path("id")
    with path.open("a") as handle:
        handle.write('{"schema": 1, "task": {"ce')
    assert list(run.episodes("id")) == [EPISODE]
    run.add_episodes("id", [EPISODE, EPISODE])
    assert list(run.episodes("id")) == [EPISODE] * 3
    assert path.read_bytes().count(b"\n") == 3 and path.read_bytes().endswith(b"}\n")


def test_a_file_that_is_one_cut_line_becomes_empty_before_an_append(run):
    (run.path / "metrics.jsonl").write_text('{"step": 0, ' + "9" * 200_000)
    run.log({"step": 1})
    assert run.metrics() == [{"step": 1}]


def test_a_broken_line_inside_a_file_is_named(run):
    (run.path / "metrics.jsonl").write_text('{"step": 0}\n{"step":{"step": 2}\n')
    with pytest.raises(UsageError, match=r"metrics\.jsonl, line 2 is not JSON"):
        run.metrics()


def test_appending_to_compressed_episodes_keeps_those_that_are_there(run):
    path = run.add_episodes("id", [EPISODE])
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    run.add_episodes("id", [EPISODE])
    assert len(list(run.episodes("id"))) == 2 and run.episode_names() == ["id"]


def test_a_compressed_file_that_is_cut_short_is_named_and_kept(run):
    path = run.add_episodes("id", [EPISODE])
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes())[:-9])
    path.unlink()
    cut = packed.read_bytes()
    for use in (lambda: list(run.episodes("id")), lambda: run.add_episodes("id", [EPISODE])):
        with pytest.raises(UsageError, match=r"id\.jsonl\.gz is cut short or damaged; put a whole copy"):
            use()
    assert packed.read_bytes() == cut and not path.exists()


LIMITED = """
import resource, sys
from labkit.runs import Run
from labkit.runs.store import CannotWrite, replace_folder, write_json
run = Run(sys.argv[1])
(episode,) = run.episodes("id")
size = run.episodes_path("id").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size * 5 // 2, -1))  # room for two and a half
for write in (
    lambda: run.add_episodes("id", [episode, episode]),
    lambda: write_json(run.path / "results.json", "x" * 3 * size),
    lambda: replace_folder(run.path / "state", lambda folder: (folder / "a").write_bytes(b"x" * 3 * size)),
):
    try:
        write()
    except CannotWrite as error:
        print(error)
run.set_status("failed", error="x" * 3 * size)
run.add_episodes("id", [episode])
"""


def test_a_write_beyond_the_limit_names_the_file_and_leaves_what_was_there(run):
    """The limit is on the size of a file: the system refuses what goes beyond it, as it does on a full disk."""
    pytest.importorskip("resource")
    run.add_episodes("id", [EPISODE])
    write_json(run.path / "results.json", "old")
    replace_folder(run.path / "state", lambda folder: (folder / "a").write_text("old"))
    done = subprocess.run([sys.executable, "-c", LIMITED, run.path], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    names = ("episodes/id.jsonl", "results.json", "state")
    assert len(lines) == 3
    for line, name in zip(lines, names, strict=True):
        assert line.startswith(f"cannot write {run.path / name}: File too large; what was stored before is kept")
    # One more episode had room, after two had not.
    assert list(run.episodes("id")) == [EPISODE] * 2
    assert json.loads((run.path / "results.json").read_text()) == "old"
    assert (run.path / "state" / "a").read_text() == "old"
    assert not list(run.path.rglob("*.part"))
