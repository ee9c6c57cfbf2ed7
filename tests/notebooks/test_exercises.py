"""Every exercise of every notebook: its stub stops nothing, its folded solution passes, an empty answer gets help.

Cells tagged ``setup``, exercises and checks are run here, in order and without a kernel; the rest of a notebook is not,
which is why a stub may use no name from it.
"""

import ast
import contextlib
import io
from pathlib import Path

import nbformat
import pytest

from labkit import exercises
from tests.notebooks.test_notebooks import SOURCES, script

EMPTY = "?"
"""In the place of a value: nothing that an exercise could ask for."""


def with_exercises() -> list[Path]:
    return [p for p in SOURCES if any(script.tagged(c, "exercise") for c in script.source(p).cells)]


def emptied(stub: str) -> str:
    """A stub with ``return None`` for its NotImplementedError, and a useless value for None."""

    class Emptier(ast.NodeTransformer):
        def visit_Raise(self, node: ast.Raise) -> ast.stmt:
            return ast.Return(ast.Constant(None))

        def visit_Assign(self, node: ast.Assign) -> ast.stmt:
            return ast.Assign(node.targets, ast.Constant(EMPTY), lineno=node.lineno)

    return ast.unparse(ast.fix_missing_locations(Emptier().visit(ast.parse(stub))))


def run(notebook: nbformat.NotebookNode, answers: list[str]) -> list[str | exercises.NotYet]:
    """What each exercise's check printed or raised, with these in the places of the stubs."""
    found = script.exercises(notebook)
    stubs = {e.stub: answer for e, answer in zip(found, answers, strict=True)}
    judged = {e.check for e in found}
    names: dict[str, object] = {"check": exercises.check}
    said: list[str | exercises.NotYet] = []
    for number, cell in enumerate(notebook.cells):
        if number not in stubs and number not in judged and not script.tagged(cell, "setup"):
            continue
        printed = io.StringIO()
        code = compile(stubs.get(number, cell.source), cell.id, "exec")
        try:
            with contextlib.redirect_stdout(printed):
                exec(code, names)
        except exercises.NotYet as wrong:
            assert number in judged
            said.append(wrong)
        else:
            said += [printed.getvalue()] if number in judged else []
    return said


@pytest.fixture(params=with_exercises(), ids=lambda p: p.stem)
def notebook(request):
    return script.source(request.param)


def stubs_of(notebook) -> list[str]:
    return [notebook.cells[e.stub].source for e in script.exercises(notebook)]


def lines_of(said: list, mark: str) -> list[str]:
    return [line for text in said for line in text.splitlines() if line.startswith(mark)]


def named(notebook) -> list[str]:
    return [name for e in script.exercises(notebook) for name in e.names]


def test_every_check_of_its_module_is_asked_for_once(notebook):
    module = notebook.cells[0].id.rpartition("-")[0].partition("_")[2]
    assert sorted(named(notebook)) == sorted(f"{module}.{name}" for name in exercises.names(module))


def test_a_stub_is_nothing_but_a_stub(notebook):
    for stub in stubs_of(notebook):
        for node in ast.parse(stub).body:
            match node:
                case ast.Import() | ast.ImportFrom():
                    pass
                case ast.Assign(value=ast.Constant(value=None)):
                    pass
                case ast.FunctionDef(body=[*told, ast.Raise(exc=ast.Call(func=ast.Name(id="NotImplementedError")))]):
                    assert len(told) <= (ast.get_docstring(node) is not None), ast.unparse(node)
                case _:
                    pytest.fail(f"not a stub: {ast.unparse(node)}")


def test_a_solution_defines_what_its_stub_does(notebook):
    def defined(code: str) -> set[str]:
        body = ast.parse(code).body
        assigned = {t.id for n in body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
        return assigned | {n.name for n in body if isinstance(n, ast.FunctionDef)}

    for e in script.exercises(notebook):
        assert e.hints, notebook.cells[e.stub].id
        assert defined(notebook.cells[e.stub].source) <= defined(e.solution)


def test_a_stub_stops_nothing_and_is_called_not_done(notebook):
    said = run(notebook, stubs_of(notebook))
    assert lines_of(said, "…") == [f"… {name}: not done yet" for name in named(notebook)]


def test_the_folded_solutions_pass(notebook):
    said = run(notebook, [e.solution for e in script.exercises(notebook)])
    assert [line.split(":")[0] for line in lines_of(said, "✓")] == [f"✓ {name}" for name in named(notebook)]


def test_an_empty_answer_is_told_what_was_expected_and_a_hint(notebook):
    for wrong in run(notebook, [emptied(stub) for stub in stubs_of(notebook)]):
        assert isinstance(wrong, exercises.NotYet), wrong
        first, expected, hint = str(wrong).split("\n")[:3]
        assert first.startswith("✗ Not yet: ") and len(first) > 20
        assert expected.startswith("Expected: ") and len(expected) > 20
        assert hint.startswith("Hint: ") and len(hint) > 10
