"""Players by name: ``expert``, ``script:FILE``, ``tiny:gp-l/init``, ``run:ID@300``, a directory, a hub id.

``NAME=SPEC`` calls a player NAME, in episodes and wherever players are listed. ``blind:SPEC`` is a model that is shown
noise for pictures. Names are looked up without importing
torch; loading a model imports it.
"""

from __future__ import annotations

import difflib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from labkit.errors import UsageError
from labkit.extensions import import_modules
from labkit.models import files
from labkit.players.base import Player
from labkit.players.blind import PREFIX as BLIND
from labkit.players.blind import Blind
from labkit.players.endpoint import Endpoint, is_endpoint, split
from labkit.players.simple import Expert, Random, Script, Words
from labkit.runs import store

if TYPE_CHECKING:
    from labkit.models.bundle import ModelBundle

BUNDLED = Path(__file__).parents[1] / "bundled"
"""Checkpoints that come with the package, in folders named after their specs."""
SIMPLE: dict[str, tuple[Callable[[], Player], str]] = {
    "expert": (Expert, "always right, from the solver"),
    "random": (Random, "well-formed answers, chosen blindly"),
    "words": (Words, "V-IRL by the prompt's words, without a look"),
}
"""Players that are not models: what makes each, and a summary. A module in ``LABKIT_MODULES`` may add some."""
BUILT_IN = tuple(SIMPLE)
"""Those of labkit itself."""


@dataclass(frozen=True, slots=True)
class PlayerInfo:
    """A player as far as it is known without loading it."""

    spec: str
    """The name that :func:`load` takes."""
    kind: str
    """``script``, ``endpoint``, or the name of a player that is no model; or a model: ``tiny``, ``run``,
    ``checkpoint``, ``adapter``."""
    summary: str
    path: Path | None = None
    """A model's directory."""
    card: Mapping[str, Any] = field(default_factory=dict)
    """How it was made and what it scores, if its directory has a ``card.json``."""

    @property
    def is_model(self) -> bool:
        """Whether it is a checkpoint, and not a script, a server or a player of :data:`SIMPLE`."""
        return self.kind not in ("script", "endpoint") and self.kind not in SIMPLE


def simple() -> Mapping[str, tuple[Callable[[], Player], str]]:
    """:data:`SIMPLE`, with the players of the modules in ``LABKIT_MODULES``.

    Raises:
        UsageError: one of these modules cannot be imported.
    """
    import_modules()
    return SIMPLE


def forms() -> str:
    """How a player may be named, in one line."""
    return (
        f"{', '.join(simple())}, script:FILE, tiny:NAME (see `labkit players`), run:ID, run:ID@STEP, the directory of "
        "a checkpoint or an adapter, a hub id OWNER/NAME, or http(s)://HOST/v1#MODEL; NAME=PLAYER calls a model NAME, "
        "blind:PLAYER shows it noise for pictures"
    )


