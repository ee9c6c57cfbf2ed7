"""What setting up promises: files that agree, commands that install once, and a light, safe package."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from labkit.commands import app as app_command
from labkit.errors import UsageError
from tests.wheels import write_wheel

ROOT = Path(__file__).parent.parent
_PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, SETUPTOOLS = _PYPROJECT["project"], _PYPROJECT["tool"]["setuptools"]
APART = "interop"
"""The extra with an environment of its own."""
TARGETS = (
    "install",
    "app",
    "lab",
    "test",
    "test-all",
    "test-interop",
    "lint",
    "notebooks",
    "class",
    "wheelhouse",
    "solutions",
    "results",
    "bench",
    "clean",
    "help",
)

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="no make; sudo apt-get install make")


def direct_requirements() -> list[Requirement]:
    """What labkit and its extras name themselves, without the extra that joins the others and the one that has an
    environment of its own."""
    extras = PROJECT["optional-dependencies"]
    groups = [PROJECT["dependencies"], *(group for name, group in extras.items() if name not in ("all", APART))]
    return [Requirement(line) for group in groups for line in group]


def pins(*more: str) -> dict[str, str]:
    """The pinned versions; those of a later file replace earlier ones."""
    files = [ROOT / name for name in ("constraints.txt", *more)]
    lines = [line for file in files for line in file.read_text().splitlines()]
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def tracked_files() -> list[Path]:
    """The files that a clone of this repository holds or is about to."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    return [path for path in (ROOT / name for name in listed if name) if path.is_file()]


# ---- the files agree -------------------------------------------------------------------------------------


def test_conda_and_pip_install_the_same_requirements() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, nested = environment["dependencies"]
    assert Requirement(python) == Requirement("python" + PROJECT["requires-python"])
    assert pip == "pip"
    options = [line for line in nested["pip"] if line.startswith("-")]
    assert options == ["-c constraints.txt", "-e ."]
    assert {Requirement(line) for line in nested["pip"] if line not in options} == set(direct_requirements())


def test_the_extra_all_is_every_other_extra() -> None:
    (joined,) = map(Requirement, PROJECT["optional-dependencies"]["all"])
    assert joined.name == PROJECT["name"]
    assert joined.extras | {"all", APART} == set(PROJECT["optional-dependencies"])


@pytest.mark.parametrize("requirement", direct_requirements(), ids=lambda requirement: requirement.name)
def test_each_direct_dependency_is_pinned_within_its_range(requirement: Requirement) -> None:
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


@pytest.mark.parametrize("line", PROJECT["optional-dependencies"][APART])
def test_the_packages_of_the_extra_apart_are_pinned_too(line: str) -> None:
    requirement = Requirement(line)
    assert requirement.specifier.contains(pins("constraints-interop.txt")[canonicalize_name(requirement.name)])


def test_pins_leave_the_build_of_torch_open() -> None:
    assert pins()["torch"] == "2.13.0"
    assert not [name for name in pins() if name.startswith(("nvidia-", "cuda-", "triton"))]


# ---- make installs once, and says what is missing --------------------------------------------------------


