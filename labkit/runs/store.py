"""A run is a folder; everything in it can be read with a text editor or any Hugging Face tool.

::

    runs/20261121-101502-sft-gp-l/
      config.yaml          the resolved config, every default written out
      environment.json     versions, machine, git revision, command
      status.json          running, finished, stopped (and why) or failed; process id; what came last
      metrics.jsonl        one line an update
      episodes/NAME.jsonl  episodes played inside the run, one a line
      tokens/NAME-N.safetensors   arrays of their tokens, where --tokens asked for them
      notes.jsonl          notes and tags that people gave episodes: see labkit.runs.notes
      checkpoints/step-N/  a Hugging Face directory
      trackers/            what TensorBoard and the like write, where they were asked for
      state/               what --resume needs; replaced as a whole, never edited

The ``.jsonl`` files can be read while they grow. Lines are appended whole: if a write fails, the file is cut back to
its last whole line. A last line that a crash has cut short is ignored by readers and removed by the next append.
The ``.jsonl`` files of a run that is kept for good may be compressed (``.jsonl.gz``).
"""

from __future__ import annotations

import gzip
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from labkit.episode import Episode
from labkit.errors import UsageError
from labkit.runs.migrate import METRICS, SETTINGS, migrated

ROOT = Path("runs")


class CannotWrite(UsageError):
    """A file of a run cannot be written: the disk is full, or the folder is read-only.

    What was stored before is whole. The command that ran adds how to go on.
    """

    def __init__(self, path: Path, error: BaseException) -> None:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        super().__init__(f"cannot write {path}: {reason}; what was stored before is kept")