def load(
    spec: str,
    *,
    runs: str | Path = store.ROOT,
    device: str = "auto",
    dtype: str = "auto",
    temperature: float = 0.0,
    max_new_tokens: int | None = None,
    base: str | None = None,
    batch: int = 64,
    trust_remote_code: bool = False,
) -> Player:
    """The player of a name. All arguments but ``runs`` are for models; other players ignore them.

    The two models used last stay in memory and are shared.

    Args:
        runs: the folder of the runs.
        device, dtype, trust_remote_code: see :func:`labkit.models.loader.load`.
        base: the model under an adapter, by any name that a model has here.
        temperature, max_new_tokens, batch: see :class:`labkit.players.checkpoint.Checkpoint`.

    Raises:
        UsageError: there is no such player, or it cannot be loaded.
    """
    if spec in simple():
        return SIMPLE[spec][0]()
    if spec.startswith("script:"):
        return Script.from_file(spec.removeprefix("script:"))
    name, model = _named(spec)
    seeing = model.removeprefix(BLIND)
    if is_endpoint(seeing):
        served = Endpoint(
            *split(seeing), name=name, temperature=temperature, max_new_tokens=max_new_tokens, batch=batch
        )
        return served if seeing == model else Blind(served, name)
    from labkit.players.checkpoint import Checkpoint

    place, under = _places(seeing, base, runs)
    loaded = _shelf.take(place, under, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
    player = Checkpoint(loaded, name=name, temperature=temperature, max_new_tokens=max_new_tokens, batch=batch)
    return player if seeing == model else Blind(player, name)


def load_bundle(spec: str, *, runs: str | Path = store.ROOT, base: str | None = None, **options: Any) -> ModelBundle:
    """The model of a name, loaded anew: what training changes in place.

    Args:
        base: the model under an adapter, by any name that a model has here.
        options: see :func:`labkit.models.loader.load`.

    Raises:
        UsageError: there is no such model, or it cannot be loaded.
    """
    from labkit.models.loader import load as load_model

    place, under = _places(spec, base, runs)
    return load_model(place, base=under, **options)


def _places(spec: str, base: str | None, runs: str | Path) -> tuple[Path | str, Path | str | None]:
    """Where a model is, and where the model under it is, if it is an adapter that does not lie beside it."""
    place = resolve_checkpoint(spec, runs=runs)
    if base is None and isinstance(place, Path) and (place / files.ADAPTER).is_file():
        named = files.read_json(place / files.ADAPTER).get("base_model_name_or_path")
        # Other names are those of Hugging Face, which the loader knows.
        base = named if str(named).startswith(("tiny:", "run:")) else None
    return place, None if base is None else resolve_checkpoint(base, runs=runs)


def _named(spec: str) -> tuple[str, str]:
    """What a player is called, and the spec behind ``NAME=``; without a name both are the spec.

    Raises:
        UsageError: the name is not of letters, digits, spaces and ``._+-``.
    """
    if spec.startswith(BLIND):
        name, place = _named(spec.removeprefix(BLIND))
        return f"{BLIND}{name}", f"{BLIND}{place}"
    name, equals, place = spec.partition("=")
    if not equals or "/" in name or ":" in name or Path(spec).exists():
        return spec, spec
    if not re.fullmatch(r"[\w.+-][\w.+ -]*", name) or not place:
        raise UsageError(f"{spec!r} is not NAME=PLAYER; a name has letters, digits, spaces and . _ + -")
    return name, place


def resolve_checkpoint(spec: str, *, runs: str | Path = store.ROOT) -> Path | str:
    """Where the model of a name is: its directory, or its hub id.

    Raises:
        UsageError: there is no such player, or it is not a model.
    """
    _, spec = _named(spec)
    if spec in simple() or spec.startswith("script:") or is_endpoint(spec):
        raise UsageError(f"{spec} is not a model; name a checkpoint")
    if spec.startswith("run:"):
        return _checkpoint(spec.removeprefix("run:"), runs)
    bundled = {f"tiny:{name}": path for name, path in _bundled().items()}
    if spec in bundled:
        return bundled[spec]
    if f"tiny:{spec}" in bundled and not Path(spec).is_dir():
        raise UsageError(f"no player {spec!r}; did you mean tiny:{spec}?")
    if not spec.startswith("tiny:"):
        if files.is_hub_id(spec) and not Path(spec).exists():
            return spec
        if ("/" in spec and "://" not in spec) or Path(spec).exists():
            return files.folder_of(spec)
    near = difflib.get_close_matches(spec, [*SIMPLE, *bundled], 1, cutoff=0.75)
    if near:
        raise UsageError(f"no player {spec!r}; did you mean {near[0]}?")
    if spec.startswith("tiny:"):
        raise UsageError(f"no player {spec!r}; bundled are {', '.join(bundled) or 'none'}")
    raise UsageError(f"no player {spec!r}; a player is {forms()}")


def info(spec: str, *, runs: str | Path = store.ROOT) -> PlayerInfo:
    """The player of a name without loading it. The files of a hub id are fetched if they are not here.

    Raises:
        UsageError: there is no such player.
    """
    name, place = _named(spec)
    if place != spec:
        return replace(info(place, runs=runs), spec=spec, summary=name)
    if spec.startswith(BLIND):
        seeing = spec.removeprefix(BLIND)
        if not is_endpoint(seeing):
            resolve_checkpoint(seeing, runs=runs)
        return replace(info(seeing, runs=runs), spec=spec, summary=f"{seeing}, shown noise for pictures")
    if spec in simple():
        return PlayerInfo(spec, spec, SIMPLE[spec][1])
    if spec.startswith("script:"):
        Script.from_file(spec.removeprefix("script:"))
        return PlayerInfo(spec, "script", "prepared answers, one an attempt")
    if is_endpoint(spec):
        url, model = split(spec)
        return PlayerInfo(spec, "endpoint", f"{model}, served at {url}")
    path = files.folder_of(resolve_checkpoint(spec, runs=runs))
    if spec.startswith("tiny:"):
        return _tiny(spec, path)
    if spec.startswith("run:"):
        run = store.Run(path.parents[1])
        return _of_run(spec, run, path)
    kind = "adapter" if (path / files.ADAPTER).is_file() else "checkpoint"
    return PlayerInfo(spec, kind, f"{kind} in {path}", path, _card(path))


def players(runs: str | Path = store.ROOT) -> list[PlayerInfo]:
    """All players with a name of their own: those that are not models, bundled checkpoints, checkpoints of runs."""
    found = [info(spec) for spec in simple()]
    found += [_tiny(f"tiny:{name}", path) for name, path in _bundled().items()]
    for run in store.listing(runs):
        found += [_of_run(f"run:{run.id}@{step}", run, path) for step, path in run.checkpoints().items()]
    return found


def _bundled() -> dict[str, Path]:
    return {p.parent.relative_to(BUNDLED).as_posix(): p.parent for p in sorted(BUNDLED.rglob(files.CONFIG))}


def _tiny(spec: str, path: Path) -> PlayerInfo:
    card = _card(path)
    return PlayerInfo(spec, "tiny", str(card.get("summary", "bundled checkpoint")), path, card)


def _of_run(spec: str, run: store.Run, path: Path) -> PlayerInfo:
    try:
        config = run.config
    except (OSError, ValueError, yaml.YAMLError):
        # A run that was damaged must not hide the others.
        config = {}
    trained = " ".join(str(config[key]) for key in ("stage", "cell") if key in config)
    step = path.name.removeprefix("step-")
    return PlayerInfo(spec, "run", f"{trained or 'run'}, step {step}", path, _card(path))


def _card(path: Path) -> dict[str, Any]:
    return files.read_json(path / "card.json") if (path / "card.json").is_file() else {}


def _checkpoint(name: str, runs: str | Path) -> Path:
    """The directory of ``ID@STEP``, or of a run's last checkpoint."""
    name, _, wanted = name.partition("@")
    run = store.find(name, runs)
    checkpoints = run.checkpoints()
    if not checkpoints:
        raise UsageError(f"run {run.id} has no checkpoint yet; see `labkit runs show {run.id}`")
    if not wanted:
        return checkpoints[max(checkpoints)]
    if not wanted.isdigit() or int(wanted) not in checkpoints:
        raise UsageError(f"run {run.id} has no step {wanted}; its steps are {', '.join(map(str, checkpoints))}")
    return checkpoints[int(wanted)]


class _Shelf:
    """The models used last. One thread loads at a time, so that no model is loaded twice."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[tuple[Any, ...], ModelBundle] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, place: Path | str, base: Path | str | None, **options: Any) -> ModelBundle:
        from labkit.models.loader import load as load_model

        # A checkpoint that was written again is loaded again.
        stored = Path(place).iterdir() if Path(place).is_dir() else ()
        key = (str(place), str(base), max((p.stat().st_mtime_ns for p in stored), default=0), *sorted(options.items()))
        with self._lock:
            if key not in self._kept:
                # Free memory first: two large models may not fit.
                while len(self._kept) >= self._size:
                    self._kept.popitem(last=False)
                self._kept[key] = load_model(place, base=base, **options)
            self._kept.move_to_end(key)
            return self._kept[key]


_shelf = _Shelf(size=2)
