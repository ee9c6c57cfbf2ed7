"""The command line as a process: start-up, pipes, signals, encodings."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LABKIT = [sys.executable, "-m", "labkit"]
ENV = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}


def run(*argv: str, cwd: Path, **more) -> subprocess.CompletedProcess:
    env = {**ENV, **more.pop("env", {})}
    return subprocess.run([*LABKIT, *argv], capture_output=True, cwd=cwd, env=env, **more)


def test_help_is_quick_and_loads_nothing_heavy(tmp_path):
    done = run("--help", cwd=tmp_path)
    assert done.returncode == 0 and b"verify" in done.stdout
    heavy = "torch transformers gradio gymnasium numpy PIL plotly pydantic"
    code = f"""
import importlib, sys
from tests.cost import loops
print(loops(lambda: importlib.import_module("labkit.cli").parser(), rounds=1))
print(*set("{heavy}".split()) & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    cost, loaded = done.stdout.splitlines()
    assert loaded == ""
    assert float(cost) < 100  # a quarter of a second where a loop takes 2.5 ms


def test_python_without_docstrings_runs_it_too(tmp_path):
    done = subprocess.run([sys.executable, "-OO", "-m", "labkit", "--help"], capture_output=True, cwd=tmp_path, env=ENV)
    assert done.returncode == 0 and b"verify" in done.stdout


def test_without_a_verb_the_help_is_printed(tmp_path):
    bare, asked = run(cwd=tmp_path), run("--help", cwd=tmp_path)
    assert bare.returncode == 0 and bare.stderr == b""
    assert bare.stdout == asked.stdout and b"verify" in bare.stdout
    unknown = run("--colour", cwd=tmp_path)
    assert unknown.returncode == 2 and unknown.stderr.count(b"\n") == 1


@pytest.mark.parametrize("verb", "play solve verify eval train players runs app bench".split())
def test_each_verb_explains_itself_with_examples(verb, tmp_path):
    done = run(verb, "--help", cwd=tmp_path)
    assert done.returncode == 0 and b"examples:" in done.stdout and f"labkit {verb}".encode() in done.stdout


def test_errors_of_use_exit_2_with_one_line(tmp_path):
    done = run("solve", "3", "3", "8", "Z", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"labkit: 'Z' is not a whole number from 1 to 1,000,000\n"


def test_arguments_that_are_not_utf8(tmp_path):
    done = subprocess.run(
        [*map(os.fsencode, LABKIT), b"solve", b"3", b"\xff", b"8", b"8"],
        capture_output=True,
        cwd=tmp_path,
        env=ENV,
    )
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1 and b"Traceback" not in done.stderr


def test_any_locale_prints_any_text(tmp_path):
    (tmp_path / "s.jsonl").write_text(json.dumps("2×12 ✓"), encoding="utf-8")
    done = run(
        "play",
        "gp-l",
        "--player",
        "script:s.jsonl",
        "--attempts",
        "1",
        cwd=tmp_path,
        env={"PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0 and b"2\\xd712 \\u2713" in done.stdout


def test_a_closed_pipe_is_no_error(tmp_path):
    with subprocess.Popen(
        [*LABKIT, "solve", "1", "2", "3", "4", "5", "6", "--all"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=ENV,
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


def test_a_pipe_that_nobody_reads_is_no_error(tmp_path):
    # So short an output is written only at the very end.
    reading, writing = os.pipe()
    os.close(reading)
    argv = [*LABKIT, "solve", "3", "3", "8", "8"]
    done = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, cwd=tmp_path, env=ENV)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_ctrl_c_stops_with_a_word(tmp_path):
    # Tests started by a shell's & inherit deafness to Ctrl-C; a program at a terminal does not.
    with subprocess.Popen(
        [*LABKIT, "play", "gp-l", "--cards", "3 3 8 8"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=ENV,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        while not process.stdout.readline().startswith(b"Cards"):
            pass
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130 and err.endswith(b"labkit: stopped\n") and b"Traceback" not in err