class Run:
    """One run's folder."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @classmethod
    def create(cls, root: str | Path, name: str, config_yaml: str, *, id: str | None = None) -> Run:
        """Make a new folder ``root/<time>-<name>`` and write down what is about to run.

        Args:
            id: the folder's name, in place of time and name.

        Raises:
            UsageError: there is a run of this id.
        """
        stamp = time.strftime("%Y%m%d-%H%M%S")
        path = Path(root) / (id or f"{stamp}-{name}")
        count = 1
        while True:
            try:
                path.mkdir(parents=True)
                break
            except FileExistsError:
                if id is not None:
                    raise UsageError(
                        f"there is a run {id} in {root}/ already; resume it, or choose another id"
                    ) from None
                count += 1
                path = Path(root) / f"{stamp}-{name}-{count}"
        run = cls(path)
        (path / "config.yaml").write_text(config_yaml, encoding="utf-8")
        write_json(path / "environment.json", environment())
        run.set_status("running")
        return run

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def config(self) -> dict[str, Any]:
        return migrated(yaml.safe_load((self.path / "config.yaml").read_text(encoding="utf-8")), SETTINGS)

    @property
    def status(self) -> dict[str, Any]:
        """What :meth:`set_status` wrote; a run whose process is gone reads as ``stopped``."""
        try:
            status = json.loads((self.path / "status.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {"status": "unknown"}
        if status["status"] == "running" and not _alive(status):
            status["status"] = "stopped"
        return status

    def set_status(self, status: str, **more: Any) -> None:
        """Write down how the run stands; on a full disk the old status stays, and no error hides what filled it."""
        here = {"pid": os.getpid(), "host": platform.node(), "time": time.time()}
        with suppress(CannotWrite):
            write_json(self.path / "status.json", {"status": status, **here, **more})

    @property
    def metrics_path(self) -> Path:
        """Where the metrics lie."""
        return _packed(self.path / "metrics.jsonl")

    def log(self, metrics: Mapping[str, Any]) -> None:
        """Append one line of metrics."""
        _append(self.path / "metrics.jsonl", [json.dumps(metrics)])

    def metrics(self) -> list[dict[str, Any]]:
        """All lines logged so far; a last line still being written is left out."""
        return [migrated(line, METRICS) for line in _lines(self.metrics_path)]

    def rewind(self, step: int) -> None:
        """Drop metrics logged after ``step``: those of an update that was cut short and will be done again."""
        kept = [json.dumps(m) for m in self.metrics() if m["step"] <= step]
        _replace_text(self.path / "metrics.jsonl", "".join(line + "\n" for line in kept))

    def add_episodes(self, name: str, episodes: Iterable[Episode]) -> Path:
        """Append episodes to ``episodes/NAME.jsonl``.

        Raises:
            CannotWrite: the disk is full or the folder is read-only; none of these episodes is stored.
        """
        path = self.path / "episodes" / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        _append(path, [e.to_json() for e in episodes])
        return path

    def put_episodes(self, name: str, episodes: Iterable[Episode]) -> Path:
        """Write ``episodes/NAME.jsonl`` anew: an update that is done again replaces what it had left."""
        path = self.path / "episodes" / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        _replace_text(path, "".join(e.to_json() + "\n" for e in episodes))
        return path

    def episodes_path(self, name: str) -> Path:
        """Where episodes of a name lie, or would lie."""
        return _packed(self.path / "episodes" / f"{name}.jsonl")

    def episode_names(self) -> list[str]:
        """The names under which episodes are stored."""
        found = (self.path / "episodes").glob("*.jsonl*")
        names = (p.name.removesuffix(".gz") for p in found if not p.name.endswith(".part"))
        return sorted({name.removesuffix(".jsonl") for name in names})

    def episodes(self, name: str) -> Iterator[Episode]:
        for data in _lines(self.episodes_path(name)):
            yield Episode.from_dict(data)

    def checkpoint(self, step: int) -> Path:
        """Where the checkpoint of a step lies, or is to lie."""
        return self.path / "checkpoints" / f"step-{step}"

    def checkpoints(self) -> dict[int, Path]:
        """Complete checkpoints by step, in order."""
        found = (self.path / "checkpoints").glob("step-*") if (self.path / "checkpoints").is_dir() else ()
        steps = {int(p.name[5:]): p for p in found if p.name[5:].isdigit()}
        return dict(sorted(steps.items()))


def find(run: str | Path, root: str | Path = ROOT) -> Run:
    """The run of an id, of the unambiguous beginning or end of one, or of a folder.

    Raises:
        UsageError: there is none, or several.
    """
    for path in (Path(run), Path(root) / str(run)):
        if (path / "config.yaml").is_file():
            return Run(path)
    near = [r for r in listing(root) if r.id.startswith(str(run)) or r.id.endswith(f"-{run}")]
    if len(near) == 1:
        return near[0]
    if near:
        raise UsageError(f"{run} could be any of {', '.join(r.id for r in near)}; give more of the id")
    raise UsageError(f"no run {run} in {root}/; `labkit runs list` shows what is there")


def listing(root: str | Path = ROOT) -> list[Run]:
    """All runs below a folder, the newest first."""
    return [Run(p.parent) for p in sorted(Path(root).glob("*/config.yaml"), reverse=True)]


def replace_folder(path: Path, fill: Callable[[Path], object]) -> None:
    """Fill a folder and put it in the place of ``path`` as a whole.

    A reader sees the old folder or the new one, complete. After a crash between the two renames the new folder is
    found under ``.new`` (see :func:`settle`).

    Raises:
        CannotWrite: the disk is full or the folder is read-only; the old folder stays.
    """
    fresh, old = path.with_name(path.name + ".new"), path.with_name(path.name + ".old")
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    part = path.with_name(path.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        fill(part)
        for file in part.rglob("*"):
            if file.is_file():
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
    except Exception as error:
        shutil.rmtree(part, ignore_errors=True)
        # safetensors reports a full disk by an exception of its own, with the system's words in it.
        if isinstance(error, OSError) or "os error" in str(error):
            raise CannotWrite(path, error) from error
        raise
    part.rename(fresh)
    if path.exists():
        path.rename(old)
    fresh.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def settle(path: Path) -> bool:
    """Finish a :func:`replace_folder` that was interrupted; False if there is nothing to read."""
    fresh = path.with_name(path.name + ".new")
    if fresh.exists():
        shutil.rmtree(path, ignore_errors=True)
        fresh.rename(path)
    return path.exists()


def environment() -> dict[str, Any]:
    """What a reader needs to know of the machine and the code to judge a number."""
    # Here, since it brings pydantic, which the command line's help does without.
    from labkit.config import PROMPT_DATE

    packages = ("labkit", "torch", "transformers", "accelerate", "peft", "numpy", "gymnasium", "pillow")
    return {
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "git": _git_revision(),
        "packages": {p: _version(p) for p in packages},
        "prompt_date": PROMPT_DATE.isoformat(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def write_json(path: Path, data: Any) -> None:
    """Write JSON such that a reader never sees half of it.

    Raises:
        CannotWrite: the disk is full or the folder is read-only; an old file stays.
    """
    _replace_text(path, json.dumps(data, indent=2) + "\n")


def _replace_text(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise CannotWrite(path, error) from error


def _append(path: Path, lines: Iterable[str]) -> None:
    """Append lines, all of them or none; a last line without its end is cut off first."""
    data = memoryview("".join(line + "\n" for line in lines).encode("utf-8"))
    try:
        _unpack(path)
        with path.open("a+b", buffering=0) as handle:
            whole = _end_of_last_line(handle)
            handle.truncate(whole)
            try:
                while data:
                    data = data[handle.write(data) :]
            except OSError:
                handle.truncate(whole)
                raise
    except OSError as error:
        raise CannotWrite(path, error) from error


def _end_of_last_line(handle: BinaryIO, block: int = 1 << 16) -> int:
    """The offset behind the last line break; 0 if there is none."""
    end = handle.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - block)
        handle.seek(start)
        found = handle.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _unpack(path: Path) -> None:
    """Put a file back in the place of its compressed form, so that it can be appended to."""
    packed = _packed(path)
    if packed == path:
        return
    part = path.with_name(path.name + ".part")
    with _undamaged(packed), gzip.open(packed, "rb") as source, part.open("wb") as target:
        shutil.copyfileobj(source, target)
    part.replace(path)
    packed.unlink()


def _packed(path: Path) -> Path:
    """The compressed form of a file where only that is there."""
    packed = path.with_name(path.name + ".gz")
    return packed if packed.exists() and not path.exists() else path


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file as data, without a last one that has no end yet."""
    if not path.exists():
        return
    with (
        _undamaged(path),
        gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as handle,
    ):
        for number, line in enumerate(handle, 1):
            if not line.endswith("\n"):
                return
            try:
                yield json.loads(line)
            except ValueError:
                raise UsageError(f"{path}, line {number} is not JSON; delete that line to read the others") from None


@contextmanager
def _undamaged(path: Path) -> Iterator[None]:
    """Name a compressed file that cannot be read to its end.

    Raises:
        UsageError: it is cut short or damaged.
    """
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise UsageError(f"{path} is cut short or damaged; put a whole copy in its place") from None


def _alive(status: Mapping[str, Any]) -> bool:
    if status.get("host") != platform.node():
        return True
    try:
        os.kill(status["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _git_revision() -> str | None:
    here = Path(__file__).parent
    try:
        described = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty"], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return described.stdout.strip() or None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
