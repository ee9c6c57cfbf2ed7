"""Progress on a terminal and in a file, and what else writes there."""

import io
import sys

import pytest
from transformers.utils import logging

from labkit.progress import Progress, no_bars
from labkit.training.common.parameters import save_model
from tests import tiny_models


@pytest.fixture
def clock(monkeypatch):
    """A clock that is moved by hand."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr("tqdm.std.time", lambda: Clock.now)
    return Clock


class Terminal(io.StringIO):
    def isatty(self):
        return True


def steps(clock, count, seconds):
    bar = Progress("steps", count)
    for done in range(1, count + 1):
        clock.now += seconds
        bar.update(done, loss=1 / done)
        if done == 3:
            bar.say("a remark")
    bar.close()


def test_in_a_file_there_is_a_line_now_and_then(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", file := io.StringIO())
    # 100 s in steps of half a second.
    steps(clock, 200, 0.5)
    said = file.getvalue()
    assert "\r" not in said and "\x1b" not in said
    lines = said.splitlines()
    assert lines[0].startswith("0/200 steps") and lines[1] == "a remark"
    assert [line.split()[0] for line in lines[2:]] == [f"{n}/200" for n in range(20, 201, 20)]
    assert lines[2] == "20/200 steps, 00:10 gone, 01:30 left, loss=0.05"


def test_slow_steps_are_all_told(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", file := io.StringIO())
    steps(clock, 4, 25)
    assert [line.split()[0] for line in file.getvalue().splitlines()] == ["0/4", "1/4", "2/4", "3/4", "a", "4/4"]


def test_time_left_is_that_of_steps_and_not_of_what_comes_before_them(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", file := io.StringIO())
    bar = Progress("steps", 10)
    clock.now += 600
    bar.start()
    clock.now += 20
    bar.update(1)
    bar.close()
    assert file.getvalue().splitlines()[-1].startswith("1/10 steps, 00:20 gone, 03:00 left")


def test_on_a_terminal_a_bar_is_drawn_over_itself(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", file := Terminal())
    steps(clock, 4, 25)
    assert file.getvalue().count("\r") >= 4 and "a remark\n" in file.getvalue()


def test_who_does_not_write_is_silent(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", file := io.StringIO())
    bar = Progress("steps", 3, enabled=False)
    bar.update(1)
    bar.say("a remark")
    bar.close()
    assert file.getvalue() == ""


def test_a_checkpoint_is_written_without_bars_and_they_come_back(tmp_path, capfd):
    logging.enable_progress_bar()
    save_model(tiny_models.llama(), tiny_models.tokenizer(), tmp_path)
    assert capfd.readouterr() == ("", "")
    assert logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with no_bars():
            pass
        assert not logging.is_progress_bar_enabled()
    finally:
        logging.enable_progress_bar()
