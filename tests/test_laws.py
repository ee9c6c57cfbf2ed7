"""The laws of the house: imports point one way, no module is part of a circle, games need no torch.

An import inside a function or under ``TYPE_CHECKING`` counts like any other. `docs/architecture.md` draws the layers.
"""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LAYERS = (
    ("labkit.__main__",),
    ("labkit.cli",),
    ("labkit.commands",),
    ("app",),
    ("labkit.bench", "labkit.exercises", "labkit.replication"),
    ("labkit.interop",),
    ("labkit.views",),
    ("labkit.dispatch",),
    ("labkit.training",),
    ("labkit.evaluation",),
    ("labkit.rollout", "labkit.whatif"),
    ("labkit.play",),
    ("labkit.players",),
    ("labkit.models", "labkit.runs"),
    ("labkit.envs",),
    ("labkit.episode", "labkit.config", "labkit.compute", "labkit.extensions", "labkit.progress"),
    ("labkit.errors", "labkit.counting", "labkit"),
)
"""Rooms from top to bottom. A room imports rooms of lower layers only; rooms of one layer do not import each other."""

HEAVY = {"torch", "transformers", "peft", "accelerate", "gradio", "plotly", "scipy"}


def sources() -> dict[str, Path]:
    """Every module of the library and the app: its dotted name and its file."""
    files = [path for top in ("labkit", "app") for path in sorted((ROOT / top).rglob("*.py"))]
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files)
    return dict(zip(names, files, strict=True))


def imported(name: str, path: Path, modules: dict[str, Path]) -> Iterator[str]:
    """The dotted names that a module imports; of ``from a import b``, ``a.b`` where that is a module, else ``a``."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{base}.{a.name}" if f"{base}.{a.name}" in modules else base for a in node.names)


def arrows(modules: dict[str, Path]) -> dict[str, set[str]]:
    """Of each module, what it imports."""
    return {name: set(imported(name, path, modules)) - {name} for name, path in modules.items()}


def room(name: str) -> str:
    rooms = [room for layer in LAYERS for room in layer]
    return max((r for r in rooms if name == r or name.startswith(f"{r}.")), key=len)


def against_the_layers(graph: dict[str, set[str]]) -> set[tuple[str, str]]:
    """The imports that point up or sideways."""
    depth = {room: number for number, layer in enumerate(LAYERS) for room in layer}
    return {
        (name, other)
        for name, others in graph.items()
        for other in others & graph.keys()
        if room(name) != room(other) and depth[room(name)] >= depth[room(other)]
    }


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    return arrows(sources())


def test_every_module_has_its_room(graph):
    # `labkit` itself is a room with one module, so that a new folder has to be given its layer.
    assert [name for name in graph if room(name) == "labkit" and name != "labkit"] == []


def test_imports_point_one_way(graph):
    assert against_the_layers(graph) == set()


def test_no_module_is_part_of_a_circle(graph):
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_games_and_the_record_import_nothing_heavy(graph):
    reached, waiting = set(), [n for n in graph if n == "labkit.episode" or room(n) == "labkit.envs"]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += graph.get(name, ())
    assert {name for name in reached if name.partition(".")[0] in HEAVY} == set()


def test_the_laws_see_an_import_wherever_it_stands(tmp_path):
    file = tmp_path / "players.py"
    file.write_text("def late():\n    from ..training import sft\n    import torch\n    from . import base\n")
    modules = {"labkit.players.late": file, "labkit.training": file, "labkit.training.sft": file}
    found = set(imported("labkit.players.late", file, modules))
    assert found == {"labkit.training.sft", "torch", "labkit.players"}
    assert against_the_layers({"labkit.players.late": found, "labkit.training.sft": set()}) == {
        ("labkit.players.late", "labkit.training.sft")
    }
