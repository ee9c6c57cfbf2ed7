"""``labkit verify``: one verdict a line, in order, whatever the lines hold."""

import io
import json
import os
import resource
import select
import subprocess
import sys
from pathlib import Path

import pytest

from labkit.cli import main
from labkit.envs import lines as json_lines

ROOT = Path(__file__).parents[1]
RIGHT = '{"cards": ["3", "3", "8", "8"], "number": [3, 3, 8, 8], "formula": "8/(3-8/3)=24"}'


def line(answer: str = RIGHT, **more) -> bytes:
    return json.dumps({"cards": ["3", "3", "8", "8"], "answer": answer, **more}).encode()


def verdicts(data: bytes, monkeypatch, capsys, *argv: str, status: int = 0) -> list[dict]:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert main(["verify", *(argv or ("gp-l",))]) == status
    out = capsys.readouterr().out
    return json.loads(out) if "--json" in argv else [json.loads(said) for said in out.splitlines()]


def test_the_contract(monkeypatch, capsys):
    # 13 + 3 + 8 = 24 under 11-12-13; under `ten` no card counts as 13. 5 + 5 * 3 = 20.
    king = '{"formula": "13+3+8"}'
    data = b"\n".join(
        [
            line(),
            line("3+3+8+8"),
            line('{"formula": "3+3+8+8"}'),
            line(king, cards=["K", "3", "8"], faces="eleven-twelve-thirteen", target=24),
            line(king, cards=["K", "3", "8"]),
            line('{"formula": "5+5*3=20"}', cards=["J", "Q", "3"], faces={"J": 5, "Q": 5, "K": 5}, target=20),
        ]
    )
    said = verdicts(data, monkeypatch, capsys)
    assert [list(s) for s in said] == [["success", "category", "reward", "feedback"]] * 6
    assert [(s["success"], s["category"], s["reward"]) for s in said] == [
        (True, "correct", 5.0),
        (False, "unreadable", -3.0),
        (False, "wrong_value", -1.0),
        (True, "correct", 5.0),
        (False, "wrong_numbers", -2.0),
        (True, "correct", 5.0),
    ]
    assert "22" in said[2]["feedback"]


def test_pictures_must_be_recognised(monkeypatch, capsys):
    data = b"\n".join([line(), line('{"formula": "8/(3-8/3)"}'), line(RIGHT.replace('"8"]', '"9"]'))])
    assert [s["category"] for s in verdicts(data, monkeypatch, capsys, "gp-vl")] == [
        "correct",
        "wrong_cards",
        "wrong_cards",
    ]
    assert [s["category"] for s in verdicts(data, monkeypatch, capsys, "gp-l")] == ["correct"] * 3


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b"", "not JSON"),
        (b"nonsense", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"target": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"cards": ["3", "3", "8", "8"]}', '"answer" is missing'),
        (b'{"answer": "x"}', '"cards" is missing'),
        (line(cards="3 3 8 8"), '"cards" is a list'),
        (line(cards=["3", "3", "8", "Z"]), "'Z' is not a card"),
        (line(cards=["3"]), "3 to 6 cards"),
        (line(target=0), "the target"),
        (line(target="24"), "the target"),
        (line(faces="tne"), "no face rule"),
        (line(faces=[1]), '"faces"'),
        (line(faces={"J": 1}), "J, Q and K"),
        (line(answer=None), '"answer" is text'),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_a_bad_line_is_reported_in_its_place(bad, said, monkeypatch, capsys):
    before, here, after = verdicts(b"\n".join([line(), bad, line()]), monkeypatch, capsys)
    assert before["success"] and after["success"]
    assert list(here) == ["error"] and said in here["error"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense", 1),
        (b"[]\n{}\n" + line(cards=["Z"]), 1),
        (b"[]\n{}\n" + line("?"), 0),
        (b"", 0),
    ],
    ids=["one error", "three errors", "a wrong answer among errors", "no line"],
)
def test_the_status_is_1_where_no_line_could_be_judged(data, status, monkeypatch, capsys):
    verdicts(data, monkeypatch, capsys, status=status)
    verdicts(data, monkeypatch, capsys, "gp-l", "--json", status=status)


