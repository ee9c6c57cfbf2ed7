"""The Python environment that a host with ``install`` gets: what it is made from, by content."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import NamedTuple

import labkit
from labkit.dispatch.host import Host
from labkit.errors import UsageError

CLONE = Path(labkit.__file__).parents[1]


class Environment(NamedTuple):
    """An environment before it is made."""

    key: str
    """The hash of all that it depends on; it lies in ``envs/KEY`` below the host's folder."""
    files: dict[str, str]
    """What pip reads there, by file name: ``requirements.txt`` and ``constraints.txt``."""

    @property
    def python(self) -> str:
        """Its interpreter, below the host's folder."""
        return f"envs/{self.key}/venv/bin/python"


def wanted(host: Host) -> Environment | None:
    """The environment that a host is to have; None where it has one already.

    Raises:
        UsageError: the requirements cannot be read.
    """
    if not host.install:
        return None
    if host.install is True:
        project = _text(CLONE / "pyproject.toml", "send from a clone of the repository, or name a requirements file")
        requirements = "\n".join(tomllib.loads(project)["project"]["dependencies"])
        constraints = _text(CLONE / "constraints.txt", "send from a clone of the repository")
    else:
        requirements, constraints = _text(Path(host.install), "name a requirements file, or write install: true"), ""
    files = {"requirements.txt": requirements + "\n", "constraints.txt": constraints}
    parts = [files, host.python, host.setup, host.wheelhouse]
    return Environment(hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16], files)


def _text(path: Path, hint: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"install: cannot read {path}: {getattr(error, 'strerror', error)}; {hint}") from None
