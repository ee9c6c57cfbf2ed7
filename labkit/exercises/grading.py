"""Judge submitted notebooks, each in a fresh process.

Of a notebook run, in order: every import, the cells tagged ``setup`` and ``exercise``, the cells that a learner added,
and at each ``check(...)`` or ``use(...)`` the check of the installed labkit. What the notebook prints or stores is not
believed, and its long cells (players, trainings, figures) are not run.

The process is kept from the network and from starting programs by an audit hook. That keeps honest mistakes in; it is
no sandbox against an attack, which needs a container or a virtual machine. A cell that takes longer than the limit is
ended with its process, and a new process goes on without that cell.
"""

from __future__ import annotations

import ast
import json
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from labkit.errors import UsageError
from labkit.exercises import given, judge

START_SECONDS = 120.0
"""What a process may take, besides the limit of its first cell, to start and import."""

_OURS = re.compile(r"\d\d_[a-z_]+-\d+")
"""The id of a cell that came with the notebook."""
_REFUSED = frozenset(
    "socket.connect socket.getaddrinfo subprocess.Popen os.system os.exec os.posix_spawn os.fork".split()
)


class Grade(NamedTuple):
    """The result of one exercise of a notebook."""

    exercise: str
    result: Literal["right", "wrong", "not done", "not run"]
    message: str
    """Why an answer is wrong or was not run; empty otherwise."""


class _Check(NamedTuple):
    """One call of ``check("NAME", answer)`` or ``use("NAME", answer)``."""

    name: str
    answer: ast.expr
    used: str | None
    """The variable that later cells use, for ``use``."""


class _Cell(NamedTuple):
    code: str
    checks: tuple[_Check, ...]
    runs: Literal["whole", "imports"]
    """A cell with checks runs its imports and the checks."""


def grade(path: Path, seconds: float) -> list[Grade]:
    """Judge the exercises of a notebook, in order.

    Args:
        seconds: the limit of each cell.

    Raises:
        UsageError: the file is no notebook.
    """
    cells = _cells(path)
    found: dict[str, tuple[str, str]] = {}
    skipped: set[int] = set()
    while True:
        stopped = None
        for message in _lines_of(path, skipped, seconds):
            if "exercise" in message:
                found[message["exercise"]] = (message["result"], message["message"])
            else:
                stopped = message.get("stopped")
        if stopped is None:
            break
        skipped.add(stopped)
        for check in cells[stopped].checks:
            found[check.name] = ("not run", f"the check took more than {seconds:g} s")
    names = [check.name for cell in cells for check in cell.checks]
    missing = ("not run", "the notebook ended before this check")
    return [Grade(name, *found.get(name, missing)) for name in dict.fromkeys(names)]  # type: ignore[arg-type]


def _cells(path: Path) -> list[_Cell]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        written = [
            ("".join(cell["source"]), str(cell.get("id", "")), cell.get("metadata", {}).get("tags", ()))
            for cell in data["cells"]
            if cell["cell_type"] == "code"
        ]
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; check the path") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"{path} is no notebook; save it again from JupyterLab") from None
    return [_cell(code, own_id, tags) for code, own_id, tags in written]


def _cell(code: str, own_id: str, tags: Any) -> _Cell:
    checks = tuple(_checks(code))
    whole = not checks and (not _OURS.fullmatch(own_id) or bool({"setup", "exercise"} & set(tags)))
    return _Cell(code, checks, "whole" if whole else "imports")


def _checks(code: str) -> Iterator[_Check]:
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="check" | "use" as how), args=[ast.Constant(value=str(name)), answer]):
                used = answer.id if how == "use" and isinstance(answer, ast.Name) else None
                yield _Check(name, answer, used)


def _lines_of(path: Path, skipped: set[int], seconds: float) -> Iterator[dict[str, Any]]:
    """What a process says about the notebook; the last message has ``stopped``, a cell, where the limit was reached."""
    command = [sys.executable, "-m", "labkit.exercises.grading", str(path.resolve()), json.dumps(sorted(skipped))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lines: queue.Queue[bytes | None] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    cell, limit = 0, seconds + START_SECONDS
    try:
        while (line := lines.get(timeout=limit)) is not None:
            message = json.loads(line)
            cell, limit = message.get("cell", cell), seconds
            yield message
    except queue.Empty:
        yield {"stopped": cell}
    finally:
        process.kill()
        process.wait()


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    if event in _REFUSED:
        raise PermissionError(f"a submitted notebook may not use {event}")


def _judge_in_this_process(path: Path, skipped: list[int]) -> None:
    """Run a notebook's cells and print a JSON line before each and for each exercise."""
    say, sys.stdout = sys.stdout, sys.stderr
    cells = _cells(path)
    names: dict[str, Any] = {"__name__": "__main__"}
    sys.addaudithook(_refuse)
    for number, cell in enumerate(cells):
        print(json.dumps({"cell": number}), file=say, flush=True)
        if number in skipped:
            continue
        _run(cell, names)
        for check in cell.checks:
            print(json.dumps({"exercise": check.name, **_judged(check, names)}), file=say, flush=True)


def _run(cell: _Cell, names: dict[str, Any]) -> None:
    """Run a cell, or its imports; an error is left for the checks to find."""
    try:
        tree = ast.parse(cell.code)
        if cell.runs == "imports":
            tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        exec(compile(tree, "<cell>", "exec"), names)
    except (Exception, SystemExit):
        return


def _judged(check: _Check, names: dict[str, Any]) -> dict[str, str]:
    """The judgement of one check; where later answers build on it, they get a right one."""
    try:
        answer = eval(compile(ast.Expression(check.answer), "<answer>", "eval"), names)
        judged = judge(check.name, answer)
        if check.used:
            names[check.used] = answer if judged.status == "right" else given(check.name)
    except Exception as error:
        return {"result": "not run", "message": f"{type(error).__name__}: {error}"}
    message = judged.message.partition("\nExpected:")[0] if judged.status == "wrong" else ""
    return {"result": judged.status, "message": message.removeprefix("✗ Not yet: ")}


if __name__ == "__main__":
    _judge_in_this_process(Path(sys.argv[1]), json.loads(sys.argv[2]))
