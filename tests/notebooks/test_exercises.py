"""Every exercise of every notebook: its stub stops nothing, its folded solution passes, an empty answer gets help.

Cells tagged ``setup``, exercises and checks are run here, in order and without a kernel; the rest of a notebook is not,
which is why a stub may use no name from it.
"""

import ast
import contextlib
import inspect
import io
import textwrap
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


def run(notebook: nbformat.NotebookNode, answers: list[str]) -> list[str]:
    """What each exercise's check printed, with these in the places of the stubs."""
    found = script.exercises(notebook)
    stubs = {e.stub: answer for e, answer in zip(found, answers, strict=True)}
    judged = {e.check for e in found}
    names: dict[str, object] = {}
    said: list[str] = []
    for number, cell in enumerate(notebook.cells):
        if number not in stubs and number not in judged and not script.tagged(cell, "setup"):
            continue
        printed = io.StringIO()
        code = compile(stubs.get(number, cell.source), cell.id, "exec")
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            # The tour imports check where it is first used.
            exec("from labkit.exercises import check, use", names)
            exec(code, names)
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


def used(notebook) -> list[str]:
    """The exercises whose answers later cells build on."""
    cells = [notebook.cells[e.check].source for e in script.exercises(notebook)]
    return [name for cell in cells for name in script.checks(cell) if f'use("{name}"' in cell]


def test_a_stub_stops_nothing_and_is_called_not_done(notebook):
    said = run(notebook, stubs_of(notebook))
    assert lines_of(said, "…") == [f"… {name}: not done yet" for name in named(notebook)]
    assert len(lines_of(said, "  Your `")) == len(used(notebook))


def test_the_folded_solutions_pass(notebook):
    said = run(notebook, [e.solution for e in script.exercises(notebook)])
    assert [line.split(":")[0] for line in lines_of(said, "✓")] == [f"✓ {name}" for name in named(notebook)]
    assert lines_of(said, "  Your `") == []


def test_an_empty_answer_is_told_what_was_expected_and_a_hint_and_is_not_used(notebook):
    said = run(notebook, [emptied(stub) for stub in stubs_of(notebook)])
    for wrong in said:
        first, expected, hint = wrong.split("\n")[:3]
        assert first.startswith("✗ Not yet: ") and len(first) > 20
        assert expected.startswith("Expected: ") and len(expected) > 20
        assert hint.startswith("Hint: ") and len(hint) > 10
    assert len(lines_of(said, "  Your `")) == len(used(notebook))


def test_the_given_solution_is_the_folded_one(notebook):
    """What runs in the place of a missing answer is what the learner can read."""
    for e in script.exercises(notebook):
        for name in set(e.names) & set(used(notebook)):
            own = name.partition(".")[2]
            shown = [n for n in ast.parse(e.solution).body if isinstance(n, ast.FunctionDef) and n.name == own]
            given = ast.parse(textwrap.dedent(inspect.getsource(exercises.given(name)))).body
            assert [ast.dump(n) for n in shown] == [ast.dump(n) for n in given], name


@pytest.mark.parametrize(("number", "least"), [("01", 1), ("03", 1), ("05", 7), ("06", 1), ("10", 2), ("12", 4)])
def test_what_a_learner_builds_is_used(number, least):
    (path,) = [p for p in SOURCES if p.stem.startswith(number)]
    assert len(used(script.source(path))) >= least