def test_a_word_of_megabytes_is_not_quoted_in_full(monkeypatch, capsys):
    (said,) = verdicts(line(cards=["x" * 3_000_000]), monkeypatch, capsys, status=1)
    assert len(said["error"]) <= 300


def test_byte_order_mark_carriage_returns_and_no_last_newline(monkeypatch, capsys):
    data = b"\xef\xbb\xbf" + line() + b"\r\n" + line()
    assert [s["success"] for s in verdicts(data, monkeypatch, capsys)] == [True, True]
    assert verdicts(b"", monkeypatch, capsys) == []


def test_json_is_one_document(monkeypatch, capsys):
    said = verdicts(line() + b"\nx\n", monkeypatch, capsys, "gp-l", "--json")
    assert [list(s)[0] for s in said] == ["success", "error"]
    assert verdicts(b"", monkeypatch, capsys, "gp-l", "--json") == []


def test_answers_stay_text_whatever_they_hold(monkeypatch, capsys):
    data = b"\n".join([line("\x00\ud800\n{"), line('{"formula": "2×12 €"}'), line("x" * 100_000)])
    assert [s["category"] for s in verdicts(data, monkeypatch, capsys)] == [
        "unreadable",
        "illegal_formula",
        "unreadable",
    ]


def test_lines_longer_than_any_answer(monkeypatch):
    monkeypatch.setattr(json_lines, "MAX_LINE", 100)
    monkeypatch.setattr(json_lines, "CHUNK", 16)
    stream = io.BytesIO(b"a" * 100 + b"\n" + b"b" * 101 + b"\n" + b"c" * 1000 + b"\nd\n\n" + b"e" * 200)
    found = [given for given in json_lines.lines(stream) if given is not None]
    assert [g if isinstance(g, bytes) else str(g).split()[3] for g in found] == [
        b"a" * 100,
        "101",
        "1,000",
        b"d",
        b"",
        "200",
    ]


def _process(**more) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "labkit", "verify", "gp-l"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""},
        **more,
    )


def test_a_line_is_answered_before_the_next_is_asked_for():
    with _process() as process:
        for _ in range(3):
            process.stdin.write(line() + b"\n")
            process.stdin.flush()
            ready, *_ = select.select([process.stdout], [], [], 30)
            assert ready, "no verdict came"
            assert json.loads(process.stdout.readline())["success"]
        process.stdin.close()
        assert process.stdout.read() == b"" and process.wait() == 0


def test_fifty_thousand_lines_in_constant_memory(tmp_path):
    source = tmp_path / "answers.jsonl"
    source.write_bytes((line() + b"\n" + line("?") + b"\n") * 25_000)
    command = (
        "import sys; from labkit.bench.timing import peak_mib; from labkit.cli import main; "
        "status = main(['verify', 'gp-l']); print(peak_mib(), file=sys.stderr); sys.exit(status)"
    )
    with source.open("rb") as stdin:
        done = subprocess.run(
            [sys.executable, "-c", command],
            stdin=stdin,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    assert done.returncode == 0
    said = done.stdout.splitlines()
    assert len(said) == 50_000
    assert [json.loads(r)["success"] for r in said[:4]] == [True, False, True, False]
    # Python and the verifier take 28 MiB; 50,000 lines and their verdicts, held as objects, some 60 MiB more.
    assert float(done.stderr) < 45


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_AS"), reason="memory cannot be limited here")
def test_long_lines_take_bounded_memory():
    limit = 400 * 2**20

    def limited():
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    with _process(preexec_fn=limited) as process:
        process.stdin.write(line("?" * 10_000_000) + b"\n")
        block = b"x" * 2**20
        for _ in range(600):
            process.stdin.write(block)
        process.stdin.write(b"\n" + line() + b"\n")
        process.stdin.close()
        first, second, third = process.stdout.read().splitlines()
        assert process.wait() == 0
    assert json.loads(first)["category"] == "unreadable"
    assert "629,145,600 bytes" in json.loads(second)["error"]
    assert json.loads(third)["success"]