def make(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    # Options and variables of a `make test` that runs these tests must not reach the make under test.
    given = ("MAKE", "MFLAGS", "ARGS", "PYTHON", "TORCH_INDEX", "WHEELHOUSE")
    environ = {key: value for key, value in os.environ.items() if not key.startswith(given)} | more
    return subprocess.run(["make", *words], cwd=folder, capture_output=True, text=True, env=environ)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what make reads, and nothing installed."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "constraints-interop.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


@pytest.fixture
def installed(checkout: Path) -> Path:
    """A checkout that looks as an installation leaves it."""
    (checkout / ".venv/bin").mkdir(parents=True)
    (checkout / ".venv/bin/python").symlink_to(sys.executable)
    (checkout / ".venv/installed").touch()
    return checkout


def interpreter(folder: Path, pretence: str) -> Path:
    """A Python that executes `pretence` before the code it is given with -c."""
    path = folder / "pretending-python"
    code = f"{pretence}; import sys; exec(sys.argv[1])"
    path.write_text(f"#!/bin/sh\nshift\nexec {sys.executable} -c '{code}' \"$@\"\n")
    path.chmod(0o755)
    return path


@needs_make
def test_make_alone_lists_every_target(checkout: Path) -> None:
    listed = {line.split()[1] for line in make(checkout).stdout.splitlines()}
    assert listed == set(TARGETS) - {"help"}


@needs_make
@pytest.mark.parametrize("target", [t for t in TARGETS if t not in ("clean", "help")])
def test_a_target_installs_when_nothing_is_installed(checkout: Path, target: str) -> None:
    planned = make(checkout, "-n", target, f"PYTHON={sys.executable}")
    assert planned.returncode == 0, planned.stderr
    assert f"{sys.executable} -m venv" in planned.stdout
    assert re.search(r"pip .*install -e '\.\[all\]' -c constraints\.txt", planned.stdout)


@needs_make
@pytest.mark.parametrize("target", ["app", "lab", "test", "notebooks", "bench"])
def test_a_target_leaves_an_installation_alone(installed: Path, target: str) -> None:
    planned = make(installed, "-n", target)
    assert planned.returncode == 0, planned.stderr
    assert ".venv/bin/" in planned.stdout
    assert "pip" not in planned.stdout


@needs_make
@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_requirement_is_installed(installed: Path, name: str) -> None:
    later = (installed / ".venv/installed").stat().st_mtime + 10
    os.utime(installed / name, (later, later))
    planned = make(installed, "-n", "test").stdout
    assert "pip" in planned
    assert "-m venv" not in planned


@needs_make
def test_a_torch_index_is_used_for_torch_alone(checkout: Path) -> None:
    planned = make(checkout, "-n", "install", f"PYTHON={sys.executable}", "TORCH_INDEX=file:///wheels").stdout
    (line,) = [line for line in planned.splitlines() if "file:///wheels" in line]
    assert "--no-deps" in line and line.endswith(" torch")


@needs_make
def test_without_a_wheelhouse_the_network_is_asked(checkout: Path) -> None:
    assert "--no-index" not in make(checkout, "-n", "install", f"PYTHON={sys.executable}").stdout
    planned = make(checkout, "-n", "install", f"PYTHON={sys.executable}", "WHEELHOUSE=/stick/wheels").stdout
    assert "-c constraints.txt --no-index --find-links '/stick/wheels'" in planned


@needs_make
def test_a_wheelhouse_holds_what_builds_the_package_and_the_torch_that_is_asked_for(installed: Path) -> None:
    planned = make(installed, "-n", "wheelhouse", "TORCH_INDEX=file:///wheels").stdout
    torch, rest = [line.split() for line in planned.splitlines() if "pip" in line]
    assert "--no-deps" in torch and "torch" in torch and "file:///wheels" in torch and "file:///wheels" not in rest
    for requirement in map(Requirement, _PYPROJECT["build-system"]["requires"]):
        assert requirement.name in rest and requirement.specifier.contains(pins()[requirement.name])


@needs_make
def test_a_folder_with_a_wheelhouse_is_installed_without_network(checkout: Path) -> None:
    """From download to installation, with a package of a few lines in place of two gigabytes of requirements."""
    source, stick = checkout / "source", checkout / "build" / "labkit-class"
    source.mkdir()
    write_wheel(source, "stand-in", {"stand_in.py": "came_from = 'the wheelhouse'\n"})
    write_wheel(source, "setuptools")
    write_wheel(checkout, "labkit", metadata="Provides-Extra: all\nRequires-Dist: stand-in; extra == 'all'\n")
    build = "[build-system]\nrequires = []\nbuild-backend = 'copies'\nbackend-path = ['.']\n"
    (checkout / "pyproject.toml").write_text(build + "[project]\nname = 'labkit'\nversion = '1.0'\n")
    (checkout / "copies.py").write_text(
        "import shutil\nNAME = 'labkit-1.0-py3-none-any.whl'\n"
        "def build_wheel(folder, *settings):\n    shutil.copy(NAME, folder)\n    return NAME\n"
        "build_editable = build_wheel\n"
    )
    (checkout / "constraints.txt").write_text("stand-in==1.0\n")
    shutil.copytree(checkout, stick, ignore=shutil.ignore_patterns("build", "source"))
    words = [f"PYTHON={sys.executable}", f"WHEELHOUSE={source}"]
    first = make(checkout, "wheelhouse", *words, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(source))
    assert first.returncode == 0, first.stderr
    assert sorted(p.name.split("-")[0] for p in (stick / "wheelhouse").iterdir()) == ["setuptools", "stand_in"]
    shutil.rmtree(source)
    second = make(stick, "install", f"PYTHON={sys.executable}")
    assert second.returncode == 0, second.stderr
    asked = [stick / ".venv/bin/python", "-c", "import stand_in; print(stand_in.came_from)"]
    assert subprocess.run(asked, capture_output=True, text=True).stdout == "the wheelhouse\n"


@needs_make
def test_no_python_at_all_is_said_with_the_command_that_installs_one(checkout: Path) -> None:
    refused = make(checkout, "install", "PYTHON=")
    assert refused.returncode != 0
    assert "sudo apt-get install python3 python3-venv" in refused.stderr
    assert not (checkout / ".venv").exists()


@needs_make
@pytest.mark.parametrize("minor", range(10, 15))
def test_make_and_pyproject_accept_the_same_pythons(checkout: Path, minor: int) -> None:
    accepted = minor in (11, 12, 13)
    python = interpreter(checkout, f"import sys; sys.version_info = (3, {minor}, 0)")
    assert (make(checkout, "check-python", f"PYTHON={python}").returncode == 0) is accepted
    assert Requirement("python" + PROJECT["requires-python"]).specifier.contains(f"3.{minor}.0") is accepted


@needs_make
def test_a_python_without_venv_is_named_with_its_debian_package(checkout: Path) -> None:
    # A None in sys.modules makes the import fail, as on a Debian without the package.
    python = interpreter(checkout, 'import sys; sys.modules["ensurepip"] = None')
    refused = make(checkout, "check-python", f"PYTHON={python}")
    assert refused.returncode != 0
    assert f"sudo apt-get install python3.{sys.version_info.minor}-venv" in refused.stderr


# ---- the package is light and safe -----------------------------------------------------------------------


@pytest.mark.parametrize("module", ["labkit", "labkit.episode", "labkit.envs"])
def test_importing_stays_light(module: str) -> None:
    heavy = {"torch", "transformers", "gradio", "plotly", "peft", "accelerate"}
    code = f"""
import importlib, sys
from tests.cost import loops
print(loops(lambda: importlib.import_module("{module}"), rounds=1), *sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    cost, *loaded = done.stdout.split()
    assert module in loaded and not heavy.intersection(loaded)
    assert float(cost) < 100  # a quarter of a second where a loop takes 2.5 ms


def test_no_file_names_the_host_of_a_registry() -> None:
    host = re.compile(rb"\b(pypi|pythonhosted|anaconda|npmjs|debian|download\.pytorch)\.(org|com|net)\b")
    naming = {
        path.relative_to(ROOT).as_posix(): found[0]
        for path in tracked_files()
        if path.suffix != ".safetensors" and (found := host.search(path.read_bytes()))
    }
    assert naming == {}


def test_weights_are_safetensors_and_small() -> None:
    pickled = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib"}
    files = tracked_files()
    assert [path.name for path in files if path.suffix in pickled] == []
    assert sum(path.stat().st_size for path in files if path.suffix == ".safetensors") < 60e6


def test_the_wheel_holds_nothing_but_labkit() -> None:
    found = SETUPTOOLS["packages"]["find"]
    assert found["include"] == ["labkit*"] and set(SETUPTOOLS["package-data"]) == {"labkit"}


def test_an_installed_labkit_finds_the_app_of_its_clone(tmp_path: Path) -> None:
    # A link, as an editable installation is: labkit is on the path, the folder that holds `app` is not.
    (tmp_path / "labkit").symlink_to(ROOT / "labkit")
    code = "from labkit.commands.app import make_importable; make_importable(); import app; print(*app.__path__)"
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=environ, check=True
    )
    assert Path(done.stdout.strip()) == ROOT / "app"


def test_a_wheel_says_how_to_get_the_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_command, "__file__", str(tmp_path / "site-packages/labkit/commands/app.py"))
    with pytest.raises(UsageError, match="clone the repository and run `make app`"):
        app_command.make_importable()
